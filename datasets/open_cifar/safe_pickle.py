"""CIFAR's `python version` is a pickle: read by an unpickler that makes dicts, lists, text, bytes,
numbers and numpy arrays, and nothing else.

A pickle may name any function to be called. Here only the names that arrays of numbers are pickled
with are resolved; any other is refused before it is looked up, so that no code of the file's
choosing runs.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np

from qs.contract.tools import UserError

_RECONSTRUCT = np.empty(0).__reduce__()[0]
_ALLOWED = {
    **{
        (module, "_reconstruct"): _RECONSTRUCT
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    },
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): lambda text, encoding: (
        text.encode("latin1") if encoding == "latin1" else _refuse(encoding)
    ),
}
MOST_BYTES = 1 << 30


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _ALLOWED[module, name]

    def persistent_load(self, pid):
        raise pickle.UnpicklingError("it refers to objects outside the file")


def _refuse(encoding):
    raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}")


def load(path: Path) -> object:
    """The file's object. UserError for anything but plain values and arrays of numbers."""
    content = path.read_bytes()
    if len(content) > MOST_BYTES:
        raise UserError(f"{path}: {len(content)} bytes; CIFAR's files have less than {MOST_BYTES}")
    try:
        value = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a broken pickle raises nearly anything
        raise UserError(
            f"{path}: refused: {error}; allowed: plain values and numpy arrays, as CIFAR's files "
            "have"
        ) from None
    return value
