"""Triton's statistics extension: what a server counted of one model, read as JSON over HTTP or as
a message over gRPC, and what two readings come to.

    GET v2/models/<model>[/versions/<version>]/stats
    inference.GRPCInferenceService/ModelStatistics

The extension counts from the start of the server, or from when the model was loaded: cumulative
counts and nanoseconds. What a server sends is not trusted: a value that is no count is an error.
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_statistics.md
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qs.remote.counting import Counted

# Of "inference_stats": each has a count and nanoseconds.
TIMES = (
    "success",
    "fail",
    "queue",
    "compute_input",
    "compute_infer",
    "compute_output",
    "cache_hit",
    "cache_miss",
)
COMPUTE = ("compute_input", "compute_infer", "compute_output")
ITEMS, EXECUTIONS = "items", "executions"
MOST_VERSIONS, MOST_SIZES = 100, 4_096  # versions of a model, batch sizes of a version
MOST = 1 << 63  # a count beyond it is none
NS_PER_MS = 1e6
_BATCH = "batch "

# Version -> counter -> value.
Statistics = Mapping[str, Mapping[str, int]]


class BadStatistics(ValueError):
    """What the server sent is no answer of the extension."""


def of_json(answer: Any, model: str) -> Statistics:
    """The counters in an answer of the extension, by model version. Raises BadStatistics."""
    models = answer.get("model_stats") if isinstance(answer, Mapping) else None
    if not isinstance(models, Sequence) or isinstance(models, (str, bytes)):
        raise BadStatistics("the statistics have no list model_stats")
    found: dict[str, Mapping[str, int]] = {}
    for each in models[:MOST_VERSIONS]:
        if not isinstance(each, Mapping):
            raise BadStatistics("model_stats has something else than objects")
        if model and each.get("name", model) != model:
            continue
        found[str(each.get("version", ""))[:40]] = dict(_counters(each))
    if not found:
        raise BadStatistics(f"the statistics do not have the model {model}")
    return found


def _counters(version: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    yield ITEMS, _count(version.get("inference_count", 0), "inference_count")
    yield EXECUTIONS, _count(version.get("execution_count", 0), "execution_count")
    times = version.get("inference_stats") or {}
    if not isinstance(times, Mapping):
        raise BadStatistics("inference_stats is no object")
    for name in TIMES:
        # A server that does not count something leaves it out.
        yield from _pair(name, times.get(name))
    batches = version.get("batch_stats") or []
    if not isinstance(batches, Sequence) or isinstance(batches, (str, bytes)):
        raise BadStatistics("batch_stats is no list")
    for each in batches[:MOST_SIZES]:
        if not isinstance(each, Mapping):
            raise BadStatistics("batch_stats has something else than objects")
        size = _count(each.get("batch_size", 0), "batch_size")
        made = each.get("compute_infer") or {}
        if not isinstance(made, Mapping):
            raise BadStatistics("compute_infer of a batch size is no object")
        yield f"{_BATCH}{size}", _count(made.get("count", 0), "count of a batch size")


def _pair(name: str, pair: Any) -> Iterator[tuple[str, int]]:
    if pair is None:
        return
    if not isinstance(pair, Mapping):
        raise BadStatistics(f"{name} is no object")
    yield f"{name} count", _count(pair.get("count", 0), f"{name} count")
    yield f"{name} ns", _count(pair.get("ns", 0), f"{name} ns")


def _count(value: Any, name: str) -> int:
    """protobuf's JSON writes 64 bits as text."""
    if isinstance(value, str) and len(value) <= 20 and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MOST:
        raise BadStatistics(f"{name} is {str(value)[:40]!r}, and no count")
    return value


@dataclass(frozen=True)
class Means:
    """What a server counted between two readings, as means. None: it counted nothing of it."""

    requests: int
    failed: int
    items: int
    executions: int
    batch_sizes: Mapping[int, int]  # batch size -> executions
    request_ms: float | None
    queue_ms: float | None
    compute_input_ms: float | None
    compute_infer_ms: float | None
    compute_output_ms: float | None
    cache_hits: int | None
    cache_misses: int | None
    cache_hit_ms: float | None
    cache_miss_ms: float | None

    @property
    def mean_batch_size(self) -> float | None:
        return self.items / self.executions if self.executions else None

    @property
    def compute_ms(self) -> float | None:
        known = [getattr(self, f"{name}_ms") for name in COMPUTE]
        known = [value for value in known if value is not None]
        return sum(known) if known else None


def means_of(counted: Counted) -> Means:
    """Means over requests: a request's own queue and compute times are counted with it, so that
    `queue ns / queue count` is the mean of a request whatever batches were formed.
    """

    def mean_ms(name: str) -> float | None:
        count = counted.of(f"{name} count")
        return counted.of(f"{name} ns") / count / NS_PER_MS if count else None

    def counts(name: str) -> int | None:
        known = f"{name} count" in counted.by
        return int(counted.of(f"{name} count")) if known else None

    return Means(
        requests=counts("success") or 0,
        failed=counts("fail") or 0,
        items=int(counted.of(ITEMS)),
        executions=int(counted.of(EXECUTIONS)),
        batch_sizes={
            int(name[len(_BATCH) :]): int(value)
            for name, value in counted.by.items()
            if name.startswith(_BATCH) and value
        },
        request_ms=mean_ms("success"),
        cache_hits=counts("cache_hit"),
        cache_misses=counts("cache_miss"),
        **{f"{name}_ms": mean_ms(name) for name in ("queue", *COMPUTE, "cache_hit", "cache_miss")},
    )
