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
from .answers import Answers, answers_of, properties
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
        self.requests: Requests | None = None
        self._opened: tuple | None = None
        self._batch_size = 0

    def version(self) -> str:
        return models.version()

    def load(self, batch_size: int) -> None:
        """Compile for that batch size; what is open is kept while file, properties and size are
        the same. With a dynamic batch one model serves every size.
        """
        path, _ = compiled_for(self.configs, batch_size)
        answers, how = self._how()
        size = batch_size if answers.static else None
        wanted = (path, size, tuple(how.items()), tuple(cores.allowed_cpus()))
        if self._opened != wanted:
            self._opened = self.requests = (
                None  # release the old memory before the new is allocated
            )
            model = models.read(Path(path))
            bound = models.bind(model, self.model_info or {}, Path(path))
            made = models.compiled(model, answers, how, bound, size)
            self.notes = list(bound.notes)
            self.requests = Requests(made, bound)
            self._opened = wanted
        self._batch_size = batch_size

    def get_loaded_batch_size(self) -> int:
        return self._batch_size

    def predict(self, data: dict[str, Any]) -> dict[str, Any]:
        """Outputs by the model info's names. Feeds are cast to the model's types if they differ."""
        if self.requests is None:
            raise RuntimeError("load a batch size first")
        return self.requests.answer(data)

    def is_qs_mode_supported(self) -> bool:
        return True

    def generate_qs_config(self) -> dict[str, Any]:
        """A thread for each client, on one copy of the model with streams; in their place small
        requests have copies with one stream of one thread each.

        With a hint, as many clients as the device's optimal number of requests, and OpenVINO's own
        choice of streams and threads; without one the task's clients.
        """
        configs = self.configs or {}
        answers = answers_of(configs.get("openvino"))
        found: dict[str, Any] = {"qs_version": 2, "runner": "backend", "pool": "thread"}
        optimal = configs.get("optimal_requests")
        cpus, clients = cores.usable_cpus(), self._all_clients()
        if answers.hinted and optimal:
            clients = found["clients"] = int(optimal)
        if configs.get("small_requests"):
            copies = max(1, min(clients, cores.core_count(cpus)))
            return found | {"instances": copies, "intra_op_threads": 1}
        if answers.hinted or not answers.on_cpu:
            return found | {"instances": 1}
        how = properties(answers, clients, cpus)
        each = how["INFERENCE_NUM_THREADS"] // how["NUM_STREAMS"]
        return found | {"instances": 1, "intra_op_threads": max(1, each)}

    def benchmark(self, dataloader: Any) -> dict[str, Any]:
        """BS, QPS (items/s), AVG Latency and P99 Latency (ms), with the workload's clients."""
        return closed_loop(self, dataloader)

    def _how(self) -> tuple[Answers, dict[str, Any]]:
        """The answers, and the properties that they come to where this copy is placed."""
        configs, placement = self.configs or {}, self.placement or {}
        answers = answers_of(configs.get("openvino"))
        threads = placement.get("intra_op_threads")
        if configs.get("small_requests") and (threads or 1) == 1:
            answers = answers.one_thread()
        copies, cpus = int(placement.get("instances") or 1), cores.usable_cpus()
        clients = -(-self._all_clients() // copies)
        alone = copies == 1 and models.counted(cpus)
        return answers, properties(answers, clients, cpus, threads, alone)

    def _all_clients(self) -> int:
        return int((self.workload or {}).get("clients") or 1)
