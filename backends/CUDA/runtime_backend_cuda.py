"""The CUDA backend's runtime: a session on one GPU for each instance, driven by our engine or by
its own plain loop.

An answer is complete when the caller has it: outputs on the host, or, if the answer `keep_outputs`
leaves them on the GPU, computed there.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from qs import RuntimeBackend
from qs.contract.compiling import compiled_for
from qs.contract.own_loop import closed_loop
from qs.contract.tools import bind_inputs, bind_outputs, file_tensors

from . import sessions
from .answers import Answers, answers_of
from .binding import Lane


class RuntimeBackendCUDA(RuntimeBackend):
    """One instance of the model.

    `placement`, where the framework sets it before `load`, holds this copy's "instance": the place
    in `device_ids` of its GPU.
    """

    placement: dict[str, Any] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.hardware_type = "CUDA"
        self.notes: list[str] = []
        self._session: Any = None
        self._opened: tuple | None = None
        self._batch_size = 0
        self._inputs: list[tuple[str, str, np.dtype]] = []
        self._output_names: list[str] = []
        self._reported: list[str] = []
        self._lanes = threading.local()
        self._device_id = 0
        self._answers = Answers()

    def version(self) -> str:
        return f"ONNX Runtime {sessions.runtime().__version__} (GPU)"

    def load(self, batch_size: int) -> None:
        """A session on this instance's GPU; an open one is kept while file, GPU and answers are the
        same.
        """
        path, _ = compiled_for(self.configs, batch_size)
        answers = answers_of((self.configs or {}).get("cuda"))
        instance = int((self.placement or {}).get("instance") or 0)
        device_id = answers.device_ids[instance % len(answers.device_ids)]
        # TensorRT builds an engine for the shapes that it meets: each size has its own.
        size = batch_size if answers.provider == "TENSORRT" else None
        wanted = (path, device_id, answers, size)
        if self._opened != wanted:
            self._lanes = threading.local()
            self._session = None  # release the old memory before the new is allocated
            self._session = sessions.open_session(path, answers, device_id)
            self._opened, self._answers, self._device_id = wanted, answers, device_id
            self._bind(path)
        self._batch_size = batch_size

    def get_loaded_batch_size(self) -> int:
        return self._batch_size

    def predict(self, data: dict[str, Any]) -> dict[str, Any]:
        """Outputs by the model info's names. Feeds are cast to the file's types if they differ."""
        feeds = {}
        for declared, name, dtype in self._inputs:
            array = data[declared]
            if not isinstance(array, np.ndarray) or array.dtype != dtype:
                array = np.asarray(array).astype(dtype)
            feeds[name] = array
        if self._answers.io_binding:
            outputs = self._lane().run(feeds)
        else:
            outputs = self._session.run(self._output_names, feeds)
        return dict(zip(self._reported, outputs, strict=True))

    def is_qs_mode_supported(self) -> bool:
        return True

    def generate_qs_config(self) -> dict[str, Any]:
        """An instance for each number of `device_ids`, and at least one client for each."""
        answers = answers_of((self.configs or {}).get("cuda"))
        instances = len(answers.device_ids)
        clients = int((self.workload or {}).get("clients") or 1)
        return {
            "qs_version": 2,
            "runner": "backend",
            "pool": "thread",
            "instances": instances,
            "clients": max(clients, instances),
        }

    def benchmark(self, dataloader: Any) -> dict[str, Any]:
        """BS, QPS (items/s), AVG Latency and P99 Latency (ms), with the workload's clients."""
        return closed_loop(self, dataloader)

    def _lane(self) -> Lane:
        """This thread's own."""
        lane = getattr(self._lanes, "lane", None)
        if lane is None:
            lane = self._lanes.lane = Lane(
                sessions.runtime(),
                self._session,
                self._output_names,
                self._device_id,
                self._answers.keep_outputs,
            )
            if lane.pinned.why:
                self.notes.append(f"inputs are not in pinned memory: {lane.pinned.why}")
        return lane

    def _bind(self, path: str) -> None:
        info = self.model_info or {}
        bound, notes = bind_inputs(info, file_tensors(self._session.get_inputs()), path)
        outputs, more = bind_outputs(info, [node.name for node in self._session.get_outputs()])
        self._inputs = [(fed.declared, fed.file, fed.dtype) for fed in bound]
        self._output_names = [name for name, _ in outputs]
        self._reported = [reported for _, reported in outputs]
        self.notes = [*notes, *more]
