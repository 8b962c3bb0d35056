"""The CPU backend's compiler: ONNX Runtime's graph optimizer, and a trial of its result.

"Compiled" here means: optimized once and cached, its inputs matched with the model info's, placed,
and run at as many batch sizes as a few seconds allow, so that a graph with a fixed batch size fails
here and not in the measured part.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from qs import CompileBackend
from qs.contract.tools import (
    UserError,
    batch_fault,
    bind_inputs,
    bind_outputs,
    doubts,
    file_tensors,
    first_batch,
    foreign_kind,
    is_dynamic,
    onnx_sentence,
    split_names,
    value_fault,
)

from . import batch_analysis, cores, sessions

TRIAL_BUDGET_S = 5.0
# Handing work to a second thread costs tens of microseconds; below this, one thread per request is
# as fast and leaves the other cores to the other clients.
SMALL_REQUEST_S = 0.002
# ONNX Runtime can plan a request's memory as one block. That saves a small request some
# microseconds (6 % of 7 us), but takes up to half as much memory again for each request in flight:
# for large requests that is gigabytes, and saves nothing (BERT is 2 % faster without).
LARGE_REQUEST_S = 0.01


class CompileBackendCPU(CompileBackend):
    """Keeps the configs of pre_optimize between the calls of one run."""

    def __init__(self) -> None:
        super().__init__()
        self.hardware_type = "CPU"
        self._configs: dict[str, Any] | None = None

    def version(self) -> str:
        import onnxruntime

        return f"ONNX Runtime {onnxruntime.__version__}"

    def get_interact_profile(self, config: dict[str, Any]) -> list[dict[str, Any]] | None:
        return json.loads(Path(__file__).with_name("CPU.json").read_text())

    def pre_optimize(self, configs: dict[str, Any]) -> dict[str, Any]:
        """The configs with `optimized_model` and `model_notes`: the cached graph, and its origin.

        Idempotent. UserError if the model file is missing or not an ONNX file.
        """
        model = _model_file(configs["model_info"])
        path, note = sessions.optimized(model)
        self._configs = {**configs, "optimized_model": str(path), "model_notes": [note]}
        return self._configs

    def get_best_batch_size(self) -> list[int] | None:
        """The sizes that no other beats, measured now, if the answer `tune_batch_sizes` is true or
        a sweep asks; else None.
        """
        configs = self._configs
        if configs is None or not (
            (configs.get("interact_info") or {}).get("tune_batch_sizes")
            or (configs.get("qs") or {}).get("analyse_batch_sizes")
        ):
            return None
        info, workload = configs["model_info"], configs["workload"]
        sizes = batch_analysis.candidates(_batch_sizes(workload), info.get("max_batch_size"))
        session = sessions.open_session(configs["optimized_model"], _threads(configs))
        bound, _ = bind_inputs(info, file_tensors(session.get_inputs()), configs["optimized_model"])
        fitting = [size for size in sizes if batch_fault(bound, size) is None]
        prepared: dict[int, dict] = {}

        def run_once(size: int) -> None:
            if size not in prepared:
                prepared.clear()  # one size's inputs at a time
                prepared[size] = _feeds(info, bound, size, self.dataloader)
            session.run(None, prepared[size])

        points = batch_analysis.measure(fitting, run_once)
        return batch_analysis.unbeaten(points) or None

    def compile(self, configs: dict[str, Any], dataloader: Any = None) -> dict[str, Any]:
        if "optimized_model" not in configs:
            configs = self.pre_optimize(configs)
        info, workload = configs["model_info"], configs["workload"]
        path = Path(configs["optimized_model"])
        threads = _threads(configs)
        session = sessions.open_session(path, threads)
        bound, notes = bind_inputs(info, file_tensors(session.get_inputs()), str(_model_file(info)))
        outputs, more = bind_outputs(info, [node.name for node in session.get_outputs()])
        sizes = _batch_sizes(workload)
        faults, trial_s, tried = self._try(session, info, bound, sizes, dataloader)
        planned = trial_s < LARGE_REQUEST_S
        good = [size for size in sizes if size not in faults]
        if not good:
            raise UserError(f"no batch size can be compiled: {_faults_text(faults)}")
        asked = bool((configs.get("interact_info") or {}).get("intra_op_threads"))
        if not asked and tried == sorted(good):
            feeds = _feeds(info, bound, max(good), dataloader)
            threads = self._fewest_threads(path, threads, feeds, trial_s)
        del session  # one copy of the weights in memory at a time
        nodes = sessions.placement(path, threads, _feeds(info, bound, min(good), dataloader))
        placed, total = nodes.get(sessions.PROVIDER, 0), sum(nodes.values())
        cpus = cores.usable_cpus()
        names = split_names(info.get("inputs")) or list(info["input_shape"])
        declared = sorted(bound, key=lambda fed: names.index(fed.declared))
        return {
            "model": info["model"],
            "framework": info.get("framework"),
            "framework_version": info.get("framework_version"),
            "compile_precision": str(info.get("model_precision") or "FP32").upper(),
            "optimizations": {
                "graph": "ONNX Runtime, extended level offline, layouts at load",
                "memory": "planned as one block per request"
                if planned
                else "allocated during the request",
            },
            "instance_count": 1,
            "device_count": cores.package_count(cpus),
            "input_type": [fed.spec.type for fed in declared],
            "max_batch_size": info.get("max_batch_size"),
            "compile_status": f"failed for {_faults_text(faults)}" if faults else "success",
            "sg_percent": 100.0 * placed / total if total else 0.0,
            "segments": [
                {
                    "sg_idx": 0,
                    "is_fallback": False,
                    "input_tensor_map": {fed.declared: list(fed.spec.shape) for fed in declared},
                    "output_tensor_map": [reported for _, reported in outputs],
                    "compiled_model": [
                        {"compiled_bs": size, "compiled_obj": str(path)} for size in good
                    ],
                }
            ],
            "dataset_name": info.get("dataset_name"),
            "dynamic_batch": is_dynamic(bound),
            "intra_op_threads": threads,
            "intra_op_threads_asked": asked,
            "memory_planned": planned,
            "nodes_by_provider": nodes,
            "batch_sizes_tried": tried,
            "warnings": doubts([*notes, *more]),
            "notes": [*configs.get("model_notes", []), *notes, *more],
        }

    def _try(
        self, session: Any, info: dict, bound: list, sizes: list[int], dataloader: Any
    ) -> tuple[dict[int, str], float, list[int]]:
        """Faults by batch size, seconds of the last trial, and the sizes run: always the
        smallest.
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
                feeds = _feeds(info, bound, size, dataloader)
                started = time.perf_counter()
                try:
                    session.run(None, feeds)
                    tried.append(size)
                    last_s = time.perf_counter() - started
                except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
                    said = onnx_sentence(error)
                    fault = _why(session, bound, feeds, dataloader, said)
            if fault is not None:
                faults[size] = fault
        return faults, last_s, tried

    def _fewest_threads(self, path: Path, threads: int, feeds: dict, trial_s: float) -> int:
        """One thread if even the largest batch is then a small request, else `threads`."""
        if threads == 1 or trial_s > 100 * SMALL_REQUEST_S:
            return threads
        session = sessions.open_session(path, 1)
        session.run(None, feeds)
        times = []
        for _ in range(5):
            started = time.perf_counter()
            session.run(None, feeds)
            times.append(time.perf_counter() - started)
        return 1 if min(times) < SMALL_REQUEST_S else threads


def _model_file(info: dict[str, Any]) -> Path:
    """model_path as it is, or in this backend's workspace."""
    stated = Path(str(info.get("model_path") or ""))
    for path in (stated, Path(__file__).parents[2] / stated):
        if path.is_file():
            kind = foreign_kind(path)
            if kind is None and path.suffix.lower() != ".onnx":
                kind = f"a {path.suffix or 'nameless'} file"
            if kind is not None:
                raise UserError(f"the CPU backend runs ONNX files; {path} is {kind}")
            # not resolved: weights beside the model are beside its link (Hugging Face's cache)
            return path.absolute()
    raise UserError(
        f"the model file {stated} is missing; put it there, or let `qs run` get it from its sources"
    )


def _threads(configs: dict[str, Any]) -> int:
    asked = (configs.get("interact_info") or {}).get("intra_op_threads")
    return int(asked) if asked and int(asked) > 0 else cores.core_count(cores.usable_cpus())


def _batch_sizes(workload: dict[str, Any]) -> list[int]:
    sizes = workload.get("batch_sizes") or workload.get("batchsizes") or [1]
    return [int(size) for size in sizes]


def _feeds(info: dict[str, Any], bound: list, size: int, dataloader: Any) -> dict[str, Any]:
    """The first items of what the run is fed, under the file's names and types."""
    feeds = first_batch(dataloader, info, size)
    missing = [fed.declared for fed in bound if fed.declared not in feeds]
    if missing:
        raise UserError(
            f"the data has no values for {', '.join(missing)}; it has {', '.join(feeds)}"
        )
    return {
        fed.file: np.asarray(feeds[fed.declared]).astype(fed.dtype, copy=False) for fed in bound
    }


def _why(session: Any, bound: list, feeds: dict[str, Any], dataloader: Any, said: str) -> str:
    files = {fed.declared: fed.file for fed in bound}
    return value_fault(
        lambda fed: session.run(None, {files[name]: array for name, array in fed.items()}),
        {declared: feeds[file] for declared, file in files.items()},
        dataloader,
        said,
    )


def _faults_text(faults: dict[int, str]) -> str:
    return "; ".join(f"batch size {size}: {why}" for size, why in sorted(faults.items()))
