"""What servers of language models tell of themselves, under one name each: how many requests run
and wait, how full the KV cache is, how many were preempted, and the times that the client measures
too.

vLLM, SGLang, TGI, llama.cpp and Triton with TensorRT-LLM call them differently, and call them anew
from version to version; the names are those of their documentation. Everything is worked out of the
metrics that a row keeps; what a server does not tell is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qs.result.row import Row
from qs.result.server_entry import MetricSeriesEntry

MS_PER_S = 1e3


@dataclass(frozen=True)
class Told:
    """One thing that servers tell. `names` are the metrics that tell it, the first that is there
    counts; `name{label=value}` is the series with that label. `ms` are so many of a metric's unit:
    0 where it is no time.
    """

    name: str
    names: tuple[str, ...]
    ms: float = 0.0
    # the client's measure of the same, an entry of Row.measures; "response" is the response time
    measure: str = ""


STATES = (
    Told(
        "running",
        (
            "vllm:num_requests_running",
            "sglang:num_running_reqs",
            "tgi_batch_current_size",
            "llamacpp:requests_processing",
            "nv_trt_llm_request_metrics{request_type=scheduled}",
        ),
    ),
    Told(
        "queue",
        (
            "vllm:num_requests_waiting",
            "sglang:num_queue_reqs",
            "tgi_queue_size",
            "llamacpp:requests_deferred",
            "nv_trt_llm_request_metrics{request_type=waiting}",
            "nv_inference_pending_request_count",
        ),
    ),
    Told(
        "KV cache used",
        (
            "vllm:kv_cache_usage_perc",
            "vllm:gpu_cache_usage_perc",
            "sglang:token_usage",
            "llamacpp:kv_cache_usage_ratio",
            "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=fraction}",
        ),
    ),
    Told("prefix cache hits", ("sglang:cache_hit_rate",)),
)
COUNTED = (
    Told("preemptions", ("vllm:num_preemptions", "sglang:num_retracted_requests")),
    Told("aborted", ("sglang:num_aborted_requests",)),
)
TIMES = (
    Told(
        "TTFT",
        ("vllm:time_to_first_token_seconds", "sglang:time_to_first_token_seconds"),
        MS_PER_S,
        "ttft_sent",
    ),
    Told("TTFT", ("nv_inference_first_response_histogram_ms",), 1.0, "ttft_sent"),
    Told(
        "ITL",
        (
            "vllm:inter_token_latency_seconds",
            "vllm:time_per_output_token_seconds",
            "sglang:inter_token_latency_seconds",
            "sglang:time_per_output_token_seconds",
        ),
        MS_PER_S,
        "itl",
    ),
    Told(
        "TPOT",
        ("vllm:request_time_per_output_token_seconds", "tgi_request_mean_time_per_token_duration"),
        MS_PER_S,
        "tpot",
    ),
    Told(
        "whole request",
        (
            "vllm:e2e_request_latency_seconds",
            "sglang:e2e_request_latency_seconds",
            "tgi_request_duration",
        ),
        MS_PER_S,
        "response",
    ),
    Told(
        "queue",
        (
            "vllm:request_queue_time_seconds",
            "sglang:queue_time_seconds",
            "tgi_request_queue_duration",
        ),
        MS_PER_S,
    ),
    Told("prefill", ("vllm:request_prefill_time_seconds",), MS_PER_S),
    Told("decode", ("vllm:request_decode_time_seconds",), MS_PER_S),
)
# What to read of a server of language models, beside what tells the above; globs.
MORE = (
    "vllm:prompt_tokens",
    "vllm:generation_tokens",
    "vllm:prefix_cache_*",
    "vllm:request_success",
    "vllm:spec_decode_num_*",
    "sglang:prompt_tokens",
    "sglang:generation_tokens",
    "sglang:gen_throughput",
    "tgi_request_count",
    "tgi_request_success",
    "tgi_request_inference_duration",
    "tgi_request_generated_tokens",
    "tgi_request_input_length",
    "llamacpp:prompt_tokens*",
    "llamacpp:tokens_predicted*",
    "llamacpp:predicted_tokens_seconds",
    "llamacpp:n_decode",
    "llamacpp:n_busy_slots_per_decode",
    "nv_trt_llm_*",
)
METRICS = (
    tuple(
        dict.fromkeys(
            [name.partition("{")[0] for told in (*STATES, *COUNTED, *TIMES) for name in told.names]
        )
    )
    + MORE
)


@dataclass(frozen=True)
class State:
    """What was told once a second over the case: a share for a cache, else a number."""

    name: str
    metric: str
    mean: float | None
    most: float | None


@dataclass(frozen=True)
class Count:
    """What was counted during the case."""

    name: str
    metric: str
    number: float


@dataclass(frozen=True)
class Both:
    """A mean time that the server tells, and the client's mean of the same where it has one; their
    difference is the network's, the client's, and what the server does not count as its own.
    """

    name: str
    metric: str
    server_ms: float
    client_ms: float | None

    @property
    def difference_ms(self) -> float | None:
        return None if self.client_ms is None else self.client_ms - self.server_ms


def states(row: Row) -> list[State]:
    """Those that the server of this case tells; summed where it has a series for each engine."""
    found = []
    for told, series in _told(row, STATES):
        means = [float(each.mean) for each in series if each.mean is not None]
        mosts = [float(each.most) for each in series if each.most is not None]
        if means and mosts:
            # of several engines the fullest cache counts, and all their requests
            of = sum if told.name in ("running", "queue") else max
            found.append(State(told.name, series[0].name, of(means), of(mosts)))
    return found


def counts(row: Row) -> list[Count]:
    """What the server counted between the first and the last reading, restarts left out."""
    found = []
    for told, series in _told(row, COUNTED):
        ends = [
            (float(each.first), float(each.last))
            for each in series
            if each.first is not None and each.last is not None and not each.resets
        ]
        if ends:
            number = sum(last - first for first, last in ends)
            found.append(Count(told.name, series[0].name, number))
    return found


def both_told(row: Row) -> list[Both]:
    """Times that the server tells, beside the client's."""
    found: dict[str, Both] = {}
    for told, series in _told(row, TIMES):
        mean = _mean(series)
        if mean is not None and told.name not in found:
            client = _client_ms(row, told.measure)
            found[told.name] = Both(told.name, series[0].name, mean * told.ms, client)
    return list(found.values())


def _told(row: Row, of: tuple[Told, ...]) -> Iterator[tuple[Told, list[MetricSeriesEntry]]]:
    """Each with the series of the first of its metrics that is there."""
    metrics = row.server.metrics if row.server else []
    for told in of:
        for name in told.names:
            series = [each for each in metrics if _is(each, name)]
            if series:
                yield told, series
                break


def _is(series: MetricSeriesEntry, name: str) -> bool:
    stem, _, label = name.partition("{")
    if series.name.removesuffix("_total") != stem:
        return False
    key, _, value = label.removesuffix("}").partition("=")
    return not label or series.labels.get(key) == value


def _mean(series: list[MetricSeriesEntry]) -> float | None:
    """Of what several histograms observed, by how much each did."""
    known = [
        (float(each.mean), float(each.per_s))
        for each in series
        if each.kind == "histogram" and each.mean is not None and each.per_s
    ]
    weight = sum(per_s for _, per_s in known)
    return sum(mean * per_s for mean, per_s in known) / weight if weight else None


def _client_ms(row: Row, measure: str) -> float | None:
    if measure == "response":
        # the server knows nothing of how late a request was sent
        found = row.service.mean_ns if row.service else None
        return found / 1e6 if found is not None else row.mean_ms
    entry = (row.measures or {}).get(measure)
    return None if entry is None else entry.mean
