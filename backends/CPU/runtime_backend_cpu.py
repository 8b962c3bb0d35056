"""The CPU backend's runtime: an ONNX Runtime session, driven by our engine or by its own plain
loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qs import RuntimeBackend
from qs.contract import cores
from qs.contract.compiling import compiled_for
from qs.contract.own_loop import closed_loop
from qs.contract.tools import bind_inputs, bind_outputs, file_tensors

from . import sessions

# More threads than this per inference gain little at the published batch sizes; further cores get
# instances of their own.
MOST_THREADS = 16


class RuntimeBackendCPU(RuntimeBackend):
    """One instance of the model.

    `placement`, where the framework sets it before `load`, holds this copy's "intra_op_threads".
    Its CPUs need no saying: ONNX Runtime's threads inherit the affinity of the thread that loads.
    """

    placement: dict[str, Any] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.hardware_type = "CPU"
        self.notes: list[str] = []
        self._session: Any = None
        self._opened: tuple | None = None
        self._batch_size = 0
        self._inputs: list[tuple[str, str, np.dtype]] = []
        self._output_names: list[str] = []
        self._reported: list[str] = []

    def version(self) -> str:
        import onnxruntime

        return f"ONNX Runtime {onnxruntime.__version__}"

    def load(self, batch_size: int) -> None:
        """A session for that batch size; an open one is kept while path, threads and affinity are
        the same. For large requests, each size gets its own session: the memory of a smaller one
        is useless to a larger one, and would stay allocated.
        """
        path, _ = compiled_for(self.configs, batch_size)
        threads = self._threads()
        planned = bool((self.configs or {}).get("memory_planned", True))
        # Affinity matters too: the session's threads keep the one they were started with.
        wanted = (path, threads, None if planned else batch_size, tuple(cores.allowed_cpus()))
        if self._opened != wanted:
            self._session = None  # release the old memory before the new is allocated
            self._session = sessions.open_session(path, threads, enable_mem_pattern=planned)
            self._opened = wanted
            self._bind(path)
        self._batch_size = batch_size

    def get_loaded_batch_size(self) -> int:
        return self._batch_size

    def predict(self, data: dict[str, Any]) -> dict[str, np.ndarray]:
        """Outputs by the model info's names. Feeds are cast to the file's types if they differ."""
        feeds = {}
        for declared, name, dtype in self._inputs:
            array = data[declared]
            if not isinstance(array, np.ndarray) or array.dtype != dtype:
                array = np.asarray(array).astype(dtype)
            feeds[name] = array
        return dict(zip(self._reported, self._session.run(self._output_names, feeds), strict=True))

    def is_qs_mode_supported(self) -> bool:
        return True

    def generate_qs_config(self) -> dict[str, Any]:
        """A thread pool over the cores this process may use.

        One copy of the model on up to 16 cores; more copies on larger machines, each
        with CPUs of its own, but no more of them than clients.
        """
        cpus = cores.usable_cpus()
        physical = cores.core_count(cpus)
        clients = int((self.workload or {}).get("clients") or 1)
        instances = max(1, min(-(-physical // MOST_THREADS), clients))
        affinity = cores.split(cpus, instances)
        per_instance = min(cores.core_count(group) for group in affinity)
        configs = self.configs or {}
        threads = int(configs.get("intra_op_threads") or physical)
        if not configs.get("intra_op_threads_asked"):
            # Clients compute in threads of their own, on top of the session's pool: together they
            # should match the cores, or they wait for each other (BERT, 3 clients on 2 cores: one
            # thread costs 13 % less CPU than two).
            threads = min(threads, per_instance - -(-clients // instances) + 1)
        return {
            "qs_version": 2,
            "runner": "backend",
            "pool": "thread",
            "instances": instances,
            "intra_op_threads": max(1, min(threads, per_instance)),
            "affinity": affinity,
        }

    def benchmark(self, dataloader: Any) -> dict[str, Any]:
        """BS, QPS (items/s), AVG Latency and P99 Latency (ms), with the workload's clients."""
        return closed_loop(self, dataloader)

    def _threads(self) -> int:
        asked = (self.placement or {}).get("intra_op_threads") or (self.configs or {}).get(
            "intra_op_threads"
        )
        return int(asked) if asked else cores.core_count(cores.usable_cpus())

    def _bind(self, path: str) -> None:
        info = self.model_info or {}
        bound, notes = bind_inputs(info, file_tensors(self._session.get_inputs()), path)
        outputs, more = bind_outputs(info, [node.name for node in self._session.get_outputs()])
        self._inputs = [(fed.declared, fed.file, fed.dtype) for fed in bound]
        self._output_names = [name for name, _ in outputs]
        self._reported = [reported for _, reported in outputs]
        self.notes = [*notes, *more]
