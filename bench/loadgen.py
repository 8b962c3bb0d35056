"""Drives MLPerf LoadGen (package mlcommons-loadgen, extra `bench`) with a system under test that
does nothing.

LoadGen is called from Python, as its Python users call it. Its "fast" system under test gets plain
lists instead of query objects. Its logs go to a temporary folder and its trace is off, so that it
shows its best.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MISSING = "LoadGen is not installed (pip install mlcommons-loadgen): its columns are n/a"


@dataclass(frozen=True)
class Summary:
    """What LoadGen's summary file says. Latencies in ns; in Server from the scheduled time on."""

    queries_per_s: float
    valid: bool
    latency_ns: dict[float, int]


def available() -> bool:
    try:
        import mlperf_loadgen  # noqa: F401
    except ImportError:
        return False
    return True


def single_stream(duration_s: float, fast: bool) -> Summary:
    """One query at a time; queries per second with LoadGen's own overhead in them."""
    import mlperf_loadgen as lg

    settings = _settings(lg.TestScenario.SingleStream, duration_s)
    settings.single_stream_expected_latency_ns = 2_000
    return _run(settings, fast, r"QPS w/ loadgen overhead\s*:\s*([\d.]+)")


def server(rate_per_s: float, duration_s: float, bound_ns: int, coalesce: bool = False) -> Summary:
    """Poisson arrivals on the fast system under test. `coalesce` lets LoadGen hand over all queries
    that are due at once.
    """
    import mlperf_loadgen as lg

    settings = _settings(lg.TestScenario.Server, duration_s)
    settings.server_target_qps = rate_per_s
    settings.server_target_latency_ns = bound_ns
    settings.server_target_latency_percentile = 0.99
    settings.server_coalesce_queries = coalesce
    return _run(settings, True, r"Completed samples per second\s*:\s*([\d.]+)")


def _settings(scenario: Any, duration_s: float) -> Any:
    import mlperf_loadgen as lg

    settings = lg.TestSettings()
    settings.scenario = scenario
    settings.mode = lg.TestMode.PerformanceOnly
    settings.min_duration_ms = int(duration_s * 1000)
    settings.min_query_count = 100
    return settings


def _run(settings: Any, fast: bool, rate_pattern: str) -> Summary:
    import mlperf_loadgen as lg

    answer, complete = lg.QuerySampleResponse, lg.QuerySamplesComplete

    def issue(queries: list[Any]) -> None:
        complete([answer(query.id, 0, 0) for query in queries])

    def issue_fast(ids: list[int], indices: list[int]) -> None:
        complete([answer(number, 0, 0) for number in ids])

    def nothing(*_: Any) -> None:
        pass

    samples = lg.ConstructQSL(1024, 1024, nothing, nothing)
    system = lg.ConstructFastSUT(issue_fast, nothing) if fast else lg.ConstructSUT(issue, nothing)
    with tempfile.TemporaryDirectory() as folder:
        output = lg.LogOutputSettings()
        output.outdir = folder
        output.copy_summary_to_stdout = False
        logs = lg.LogSettings()
        logs.log_output = output
        logs.enable_trace = False
        try:
            lg.StartTestWithLogSettings(system, samples, settings, logs)
        finally:
            (lg.DestroyFastSUT if fast else lg.DestroySUT)(system)
            lg.DestroyQSL(samples)
        text = Path(folder, "mlperf_log_summary.txt").read_text()
    return summary_of(text, rate_pattern)


def summary_of(text: str, rate_pattern: str) -> Summary:
    """Read a summary file's text. Raises ValueError if it holds no rate."""
    rate = re.search(rate_pattern, text)
    if rate is None:
        raise ValueError("LoadGen's summary names no rate:\n" + text)
    percentiles = re.findall(r"^([\d.]+) percentile latency \(ns\)\s*:\s*(\d+)", text, re.MULTILINE)
    return Summary(
        float(rate.group(1)),
        re.search(r"Result is\s*:\s*VALID", text) is not None,
        {float(percentile): int(value) for percentile, value in percentiles},
    )
