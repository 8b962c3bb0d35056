"""A model converted from one format to another, and how far its answers are from the original's.

What converts is in the files named after the formats; this one compares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.base.words import number
from qs.tensors.closeness import tolerance
from qs.tensors.generated import generated_feeds
from qs.tensors.onnx_io import bind_inputs, bind_outputs, file_tensors
from qs.tensors.onnx_words import sentence

Feeds = dict[str, np.ndarray]
Answers = Sequence[np.ndarray]
# Sample inputs: (first item, batch size).
SAMPLES = ((0, 1), (1, 1), (0, 2))


@dataclass(frozen=True)
class Converted:
    """A converted model's file or folder."""

    path: Path
    format: str
    origin: Mapping[str, str]
    """{"path", "format"} of what it was converted from."""
    by: str
    """The packages that converted it, with versions: "torch 2.13.0"."""
    check: Mapping[str, Any] = field(default_factory=dict)
    """What its answers were compared on, and how they compare: "items", "batch_sizes",
    "max_abs_diff" and "tolerance" (a share of an output's largest value), "feeds"."""

    def to_dict(self) -> dict[str, Any]:
        """The record's form: "from", "by", "check"."""
        return {"from": dict(self.origin), "by": self.by, "check": dict(self.check)}


def agreement(
    original: Callable[[Feeds], Answers],
    onnx_path: Path,
    model_info: Mapping[str, Any],
    origin: str,
) -> dict[str, Any]:
    """The check of an ONNX graph against what it was converted from, on generated items: of the
    model info's shapes, types and ranges, alone and two in a batch.

    original   answers feeds (input -> array) with its outputs in the model info's order
    origin     what messages call it

    UserError if an answer is further off than the model's precision allows, or if the graph does
    not take what the original takes; the message says by how much.
    """
    run = _session(onnx_path, model_info)
    feeds, kind = accepted(original, model_info)
    allowed = tolerance(model_info.get("model_precision"))
    largest = worst = 0.0
    sizes, items, skipped = [], 0, []
    for (_, size), given in zip(SAMPLES, feeds, strict=True):
        if given is None:
            skipped.append(size)
            continue
        want = [np.asarray(each) for each in original(given)]
        try:
            got = run(given)
        except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
            raise UserError(
                f"{origin} was converted to ONNX, and the result cannot be run at batch size "
                f"{size}, which the original can: {sentence(error)}"
            ) from error
        for name, one, other in _pairs(want, got, model_info, origin):
            apart, relative = _apart(name, one, other, origin)
            largest, worst = max(largest, apart), max(worst, relative)
            if not relative <= allowed:
                raise UserError(
                    f"{origin} was converted to ONNX, and the result answers differently: output "
                    f"{name} is off by up to {number(apart)}, {number(relative)} of its largest "
                    f"value, at batch size {size}; allowed: {number(allowed)}"
                )
        sizes.append(size)
        items += size
    found: dict[str, Any] = {
        "items": items,
        "batch_sizes": sorted(set(sizes)),
        "max_abs_diff": largest,
        "max_rel_diff": worst,
        "tolerance": allowed,
        "feeds": kind,
    }
    if skipped:
        found["not_taken"] = skipped  # batch sizes that the original does not take itself
    return found


def accepted(
    original: Callable[[Feeds], Answers], model_info: Mapping[str, Any]
) -> tuple[list[Feeds | None], str]:
    """The sample inputs that the original takes (None: it does not take that batch size), and what
    they are: "generated", or "ones" where it refuses generated values (ids beyond a vocabulary that
    no `input_range` states). Raises what the original raises of ones.
    """
    kind = "generated"
    try:
        original(generated_feeds(model_info, 1))
    except Exception:  # whatever a runtime raises
        kind = "ones"
        original(_ones(generated_feeds(model_info, 1)))
    found: list[Feeds | None] = []
    for start, size in SAMPLES:
        feeds = generated_feeds(model_info, size, start=start)
        feeds = _ones(feeds) if kind == "ones" else feeds
        try:
            original(feeds)
        except Exception:  # fixed to one item
            if size == 1:
                raise
            found.append(None)
        else:
            found.append(feeds)
    return found, kind


def _ones(feeds: Feeds) -> Feeds:
    return {name: np.ones_like(array) for name, array in feeds.items()}


def _session(path: Path, model_info: Mapping[str, Any]) -> Callable[[Feeds], list[np.ndarray]]:
    """Answers feeds with the graph's outputs in the model info's order, unoptimized: the
    conversion is looked at, not the optimizer.
    """
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(path), settings, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise UserError(f"ONNX Runtime cannot open {path}: {sentence(error)}") from error
    bound, _ = bind_inputs(model_info, file_tensors(session.get_inputs()), str(path))
    outputs, _ = bind_outputs(model_info, [node.name for node in session.get_outputs()])

    def run(feeds: Feeds) -> list[np.ndarray]:
        given = {fed.file: feeds[fed.declared].astype(fed.dtype, copy=False) for fed in bound}
        return [np.asarray(each) for each in session.run([name for name, _ in outputs], given)]

    return run


def _pairs(
    want: Sequence[np.ndarray], got: Sequence[np.ndarray], model_info: Mapping[str, Any], who: str
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    if len(want) != len(got):
        raise UserError(f"{who} has {len(want)} outputs, its ONNX graph {len(got)}")
    from qs.tensors.generated import split_names

    names = split_names(model_info.get("outputs"))
    if len(names) != len(want):
        names = [f"number {at + 1}" for at in range(len(want))]
    return list(zip(names, want, got, strict=True))


def _apart(name: str, one: np.ndarray, other: np.ndarray, who: str) -> tuple[float, float]:
    """(largest difference, as a share of the output's largest magnitude)."""
    if one.shape != other.shape:
        raise UserError(
            f"{who} was converted to ONNX, and the result answers differently: output {name} has "
            f"the shape {list(other.shape)}, not {list(one.shape)}"
        )
    if one.dtype.kind in "OUS" or other.dtype.kind in "OUS":
        same = np.array_equal(one.astype(str), other.astype(str))
        return (0.0, 0.0) if same else (float("inf"), float("inf"))
    before, after = one.astype(np.float64), other.astype(np.float64)
    finite = np.isfinite(before)
    if not np.array_equal(before[~finite], after[~finite], equal_nan=True):
        return float("inf"), float("inf")
    if not finite.any():
        return 0.0, 0.0
    apart = float(np.abs(before[finite] - after[finite]).max())
    scale = max(float(np.abs(before[finite]).max()), float(np.finfo(np.float32).tiny))
    return apart, apart / scale
