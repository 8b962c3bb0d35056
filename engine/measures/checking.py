"""What a reader told, as far as it can be: a reader is not trusted, and one measure that it tells
wrongly spoils no other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qs.engine.errors import words
from qs.engine.measures.measure import NOT_MEASURED, Measure, Reading

# What may be told apart: words of outcomes, and names of what happened and of what was counted.
MOST_NAMES = 200
MOST_CHARACTERS = 80
OTHER = "other"
# The most that may be counted, or have happened, at a time.
MOST_VALUE = 1 << 40
# Parts of a reading that are no measure, as `misread` names them.
OUTCOMES, HAPPENED, COUNTS = "outcomes", "what happened", "counts"
_NO_ROWS = np.zeros(0, np.int64)


@dataclass
class Checked:
    """A reading of `size` requests in which everything is what it should be."""

    size: int
    values: dict[str, np.ndarray] = field(default_factory=dict)
    many: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    happened: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    misread: dict[str, str] = field(default_factory=dict)


def checked(reading: Reading, size: int, measures: Sequence[Measure], now_ns: int) -> Checked:
    """What is right of it; `misread` says of the rest why it is not. No instant lies after
    `now_ns`. Raises TypeError if it is no reading at all.
    """
    if not isinstance(reading, Reading):
        raise TypeError(f"`read` gave {type(reading).__name__:.40}, and not a Reading")
    found = Checked(size)

    def told(what: str, read: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return read(*arguments)
        except Exception as fault:  # what stands there may have code of its own
            found.misread.setdefault(what, f"{words(fault)}"[:300])
            return None

    def of_kind(kind: str, read: Any, names: set[str]) -> dict[str, Any]:
        by_name = told(kind, _items, read)
        if by_name is None:  # what it tells of any of them is not known
            found.misread.update(dict.fromkeys(names, found.misread[kind]))
        return by_name or {}

    single = {each.name for each in measures if not each.many}
    several = {each.name for each in measures if each.many}
    values, many = (
        of_kind(kind, read, names)
        for kind, read, names in (
            ("values", reading.values, single),
            ("many", reading.many, several),
        )
    )
    for name in [*values, *many]:
        if name not in single | several:
            found.misread[name] = "the plan has no such measure"
        elif name in (values if name in several else many):
            kind = "any number of values a request" if name in several else "one value a request"
            found.misread[name] = f"it has {kind}"
    for name in single - set(found.misread):
        if name in values:
            column = told(name, _column, values[name], NOT_MEASURED, size)
        else:
            column = np.full(size, NOT_MEASURED, np.int64)
        if column is not None:
            found.values[name] = column
    for name in several - set(found.misread):
        pair = told(name, _timed, many.get(name, (_NO_ROWS, _NO_ROWS)), 1, now_ns)
        if pair is not None:
            found.many[name] = pair
    found.outcomes = told(OUTCOMES, _outcomes, reading.outcomes, size) or Counter()
    found.counts = told(COUNTS, _counts, reading.counts) or {}
    for name, pair in (told(HAPPENED, _items, reading.happened) or {}).items():
        pair = told(HAPPENED, _timed, pair, 0, now_ns)
        if pair is not None:
            found.happened[name] = pair
    return found


def _items(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise TypeError(f"{type(found).__name__:.40} for a dict by name")
    if len(found) > MOST_NAMES:
        raise ValueError(f"{len(found)} names, and there may be {MOST_NAMES}")
    for name in found:
        if not isinstance(name, str) or len(name) > MOST_CHARACTERS:
            raise TypeError(f"{name!r:.40} for a name of at most {MOST_CHARACTERS} characters")
    return dict(found)


def _column(found: Any, least: int = 0, size: int | None = None) -> np.ndarray:
    """Whole numbers from `least` on."""
    if not isinstance(found, np.ndarray):
        raise TypeError(f"{type(found).__name__:.40} for an int64 array")
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise TypeError(f"an array of {found.dtype} with {found.ndim} dimensions, not one of int64")
    if size is not None and found.size != size:
        raise ValueError(f"{found.size} values for {size} requests")
    plain = np.array(found, np.int64)  # a copy: the reader may have kept it
    if plain.size and int(plain.min()) < least:
        raise ValueError(f"a value of {int(plain.min())}, and none is below {least}")
    return plain


def _timed(found: Any, at: int, now_ns: int) -> tuple[np.ndarray, np.ndarray]:
    """Two columns of one length, of which that numbered `at` has instants until now."""
    if not isinstance(found, tuple) or len(found) != 2:
        raise TypeError(f"{type(found).__name__:.40} for two arrays")
    pair = _column(found[0]), _column(found[1])
    values, instants = pair[1 - at], pair[at]
    if values.size != instants.size:
        raise ValueError(f"{values.size} values at {instants.size} instants")
    if instants.size and int(instants.max()) > now_ns:
        raise ValueError("an instant that has not come yet")
    if at == 0 and values.size and int(values.max()) >= MOST_VALUE:
        raise ValueError(f"{int(values.max())} at one instant")
    return pair


def _outcomes(found: Any, size: int) -> Counter[str]:
    if not isinstance(found, list):
        raise TypeError(f"{type(found).__name__:.40} for a list of words")
    if len(found) not in (0, size):
        raise ValueError(f"{len(found)} words for {size} requests")
    if not all(type(word) is str for word in found):
        raise TypeError("an outcome that is no word")
    counted = Counter(word[:MOST_CHARACTERS] for word in found if word)
    if len(counted) > MOST_NAMES:
        kept = Counter(dict(counted.most_common(MOST_NAMES)))
        kept[OTHER] += counted.total() - kept.total()
        return kept
    return counted


def _counts(found: Any) -> dict[str, int]:
    for name, value in _items(found).items():
        if type(value) is not int or not 0 <= value < MOST_VALUE:
            raise ValueError(f"{name!r:.40}: {value!r:.40}, and not a whole number from 0")
    return dict(found)
