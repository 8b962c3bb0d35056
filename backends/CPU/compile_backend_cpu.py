"""The CPU backend's compiler: ONNX Runtime's graph optimizer, and a trial of its result.

"Compiled" here means: optimized once and cached, its inputs matched with the model info's, placed,
and run at as many batch sizes as a few seconds allow, so that a graph with a fixed batch size fails
here and not in the measured part.
"""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

from qs import CompileBackend
from qs.contract import cores
from qs.contract.compiling import (
    batch_sizes_of,
    best_batch_sizes,
    compile_result,
    feeds_of,
    onnx_file,
    try_batch_sizes,
    wants_analysis,
)
from qs.contract.tools import (
    bind_inputs,
    bind_outputs,
    doubts,
    file_tensors,
    is_dynamic,
    onnx_sentence,
)

from . import sessions

# Handing work to a second thread costs tens of microseconds; below this, one thread per request is
# as fast and leaves the other cores to the other clients.
SMALL_REQUEST_S = 0.002
# ONNX Runtime can plan a request's memory as one block. That saves a small request some
# microseconds (6 % of 7 us), but takes up to half as much memory again for each request in flight:
# for large requests that is gigabytes, and saves nothing (BERT is 2 % faster without).
LARGE_REQUEST_S = 0.01


class CompileBackendCPU(CompileBackend):
    """Keeps the configs of pre_optimize between the calls of one run."""

    model_formats = ("onnx",)

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
        model = onnx_file(configs["model_info"], __file__)
        path, note = sessions.optimized(model)
        self._configs = {**configs, "optimized_model": str(path), "model_notes": [note]}
        return self._configs

    def get_best_batch_size(self) -> list[int] | None:
        """The sizes that no other beats, measured now, if the answer `tune_batch_sizes` is true or
        a sweep asks; else None.
        """
        configs = self._configs
        if configs is None or not wants_analysis(configs):
            return None
        path = configs["optimized_model"]
        session = sessions.open_session(path, _threads(configs))
        bound, _ = bind_inputs(configs["model_info"], file_tensors(session.get_inputs()), path)
        return best_batch_sizes(partial(session.run, None), configs, bound, self.dataloader)

    def compile(self, configs: dict[str, Any], dataloader: Any = None) -> dict[str, Any]:
        if "optimized_model" not in configs:
            configs = self.pre_optimize(configs)
        info = configs["model_info"]
        path = Path(configs["optimized_model"])
        threads = _threads(configs)
        session = sessions.open_session(path, threads)
        bound, notes = bind_inputs(
            info, file_tensors(session.get_inputs()), str(onnx_file(info, __file__))
        )
        outputs, more = bind_outputs(info, [node.name for node in session.get_outputs()])
        sizes = batch_sizes_of(configs["workload"])
        run = partial(session.run, None)
        tried = try_batch_sizes(run, info, bound, sizes, dataloader, onnx_sentence)
        planned = tried.last_s < LARGE_REQUEST_S
        asked = bool((configs.get("interact_info") or {}).get("intra_op_threads"))
        if not asked and list(tried.sizes) == sorted(tried.good):
            feeds = feeds_of(info, bound, max(tried.good), dataloader)
            threads = self._fewest_threads(path, threads, feeds, tried.last_s)
        del session, run  # one copy of the weights in memory at a time
        least = feeds_of(info, bound, min(tried.good), dataloader)
        nodes = sessions.placement(path, threads, least)
        placed, total = nodes.get(sessions.PROVIDER, 0), sum(nodes.values())
        return compile_result(
            info,
            bound,
            [reported for _, reported in outputs],
            tried,
            str(path),
            optimizations={
                "graph": "ONNX Runtime, extended level offline, layouts at load",
                "memory": "planned as one block per request"
                if planned
                else "allocated during the request",
            },
            device_count=cores.package_count(cores.usable_cpus()),
            sg_percent=100.0 * placed / total if total else 0.0,
            dynamic_batch=is_dynamic(bound),
            intra_op_threads=threads,
            intra_op_threads_asked=asked,
            memory_planned=planned,
            nodes_by_provider=nodes,
            warnings=doubts([*notes, *more]),
            notes=[*configs.get("model_notes", []), *notes, *more],
        )

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


def _threads(configs: dict[str, Any]) -> int:
    asked = (configs.get("interact_info") or {}).get("intra_op_threads")
    return int(asked) if asked and int(asked) > 0 else cores.core_count(cores.usable_cpus())
