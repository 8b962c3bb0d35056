"""FarmHash's Fingerprint64 of up to 16 bytes: the buckets that TensorFlow's to_hash_bucket_fast
gives to categories.

From the published definition of FarmHash (Google, 2014): multiplications modulo 2^64, rotations to
the right.
"""

from __future__ import annotations

_K0, _K2 = 0xC3A5C85C97CB3127, 0x9AE16A3B2F90404F
_ALL = (1 << 64) - 1
LONGEST = 16


def fingerprint64(text: bytes) -> int:
    """ValueError for more than 16 bytes: Criteo's categories have 8."""
    size = len(text)
    if size > LONGEST:
        raise ValueError(f"{size} bytes; allowed: up to {LONGEST}")
    if size >= 8:
        factor = (_K2 + size * 2) & _ALL
        a, b = _read(text[:8]) + _K2, _read(text[-8:])
        c = (_rotated(b, 37) * factor + a) & _ALL
        d = ((_rotated(a & _ALL, 25) + b) * factor) & _ALL
        return _mixed(c, d, factor)
    if size >= 4:
        return _mixed(size + (_read(text[:4]) << 3), _read(text[-4:]), (_K2 + size * 2) & _ALL)
    if size:
        y, z = text[0] + (text[size >> 1] << 8), size + (text[-1] << 2)
        value = ((y * _K2) ^ (z * _K0)) & _ALL
        return ((value ^ value >> 47) * _K2) & _ALL
    return _K2


def _read(text: bytes) -> int:
    return int.from_bytes(text, "little")


def _rotated(value: int, places: int) -> int:
    return (value >> places | value << 64 - places) & _ALL


def _mixed(u: int, v: int, factor: int) -> int:
    a = ((u ^ v) * factor) & _ALL
    a ^= a >> 47
    b = ((v ^ a) * factor) & _ALL
    b ^= b >> 47
    return (b * factor) & _ALL
