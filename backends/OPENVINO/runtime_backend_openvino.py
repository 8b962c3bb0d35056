"""The OPENVINO backend's runtime: a compiled model, with a request for each client, driven by our
engine or by its own plain loop.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qs import RuntimeBackend
from qs.contract import cores
from qs.contract.compiling import compiled_for
from qs.contract.own_loop import closed_loop

from . import models
from .answers import answers_of, properties
from .requests import Requests


class RuntimeBackendOPENVINO(RuntimeBackend):
    """One copy of the model; its streams are what other runtimes need several copies for.

    `placement`, where the framework sets it before `load`, holds this copy's "cpus" and
    "intra_op_threads".
    """

    placement: dict[str, Any] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.hardware_type = "OPENVINO"
        self.notes: list[str] = []
        self._requests: Requests | None = None
        self._opened: tuple | None = None
        self._batch_size = 0

    def version(self) -> str:
        return models.version()

    def load(self, batch_size: int) -> None:
        """Compile for that batch size; what is open is kept while file, properties and size are
        the same. With a dynamic batch one model serves every size.
        """
        path, _ = compiled_for(self.configs, batch_size)
        configs = self.configs or {}
        answers = answers_of(configs.get("openvino"))
        placement = self.placement or {}
        how = properties(
            answers,
            self._clients(),
            cores.usable_cpus(),
            placement.get("intra_op_threads"),
            models.started().cpus,
        )
        size = batch_size if answers.static else None
        wanted = (path, size, tuple(how.items()), tuple(cores.allowed_cpus()))
        if self._opened != wanted:
            self._opened = self._requests = (
                None  # release the old memory before the new is allocated
            )
            model = models.read(Path(path))
            bound = models.bind(model, self.model_info or {}, Path(path))
            made = models.compiled(model, answers, how, bound, size)
            self.notes = list(bound.notes)
            self._requests = Requests(made, bound)
            self._opened = wanted
        self._batch_size = batch_size

    def get_loaded_batch_size(self) -> int:
        return self._batch_size

    def predict(self, data: dict[str, Any]) -> dict[str, Any]:
        """Outputs by the model info's names. Feeds are cast to the model's types if they differ."""
        if self._requests is None:
            raise RuntimeError("load a batch size first")
        return self._requests(data)

    def is_qs_mode_supported(self) -> bool:
        return True

    def generate_qs_config(self) -> dict[str, Any]:
        """A thread for each client, all on one copy of the model.

        With a hint, as many clients as the device's optimal number of requests, and OpenVINO's own
        choice of threads; without one the task's clients, which the streams follow.
        """
        configs = self.configs or {}
        answers = answers_of(configs.get("openvino"))
        found: dict[str, Any] = {
            "qs_version": 2,
            "runner": "backend",
            "pool": "thread",
            "instances": 1,
        }
        optimal = configs.get("optimal_requests")
        if answers.hinted:
            return found | ({"clients": int(optimal)} if optimal else {})
        if answers.on_cpu:
            how = properties(answers, self._clients(), cores.usable_cpus())
            each = how["INFERENCE_NUM_THREADS"] // how["NUM_STREAMS"]
            found["intra_op_threads"] = max(1, each)
        return found

    def benchmark(self, dataloader: Any) -> dict[str, Any]:
        """BS, QPS (items/s), AVG Latency and P99 Latency (ms), with the workload's clients."""
        return closed_loop(self, dataloader)

    def _clients(self) -> int:
        """Those that call this copy."""
        clients = int((self.workload or {}).get("clients") or 1)
        return -(-clients // int((self.placement or {}).get("instances") or 1))
