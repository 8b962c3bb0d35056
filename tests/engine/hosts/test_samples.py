"""Samples cross to worker processes by mapping: what comes out is what went in, and arrays are not
copied.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from qs.engine.hosts.samples import pack, unpack


def through(samples):
    fd = pack(samples)
    try:
        return unpack(fd)
    finally:
        os.close(fd)


def same(one, other) -> bool:
    if isinstance(one, np.ndarray):
        return (
            isinstance(other, np.ndarray)
            and one.dtype == other.dtype
            and np.array_equal(one, other)
        )
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    "samples",
    [
        [],
        [None, 1, 2.5, "word", b"bytes"],
        [
            {
                "ids": np.arange(384),
                "deep": {
                    "mask": np.ones((4, 384), np.int8),
                    "list": [np.float16(1), (np.zeros(3), "x")],
                },
            }
        ],
        [RANDOM.normal(size=(7, 5, 3)).astype(np.float32) for _ in range(20)],
        [np.zeros((0, 4)), np.zeros((4, 0), np.int8)],
        [np.array(7)],
        [np.asfortranarray(np.arange(12).reshape(3, 4))],
        [np.arange(24).reshape(4, 6)[::2, ::-1]],
        [np.array(["a", "bcd"]), np.array([True, False]), np.array([1 + 2j])],
        [np.array([{"an": "object"}, None], dtype=object)],
        [np.zeros(3, dtype=[("a", "i4"), ("b", "f8")])],
    ],
    ids=[
        "none",
        "plain",
        "nested",
        "many",
        "empty",
        "scalar",
        "fortran",
        "strided",
        "dtypes",
        "objects",
        "records",
    ],
)
def test_what_comes_out_is_what_went_in(samples):
    assert same(samples, through(samples))


def test_a_sample_that_is_a_tuple_or_an_array_of_rows():
    assert same([1, 2], through((1, 2)))
    rows = np.arange(6).reshape(3, 2)
    assert same(list(rows), through(rows))


def test_arrays_lie_in_the_shared_file_aligned_and_read_only():
    samples = [
        {"a": np.arange(5, dtype=np.int8), "b": np.arange(1_000.0)},
        np.ones((3, 3), np.float32),
    ]
    fd = pack(samples)
    once, twice = unpack(fd), unpack(fd)
    os.close(fd)
    for found in (once, twice):
        for array in (found[0]["a"], found[0]["b"], found[1]):
            assert not array.flags.owndata
            assert array.ctypes.data % 64 == 0
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1
    assert same(samples, once)
    assert same(samples, twice)


def test_an_array_that_appears_twice_is_stored_once():
    array = np.zeros(1 << 20, np.int8)
    fd = pack([array] * 50)
    size = os.fstat(fd).st_size
    os.close(fd)
    assert size < 2 << 20


def test_what_cannot_be_sent_is_said():
    with pytest.raises(Exception, match="pickle|local object"):
        pack([lambda: None])
