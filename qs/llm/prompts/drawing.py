"""Numbers drawn from a seed. They are those of a bit generator as it gives them, which numpy keeps
from version to version: the same seed makes the same prompts everywhere.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What is drawn; each has a seed of its own, derived from the user's."""

    MARKS = 0
    PREFIXES = 1
    TEXTS = 2
    INPUT_LENGTHS = 3
    OUTPUT_LENGTHS = 4
    ANSWERS = 5
    BLOCKS = 6
    CHOICE = 7


def raw(count: int, seed: int, stream: Stream, index: int = 0) -> np.ndarray:
    """uint64[count]. With a larger count the same ones come first."""
    sequence = np.random.SeedSequence([seed, int(stream), index])
    return np.random.PCG64(sequence).random_raw(count)


def shares(count: int, seed: int, stream: Stream) -> np.ndarray:
    """float64[count], even in (0, 1)."""
    return ((raw(count, seed, stream) >> np.uint64(12)) + 0.5) / 2.0**52
