"""Stock parts of a compile backend, for any vendor whose compiled model can be run in Python: a
trial at as many batch sizes as a few seconds allow, the analysis behind `get_best_batch_size`, and
the published compile result.

Names: `bound` is what `bind_inputs` returns, and `run(feeds)` is one blocking inference on arrays
under the file's own names. numpy alone is needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.contract import batch_analysis
from qs.contract.trial_feeds import first_batch, value_fault
from qs.tensors.file_kind import foreign
from qs.tensors.generated import split_names
from qs.tensors.onnx_io import Fed, batch_fault

TRIAL_BUDGET_S = 5.0

Feeds = dict[str, Any]
Run = Callable[[Feeds], object]


@dataclass(frozen=True)
class Tried:
    """Which of the asked batch sizes can be run."""

    faults: Mapping[int, str]
    """Batch size -> why it cannot be compiled."""
    sizes: Sequence[int]
    """Those that were run; at least the smallest without a fault that can be told beforehand."""
    last_s: float
    """Seconds of the last trial."""
    good: Sequence[int]
    """The asked ones without a fault, in the asked order."""

    @property
    def status(self) -> str:
        """`compile_status`."""
        return f"failed for {_text(self.faults)}" if self.faults else "success"


def try_batch_sizes(
    run: Run,
    info: Mapping[str, Any],
    bound: Sequence[Fed],
    sizes: Sequence[int],
    dataloader: Any,
    sentence: Callable[[BaseException], str] = str,
    none: str = "no batch size can be compiled",
) -> Tried:
    """Run each size once on the first items of the data, smallest first, while TRIAL_BUDGET_S
    lasts.

    `sentence(error)` says what a fault of the runtime means. UserError, which begins with `none`,
    if no size can be run.
    """
    faults: dict[int, str] = {}
    tried: list[int] = []
    begin, last_s = time.perf_counter(), 0.0
    for size in sorted(sizes):
        fault = batch_fault(bound, size)
        if fault is None and tried:
            expected_s = last_s * size / tried[-1]
            if time.perf_counter() - begin + expected_s > TRIAL_BUDGET_S:
                continue
        if fault is None:
            feeds = feeds_of(info, bound, size, dataloader)
            started = time.perf_counter()
            try:
                run(feeds)
                tried.append(size)
                last_s = time.perf_counter() - started
            except Exception as error:  # runtimes raise dozens of unrelated classes
                fault = _why(run, bound, feeds, dataloader, sentence(error))
        if fault is not None:
            faults[size] = fault
    good = [size for size in sizes if size not in faults]
    if not good:
        raise UserError(f"{none}: {_text(faults)}")
    return Tried(faults, tried, last_s, good)


def best_batch_sizes(
    run: Run, configs: Mapping[str, Any], bound: Sequence[Fed], dataloader: Any
) -> list[int] | None:
    """For `get_best_batch_size`: the sizes that no other beats in both throughput and latency,
    measured now.
    """
    info = configs["model_info"]
    asked = batch_sizes_of(configs["workload"])
    sizes = batch_analysis.candidates(asked, info.get("max_batch_size"))
    fitting = [size for size in sizes if batch_fault(bound, size) is None]
    prepared: dict[int, Feeds] = {}

    def run_once(size: int) -> None:
        if size not in prepared:
            prepared.clear()  # one size's inputs at a time
            prepared[size] = feeds_of(info, bound, size, dataloader)
        run(prepared[size])

    return batch_analysis.unbeaten(batch_analysis.measure(fitting, run_once)) or None


def wants_analysis(configs: Mapping[str, Any] | None) -> bool:
    """Whether the answer `tune_batch_sizes` is true, or the command line asks for the analysis."""
    return configs is not None and bool(
        (configs.get("interact_info") or {}).get("tune_batch_sizes")
        or (configs.get("qs") or {}).get("analyse_batch_sizes")
    )


def compile_result(
    info: Mapping[str, Any],
    bound: Sequence[Fed],
    outputs: Sequence[str],
    tried: Tried,
    compiled_obj: str,
    **own: Any,
) -> dict[str, Any]:
    """The published result of a model compiled as one segment, on one device unless `own` says
    otherwise. `outputs` are the model info's names; `own` keys are added, or replace these.
    """
    names = split_names(info.get("inputs")) or list(info["input_shape"])
    declared = sorted(bound, key=lambda fed: names.index(fed.declared))
    return {
        "model": info["model"],
        "framework": info.get("framework"),
        "framework_version": info.get("framework_version"),
        "compile_precision": str(info.get("model_precision") or "FP32").upper(),
        "optimizations": {},
        "instance_count": 1,
        "device_count": 1,
        "input_type": [fed.spec.type for fed in declared],
        "max_batch_size": info.get("max_batch_size"),
        "compile_status": tried.status,
        "sg_percent": 100.0,
        "segments": [
            {
                "sg_idx": 0,
                "is_fallback": False,
                "input_tensor_map": {fed.declared: list(fed.spec.shape) for fed in declared},
                "output_tensor_map": list(outputs),
                "compiled_model": [
                    {"compiled_bs": size, "compiled_obj": compiled_obj} for size in tried.good
                ],
            }
        ],
        "dataset_name": info.get("dataset_name"),
        "batch_sizes_tried": list(tried.sizes),
    } | own


def compiled_for(configs: Mapping[str, Any] | None, batch_size: int) -> tuple[str, int]:
    """(compiled_obj, batch size that it was compiled for) for a runtime backend's `load`. Where the
    result says `dynamic_batch`, one file serves any size. UserError if that size was not compiled.
    """
    compiled = {
        int(entry["compiled_bs"]): entry["compiled_obj"]
        for segment in (configs or {}).get("segments") or []
        for entry in segment.get("compiled_model") or []
    }
    if not compiled:
        raise UserError("the compile result names no compiled model; compile first")
    if batch_size not in compiled:
        if not (configs or {}).get("dynamic_batch"):
            sizes = ", ".join(map(str, sorted(compiled)))
            raise UserError(f"batch size {batch_size} was not compiled; compiled: {sizes}")
        batch_size = min(compiled)
    return compiled[batch_size], batch_size


def onnx_file(info: Mapping[str, Any], module: str) -> Path:
    """The ONNX file at `model_path`: as it is, or in the workspace of the backend whose module's
    `__file__` is given. UserError for a file that is missing or of another kind.
    """
    folder = Path(module).parent
    stated = Path(str(info.get("model_path") or ""))
    for path in (stated, folder.parents[1] / stated):
        if path.is_file():
            kind = foreign(path)
            if kind is None and path.suffix.lower() != ".onnx":
                kind = f"a {path.suffix or 'nameless'} file"
            if kind is not None:
                raise UserError(f"the {folder.name} backend runs ONNX files; {path} is {kind}")
            # not resolved: weights beside the model are beside its link (Hugging Face's cache)
            return path.absolute()
    raise UserError(
        f"the model file {stated} is missing; put it there, or let `qs run` get it from its sources"
    )


def batch_sizes_of(workload: Mapping[str, Any]) -> list[int]:
    sizes = workload.get("batch_sizes") or workload.get("batchsizes") or [1]
    return [int(size) for size in sizes]


def feeds_of(info: Mapping[str, Any], bound: Sequence[Fed], size: int, dataloader: Any) -> Feeds:
    """The first items of what the run is fed, under the file's names and types. UserError for
    inputs that the data has no values for.
    """
    feeds = first_batch(dataloader, info, size)
    missing = [fed.declared for fed in bound if fed.declared not in feeds]
    if missing:
        raise UserError(
            f"the data has no values for {', '.join(missing)}; it has {', '.join(feeds)}"
        )
    return {
        fed.file: np.asarray(feeds[fed.declared]).astype(fed.dtype, copy=False) for fed in bound
    }


def _why(run: Run, bound: Sequence[Fed], feeds: Feeds, dataloader: Any, said: str) -> str:
    files = {fed.declared: fed.file for fed in bound}
    return value_fault(
        lambda fed: run({files[name]: array for name, array in fed.items()}),
        {declared: feeds[file] for declared, file in files.items()},
        dataloader,
        said,
    )


def _text(faults: Mapping[int, str]) -> str:
    return "; ".join(f"batch size {size}: {why}" for size, why in sorted(faults.items()))
