"""Every key of a QS config has its effect in a run of `qs run` on a small vendor folder."""

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
    self.note(what="load", batch_size=batch_size, placement=self.placement, cpus=sorted(os.sched_getaffinity(0)))

def note(self, **facts):
    import json
    facts |= {"copy": id(self), "pid": os.getpid(), "thread": threading.get_ident(), "omp": os.environ.get("OMP_NUM_THREADS")}
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


def test_clients_iterations_batch_sizes_warmup_samples_and_timeout(tmp_path, notes):
    config = {
        "clients": 2,
        "iterations": 5,
        "batch_sizes": [2, 4],
        "warmup": {"iterations": 3},
        "samples": {"count": 3, "seed": 5},
        "timeout_s": 77,
        "instances": 2,
    }
    write(
        tmp_path, config=config, predict=NOTING, best=[1], fake_data=True, clients=1, iterations=50
    )
    status, result, said = run(tmp_path)
    rows = rows_of(status, result, said)
    assert [(row["BS"], row["Clients"], row["Completed"]) for row in rows] == [
        (2, 2, 10),
        (4, 2, 10),
    ]
    assert [row["Warm-up"]["Completed"] for row in rows] == [6, 6]
    assert [row["Samples"]["distinct_batches"] for row in rows] == [3, 3]
    assert [row["Instances"] for row in rows] == [2, 2]
    calls = [note for note in notes() if note["rows"] == 2]
    assert (
        len(calls),
        len({note["sum"] for note in calls}),
        len({note["copy"] for note in calls}),
    ) == (
        16,
        3,
        2,
    )
    origins = {name: entry["origin"] for name, entry in result["Effective Values"].items()}
    assert {name for name, origin in origins.items() if origin == "QS config"} == set(config)
    assert result["Effective Values"]["timeout_s"]["value"] == 77


def test_the_seed_of_samples_is_the_qs_configs(tmp_path, notes):
    sums = []
    for seed in (1, 1, 2):
        config = {"samples": {"count": 1, "seed": seed}, "clients": 1, "iterations": 1, **QUICK}
        root = write(tmp_path / f"{len(sums)}", config=config, predict=NOTING, fake_data=True)
        rows_of(*run(root))
        sums.append(notes()[-1]["sum"])
    assert sums[0] == sums[1] != sums[2]


def test_the_command_line_wins_over_the_qs_config(tmp_path):
    write(
        tmp_path,
        config={"clients": 2, "batch_sizes": [2], "warmup": {"iterations": 9}, "iterations": 9},
    )
    status, result, said = run(
        tmp_path, "--clients", 1, "--batch_sizes", 3, "--warmup", 0, "--iterations", 4
    )
    (row,) = rows_of(status, result, said)
    assert (row["BS"], row["Clients"], row["Completed"], row["Warm-up"]["Completed"]) == (
        3,
        1,
        4,
        0,
    )
    asked = ("clients", "batch_sizes", "warmup", "iterations")
    assert {result["Effective Values"][name]["origin"] for name in asked} == {"command line"}


def test_a_time_out_fails_what_takes_longer(tmp_path):
    slow = "def predict(self, feeds):\n    time.sleep(0.05)\n    return {}"
    write(
        tmp_path, config={"timeout_s": 0.01, "clients": 1, "iterations": 3, **QUICK}, predict=slow
    )
    (row,) = rows_of(*run(tmp_path), expected=3)
    assert (row["Completed"], row["Errors By Kind"]) == (0, {"timeout": 3})


def test_affinity_and_threads_reach_the_copies(tmp_path, notes):
    config = {
        "affinity": [[CPUS[0]]],
        "intra_op_threads": 3,
        "clients": 2,
        "iterations": 2,
        **QUICK,
    }
    write(tmp_path, config=config, predict=NOTING)
    (row,) = rows_of(*run(tmp_path))
    assert (row["Affinity"], row["Intra-op Threads"], row["Instances"]) == ([[CPUS[0]]], 3, 1)
    placed = [note for note in notes("load") if note["placement"]]
    assert placed[-1]["cpus"] == [CPUS[0]]
    assert placed[-1]["placement"]["intra_op_threads"] == 3


def test_threads_that_a_backend_is_not_told_of_are_said(tmp_path):
    root = write(tmp_path, config={"intra_op_threads": 3, "clients": 1, **QUICK})
    entry = root / "backends" / "TINY" / "runtime_backend_tiny.py"
    entry.write_text(entry.read_text().replace("placement = None", ""))
    (row,) = rows_of(*run(root))
    assert any("intra_op_threads 3: the backend is not told" in text for text in row["Warnings"])


def test_affinity_to_a_cpu_that_is_not_ours_is_refused(tmp_path):
    write(tmp_path, config={"affinity": [[4095]]})
    status, _, said = run(tmp_path)
    assert status == 2
    assert "affinity (QS config): names CPUs [4095]" in said


def test_a_pool_of_processes(tmp_path, notes):
    config = {"pool": "process", "clients": 2, "iterations": 3, "intra_op_threads": 2, **QUICK}
    write(tmp_path, config=config, predict=NOTING)
    (row,) = rows_of(*run(tmp_path))
    assert (row["Pool"], row["Completed"], row["Instances"]) == ("process", 6, 2)
    assert len({note["pid"] for note in notes()}) == 2
    assert {note["omp"] for note in notes()} == {"2"}


def test_inline_is_one_client(tmp_path, notes):
    write(
        tmp_path, config={"pool": "inline", "clients": 1, "iterations": 3, **QUICK}, predict=NOTING
    )
    (row,) = rows_of(*run(tmp_path))
    assert (row["Pool"], row["Completed"], len({note["thread"] for note in notes()})) == (
        "inline",
        3,
        1,
    )


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
        "numeric: output logits: all zero where the reference is not, or the other way round"
    ]
    assert max(note["most"] for note in notes()) == 4
    assert result["Effective Values"]["pool"] == {"value": "async", "origin": "QS config"}
    assert result["Accuracy"]["Max Diff"] > 0


@pytest.mark.parametrize(
    ("config", "predict", "options", "reason"),
    [
        (
            {"runner": "async"},
            COROUTINE,
            ["--pool", "thread"],
            "pool 'thread' (command line): the runner is 'async'",
        ),
        (
            {},
            COROUTINE,
            ["--pool", "async"],
            "pool 'async' (command line): predict of the runner 'backend' blocks",
        ),
        ({}, COROUTINE, [], "predict is a coroutine function, which pool 'thread' cannot drive"),
        (
            {"pool": "process"},
            COROUTINE,
            ["--in_process"],
            "with --in_process there are no other processes",
        ),
        (
            {"runner": "async"},
            "def predict(self, feeds):\n    return {}",
            [],
            "write `async def predict`",
        ),
    ],
)
def test_a_pool_that_cannot_drive_the_runner_is_refused(tmp_path, config, predict, options, reason):
    write(tmp_path, config=config, predict=predict)
    status, _, said = run(tmp_path, *options)
    assert status == 2
    assert reason in said


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


def test_an_artifact_that_is_not_there_is_named(tmp_path):
    write(tmp_path, config={"runner": "onnxruntime", "artifact": "none.onnx"}, predict=REFUSES)
    status, _, said = run(tmp_path)
    assert status == 2
    assert "no such artifact: none.onnx" in said


FACTORY = {
    "own.py": """
    import json, os
    import numpy as np

    def make(config):
        with open(os.environ["NOTES"], "a") as file:
            plain = {key: value for key, value in config.items() if key not in ("compile_result", "model_info", "workload")}
            has = sorted(set(config) - set(plain))
            file.write(json.dumps({"what": "make", "config": plain, "has": has, "pid": os.getpid()}) + "\\n")

        def predict(feeds):
            (images,) = feeds.values()
            with open(os.environ["NOTES"], "a") as file:
                file.write(json.dumps({"what": "predict", "instance": config["instance"], "rows": len(images)}) + "\\n")
            return {"logits": np.zeros((len(images), 10), np.float32)}

        return predict

    def make_async(config):
        async def predict(feeds):
            return {}
        return predict

    def make_nothing(config):
        return None
    """
}


@pytest.mark.parametrize("pool", ["thread", "process"])
def test_a_runner_of_the_vendors_own_is_made_in_each_worker(tmp_path, notes, pool):
    config = {
        "runner": "own:make",
        "pool": pool,
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
    assert len({note["pid"] for note in notes("make")}) >= (3 if pool == "process" else 1)


def test_a_factory_may_be_named_as_upstream_would_and_give_a_coroutine_function(tmp_path):
    runner = "general_perf.backends.TINY.own:make_async"
    write(
        tmp_path,
        config={"runner": runner, "pool": "async", "clients": 2, "iterations": 2, **QUICK},
        helpers=FACTORY,
    )
    (row,) = rows_of(*run(tmp_path))
    assert (row["Pool"], row["Completed"]) == ("async", 4)


@pytest.mark.parametrize(
    ("runner", "reason"),
    [
        ("nowhere:make", "there is no module nowhere"),
        ("own:mak", "the module own has no function mak"),
        ("own:make_nothing", "returned NoneType"),
        ("own:make_async", "predict is a coroutine function"),
    ],
)
def test_a_factory_that_is_none_is_named(tmp_path, runner, reason):
    write(tmp_path, config={"runner": runner}, helpers=FACTORY)
    status, _, said = run(tmp_path)
    assert status == 2
    assert reason in said


def test_scenarios_are_a_row_each_with_their_rules(tmp_path, notes):
    config = {
        "iterations": 20,
        "clients": 2,
        **QUICK,
        "scenarios": [
            {"name": "SingleStream", "duration_s": 0.05, "percentile": 80, "target_qps": 5},
            {"name": "MultiStream", "duration_s": 0.05, "samples_per_query": 3, "percentile": 80},
            {
                "name": "Server",
                "target_qps": 200,
                "latency_slo_ms": 1000,
                "percentile": 80,
                "duration_s": 0.2,
                "seed": 3,
            },
            {"name": "Offline", "duration_s": 0.0001},
        ],
    }
    write(tmp_path, config=config, predict=NOTING, batch_sizes=[2])
    status, result, said = run(tmp_path)
    rows = rows_of(status, result, said)
    assert [row["Scenario"] for row in rows] == ["SingleStream", "MultiStream", "Server", "Offline"]
    assert [row["Clients"] for row in rows] == [1, 1, 2, 2]
    assert [row["Samples Per Query"] for row in rows] == [1, 3, 1, 1]
    assert all(row["Rules"] and all(rule["passed"] for rule in row["Rules"]) for row in rows)
    assert all(row["Metric"]["value"] > 0 and row["Completed"] >= 20 for row in rows)
    assert all(note["rows"] == 2 for note in notes())
    multi, server = rows[1], rows[2]
    assert multi["QPS"] == pytest.approx(2 * 3 * multi["Completed"] / multi["Wall Time"], rel=1e-9)
    assert (
        server["Seed"] == 3
        and server["Response"]["count"] == server["Service"]["count"] == server["Completed"]
    )
    assert len({row["Histogram"] for row in rows}) == 4
    assert "target_qps means nothing in SingleStream; it has no effect" in result["Warnings"]


def test_a_scenario_that_breaks_its_rules_is_invalid(tmp_path):
    slow = "def predict(self, feeds):\n    time.sleep(0.02)\n    return {}"
    server = {
        "name": "Server",
        "target_qps": 100,
        "latency_slo_ms": 1,
        "percentile": 50,
        "duration_s": 0.2,
    }
    write(
        tmp_path,
        config={"scenarios": [server], "iterations": 10, "clients": 1, **QUICK},
        predict=slow,
    )
    (row,) = rows_of(*run(tmp_path), expected=3)
    assert row["Verdict"] == "INVALID"
    assert any(
        "response time" in reason and "needed at most 1 ms" in reason for reason in row["Reasons"]
    )


def test_the_command_lines_duration_is_the_scenarios(tmp_path):
    config = {"scenarios": [{"name": "SingleStream", "duration_s": 500}], "iterations": 2, **QUICK}
    write(tmp_path, config=config)
    status, result, said = run(tmp_path, "--duration", "0.3s", "--iterations", 70)
    (row,) = rows_of(status, result, said)
    assert row["Duration"] == 0.3
    assert 0.3 <= row["Wall Time"] < 5 and row["Completed"] >= 70


@pytest.mark.parametrize("runner", ["backend", "onnxruntime"])
def test_queries_that_are_due_together_share_a_call(tmp_path, notes, runner):
    config = {
        "runner": runner,
        "clients": 1,
        "iterations": 40,
        "batching": {"max_batch_size": 4, "max_delay_us": 50_000},
        **QUICK,
        "scenarios": [
            {
                "name": "Server",
                "target_qps": 400,
                "latency_slo_ms": 5000,
                "percentile": 80,
                "duration_s": 0.1,
            }
        ],
    }
    write(tmp_path, config=config, predict=NOTING, batch_sizes=[2])
    (row,) = rows_of(*run(tmp_path))
    assert row["BS"] == 2 and row["Completed"] >= 40
    assert row["Batching"]["calls"] < row["Completed"]
    assert 1 < row["Batching"]["mean_batch_size"] <= 4
    if runner == "backend":  # loaded for eight items: a call that is not full is filled up
        assert {note["rows"] for note in notes()} == {8}
        assert len(notes()) == row["Batching"]["calls"]


@pytest.mark.parametrize(
    ("config", "faults"),
    [
        ({"pol": "thread", "clients": 0}, ["did you mean 'pool'?", "clients is 0"]),
        ({"scenarios": [{"name": "Server"}]}, ["scenarios[0].target_qps is missing"]),
        ({"pool": "inline", "clients": 4}, ["inline"]),
    ],
)
def test_a_wrong_config_stops_the_run_with_every_fault(tmp_path, config, faults):
    write(tmp_path, config=config)
    status, _, said = run(tmp_path)
    assert status == 2
    assert [fault for fault in faults if fault not in said] == []
