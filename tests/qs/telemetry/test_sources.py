"""Each source on a folder that looks like a machine: what is there, what is not and why."""

from __future__ import annotations

import math
import os

import pytest

from qs.telemetry.channel import Part, Unit
from qs.telemetry.cpu import open_cpu
from qs.telemetry.files import ROOT_ONLY, NumberFile
from qs.telemetry.hwmon import open_hwmon
from qs.telemetry.nvml import open_nvml
from qs.telemetry.rapl import open_rapl
from qs.telemetry.supply import open_supply
from tests.qs.telemetry import fake_machine as fake


def parts(opened):
    return {channel.name: channel.part for channel in opened.source.channels}


def reasons(opened):
    return {each.what: each.why for each in opened.unreadable}


def denied(monkeypatch, *names):
    """These files cannot be opened, also where the tests run as root."""
    real = os.open

    def opening(path, *rest, **more):
        if any(str(path).endswith(name) for name in names):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **more)

    monkeypatch.setattr("qs.telemetry.files.os.open", opening)


def test_rapl_has_each_domain_once(tmp_path):
    fake.rapl(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    fake.rapl(tmp_path, "intel-rapl:0:0", "core", 2_000_000)
    fake.rapl(tmp_path, "intel-rapl:0:1", "dram", 1_000_000)
    fake.rapl(tmp_path, "intel-rapl:1", "package-1", 7_000_000)
    fake.rapl(tmp_path, "intel-rapl:1:0", "dram", 3_000_000)
    fake.rapl(tmp_path, "intel-rapl:2", "psys", 30_000_000)
    fake.rapl(tmp_path, "intel-rapl-mmio:0", "package-0", 5_100_000)
    opened = open_rapl(tmp_path)
    assert parts(opened) == {
        "package-0": Part.PACKAGE,
        "package-1": Part.PACKAGE,
        "psys": Part.PLATFORM,
        "core-0": Part.ASIDE,
        "dram-0": Part.DRAM,
        "dram-1": Part.DRAM,
    }
    values = dict(zip(parts(opened), opened.source.read()))
    assert (values["package-0"], values["dram-1"]) == (5.0, 3.0)
    assert {each.wraps_at for each in opened.source.channels} == {262_143.32885}
    assert opened.unreadable == ()
    opened.source.close()


def test_rapl_that_only_root_may_read_is_one_reason(tmp_path, monkeypatch):
    fake.rapl(tmp_path, "intel-rapl:0", "package-0", 1)
    fake.rapl(tmp_path, "intel-rapl:0:0", "dram", 1)
    denied(monkeypatch, "energy_uj")
    opened = open_rapl(tmp_path)
    assert (opened.source, reasons(opened)) == (None, {"RAPL": ROOT_ONLY})


def test_rapl_of_which_a_part_cannot_be_read(tmp_path, monkeypatch):
    fake.rapl(tmp_path, "intel-rapl:0", "package-0", 1)
    fake.rapl(tmp_path, "intel-rapl:0:0", "dram", "garbage")
    fake.rapl(tmp_path, "intel-rapl:1", "psys", 1)
    denied(monkeypatch, "rapl:1/energy_uj")
    opened = open_rapl(tmp_path)
    assert list(parts(opened)) == ["package-0"]
    assert reasons(opened) == {
        "RAPL psys": ROOT_ONLY,
        "RAPL dram-0": "energy_uj holds no number",
    }


def test_a_machine_without_counters_says_so(tmp_path):
    assert "no energy counters" in reasons(open_rapl(tmp_path))["RAPL"]
    assert "no sensor of power" in reasons(open_hwmon(tmp_path))["hwmon"]
    assert open_supply(tmp_path).unreadable == ()


def test_hwmon_counts_each_chip_once(tmp_path):
    fake.chip(
        tmp_path,
        0,
        "coretemp",
        temp1_input=45_000,
        temp1_label="Package id 0",
        temp2_input=44_000,
        temp2_label="Core 0",
    )
    fake.chip(
        tmp_path,
        1,
        "amdgpu",
        power1_cap=1,
        power1_average=31_000_000,
        power1_label="PPT",
        power1_input=30_000_000,
        temp1_input=50_000,
        temp1_label="edge",
    )
    fake.chip(
        tmp_path,
        2,
        "amd_energy",
        energy1_input=9_000_000,
        energy1_label="Esocket0",
        energy2_input=8_000_000,
        energy2_label="Esocket1",
        energy3_input=1_000_000,
        energy3_label="Ecore000",
    )
    fake.chip(tmp_path, 3, "power_meter", power1_average=200_000_000)
    fake.chip(tmp_path, 4, "ucsi_thing", power1_input=5_000_000)
    fake.chip(tmp_path, 5, "xe", energy1_input=4_000_000, energy1_label="card",
              energy2_input=3_000_000, energy2_label="pkg")  # fmt: skip
    opened = open_hwmon(tmp_path)
    assert parts(opened) == {
        "coretemp 0 Package id 0": Part.ASIDE,
        "amdgpu 1 PPT": Part.ACCELERATOR,
        "amdgpu 1 edge": Part.ASIDE,
        "amd_energy 2 Esocket0": Part.PACKAGE,
        "amd_energy 2 Esocket1": Part.PACKAGE,
        "amd_energy 2 Ecore000": Part.ASIDE,
        "power_meter 3": Part.MACHINE,
        "ucsi_thing 4": Part.ASIDE,
        "xe 5 card": Part.ACCELERATOR,
        "xe 5 pkg": Part.ASIDE,
    }
    values = dict(zip(parts(opened), opened.source.read()))
    assert values["amdgpu 1 PPT"] == 31.0
    assert values["coretemp 0 Package id 0"] == 45.0
    assert opened.unreadable == ()


def test_graphics_that_are_part_of_a_processor_count_with_it(tmp_path):
    fake.chip(tmp_path, 0, "amdgpu", power1_average=15_000_000, power1_label="PPT")
    assert parts(open_hwmon(tmp_path)) == {"amdgpu 0 PPT": Part.ASIDE}


def test_the_memory_of_each_die_is_its_own(tmp_path):
    for package in range(2):
        fake.rapl(tmp_path, f"intel-rapl:{package}", f"package-{package}-die-1", 1)
        fake.rapl(tmp_path, f"intel-rapl:{package}:0", "dram", 1)
    assert [name for name in parts(open_rapl(tmp_path)) if "dram" in name] == [
        "dram-0-die-1",
        "dram-1-die-1",
    ]


def test_a_chip_with_temperatures_alone_has_no_power(tmp_path):
    fake.chip(tmp_path, 0, "k10temp", temp1_input=45_000, temp1_label="Tctl")
    opened = open_hwmon(tmp_path)
    assert [channel.unit for channel in opened.source.channels] == [Unit.CELSIUS]
    assert "no sensor of power" in reasons(opened)["hwmon"]


@pytest.mark.parametrize(
    ("files", "watts"),
    [
        ({"power_now": 12_500_000}, 12.5),
        ({"current_now": -2_000_000, "voltage_now": 11_000_000}, 22.0),
    ],
)
def test_a_battery_tells_while_it_discharges(tmp_path, files, watts):
    fake.put(tmp_path, "sys/class/power_supply/AC/type", "Mains")
    fake.battery(tmp_path, **files)
    source = open_supply(tmp_path).source
    assert source.read() == [pytest.approx(watts)]
    fake.put(tmp_path, "sys/class/power_supply/BAT0/status", "Charging")
    assert math.isnan(source.read()[0])
    source.close()


def test_a_battery_at_the_mains_says_why(tmp_path):
    fake.battery(tmp_path, status="Full", power_now=0)
    assert "not discharging" in reasons(open_supply(tmp_path))["battery BAT0"]


def test_cpu_times_are_those_of_the_chosen_cpus(tmp_path, monkeypatch):
    monkeypatch.setattr("qs.telemetry.cpu.host_cpus", lambda: 2)
    lines = ["cpu  300 0 0 0 0 0 0 0", "cpu0 100 1 2 900 50 3 4 9", "cpu1 200 0 0 0", "intr 1"]
    file = fake.put(tmp_path, "proc/stat", "\n".join(lines))
    source = open_cpu(tmp_path, [0]).source
    per_tick = 100.0 / os.sysconf("SC_CLK_TCK")
    assert source.read() == [pytest.approx(110 * per_tick)]
    file.write_text("nothing")
    assert math.isnan(source.read()[0])
    source.close()


def test_without_proc_the_cpus_are_not_known(tmp_path):
    assert "no such file" in reasons(open_cpu(tmp_path))["CPU times"]


GPU = {"power_w": 100, "energy_j": 5000, "use": 50, "memory": 1 << 30}


def test_gpus_give_energy_where_they_count_it(tmp_path):
    nvml = fake.FakeNvml(GPU, {"power_w": 30, "use": 0, "memory": 5})
    opened = open_nvml(tmp_path, nvml, {})
    channels = opened.source.channels
    assert [(each.name, each.counter) for each in channels if each.unit is Unit.WATT] == [
        ("GPU 0", True),
        ("GPU 1", False),
    ]
    assert opened.source.read() == [5000.0, 50.0, float(1 << 30), 30.0, 0.0, 5.0]
    nvml.gpus[1]["power_w"] = None  # fell off the bus
    assert math.isnan(opened.source.read()[3])
    opened.source.close()
    assert nvml.shut_down == 1


@pytest.mark.parametrize(
    ("visible", "seen"),
    [
        (None, [0, 1, 2]),
        ("1", [1]),
        ("2,0", [0, 2]),
        ("GPU-2abc", [2]),
        ("1,7,0", [1]),
        ("", None),
        ("-1", None),
    ],
)
def test_the_gpus_are_those_that_cuda_sees(tmp_path, visible, seen):
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    opened = open_nvml(tmp_path, fake.FakeNvml(GPU, dict(GPU), dict(GPU)), environ)
    if seen is None:
        assert reasons(opened) == {"NVML": "it shows no GPU"}
        return
    names = sorted(each.name for each in opened.source.channels if each.unit is Unit.WATT)
    assert names == [f"GPU {number}" for number in seen]


def test_nvml_that_is_not_there_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    assert open_nvml(tmp_path).unreadable == ()  # no driver, no GPU: nothing to say
    fake.put(tmp_path, "proc/driver/nvidia/version", "NVRM")
    assert "quicksilver-perf[nvidia]" in reasons(open_nvml(tmp_path))["NVML"]


def test_nvml_without_a_driver_says_what_the_library_says(tmp_path):
    opened = open_nvml(tmp_path, fake.FakeNvml(fault="Driver Not Loaded"))
    assert reasons(opened) == {"NVML": "the driver's library: Driver Not Loaded"}


def test_a_gpu_that_tells_no_power_is_named(tmp_path):
    opened = open_nvml(tmp_path, fake.FakeNvml({"use": 5}), {})
    assert reasons(opened) == {"NVML GPU 0": "it tells no power"}


def test_a_file_that_goes_away_reads_as_nothing(tmp_path):
    file = NumberFile(fake.put(tmp_path, "a", "12"))
    assert file.read() == 12.0
    (tmp_path / "a").write_text("")
    assert math.isnan(file.read())
    file.close()
