"""Power, energy and utilisation from a machine and from a backend's own telemetry() to the report:
`qs run` on a small backend, beside a machine that draws 55 W.
"""

from __future__ import annotations

import pytest

from qs.evaluate.settling import telemetry_of
from qs.settings.request import Request
from tests.qs import program, small_backend
from tests.qs.telemetry import fake_machine

TELLING = (
    small_backend.PREDICT
    + """
asked = 0

def telemetry(self):
    self.asked += 1
    now_s = time.perf_counter()
    return {"energy_j": 100.0 * now_s, "utilisation_percent": 75.0, "queue": self.asked}

def benchmark(self, dataloader):
    time.sleep(0.3)
    return {"BS": self.batch_size, "QPS": 50.0, "AVG Latency": 20.0, "P99 Latency": 21.0}
"""
)
BROKEN = (
    small_backend.PREDICT
    + """
def telemetry(self):
    raise RuntimeError("no card")
"""
)


@pytest.fixture
def machine(monkeypatch):
    monkeypatch.setattr("qs.telemetry.watching.SOURCES", fake_machine.machine())


def row_of(result: dict) -> dict:
    (row,) = result["Performance"]
    return row


def readings(row: dict) -> dict[str, dict]:
    return {each["name"]: each for each in row["Telemetry"]["readings"]}


def test_a_row_has_the_power_of_the_machine_and_of_the_device(tmp_path, machine):
    root = small_backend.write(tmp_path, predict=TELLING)
    status, result, said = small_backend.run(root, "--duration", "0.4s")
    assert status == 0, said
    row = row_of(result)
    told = row["Telemetry"]
    assert told["counted"] == ["RAPL package-0", "RAPL dram-0", "backend energy_j"]
    assert row["Mean Power"] == pytest.approx(155.0, rel=0.02)
    assert row["Energy per Item"] == pytest.approx(row["Mean Power"] / row["QPS"], rel=1e-3)
    assert row["CPU Utilisation"] == pytest.approx(60.0, rel=1e-3)
    assert row["Device Utilisation"] == 75.0
    assert readings(row)["package-0"]["mean"] == pytest.approx(50.0, rel=1e-3)
    assert readings(row)["queue"]["counted"] is False
    assert told["length_s"] == row["Wall Time"]
    assert told["not_readable"] == [{"what": "hwmon", "why": "no sensor of power"}]
    assert told["sampler_share_of_core"] == told["sampler_cpu_s"] / told["length_s"]
    assert told["backend_cpu_s"] > 0


@pytest.mark.slow
def test_of_several_processes_the_first_instance_is_asked(tmp_path, machine):
    root = small_backend.write(tmp_path, predict=TELLING)
    options = ("--duration", "0.4s", "--pool", "process", "--instances", 2)
    status, result, said = small_backend.run(root, *options)
    assert status == 0, said
    assert row_of(result)["Mean Power"] == pytest.approx(155.0, rel=0.02)


def test_a_benchmark_call_has_power_and_no_energy_per_item(tmp_path, machine):
    root = small_backend.write(tmp_path, predict=TELLING)
    status, result, said = small_backend.run(root, "--engine", "never")
    row = row_of(result)
    assert row["Mode"] == "vendor"
    assert row["Telemetry"]["phase"] == "benchmark call"
    assert row["Mean Power"] == pytest.approx(155.0, rel=0.02)
    assert row.get("Energy per Item") is None
    assert status == 0, said


def test_a_backend_whose_telemetry_fails_is_measured_all_the_same(tmp_path, machine):
    root = small_backend.write(tmp_path, predict=BROKEN)
    status, result, said = small_backend.run(root, "--duration", "0.2s", "--in_process")
    assert status == 0, said
    row = row_of(result)
    assert row["Mean Power"] == pytest.approx(55.0, rel=1e-3)
    why = {"what": "backend", "why": "telemetry(): RuntimeError: no card"}
    assert why in row["Telemetry"]["not_readable"]


def test_off_asks_nobody():
    for request in (Request("t", "H", telemetry=0.0), Request("t", "H", compile_only=True)):
        with telemetry_of(request) as telemetry:
            assert telemetry is None


@pytest.mark.parametrize("value", ["on", "5ms", "2m", "-1", "nan"])
def test_what_telemetry_may_be(value):
    program.refused(program.qs("run", "digits", "--telemetry", value), "--telemetry")
