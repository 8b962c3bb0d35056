"""Values that the names of inputs reveal: a sample rate, the length of another input's content,
positions; and the rows of a table that the file looks them up in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from math import prod

from qs.artifact.dimensions import Expression
from qs.artifact.inputs import Input, Reading
from qs.tensors.generated import DEFAULT_VOCABULARY, is_position

SAMPLE_RATE_HZ = 16_000
BY_NAME = "going by its name"
_LENGTH = re.compile(r"(len(gth)?s?|lens)(_\d+)?$")
_RATE = re.compile(r"sr|fs|sample_?rate|sampling_?rate|.*[_.]sr")
# How many numbers describe a frame of sound or a token; the other dimension counts them.
_FEATURES = (20, 23, 40, 64, 80, 83, 128, 256, 512, 560, 768, 1024)


def with_ranges(reading: Reading, inputs: Sequence[Input]) -> list[Input]:
    """The inputs, with the ranges of those whose names or tables reveal them."""
    return [_ranged(reading, each, inputs) for each in inputs]


def _ranged(reading: Reading, each: Input, inputs: Sequence[Input]) -> Input:
    word = each.name.lower()
    integral = "INT" in each.type
    small = integral and prod(each.shape) == 1
    if small and _RATE.fullmatch(word):
        return replace(each, range=(SAMPLE_RATE_HZ, SAMPLE_RATE_HZ + 1), range_from=BY_NAME)
    if small and _LENGTH.search(word):
        length = _length(reading, each, inputs)
        return replace(each, range=(length, length + 1), range_from=BY_NAME)
    rows = reading.facts.tables.get(each.name)
    if integral and is_position(word):
        start = _past(inputs)
        if start:
            stop = start + each.shape[-1] if each.shape else start + 1
            return replace(each, range=(start, stop), range_from="counted on from the past")
        if rows is not None and each.shape and rows < each.shape[-1]:
            return replace(each, range=(0, rows), range_from=_table(rows))
        return each
    if integral and rows is not None and rows < DEFAULT_VOCABULARY:
        return replace(each, range=(0, max(rows, 1)), range_from=_table(rows))
    return each


def _table(rows: int) -> str:
    return f"since the file looks it up in a table of {rows} rows"


def _length(reading: Reading, each: Input, inputs: Sequence[Input]) -> int:
    """How long the content is that this input measures."""
    word = each.name.lower()
    if "past" in word:
        return _past(inputs)
    measured = [one for one in inputs if one is not each and prod(one.shape) > 1]
    stem = re.sub(r"[^a-z0-9]+", "", _LENGTH.sub("", word))
    if "total" in word:
        stem = ""
    fitting = [one for one in measured if stem and _bare(one.name) == stem]
    fitting = fitting or [one for one in measured if stem and _bare(one.name).startswith(stem)]
    fitting = fitting or [one for one in measured if stem and stem in _bare(one.name)]
    fitting = fitting or [one for one in measured if "past" not in one.name.lower()]
    lengths = [_extent(reading, one) for one in fitting]
    return max(lengths, default=1) + (_past(inputs) if "total" in word else 0)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower())


def _extent(reading: Reading, each: Input) -> int:
    """The size of the dimension that an input's content runs along."""
    sizes = {at: size for at, size in enumerate(each.shape) if at != each.batch_axis}
    declared = reading.dimensions[each.name]
    open_ones = [at for at in sizes if not isinstance(declared[at], int)]
    running = [at for at in open_ones if _runs(declared[at])]
    for found in (running, open_ones):
        if len(found) == 1 or (found and found is running):
            return sizes[found[0]]
    if len(sizes) == 2:
        plain = [at for at, size in sizes.items() if size not in _FEATURES]
        return sizes[plain[0] if len(plain) == 1 else min(sizes)]
    return max(sizes.values(), default=1)


def _runs(dimension: int | Expression | None) -> bool:
    text = dimension.text.lower() if isinstance(dimension, Expression) else ""
    pattern = r"seq|len|token|time|frame|step|phon|char|word|sample|wave|^t$|^l$|^s$"
    return bool(re.search(pattern, text))


def _past(inputs: Sequence[Input]) -> int:
    """How much the caches hold."""
    for each in inputs:
        for declared, size in zip(each.declared, each.shape):
            if re.fullmatch(r"\w*past\w*", str(declared or "").lower()):
                return size
    return 0
