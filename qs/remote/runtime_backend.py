"""The runtime of a backend of servers: a served model, asked over our own clients.

Requests are made once, started on an event loop, and read when nothing is measured any more
(qs.contract.server_backend); predict asks once and waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qs.contract.own_loop import closed_loop
from qs.contract.runtime_backend import RuntimeBackend
from qs.contract.tools import UserError
from qs.remote.asked import Asked
from qs.remote.binding import fault_of_size
from qs.remote.driven import Driven, named_version


class ServedRuntimeBackend(RuntimeBackend):
    """One served model; a subclass names itself, as the compile backend does. Loading looks at it
    again: it must be what it was when it was compiled.
    """

    backend = ""
    speaks = ""
    placement: dict[str, Any] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.hardware_type = self.backend
        self._driven: Driven | None = None
        self._batch_size = 0

    def version(self) -> str:
        """The server's name and version, and the model's, as they are now."""
        if not (self.configs or {}).get("asked"):
            return self.speaks
        driven = Driven(self._asked(), self.model_info or {})
        try:
            return named_version(driven.serving.ready())
        finally:
            driven.close_asking()

    def load(self, batch_size: int) -> None:
        if self._driven is None:
            place = self.placement or {}
            shares, share = int(place.get("instances") or 1), int(place.get("instance") or 0)
            self._driven = Driven(self._asked(), self.model_info or {}, shares, share)
        served = self._driven.look()
        fault = fault_of_size(served, self._driven.model()[1], batch_size)
        if fault is not None:
            raise UserError(f"{self._driven.serving.address}: batch size {batch_size}: {fault}")
        self._batch_size = batch_size

    def get_loaded_batch_size(self) -> int:
        return self._batch_size

    def predict(self, data: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return self._loaded.predict(data)

    def request_of(self, data: Mapping[str, Any]) -> Any:
        return self._loaded.request_of(data)

    def start(self, request: Any, done: Any) -> Any:
        return self._loaded.start(request, done)

    def ask(self, request: Any) -> Any:
        return self._loaded.ask(request)

    def outputs_of(self, call: Any) -> dict[str, np.ndarray]:
        return self._loaded.outputs_of(call)

    def conversations_of(self, requests: Sequence[Any]) -> list[Any]:
        return self._loaded.conversations_of(requests)

    def reader(self) -> Any:
        return self._loaded.reader()

    @property
    def texts(self) -> Any:
        """See Driven.texts."""
        return self._loaded.texts()

    def diverted(self, port: int) -> Driven:
        return self._loaded.diverted(port)

    async def open(self, clients: int) -> None:
        await self._loaded.open(clients)

    async def close(self) -> None:
        await self._loaded.close()

    def counts(self) -> dict[str, int]:
        return self._loaded.counts()

    def begin_measuring(self) -> None:
        self._loaded.begin_measuring()

    def end_measuring(self) -> None:
        self._loaded.end_measuring()

    def is_qs_mode_supported(self) -> bool:
        return True

    def generate_qs_config(self) -> dict[str, Any]:
        """An event loop; a thread for each client where the user asked for another client than
        ours.
        """
        lean = self._asked().client == "lean"
        return {"qs_version": 2, **({"runner": "async"} if lean else {"pool": "thread"})}

    def benchmark(self, dataloader: Any) -> dict[str, Any]:
        """BS, QPS (items/s), AVG Latency and P99 Latency (ms), with the workload's clients."""
        return closed_loop(self, dataloader)

    @property
    def _loaded(self) -> Driven:
        assert self._driven is not None, "load comes first"
        return self._driven

    def _asked(self) -> Asked:
        return Asked.of((self.configs or {}).get("asked") or {}, "the compile result")
