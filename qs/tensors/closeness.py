"""How much two answers to the same feeds differ, and how much they may.

Differences are relative to the answer's own largest magnitude, since vendors add numbers in another
order from call to call and from batch to batch: that changes the last digits. A race, a stale
buffer or a neighbour's row changes the first ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import numpy as np

from qs.base.words import number
from qs.tensors.outputs import NUMBERS

# Relative to an output's largest magnitude; well above the rounding of a deep network's sums in
# that precision.
TOLERANCES = {
    "FP32": 1e-4,
    "TF32": 5e-3,
    "FP16": 2e-2,
    "BF16": 3e-2,
    "INT8": 5e-2,
    "FP8": 1e-1,
    "INT4": 1e-1,
}
Answer = Mapping[str, np.ndarray]


class Difference(TypedDict):
    """How much two answers differ; plain data, since it leaves the backend's process."""

    apart: float
    """The largest difference, as a share of the output's largest magnitude."""
    output: str
    """Where it is."""
    problem: str | None
    """Why no such number exists."""


NO_DIFFERENCE = Difference(apart=0.0, output="", problem=None)


def tolerance(precision: object) -> float:
    """By a compile result's `compile_precision`; that of FP32 if the precision is unknown."""
    name = str(precision or "").upper().replace("BFLOAT", "BF").replace("FLOAT", "FP")
    return TOLERANCES.get(name, TOLERANCES["FP32"])


def difference(want: Answer, got: Answer) -> Difference:
    """The largest difference over all outputs. No outputs are no answer: they equal nothing."""
    if not want or not got:
        return _problem("no outputs" if not want else "its outputs became none")
    if set(want) != set(got):
        return _problem(f"outputs {', '.join(sorted(want))} became {', '.join(sorted(got))}")
    worst = Difference(apart=0.0, output=next(iter(want), ""), problem=None)
    for name, first in want.items():
        second = got[name]
        if first.shape != second.shape or first.dtype != second.dtype:
            return _problem(
                f"output {name}: {' '.join(_kind(first))} became {' '.join(_kind(second))}"
            )
        if first.dtype.kind not in NUMBERS:
            if not np.array_equal(first, second):
                return _problem(f"output {name}: {_kind(first)[0]} values differ")
            continue
        before, after = first.astype(np.float64), second.astype(np.float64)
        finite = np.isfinite(before)
        if not np.array_equal(finite, np.isfinite(after)) or not np.array_equal(
            before[~finite], after[~finite], equal_nan=True
        ):
            return _problem(f"output {name}: different values are not finite")
        if finite.any():
            scale = max(float(np.abs(before[finite]).max()), float(np.finfo(np.float32).tiny))
            apart = float(np.abs(before[finite] - after[finite]).max()) / scale
            if apart > worst["apart"]:
                worst = Difference(apart=apart, output=name, problem=None)
    return worst


def worse(one: Difference, other: Difference) -> Difference:
    """The larger of two differences; one with a problem is the largest."""
    if one["problem"] or other["problem"]:
        return one if one["problem"] else other
    return one if one["apart"] >= other["apart"] else other


def too_far(found: Difference, allowed: float) -> str | None:
    """In words, why two answers are not the same; None if they are."""
    if found["problem"]:
        return found["problem"]
    if found["apart"] > allowed:
        return (
            f"output {found['output']} differs by {number(found['apart'], 2)} of its largest "
            f"value; allowed: {number(allowed)}"
        )
    return None


def in_words(apart: float) -> str:
    """How close two answers are, if they are close enough."""
    return (
        "equal bit by bit"
        if apart == 0
        else f"equal to within {number(apart, 1)} of the largest value"
    )


def _problem(text: str) -> Difference:
    return Difference(apart=0.0, output="", problem=text)


def _kind(array: np.ndarray) -> tuple[str, str]:
    kind = "text" if array.dtype.kind in "OUS" else str(array.dtype)
    return kind, str(list(array.shape))
