"""Numeric agreement: how much outputs differ from the reference's, in the published metrics and
ours.

Formulas of the published five (Mean Diff ... Mean Rel-Diff): d = |reference - other| over all
elements, mean, standard deviation and maximum of d; relative: d / |reference|, where a reference of
0 (or a float32 subnormal, which devices flush to 0) divides by 1. Two things differ from the
published code: NaN and infinite values are counted and fail the output instead of being replaced by
0, and nothing is rounded. The metrics cover the elements that are finite in both.

An output fails if its values are missing, not finite, integers for a reference's floats, or plainly
other answers (LEAST_COSINE). How much less precise than the reference a backend may be is for the
reader to judge. Text is compared exactly, and an empty answer agrees with an empty one. Left out:
drawing, and which items were run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from qs.base.words import number
from qs.tensors.outputs import NUMBERS

PUBLISHED = ("Mean Diff", "Std Diff", "Max Diff", "Max Rel-Diff", "Mean Rel-Diff")
# Reduced precision (bfloat16, int8) stays far above this; an output below it was computed wrongly.
LEAST_COSINE = 0.95
_ZERO_BELOW = float(np.finfo(np.float32).tiny)


def compare(reference: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    """Metrics of one output. If the shapes differ, `failed` says so and there are no numbers.

    Keys: the five published ones, "Cosine Similarity", "Max ULP" (if both are float32: the largest
    number of float32 values in between), "Top-1 Agreement" ([rows, classes]: share of rows whose
    largest value is in the same place), "NaN Count", "Inf Count" (of `other`), "Elements", "failed"
    (None, or the reason). A metric that is undefined (no finite element) is None.
    """
    reference, other = np.asarray(reference), np.asarray(other)
    result: dict[str, Any] = {
        **dict.fromkeys(PUBLISHED),
        "Cosine Similarity": None,
        "Max ULP": None,
        "Top-1 Agreement": None,
        "NaN Count": 0,
        "Inf Count": 0,
        "Elements": int(other.size),
        "failed": None,
    }
    if reference.shape != other.shape:
        result["failed"] = (
            f"shape {list(other.shape)}, but the reference has {list(reference.shape)}"
        )
        return result
    if not other.size:
        return result
    kinds = reference.dtype.kind, other.dtype.kind
    if not set(kinds) <= set(NUMBERS):
        result["failed"] = _text_apart(reference, other)
        return result
    if kinds[0] == "f" and kinds[1] != "f":
        result["failed"] = f"{other.dtype} values, but the reference has {reference.dtype}"
        return result
    want, got = reference.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    result["NaN Count"] = int(np.count_nonzero(np.isnan(got)))
    result["Inf Count"] = int(np.count_nonzero(np.isinf(got)))
    usable = np.isfinite(want) & np.isfinite(got)
    if usable.any():
        result.update(_distances(want[usable], got[usable]))
        if reference.dtype == other.dtype == np.float32:
            result["Max ULP"] = _ulp(reference.ravel()[usable], other.ravel()[usable])
    if reference.ndim == 2 and reference.shape[1] > 1 and reference.dtype.kind == "f":
        result["Top-1 Agreement"] = _same_top(reference, other)
    result["failed"] = _reason(result, int(np.count_nonzero(~np.isfinite(want))))
    return result


def summarise(outputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """All outputs of a model in one row of the same keys: largest maximum, means by elements.

    The standard deviation is that of all elements together: E[d^2] - E[d]^2 over the outputs.
    """
    rows = [row for row in outputs.values() if row["Mean Diff"] is not None]
    summary: dict[str, Any] = dict.fromkeys((*PUBLISHED, "Cosine Similarity"))
    if rows:
        weights = np.array([row["Elements"] for row in rows], dtype=np.float64)
        weights /= weights.sum()
        mean = float(np.dot(weights, [row["Mean Diff"] for row in rows]))
        square = float(
            np.dot(weights, [row["Std Diff"] ** 2 + row["Mean Diff"] ** 2 for row in rows])
        )
        cosines = [row["Cosine Similarity"] for row in rows if row["Cosine Similarity"] is not None]
        summary.update(
            {
                "Mean Diff": mean,
                "Std Diff": math.sqrt(max(square - mean * mean, 0.0)),
                "Max Diff": max(row["Max Diff"] for row in rows),
                "Max Rel-Diff": max(row["Max Rel-Diff"] for row in rows),
                "Mean Rel-Diff": float(np.dot(weights, [row["Mean Rel-Diff"] for row in rows])),
                "Cosine Similarity": min(cosines) if cosines else None,
            }
        )
    failed = [f"{name}: {row['failed']}" for name, row in outputs.items() if row["failed"]]
    if not outputs:
        failed = ["the backend returned no output"]
    summary["NaN Count"] = sum(row["NaN Count"] for row in outputs.values())
    summary["Inf Count"] = sum(row["Inf Count"] for row in outputs.values())
    summary["failed"] = "; ".join(failed) or None
    return summary


def _distances(want: np.ndarray, got: np.ndarray) -> dict[str, float | None]:
    apart = np.abs(want - got)
    relative = apart / np.where(np.abs(want) < _ZERO_BELOW, 1.0, np.abs(want))
    return {
        "Mean Diff": float(apart.mean()),
        "Std Diff": float(apart.std()),
        "Max Diff": float(apart.max()),
        "Max Rel-Diff": float(relative.max()),
        "Mean Rel-Diff": float(relative.mean()),
        "Cosine Similarity": _cosine(want, got),
    }


def _ulp(want: np.ndarray, got: np.ndarray) -> int:
    """The largest distance in float32 values, from their bits as integers in the floats' order;
    -0 and 0 are equal.
    """
    ordered = []
    for array in (want, got):
        bits = np.ascontiguousarray(array).view(np.int32).astype(np.int64)
        ordered.append(np.where(bits < 0, -(bits & 0x7FFFFFFF), bits))
    return int(np.abs(ordered[0] - ordered[1]).max())


def _same_top(want: np.ndarray, got: np.ndarray) -> float | None:
    """The share of rows with the same largest place; a row of `got` that is not finite has none."""
    if not len(want):
        return None
    same = (want.argmax(axis=1) == got.argmax(axis=1)) & np.isfinite(got).all(axis=1)
    return float(same.mean())


def worst_item(want: np.ndarray, got: np.ndarray, items: int) -> dict[str, Any] | None:
    """{"item", "max_diff"} of the item that differs most; one that is not finite differs most of
    all, with max_diff None.

    None if the shapes differ, or the rows do not divide evenly among the items.
    """
    if (
        want.shape != got.shape
        or not want.ndim
        or not want.size
        or len(want) % items
        or not {want.dtype.kind, got.dtype.kind} <= set(NUMBERS)
    ):
        return None
    with np.errstate(invalid="ignore"):
        apart = (
            np.abs(want.astype(np.float64) - got.astype(np.float64)).reshape(items, -1).max(axis=1)
        )
    apart = np.where(np.isfinite(apart), apart, np.inf)
    item = int(apart.argmax())
    return {"item": item, "max_diff": float(apart[item]) if np.isfinite(apart[item]) else None}


def distributions(
    want: np.ndarray, got: np.ndarray, bins: int = 80
) -> dict[str, dict[str, np.ndarray]] | None:
    """Histograms ({"counts", "edges"}) of reference - other, reference and other, over the elements
    that are finite in both.
    """
    if want.shape != got.shape or not {want.dtype.kind, got.dtype.kind} <= set(NUMBERS):
        return None
    want, got = want.astype(np.float64).ravel(), got.astype(np.float64).ravel()
    usable = np.isfinite(want) & np.isfinite(got)
    want, got = want[usable], got[usable]
    if not want.size:
        return None
    found = {}
    for name, values in (("difference", want - got), ("reference", want), ("backend", got)):
        low, high = float(values.min()), float(values.max())
        room = max((high - low) * 1e-6, abs(high) * 1e-6, float(np.finfo(np.float32).tiny))
        counts, edges = np.histogram(values, bins=bins, range=(low - room, high + room))
        found[name] = {"counts": counts, "edges": edges}
    return found


def _cosine(want: np.ndarray, got: np.ndarray) -> float | None:
    """None if one of them is all zero: its angle is undefined."""
    # Scaled first: squares of large float32 values stay finite in float64, those of 1e200 do not.
    largest_want, largest_got = float(np.abs(want).max()), float(np.abs(got).max())
    if largest_want == 0 or largest_got == 0:
        return 1.0 if largest_want == largest_got else None
    want, got = want / largest_want, got / largest_got
    cosine = float(np.dot(want, got) / (np.linalg.norm(want) * np.linalg.norm(got)))
    return min(max(cosine, -1.0), 1.0)


def _text_apart(reference: np.ndarray, other: np.ndarray) -> str | None:
    """Why text is not the reference's, or None: exactly the same, whatever type holds it."""
    if (reference.dtype.kind in NUMBERS) != (other.dtype.kind in NUMBERS):
        kinds = ["numbers" if each.dtype.kind in NUMBERS else "text" for each in (other, reference)]
        return f"{kinds[0]}, but the reference has {kinds[1]}"
    want, got = reference.ravel().tolist(), other.ravel().tolist()
    apart = [at for at, (one, two) in enumerate(zip(want, got)) if one != two]
    if not apart:
        return None
    first = apart[0]
    return (
        f"{len(apart)} of {len(want)} texts differ; the first is {got[first]!r:.60}, the "
        f"reference has {want[first]!r:.60}"
    )


def _reason(result: Mapping[str, Any], unusable_reference: int) -> str | None:
    parts = []
    if result["NaN Count"]:
        parts.append(f"{result['NaN Count']} NaN")
    if result["Inf Count"]:
        parts.append(f"{result['Inf Count']} infinite")
    if unusable_reference:
        parts.append(f"{unusable_reference} not finite in the reference itself")
    if parts:
        return ", ".join(parts) + f" of {result['Elements']} values"
    cosine = result["Cosine Similarity"]
    if cosine is None:
        return "either the output or its reference is all zero, the other is not"
    if cosine < LEAST_COSINE:
        return (
            f"cosine similarity {number(cosine)} with the reference, below {LEAST_COSINE}: "
            "other answers, not other rounding"
        )
    return None
