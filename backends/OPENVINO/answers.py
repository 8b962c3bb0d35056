"""What the user answered, and the OpenVINO properties that follow from it.

Pure: nothing of OpenVINO is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from qs.contract import cores
from qs.contract.tools import Fault, Faults

HINTS = ("none", "latency", "throughput")
PRECISIONS = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}
BATCHES = ("dynamic", "static")
SWITCH = {"default": None, "yes": True, "no": False}
_ALLOWED: Mapping[str, Sequence[str]] = {
    "performance_hint": HINTS,
    "inference_precision": tuple(PRECISIONS),
    "batch": BATCHES,
    "enable_cpu_pinning": tuple(SWITCH),
    "enable_hyper_threading": tuple(SWITCH),
}


@dataclass(frozen=True)
class Answers:
    """The questions of OPENVINO.json that decide how a model is compiled. 0: not asked for."""

    device: str = "CPU"
    performance_hint: str = "none"
    num_streams: int = 0
    inference_num_threads: int = 0
    inference_precision: str = "f32"
    batch: str = "dynamic"
    enable_cpu_pinning: str = "default"
    enable_hyper_threading: str = "default"

    @property
    def hinted(self) -> bool:
        return self.performance_hint != "none"

    @property
    def on_cpu(self) -> bool:
        return self.device.partition(".")[0] == "CPU"

    @property
    def static(self) -> bool:
        return self.batch == "static"

    def one_thread(self) -> Answers:
        """These, with one stream of one thread."""
        return replace(self, num_streams=1, inference_num_threads=1)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def answers_of(given: Mapping[str, Any] | None) -> Answers:
    """Those of `interact_info`, or of a compile result; the rest as in OPENVINO.json. Faults for
    values that are not allowed.
    """
    given = given or {}
    taken = {each.name: given[each.name] for each in fields(Answers) if each.name in given}
    faults = [
        Fault("OPENVINO's answers", name, value, ", ".join(_ALLOWED[name]))
        for name, value in taken.items()
        if name in _ALLOWED and value not in _ALLOWED[name]
    ]
    faults += [
        Fault("OPENVINO's answers", name, taken[name], "a whole number >= 0")
        for name in ("num_streams", "inference_num_threads")
        if name in taken and (type(taken[name]) is not int or taken[name] < 0)
    ]
    if faults:
        raise Faults(faults)
    return Answers(**taken)


def properties(
    answers: Answers,
    clients: int,
    cpus: Sequence[int],
    threads_each: int | None = None,
    alone: bool = True,
) -> dict[str, Any]:
    """OpenVINO's properties, by name.

    clients       requests in flight, as far as known
    cpus          the CPUs to run on
    threads_each  threads of one inference, where something asks for a number of them
    alone         whether these are the CPUs that OpenVINO counted when it was started in this
                  process, and nothing else is compiled for them. It does not look again: it would
                  choose more threads than there are CPUs, and bind those of two models to the same
    """
    found: dict[str, Any] = {"INFERENCE_PRECISION_HINT": answers.inference_precision}
    if answers.hinted:
        found["PERFORMANCE_HINT"] = answers.performance_hint.upper()
    if answers.on_cpu:
        found |= _placed(answers, max(1, clients), cpus, threads_each, alone)
    elif answers.num_streams:
        found["NUM_STREAMS"] = answers.num_streams
    return found


def _placed(
    answers: Answers,
    clients: int,
    cpus: Sequence[int],
    threads_each: int | None,
    alone: bool,
) -> dict[str, Any]:
    physical = cores.core_count(cpus)
    streams, threads = answers.num_streams, answers.inference_num_threads
    if not streams and not answers.hinted:
        streams = min(clients, threads or physical)
    if not streams and threads_each and answers.performance_hint == "throughput":
        streams = max(1, physical // threads_each)
    if not threads and threads_each:
        threads = threads_each * max(1, streams)
    if not threads and not (alone and answers.hinted):
        threads = physical
    found: dict[str, Any] = {}
    if streams:
        found["NUM_STREAMS"] = streams
    if threads:
        found["INFERENCE_NUM_THREADS"] = threads
    pinned, both = SWITCH[answers.enable_cpu_pinning], SWITCH[answers.enable_hyper_threading]
    if pinned is None and not alone:
        pinned = False
    if pinned is not None:
        found["ENABLE_CPU_PINNING"] = pinned
    if both is not None:
        found["ENABLE_HYPER_THREADING"] = both
    return found
