"""The TORCH backend's runtime: a model that torch has loaded, driven by our engine or by its own
plain loop.
"""

from __future__ import annotations

import threading
import time
import warnings
from typing import Any

import numpy as np

from qs import RuntimeBackend
from qs.contract import cores
from qs.contract.compiling import compiled_for
from qs.contract.own_loop import closed_loop
from qs.contract.tools import UserError, generated_feeds

from .answers import Answers, check_device
from .devices import device_for
from .modes import Ready
from .opening import open_model
from .words import sentence

# More threads than this per inference gain little at the published batch sizes; further cores get
# instances of their own.
MOST_THREADS = 16
WARM_UPS = 3  # TorchScript profiles its first runs, and optimizes for what it saw
LONG_S = 1.0  # a warm-up that takes longer is the last


class RuntimeBackendTORCH(RuntimeBackend):
    """One instance of the model.

    `placement`, where the framework sets it before `load`, holds this copy's "intra_op_threads" and
    "instance". torch's threads belong to the thread that calls: each client has a team of its own.
    """

    placement: dict[str, Any] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.hardware_type = "TORCH"
        self.notes: list[str] = []
        self._ready: Any = None
        self._loaded: tuple | None = None
        self._batch_size = 0
        self._threads = 1
        self._callers = threading.local()
        self._inputs: list[tuple[str, np.dtype, str | None]] = []
        self._outputs: list[tuple[int, str]] = []
        self._copies = self._keeps = False

    def version(self) -> str:
        import torch

        cuda = f", CUDA {torch.version.cuda}" if torch.version.cuda else ""
        return f"PyTorch {torch.__version__}{cuda}"

    def load(self, batch_size: int) -> None:
        """The model on its device, warmed up for that batch size; what is loaded is kept while
        nothing about it changes. torch.compile's work is done here.
        """
        import torch

        configs = self.configs or {}
        path, _ = compiled_for(configs, batch_size)
        answers = Answers.of(configs.get("torch_answers") or {})
        check_device(answers.device)
        instance = int((self.placement or {}).get("instance") or 0)
        self._threads = self._thread_count()
        self._callers = threading.local()
        torch.set_num_threads(self._threads)
        wanted = (path, instance, configs.get("torch_casting"), *answers.to_dict().items())
        if self._loaded != wanted:
            self._ready = None  # release the old memory before the new is allocated
            info = {**(self.model_info or {}), "model_path": path}
            opened = open_model(info)
            device = device_for(answers.device, answers.keep_outputs, instance)
            self._ready = Ready(opened, answers, device, configs.get("torch_casting") or "cast")
            self._loaded = wanted
            self._inputs = [(fed.declared, fed.dtype, fed.file) for fed in opened.bound]
            self.notes = [str(note) for note in opened.notes]
        self._outputs = [(int(at), str(name)) for at, name in configs.get("torch_outputs", ())]
        self._copies = bool(configs.get("torch_writes_inputs"))
        self._keeps = answers.keep_outputs and answers.device != "cpu"
        self._batch_size = batch_size
        self._warm_up(answers.mode == "compile")

    def get_loaded_batch_size(self) -> int:
        return self._batch_size

    def predict(self, data: dict[str, Any]) -> dict[str, Any]:
        """Outputs by the model info's names: arrays, or tensors if the answer was to leave them on
        the device. Feeds are cast to the model's types if they differ.
        """
        if not hasattr(self._callers, "known"):
            self._know_caller()
        arrays = []
        for declared, dtype, _ in self._inputs:
            array = data[declared]
            if (
                not isinstance(array, np.ndarray)
                or array.dtype != dtype
                or not array.flags.c_contiguous
            ):
                array = np.asarray(array, dtype, order="C")
            arrays.append(array)
        if self._copies:
            arrays = [array.copy() for array in arrays]
        tensors = self._ready.run(arrays)
        if self._keeps:
            return {name: tensors[at] for at, name in self._outputs}
        return {name: tensors[at].numpy() for at, name in self._outputs}

    def is_qs_mode_supported(self) -> bool:
        return True

    def generate_qs_config(self) -> dict[str, Any]:
        """A thread pool over the cores this process may use.

        torch gives every thread that calls it a team of threads of its own (OpenMP), so that the
        cores of an instance are shared out among its clients: together they should match the cores,
        or they wait for each other. One copy of the model on up to 16 cores; more copies on larger
        machines, each with CPUs of its own, but no more of them than clients. An accelerator has
        one copy, whose clients queue on its stream.
        """
        cpus = cores.usable_cpus()
        configs = self.configs or {}
        clients = max(int((self.workload or {}).get("clients") or 1), 1)
        on_cpu = (configs.get("torch_answers") or {}).get("device", "cpu") == "cpu"
        most = -(-cores.core_count(cpus) // MOST_THREADS) if on_cpu else 1
        instances = max(1, min(most, clients))
        affinity = cores.split(cpus, instances)
        per_instance = min(cores.core_count(group) for group in affinity)
        threads = int(configs.get("intra_op_threads") or per_instance)
        if not configs.get("intra_op_threads_asked"):
            threads = min(threads, per_instance // -(-clients // instances))
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

    def _thread_count(self) -> int:
        asked = (self.placement or {}).get("intra_op_threads") or (self.configs or {}).get(
            "intra_op_threads"
        )
        return int(asked) if asked else cores.core_count(cores.usable_cpus())

    def _know_caller(self) -> None:
        """The number of threads is the calling thread's own; a new one would have all cores."""
        import torch

        torch.set_num_threads(self._threads)
        self._callers.known = True

    def _warm_up(self, needed: bool) -> None:
        """Run the loaded batch a few times on generated values, or on zeros where those cannot be
        taken. UserError if torch.compile has then compiled nothing; else the first requests show
        what is wrong.
        """
        with warnings.catch_warnings():
            # What the engine feeds is read-only, of which torch warns once in a process.
            warnings.simplefilter("ignore")
            feeds = generated_feeds(self.model_info or {}, self._batch_size)
            said = ""
            for values in (feeds, {name: array * 0 for name, array in feeds.items()}):
                for array in values.values():
                    array.setflags(write=False)
                try:
                    begin = time.perf_counter()
                    for _ in range(WARM_UPS):
                        self.predict(values)
                        if time.perf_counter() - begin > LONG_S:
                            break
                    return
                except Exception as error:
                    said = sentence(error)
        if needed:
            raise UserError(
                f"torch.compile: the model takes no generated values at batch size "
                f"{self._batch_size}; state input_range in the model info, or answer mode 'eager'. "
                f"torch said: {said}"
            )
