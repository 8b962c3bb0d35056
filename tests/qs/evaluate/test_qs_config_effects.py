"""A QS config reaches the backend: whole runs of `qs run` on a small vendor folder, one for each
pool and each runner.

What every single key makes of the engine's plan is a table in tests/qs/settings/test_run_plan.py.
"""

from __future__ import annotations

import json
import os

import pytest

from tests.qs.small_backend import run, write

CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
QUICK = {"warmup": {"iterations": 0}}

# Answers as PREDICT does, and notes for each call what it was called with and where.
NOTING = """
def load(self, batch_size):
    self.batch_size = batch_size
    cpus = sorted(os.sched_getaffinity(0))
    self.note(what="load", batch_size=batch_size, placement=self.placement, cpus=cpus)

def note(self, **facts):
    import json
    facts |= {"copy": id(self), "pid": os.getpid(), "thread": threading.get_ident()}
    facts["omp"] = os.environ.get("OMP_NUM_THREADS")
    with open(os.environ["NOTES"], "a") as file:
        file.write(json.dumps(facts) + "\\n")

def predict(self, feeds):
    (images,) = feeds.values()
    self.note(what="predict", rows=len(images), sum=float(images.sum()))
    return {"logits": np.zeros((len(images), 10), np.float32)}
"""


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """notes() -> what the backend has noted, one dict a call."""
    monkeypatch.setenv("NOTES", str(tmp_path / "notes.jsonl"))

    def read(what: str = "predict") -> list[dict]:
        lines = (tmp_path / "notes.jsonl").read_text().splitlines()
        return [found for line in lines if (found := json.loads(line))["what"] == what]

    return read


def rows_of(status: int, result: dict | None, said: str, expected: int = 0) -> list[dict]:
    assert status == expected, (said, result and result["Reasons"])
    assert result is not None
    return result["Performance"]


def test_a_pool_of_threads_with_the_command_line_on_top(tmp_path, notes):
    config = {
        "clients": 9,
        "iterations": 5,
        "batch_sizes": [2, 4],
        "warmup": {"iterations": 3},
        "samples": {"count": 3, "seed": 5},
        "timeout_s": 77,
        "affinity": [[CPUS[0]], [CPUS[-1]]],
        "intra_op_threads": 3,
    }
    write(
        tmp_path, config=config, predict=NOTING, best=[1], fake_data=True, clients=1, iterations=50
    )
    status, result, said = run(tmp_path, "--clients", 2)
    rows = rows_of(status, result, said)
    assert [(row["BS"], row["Clients"], row["Completed"]) for row in rows] == [
        (2, 2, 10),
        (4, 2, 10),
    ]
    assert [row["Warm-up"]["Completed"] for row in rows] == [6, 6]
    assert [row["Samples"]["distinct_batches"] for row in rows] == [3, 3]
    for row in rows:
        assert (row["Instances"], row["Intra-op Threads"]) == (2, 3)
        assert row["Affinity"] == [[CPUS[0]], [CPUS[-1]]]
    calls = [note for note in notes() if note["rows"] == 2]
    assert len(calls) == 2 * (5 + 3)
    assert len({note["sum"] for note in calls}) == 3
    assert len({note["copy"] for note in calls}) == 2
    placed = [note for note in notes("load") if note["placement"]]
    assert {tuple(note["cpus"]) for note in placed} == {(CPUS[0],), (CPUS[-1],)}
    assert {note["placement"]["intra_op_threads"] for note in placed} == {3}
    values = result["Effective Values"]
    assert values["clients"] == {"value": 2, "origin": "command line"}
    assert values["timeout_s"] == {"value": 77, "origin": "QS config"}
    origins = {name for name, entry in values.items() if entry["origin"] == "QS config"}
    assert origins == {*config, "instances"} - {"clients"}


def test_a_pool_of_processes(tmp_path, notes):
    config = {"pool": "process", "clients": 2, "iterations": 3, "intra_op_threads": 2, **QUICK}
    write(tmp_path, config=config, predict=NOTING)
    (row,) = rows_of(*run(tmp_path))
    assert (row["Pool"], row["Completed"], row["Instances"]) == ("process", 6, 2)
    assert len({note["pid"] for note in notes()}) == 2
    assert {note["omp"] for note in notes()} == {"2"}


def test_inline_is_one_thread_and_a_call_that_takes_too_long_has_failed(tmp_path, notes):
    slow = NOTING.replace("    return {", "    time.sleep(0.05)\n    return {")
    config = {"pool": "inline", "clients": 1, "iterations": 3, "timeout_s": 0.01, **QUICK}
    write(tmp_path, config=config, predict=slow)
    (row,) = rows_of(*run(tmp_path), expected=3)
    assert (row["Pool"], row["Completed"], row["Errors By Kind"]) == ("inline", 0, {"timeout": 3})
    assert len({note["thread"] for note in notes()}) == 1


COROUTINE = """
async def predict(self, feeds):
    import asyncio
    RuntimeBackendTINY.now = getattr(RuntimeBackendTINY, "now", 0) + 1
    RuntimeBackendTINY.most = max(getattr(RuntimeBackendTINY, "most", 0), RuntimeBackendTINY.now)
    await asyncio.sleep(0.02)
    RuntimeBackendTINY.now -= 1
    (images,) = feeds.values()
    with open(os.environ["NOTES"], "a") as file:
        file.write('{"what": "predict", "most": %d}\\n' % RuntimeBackendTINY.most)
    return {"logits": np.zeros((len(images), 10), np.float32)}
"""


def test_the_runner_async_awaits_predict_and_overlaps_its_waits(tmp_path, notes):
    config = {"runner": "async", "clients": 4, "iterations": 3, **QUICK}
    write(tmp_path, config=config, predict=COROUTINE, test_numeric=True)
    status, result, said = run(tmp_path)
    (row,) = rows_of(status, result, said, expected=3)
    assert (row["Pool"], row["Completed"], row["Verdict"]) == ("async", 12, "VALID")
    # the comparison awaited the answers too: they are zeros, not the model's
    assert result["Reasons"] == [
        "numeric: output logits: either the output or its reference is all zero, the other is not"
    ]
    assert max(note["most"] for note in notes()) == 4
    assert result["Effective Values"]["pool"] == {"value": "async", "origin": "QS config"}
    assert result["Accuracy"]["Max Diff"] > 0


STARTED = """
def predict(self, feeds):
    (images,) = feeds.values()
    return {"logits": np.zeros((len(images), 10), np.float32)}

def request_of(self, feeds):
    (images,) = feeds.values()
    with open(os.environ["NOTES"], "a") as file:
        file.write('{"what": "request"}\\n')
    return len(images)

async def open(self, clients):
    import asyncio
    self.clients, self.sent, self.loop = clients, 0, asyncio.get_running_loop()

def start(self, request, done):
    call = Call()
    self.sent += 1
    call.failure = "HTTP 503" if self.sent == 7 else None
    self.loop.call_later(0.01, call.end, done)
    return call

def outputs_of(self, call):
    return self.predict({"x": [0]})

def counts(self):
    return {"connections": self.clients, "requests": self.sent}

async def close(self):
    with open(os.environ["NOTES"], "a") as file:
        file.write('{"what": "closed"}\\n')
"""
CALL = """
import time

class Call:
    def __init__(self):
        self.issued_ns = self.sent_ns = time.perf_counter_ns()
        self.first_ns = self.last_ns = 0
        self.failure, self.detail = None, ""

    def end(self, done):
        self.first_ns = self.last_ns = time.perf_counter_ns()
        done(self)

    def cancel(self):
        pass
"""


def test_requests_that_are_started_are_made_once_and_bring_their_times(tmp_path, notes):
    own = STARTED.replace("Call()", "__import__(__package__ + '.call', fromlist=['Call']).Call()")
    helpers = {"call.py": CALL}
    config = {"clients": 4, "iterations": 5, "samples": {"count": 3}, **QUICK}
    write(tmp_path, config=config, predict=own, helpers=helpers)
    status, result, said = run(tmp_path)
    (row,) = rows_of(status, result, said, expected=3)
    assert (row["Pool"], row["Completed"]) == ("async", 19)
    assert row["Errors By Kind"] == {"HTTP 503": 1}
    assert row["Counts"] == {"connections": 4, "requests": 20}
    assert row["P50 Latency"] > 5  # timers may be early
    assert len(notes("request")) == 3 and len(notes("closed")) == 1


REFUSES = "def predict(self, feeds):\n    raise RuntimeError('vendor code in the way')"


def test_the_runner_onnxruntime_needs_no_vendor_code_to_predict(tmp_path):
    config = {
        "runner": "onnxruntime",
        "clients": 2,
        "iterations": 4,
        "intra_op_threads": 1,
        **QUICK,
    }
    write(
        tmp_path,
        config=config,
        predict=REFUSES,
        test_numeric=True,
        test_accuracy=True,
        batch_sizes=[4],
    )
    status, result, said = run(tmp_path)
    (row,) = rows_of(status, result, said)
    assert (row["Completed"], row["Errors"]) == (8, 0)
    assert result["Accuracy"]["Max Diff"] < 1e-4
    assert result["Accuracy"]["Top-1"] > 0.95


FACTORY = {
    "own.py": """
    import json, os
    import numpy as np

    def note(facts):
        with open(os.environ["NOTES"], "a") as file:
            file.write(json.dumps(facts) + "\\n")

    def make(config):
        objects = ("compile_result", "model_info", "workload")
        plain = {key: value for key, value in config.items() if key not in objects}
        has = sorted(set(config) - set(plain))
        note({"what": "make", "config": plain, "has": has, "pid": os.getpid()})

        def predict(feeds):
            (images,) = feeds.values()
            note({"what": "predict", "instance": config["instance"], "rows": len(images)})
            return {"logits": np.zeros((len(images), 10), np.float32)}

        return predict
    """
}


@pytest.mark.slow
def test_a_runner_of_the_vendors_own_is_made_in_each_worker(tmp_path, notes):
    """Named as upstream would name it."""
    config = {
        "runner": "general_perf.backends.TINY.own:make",
        "pool": "process",
        "clients": 2,
        "iterations": 3,
        "artifact": "x.bin",
        "batch_sizes": [2],
        **QUICK,
    }
    write(tmp_path, config=config, predict=REFUSES, helpers=FACTORY)
    (row,) = rows_of(*run(tmp_path))
    assert (row["Completed"], row["BS"], row["Instances"]) == (6, 2, 2)
    assert {note["instance"] for note in notes()} == {0, 1}
    made = notes("make")[-1]
    assert made["has"] == ["compile_result", "model_info", "workload"]
    assert {
        key: made["config"][key] for key in ("artifact", "batch_size", "clients", "qs_version")
    } == {"artifact": "x.bin", "batch_size": 2, "clients": 2, "qs_version": 2}
    assert len({note["pid"] for note in notes("make")}) >= 3


def test_scenarios_are_a_row_each_with_their_rules(tmp_path):
    """Server's queries share calls, and the backend does not learn of threads: it has no place for
    them.
    """
    config = {
        "iterations": 20,
        "clients": 2,
        "intra_op_threads": 3,
        "batching": {"max_batch_size": 4, "max_delay_us": 50_000},
        **QUICK,
        "scenarios": [
            {"name": "SingleStream", "duration_s": 0.05, "percentile": 80, "target_qps": 5},
            {"name": "MultiStream", "duration_s": 0.05, "samples_per_query": 3, "percentile": 80},
            {
                "name": "Server",
                "target_qps": 400,
                "latency_slo_ms": 5000,
                "percentile": 80,
                "duration_s": 0.2,
                "seed": 3,
            },
            {"name": "Offline", "duration_s": 0.0001},
        ],
    }
    root = write(tmp_path, config=config, batch_sizes=[2])
    entry = root / "backends" / "TINY" / "runtime_backend_tiny.py"
    entry.write_text(entry.read_text().replace("placement = None", ""))
    status, result, said = run(tmp_path)
    rows = rows_of(status, result, said)
    assert [row["Scenario"] for row in rows] == ["SingleStream", "MultiStream", "Server", "Offline"]
    assert [row["Clients"] for row in rows] == [1, 1, 2, 2]
    assert [row["Samples Per Query"] for row in rows] == [1, 3, 1, 1]
    assert all(row["Rules"] and all(rule["passed"] for rule in row["Rules"]) for row in rows)
    assert all(row["Metric"]["value"] > 0 and row["Completed"] >= 20 for row in rows)
    multi, server = rows[1], rows[2]
    assert multi["QPS"] == pytest.approx(2 * 3 * multi["Completed"] / multi["Wall Time"], rel=1e-9)
    assert server["Seed"] == 3
    assert server["Response"]["count"] == server["Service"]["count"] == server["Completed"]
    assert server["Settings"]["latency_slo_ms"] == 5000
    # Loaded for eight items, so that four queries fit into a call; one that is not full is filled.
    assert server["BS"] == 2 and server["Batching"]["calls"] < server["Completed"]
    assert 1 < server["Batching"]["mean_batch_size"] <= 4
    assert len({row["Histogram"] for row in rows}) == 4
    assert "target_qps means nothing in SingleStream; it has no effect" in result["Warnings"]
    for row in rows:
        told = [text for text in row["Warnings"] if text.startswith("intra_op_threads 3: ")]
        assert len(told) == 1


def test_a_wrong_config_stops_the_run_with_every_fault(tmp_path):
    write(tmp_path, config={"pol": "thread", "clients": 0, "scenarios": [{"name": "Server"}]})
    status, _, said = run(tmp_path)
    assert status == 2
    assert "did you mean 'pool'?" in said and "clients is 0" in said
