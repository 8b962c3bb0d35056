"""Counting values into a histogram a slice at a time, against HdrHistogram's record_value, and what
a whole flush costs.

Values come in slices of 16,384, as the hot loop hands them over, in three shapes: a target that
does nothing, a service with a usual spread, and one with a long tail. The counts must equal those
that record_value leaves; the benchmark fails if not.

    python bench/recorder.py [--json] [--quick]
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import numpy as np
from compare import Report, Say, command, interleaved, pairwise
from hdrh.histogram import HdrHistogram

from qs.engine.record.histogram import HIGHEST_NS, LOWEST_NS, SIGNIFICANT_DIGITS, Histogram
from qs.engine.record.memory import Field, local_memory
from qs.engine.record.recorder import Recorder

SLICE = 16_384
HDR = "record_value"


def shapes() -> dict[str, np.ndarray]:
    """One slice of values in ns of each shape, from a fixed seed."""
    random = np.random.default_rng(1)
    return {
        "no-op": random.integers(70, 120, SLICE),
        "usual": np.maximum(random.lognormal(np.log(200e3), 0.5, SLICE), 1).astype(np.int64),
        "long tail": np.minimum(random.pareto(1.1, SLICE) * 20e3 + 1_000, 3e11).astype(np.int64),
    }


def slice_ns(values: np.ndarray, repeats: int) -> float:
    """ns a value of Histogram.record."""
    histogram = Histogram()
    began = time.perf_counter_ns()
    for _ in range(repeats):
        histogram.record(values)
    return (time.perf_counter_ns() - began) / (repeats * values.size)


def record_value_ns(values: np.ndarray, count: int) -> float:
    """ns a value of the hdrhistogram package."""
    record = HdrHistogram(LOWEST_NS, HIGHEST_NS, SIGNIFICANT_DIGITS).record_value
    some = values[:count].tolist()
    began = time.perf_counter_ns()
    for value in some:
        record(value)
    return (time.perf_counter_ns() - began) / len(some)


def flush_ns(values: np.ndarray, repeats: int, open_loop: bool) -> float:
    """ns a request of Recorder.flush: intervals, arrivals, one histogram, or three in open loop."""
    memory = local_memory(1, SLICE)[0]
    memory.header[Field.START_NS] = 1
    recorder = Recorder(memory, interval_ns=10**9, timeout_ns=60 * 10**9, open_loop=open_loop)
    memory.due[:] = np.arange(SLICE) + 1
    memory.issued[:] = memory.due + 100
    memory.completed[:] = memory.issued + np.sort(values)
    began = time.perf_counter_ns()
    for _ in range(repeats):
        recorder.flush(SLICE)
    return (time.perf_counter_ns() - began) / (repeats * SLICE)


def check_counts(values: np.ndarray) -> None:
    """Raises AssertionError if a slice leaves other counts than record_value does."""
    ours, theirs = Histogram(), HdrHistogram(LOWEST_NS, HIGHEST_NS, SIGNIFICANT_DIGITS)
    ours.record(values)
    for value in values.tolist():
        theirs.record_value(value)
    counts = np.array(theirs.counts[: theirs.counts_len])
    if not np.array_equal(ours.counts[: counts.size], counts) or ours.counts[counts.size :].any():
        raise AssertionError("the counts differ from those of record_value")


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    repeats, count = (20, 2_000) if options.quick else (1_000, SLICE)
    sides = {}
    for shape, values in shapes().items():
        check_counts(values)
        sides[f"slices, {shape}"] = partial(slice_ns, values, repeats)
        sides[f"{HDR}, {shape}"] = partial(record_value_ns, values, count)
        if shape != "long tail":
            # A tail of minutes cannot lie in one slice of completions.
            sides[f"whole flush, closed loop, {shape}"] = partial(flush_ns, values, repeats, False)
            sides[f"whole flush, open loop, {shape}"] = partial(flush_ns, values, repeats, True)
    found = interleaved(sides, options.rounds, say)
    for name, values in found.items():
        report.figure(name, "ns/value" if "flush" not in name else "ns/request", values)
    for shape in shapes():
        ours, theirs = found[f"slices, {shape}"], found[f"{HDR}, {shape}"]
        report.goal(f"slices, {shape}", "<=", 6, ours, "ns/value")
        report.goal(f"{HDR} / slices, {shape}", ">=", 100, pairwise(theirs, ours), "x")


if __name__ == "__main__":
    command("recorder", __doc__, measure, rounds=9)
