"""In what order settings are measured: every round has all of them once, in an order of its own, so
that a machine that slows down or warms up over the sweep favours none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def shuffled(settings: Sequence[T], round_number: int, seed: int) -> list[T]:
    """A permutation that the seed and the round's number give; the same when a sweep goes on later."""
    import numpy as np

    order = np.random.default_rng([seed, round_number]).permutation(len(settings))
    return [settings[int(at)] for at in order]
