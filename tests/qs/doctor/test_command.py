"""`qs doctor` as a process, what it keeps, and where that is used."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from qs.base.machine import cpu_name
from qs.comparison.noise import ASSUMED_SPREAD, known_spread
from qs.doctor import self_benchmark as saved
from qs.doctor.self_benchmark import SelfBenchmark
from qs.engine.machine import usable_cpus
from tests.qs.program import qs, refused
from tests.qs.result.made import small
from tests.qs.results import read_result


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("QS_DATA", str(tmp_path / "data"))


def test_the_self_benchmark_is_real_and_kept():
    ran = qs("doctor", "--benchmark_time", "2s", "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    benchmark = found["self_benchmark"]
    assert 20 < benchmark["engine_ns"] < 100_000 and 0 < benchmark["spread"] < 1
    assert benchmark["resolves"] == pytest.approx(2.77 * benchmark["spread"], rel=0.01)
    assert 0 <= benchmark["lateness_p50_ns"] <= benchmark["lateness_p99_ns"]
    assert {each["name"] for each in found["findings"]} >= {
        "cores",
        "stolen time",
        "sleep",
        "versions",
    }
    assert saved.last() == SelfBenchmark(**benchmark)
    # A comparison goes by what the results say, not by this machine's last one.
    assert known_spread([small([])]) is ASSUMED_SPREAD


def test_without_the_benchmark_it_is_quick_and_keeps_nothing():
    ran = qs("doctor", "--no_benchmark")
    assert ran.returncode == 0 and "cores" in ran.stdout and "engine" not in ran.stdout
    assert saved.last() is None


def test_one_of_another_processor_does_not_count():
    found = SelfBenchmark(100.0, 1, 2, 0.01, 0.03, 1.0, 0.0, "another", 64)
    saved.save(found)
    assert saved.last() is None
    mine = replace(found, cpu=cpu_name(), cpus=len(usable_cpus())).to_dict()
    strange = ({"spread": "small"}, {"resolves": None}, {"cpu": [1]}, {"lateness_p50_ns": {}})
    texts = ["nonsense", "[]", "5", "[" * 100_000, *(json.dumps(mine | each) for each in strange)]
    for text in texts:
        saved.path().write_text(text)
        assert saved.last() is None
    saved.path().write_text(json.dumps(mine))
    assert saved.last() is not None
    assert cpu_name()


@pytest.mark.slow
def test_every_report_has_the_summary(tmp_path):
    ran = qs(
        "run",
        "--task",
        "digits-cnn-onnx-fp32",
        "--hardware_type",
        "CPU",
        "--iterations",
        "5",
        "--batch_sizes",
        "1",
        "--out",
        tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    result = read_result(tmp_path / "CPU" / "digits-cnn-onnx-fp32" / "result-fp32.json")
    assert "qs doctor" in result["Machine Check"]["summary"]
    assert f"machine: {result['Machine Check']['summary']}" in ran.stdout
    assert f"page: {tmp_path / 'CPU' / 'digits-cnn-onnx-fp32' / 'report.html'}" in ran.stdout


def test_wrong_input():
    refused(qs("doctor", "--affinity", "a"), "names no CPUs")
    refused(qs("doctor", "--benchmark_time", "0"), "--benchmark_time")
