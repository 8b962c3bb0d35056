"""The OPENVINO backend's compiler: reads the model, binds its names, compiles it as the answers
say, and tries it at as many batch sizes as a few seconds allow.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qs import CompileBackend
from qs.contract import cores
from qs.contract.compiling import (
    batch_sizes_of,
    best_batch_sizes,
    compile_result,
    feeds_of,
    try_batch_sizes,
    wants_analysis,
)
from qs.contract.operators import operators_of
from qs.contract.tools import data_files, doubts, is_dynamic

from . import models
from .answers import PRECISIONS, Answers, answers_of, properties
from .requests import Requests

# Handing work to a second thread costs tens of microseconds: see backends/CPU. A model of several
# streams computes in threads of its own, which the caller wakes and waits for (digits CNN: 120 us
# of a request in place of 47). So small requests get copies of the model with one stream of one
# thread, if the model is not too large to be there several times.
SMALL_REQUEST_S, SMALL_MODEL_BYTES = 0.002, 64 << 20
# For the counters: as many inferences as fit, within these.
LEAST_COUNTED, MOST_COUNTED, COUNTED_S = 3, 50, 3.0


class CompileBackendOPENVINO(CompileBackend):
    """Keeps the configs of pre_optimize between the calls of one run."""

    model_formats = ("onnx", "openvino")

    def __init__(self) -> None:
        super().__init__()
        self.hardware_type = "OPENVINO"
        self._configs: dict[str, Any] | None = None

    def version(self) -> str:
        return models.version()

    def get_interact_profile(self, config: dict[str, Any]) -> list[dict[str, Any]] | None:
        return json.loads(Path(__file__).with_name("OPENVINO.json").read_text())

    def pre_optimize(self, configs: dict[str, Any]) -> dict[str, Any]:
        """Nothing is changed; answers and the model's file are checked before data is read."""
        models.check_device(answers_of(configs.get("interact_info")))
        models.model_file(configs["model_info"])
        self._configs = configs
        return configs

    def get_best_batch_size(self) -> list[int] | None:
        """The sizes that no other beats, measured now, if the answer `tune_batch_sizes` is true or
        a sweep asks; else None.
        """
        configs = self._configs
        if configs is None or not wants_analysis(configs):
            return None
        trial = _Trial(configs, answers_of(configs.get("interact_info")))
        return best_batch_sizes(trial.run, configs, trial.bound.inputs, self.dataloader)

    def compile(self, configs: dict[str, Any], dataloader: Any = None) -> dict[str, Any]:
        answers = answers_of(configs.get("interact_info"))
        models.check_device(answers)
        info = configs["model_info"]
        trial = _Trial(configs, answers)
        bound = trial.bound
        sizes = batch_sizes_of(configs["workload"])
        tried = try_batch_sizes(trial.run, info, bound.inputs, sizes, dataloader, models.sentence)
        least = feeds_of(info, bound.inputs, min(tried.good), dataloader)
        facts = trial.facts(least)
        small = False
        if list(tried.sizes) == sorted(tried.good):
            largest = feeds_of(info, bound.inputs, max(tried.good), dataloader)
            small = trial.is_small(largest, tried.last_s)
        counted = {}
        if (configs.get("interact_info") or {}).get("operators"):
            counted["operators"] = trial.counted(least, min(tried.good))
        precision = PRECISIONS[answers.inference_precision]
        if precision == "FP32":  # of the arithmetic: a quantized model computes in its own
            precision = str(info.get("model_precision") or precision).upper()
        return compile_result(
            info,
            bound.inputs,
            list(bound.outputs),
            tried,
            str(trial.path),
            compile_precision=precision,
            optimizations={
                "device": f"{answers.device}: {facts['device_name']}",
                "performance_hint": answers.performance_hint,
                "num_streams": "1 in each copy of the model" if small else facts["num_streams"],
                "inference_num_threads": 1 if small else facts["inference_num_threads"],
                "inference_precision": answers.inference_precision,
                "batch": answers.batch,
            },
            device_count=cores.package_count(cores.usable_cpus()) if answers.on_cpu else 1,
            dynamic_batch=is_dynamic(bound.inputs) and not answers.static,
            openvino=answers.to_dict(),
            small_requests=small,
            optimal_requests=facts["optimal_requests"],
            warnings=doubts(bound.notes),
            notes=list(bound.notes),
            **counted,
        )


class _Trial:
    """The model of one compilation, compiled as its inferences need it."""

    def __init__(self, configs: dict[str, Any], answers: Answers) -> None:
        self.answers = answers
        self.path = models.model_file(configs["model_info"])
        self._model = models.read(self.path)
        self.bound = models.bind(self._model, configs["model_info"], self.path)
        self._declared = {fed.file: fed.declared for fed in self.bound.inputs}
        self._clients = int(configs["workload"].get("clients") or 1)
        self._open: tuple[int | None, Answers] | None = None
        self._compiled: Any = None
        self._infer: Callable[[dict[str, Any]], Any] = lambda feeds: None

    def run(self, feeds: dict[str, Any]) -> Any:
        """One inference on arrays under the file's own names."""
        self._compile(feeds, self.answers)
        return self._infer(self._by_declared(feeds))

    def is_small(self, feeds: dict[str, Any], trial_s: float) -> bool:
        """Whether neither streams nor threads are asked for, and one thread computes even this
        batch at once; from then on one does. With the hint latency OpenVINO chooses the threads.
        """
        answers = self.answers
        free = answers.on_cpu and answers.performance_hint != "latency"
        free = free and not (answers.num_streams or answers.inference_num_threads)
        if not free or trial_s > 100 * SMALL_REQUEST_S or self._bytes() > SMALL_MODEL_BYTES:
            return False
        one = self.answers.one_thread()
        self._compile(feeds, one)
        given, times = self._by_declared(feeds), []
        for _ in range(6):
            started = time.perf_counter()
            self._infer(given)
            times.append(time.perf_counter() - started)
        if min(times) >= SMALL_REQUEST_S:
            return False
        self.answers = one
        return True

    def facts(self, feeds: dict[str, Any]) -> dict[str, Any]:
        """What OpenVINO made of the properties."""
        self._compile(feeds, self.answers)
        made, core = self._compiled, models.started().core
        known = set(made.get_property("SUPPORTED_PROPERTIES"))

        def of(name: str) -> Any:
            return made.get_property(name) if name in known else None

        return {
            "device_name": core.get_property(self.answers.device, "FULL_DEVICE_NAME").strip(),
            "num_streams": of("NUM_STREAMS"),
            "inference_num_threads": of("INFERENCE_NUM_THREADS"),
            "optimal_requests": of("OPTIMAL_NUMBER_OF_INFER_REQUESTS"),
        }

    def counted(self, feeds: dict[str, Any], batch_size: int) -> dict[str, Any]:
        """The counters of some inferences of a model of their own: PERF_COUNT costs time."""
        made = models.compiled(
            models.read(self.path),
            self.answers,
            {**self._properties(self.answers), "PERF_COUNT": True},
            self.bound,
            batch_size if self.answers.static else None,
        )
        requests, given = Requests(made, self.bound), self._by_declared(feeds)
        requests.profiled(given)  # the first allocates
        begin, inferences = time.perf_counter(), []
        while len(inferences) < MOST_COUNTED and (
            len(inferences) < LEAST_COUNTED or time.perf_counter() - begin < COUNTED_S
        ):
            inferences.append(
                [
                    {
                        "name": each.node_name,
                        "type": each.node_type,
                        "implementation": each.exec_type,
                        "time_us": each.real_time.total_seconds() * 1e6,
                    }
                    for each in requests.profiled(given)
                    if each.status == each.EXECUTED
                ]
            )
        return operators_of(inferences, batch_size)

    def _compile(self, feeds: dict[str, Any], answers: Answers) -> None:
        """Unless it is compiled that way already."""
        size = _batch_size(feeds, self.bound) if self.answers.static else None
        if self._open == (size, answers):
            return
        self._open = self._compiled = None  # release the old memory before the new is allocated
        model = self._model if size is None else models.read(self.path)
        how = self._properties(answers)
        self._compiled = models.compiled(model, answers, how, self.bound, size)
        self._infer = Requests(self._compiled, self.bound).answer
        self._open = (size, answers)

    def _properties(self, answers: Answers) -> dict[str, Any]:
        cpus = cores.usable_cpus()
        return properties(answers, self._clients, cpus, alone=models.counted(cpus))

    def _bytes(self) -> int:
        """Of the model, its weights included."""
        weights = self.path.with_suffix(".bin")
        files = [self.path, *([weights] if weights.is_file() else data_files(self.path))]
        return sum(each.stat().st_size for each in files)

    def _by_declared(self, feeds: dict[str, Any]) -> dict[str, Any]:
        return {self._declared[name]: array for name, array in feeds.items()}


def _batch_size(feeds: dict[str, Any], bound: models.Bound) -> int:
    """Of feeds, by the first input that has a batch dimension."""
    for fed in bound.inputs:
        axis = fed.spec.batch_axis
        if fed.spec.shape and axis is not None:
            return max(1, feeds[fed.file].shape[axis] // max(1, fed.spec.shape[axis]))
    return 1
