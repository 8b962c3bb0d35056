"""The trace of a real run, held against the trace event format."""

from __future__ import annotations

import json

import pytest

from qs.engine import ClosedLoop, RunPlan, run
from qs.engine.record.recorder import MOST_SLICES
from tests.qs.program import qs

# What the format asks of each kind of event (Trace Event Format, "Event Descriptions").
NEEDED = {
    "X": {"name", "ts", "dur", "pid", "tid"},
    "C": {"name", "ts", "pid", "args"},
    "M": {"name", "pid", "args"},
}


@pytest.fixture(scope="module", params=["thread", pytest.param("process", marks=pytest.mark.slow)])
def trace(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("trace")
    ran = qs(
        "run",
        "--task",
        "digits-cnn-onnx-fp32",
        "--hardware_type",
        "CPU",
        "--batch_sizes",
        "1,8",
        "--clients",
        "2",
        "--pool",
        request.param,
        "--duration",
        "1s",
        "--trace",
        "--out",
        out,
        "--quiet",
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads((out / "CPU" / "digits-cnn-onnx-fp32" / "trace.json").read_text())


def test_it_is_of_the_format(trace):
    assert set(trace) == {"traceEvents", "displayTimeUnit"}
    for event in trace["traceEvents"]:
        assert NEEDED[event["ph"]] <= set(event), event
        assert all(isinstance(event[key], (int, float)) for key in ("ts", "dur") if key in event)
        assert event.get("dur", 0) >= 0
        assert event["ph"] != "C" or all(
            isinstance(value, (int, float)) for value in event["args"].values()
        )
    timed = [event["ts"] for event in trace["traceEvents"] if "ts" in event]
    assert timed == sorted(timed)


def test_events_of_one_row_nest(trace):
    rows: dict[int, list[dict]] = {}
    for event in trace["traceEvents"]:
        if event["ph"] == "X":
            rows.setdefault(event["tid"], []).append(event)
    for events in rows.values():
        for first, second in zip(events, events[1:]):
            end = first["ts"] + first["dur"]
            assert second["ts"] >= end - 1 or second["ts"] + second["dur"] <= end + 1, (
                first,
                second,
            )


def test_stages_phases_and_every_worker_are_in_it(trace):
    names = {event["name"] for event in trace["traceEvents"] if event["ph"] == "X"}
    assert {
        "environment",
        "model",
        "compile",
        "accuracy",
        "performance",
        "warmup",
        "measure",
    } <= names
    threads = {
        event["args"]["name"] for event in trace["traceEvents"] if event["name"] == "thread_name"
    }
    assert {"stages", "cases", "phases", "worker 0", "worker 1"} <= threads
    requests = sum(
        event["args"].get("requests", 0) for event in trace["traceEvents"] if event["ph"] == "X"
    )
    assert requests > 1_000


def test_slices_are_kept_only_when_asked_for_and_are_bounded():
    plan = RunPlan(load=ClosedLoop(iterations=10_000), calibrate=False)
    assert run(plan, lambda sample: None).slices == []
    kept = run(plan, lambda sample: None, keep_slices=True).slices
    assert sum(each[3] for each in kept) == 10_000
    assert all(began <= ended for _, began, ended, _ in kept)
    assert len(kept) < MOST_SLICES


def test_many_slices_are_put_together():
    from qs.engine.record.memory import local_memory
    from qs.engine.record.recorder import Recorder

    recorder = Recorder(
        local_memory(1, 16)[0],
        interval_ns=10**9,
        timeout_ns=10**9,
        open_loop=False,
        keep_slices=True,
    )
    for number in range(3 * MOST_SLICES):
        recorder._keep_slice(number * 10, number * 10 + 5, 2)
    assert len(recorder.slices) < MOST_SLICES
    assert sum(each[2] for each in recorder.slices) == 6 * MOST_SLICES
    assert recorder.slices[0][0] == 0 and recorder.slices[-1][1] == (3 * MOST_SLICES - 1) * 10 + 5
