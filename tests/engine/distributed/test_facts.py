"""What a node says of itself is plain data, and what it cannot read is None."""

from __future__ import annotations

import json
import os
import platform
import socket
import time

import pytest

from qs.engine.distributed.talking import facts as module
from qs.engine.distributed.talking.facts import KEYS, facts, taken
from qs.engine.distributed.talking.plain import decoded, encoded


def test_every_fact_has_its_key_and_is_plain_data():
    found = facts(7, "10.0.0.1")
    assert tuple(found) == KEYS
    assert decoded(encoded(found)) == found == json.loads(json.dumps(found))


def test_facts_are_those_of_this_machine():
    found = facts(7, "10.0.0.1")
    assert found["pid"] == 7 and found["address"] == "10.0.0.1"
    assert found["host"] == socket.gethostname()
    assert found["python"] == platform.python_version() and found["implementation"] == "cpython"
    assert found["cpus"] == len(os.sched_getaffinity(0)) and 0 < found["cores"] <= found["cpus"]
    assert 0 < found["free_memory_bytes"] <= found["memory_bytes"]
    assert found["shm_bytes"] >= found["shm_free_bytes"] >= 0
    assert found["load_1m"] >= 0 and found["open_files"] > 0
    assert abs(found["wall_ns"] - time.time_ns()) < 60e9
    assert abs(found["monotonic_ns"] - time.perf_counter_ns()) < 60e9
    assert found["versions"]["numpy"] and found["versions"]["qs"]
    assert found["cpu_model"] and found["kernel"].startswith("Linux ")


def test_processes_on_one_machine_say_the_same_of_it():
    assert facts(1, "a")["machine"] == facts(2, "b")["machine"]
    assert len(facts(1, "a")["machine"]) == 16


def test_variables_for_threads_and_devices_are_told_and_no_others(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("MKL_DYNAMIC", "x" * 10_000)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    found = facts(1, "a")["environment"]
    assert found["OMP_NUM_THREADS"] == "1" and found["CUDA_VISIBLE_DEVICES"] == ""
    assert len(found["MKL_DYNAMIC"]) == 200
    assert "AWS_SECRET_ACCESS_KEY" not in found and "PATH" not in found


@pytest.mark.parametrize("key", ["governor", "mhz", "free_memory_bytes", "memory_bytes"])
def test_what_cannot_be_read_is_none(monkeypatch, tmp_path, key):
    monkeypatch.setattr(module, "text", lambda path: None)
    monkeypatch.setattr(module, "free_memory", lambda folders: None)
    monkeypatch.setattr(module, "_CPUS", tmp_path)
    monkeypatch.setattr(module, "FrequencyLog", NoFrequencies)
    assert facts(1, "a")[key] is None


def test_facts_of_a_node_are_taken_as_they_are():
    found = facts(7, "10.0.0.1")
    assert taken(decoded(encoded(found))) == found


@pytest.mark.parametrize("told", [None, [], 5, {}, {"nothing": 1}])
def test_a_node_that_tells_no_facts_has_none(told):
    assert taken(told) == dict.fromkeys(KEYS)


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("host", "a\x1b[31mb\nc", "a [31mb c"),
        ("host", "h" * 1_000, "h" * 200),
        ("host", ["h"], None),
        ("cpus", "8", None),
        ("cpus", True, None),
        ("cores", float("nan"), None),
        ("load_1m", float("inf"), None),
        ("memory_bytes", 1 << 80, None),
        ("versions", {"numpy": [1], "qs": "1\t"}, {"numpy": None, "qs": "1 "}),
        ("versions", {1: "x"}, {}),
        ("environment", "OMP", None),
    ],
)
def test_a_node_may_tell_anything(key, value, kept):
    assert taken({key: value})[key] == kept
    assert len(taken({"environment": {str(n): "" for n in range(1_000)}})["environment"]) == 200


class NoFrequencies:
    base_mhz = None

    def __init__(self, cpus):
        self.seen_mhz = []

    def look(self):
        pass


def test_a_governor_and_a_frequency_are_read(monkeypatch, tmp_path):
    for cpu in os.sched_getaffinity(0):
        folder = tmp_path / f"cpu{cpu}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text("powersave\n")
        (folder / "scaling_cur_freq").write_text("1200000\n")
        (folder / "base_frequency").write_text("2100000\n")
    real = module.FrequencyLog
    monkeypatch.setattr(module, "_CPUS", tmp_path)
    monkeypatch.setattr(module, "FrequencyLog", lambda cpus: real(cpus, tmp_path))
    found = facts(1, "a")
    assert (found["governor"], found["mhz"]) == ("powersave", 2100.0)
