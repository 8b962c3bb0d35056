"""Whether an inference failed because of the values it was fed, and of which input.

An id that is out of a table's bounds fails like a wrong shape: the runtime raises, in a sentence
that names a node. An experiment tells them apart: with zeros, which every table holds, in place of
an input's values the same inference succeeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Feeds = Mapping[str, np.ndarray]
MOST_SUSPECTS = 32  # more inputs than these are tried together alone


def culprits(run: Callable[[dict[str, Any]], object], feeds: Feeds) -> list[str]:
    """The inputs whose values make `run(feeds)` fail: [] if it fails with zeros too, or has only
    floats to blame.
    """
    suspects = [name for name, array in feeds.items() if _is_suspect(array)]
    if not suspects or not _succeeds(run, feeds, suspects):
        return []
    if 1 < len(suspects) <= MOST_SUSPECTS:
        alone = [name for name in suspects if _succeeds(run, feeds, [name])]
        return alone or suspects
    return suspects


def shown(array: np.ndarray) -> str:
    """The values of an input, as 1 to 998."""
    low, high = array.min(), array.max()
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _is_suspect(array: np.ndarray) -> bool:
    whole = array.dtype.kind in "iub" or (
        array.dtype.kind == "f" and bool(np.all(np.rint(array) == array))
    )
    return array.size > 0 and whole and bool(np.any(array))


def _succeeds(run: Callable[[dict[str, Any]], object], feeds: Feeds, zeroed: Sequence[str]) -> bool:
    try:
        run({name: np.zeros_like(x) if name in zeroed else x for name, x in feeds.items()})
    except Exception:  # a runtime raises what it likes
        return False
    return True
