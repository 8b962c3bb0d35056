"""How far two answers to the same question lie apart, and how far they may.

Compared with the answer's own largest magnitude, since vendors add numbers in another order from
call to call and from batch to batch: that moves the last digits. A race, a stale buffer or a
neighbour's row moves the first ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qs.base.words import number

# Of an output's largest magnitude. Rounding of a deep network's sums in that precision stays well
# below it.
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


def tolerance(precision: object) -> float:
    """By a compile result's `compile_precision`; that of FP32 where it is none we know."""
    name = str(precision or "").upper().replace("BFLOAT", "BF").replace("FLOAT", "FP")
    return TOLERANCES.get(name, TOLERANCES["FP32"])


def difference(want: Answer, got: Answer) -> dict[str, Any]:
    """{"apart": share of the largest magnitude, "output": where it is largest, "problem": None or
    why it cannot be said}.
    """
    if set(want) != set(got):
        return _problem(f"outputs {', '.join(sorted(want))} became {', '.join(sorted(got))}")
    worst: dict[str, Any] = {"apart": 0.0, "output": next(iter(want), ""), "problem": None}
    for name, first in want.items():
        second = got[name]
        if first.shape != second.shape or first.dtype != second.dtype:
            return _problem(f"output {name}: {_kind(first)} became {_kind(second)}")
        if first.dtype.kind not in "biuf":
            if not np.array_equal(first, second):
                return _problem(f"output {name}: {first.dtype} values differ")
            continue
        before, after = first.astype(np.float64), second.astype(np.float64)
        finite = np.isfinite(before)
        if not np.array_equal(finite, np.isfinite(after)):
            return _problem(f"output {name}: values that are not finite come and go")
        if finite.any():
            scale = max(float(np.abs(before[finite]).max()), float(np.finfo(np.float32).tiny))
            apart = float(np.abs(before[finite] - after[finite]).max()) / scale
            if apart > worst["apart"]:
                worst = {"apart": apart, "output": name, "problem": None}
    return worst


def worse(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The larger of two differences; one that cannot be said is the largest."""
    if one["problem"] or other["problem"]:
        return one if one["problem"] else other
    return one if one["apart"] >= other["apart"] else other


def too_far(found: Mapping[str, Any], allowed: float) -> str | None:
    """In words, why two answers are not the same; None where they are."""
    if found["problem"]:
        return str(found["problem"])
    if found["apart"] > allowed:
        return (
            f"output {found['output']} is {number(found['apart'], 2)} of its largest value "
            f"apart, allowed {number(allowed)}"
        )
    return None


def in_words(apart: float) -> str:
    """How close two answers are that are close enough."""
    return (
        "equal bit by bit"
        if apart == 0
        else f"equal to within {number(apart, 1)} of the largest value"
    )


def _problem(text: str) -> dict[str, Any]:
    return {"apart": 0.0, "output": "", "problem": text}


def _kind(array: np.ndarray) -> str:
    return f"{array.dtype} {list(array.shape)}"
