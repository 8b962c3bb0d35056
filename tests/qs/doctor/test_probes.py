"""Every probe on machines laid out as files: what is well, what is warned of and how it is mended,
what is not shown.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from qs.doctor.finding import OK, UNKNOWN, WARN, Planned
from qs.doctor.looking import look, sentence
from qs.engine.machine import HostTimes


def lay_out(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def finding(root: Path, name: str, planned: Planned | None = None):
    return next(each for each in look(planned, root) if each.name == name)


CPU = "sys/devices/system/cpu"
FREQ = f"{CPU}/cpu0/cpufreq"
MEMORY = "MemTotal: 1000 kB\nMemAvailable: {free} kB\nSwapTotal: {swap} kB\nSwapFree: {left} kB\n"


@pytest.mark.parametrize(
    ("name", "files", "status", "value", "fix"),
    [
        (
            "frequency governor",
            {f"{FREQ}/scaling_governor": "performance\n"},
            OK,
            "performance",
            "",
        ),
        (
            "frequency governor",
            {f"{FREQ}/scaling_governor": "powersave"},
            WARN,
            "powersave",
            "cpupower",
        ),
        ("frequency governor", {}, UNKNOWN, "not shown", ""),
        (
            "frequency",
            {f"{FREQ}/scaling_cur_freq": "1000000", f"{FREQ}/base_frequency": "2000000"},
            WARN,
            "1000 MHz of 2000",
            "cool",
        ),
        (
            "frequency",
            {f"{FREQ}/scaling_cur_freq": "3000000", f"{FREQ}/base_frequency": "2000000"},
            OK,
            "3000 MHz",
            "",
        ),
        ("turbo", {f"{CPU}/intel_pstate/no_turbo": "0"}, WARN, "on", "--warmup"),
        ("turbo", {f"{CPU}/intel_pstate/no_turbo": "1"}, OK, "off", ""),
        ("turbo", {f"{CPU}/cpufreq/boost": "1"}, WARN, "on", "--warmup"),
        (
            "clock source",
            {"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet"},
            WARN,
            "hpet",
            "tsc",
        ),
        (
            "clock source",
            {"sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc"},
            OK,
            "tsc",
            "",
        ),
        (
            "memory",
            {"proc/meminfo": MEMORY.format(free=50, swap=0, left=0)},
            WARN,
            "free",
            "other programs",
        ),
        ("memory", {"proc/meminfo": MEMORY.format(free=500, swap=0, left=0)}, OK, "free", ""),
        (
            "swap",
            {"proc/meminfo": MEMORY.format(free=500, swap=100, left=50)},
            WARN,
            "used",
            "swapoff",
        ),
        ("swap", {"proc/meminfo": MEMORY.format(free=500, swap=0, left=0)}, OK, "none", ""),
        (
            "transparent huge pages",
            {"sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never"},
            OK,
            "madvise",
            "",
        ),
        ("kind of machine", {".dockerenv": ""}, OK, "container", ""),
        ("kind of machine", {"proc/cpuinfo": "flags : fpu hypervisor"}, OK, "virtual machine", ""),
        ("kind of machine", {}, OK, "no sign of a container", ""),
        (
            "CPU quota",
            {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000"},
            WARN,
            "0.5 cores",
            "raise",
        ),
        (
            "CPU quota",
            {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000"},
            OK,
            "none",
            "",
        ),
        ("stolen time", {}, UNKNOWN, "not watched", ""),
    ],
)
def test_a_probe(tmp_path, name, files, status, value, fix):
    found = finding(lay_out(tmp_path, files), name)
    assert (found.status, value in found.value, fix in found.fix) == (status, True, True), found
    if found.status == WARN:
        assert found.effect and found.fix


def test_shared_cores_are_named_with_the_flag(tmp_path, monkeypatch):
    monkeypatch.setattr("qs.doctor.cpu.usable_cpus", lambda: (0, 1, 2, 3))
    files = {
        f"{CPU}/cpu{cpu}/topology/thread_siblings_list": "0,2" if cpu % 2 == 0 else "1,3"
        for cpu in range(4)
    }
    found = finding(lay_out(tmp_path, files), "hardware threads")
    assert found.status == WARN and "--affinity 0/1" in found.fix


@pytest.mark.parametrize(
    ("planned", "name", "status"),
    [
        (Planned(instances=2, intra_op_threads=1), "room for the plan", OK),
        (Planned(instances=2, intra_op_threads=2), "room for the plan", WARN),
        (Planned(clients=4, intra_op_threads=1, pool="process"), "room for the plan", WARN),
        (Planned(), "room for the plan", UNKNOWN),
        (Planned(affinity=((0,), (1,))), "affinity", OK),
        (Planned(affinity=((0,), (9,))), "affinity", WARN),
    ],
)
def test_what_the_plan_asks_for(tmp_path, monkeypatch, planned, name, status):
    monkeypatch.setattr("qs.doctor.cpu.usable_cpus", lambda: (0, 1))
    assert finding(tmp_path, name, planned).status == status


def test_one_core_is_too_few(tmp_path, monkeypatch):
    monkeypatch.setattr("qs.doctor.cpu.usable_cpus", lambda: (0,))
    assert finding(tmp_path, "cores").status == WARN


def test_thread_variables_that_clash(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert finding(tmp_path, "thread variables", Planned(intra_op_threads=2)).status == WARN
    assert finding(tmp_path, "thread variables", Planned(intra_op_threads=7)).status == OK
    assert finding(tmp_path, "thread variables").status == OK


def test_stolen_time_and_other_load_are_watched_for(tmp_path, monkeypatch):
    """The counters move while the probe waits: 10 % stolen, half of the rest busy."""
    lay_out(tmp_path, {"proc/loadavg": "1.5 1 1 1/2 3"})
    readings = iter([HostTimes(0.0, 1.0, 1.0, 0.0), HostTimes(0.25, 1.45, 1.45, 0.1)])
    monkeypatch.setattr("qs.doctor.host.host_times", lambda: next(readings))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    found = {each.name: each for each in look(root=tmp_path, watch_s=0.25)}
    assert found["stolen time"].status == WARN and found["stolen time"].figures[
        "share"
    ] == pytest.approx(0.1)
    assert found["other load"].status == WARN and found["other load"].figures[
        "share"
    ] == pytest.approx(0.45)


def test_nothing_is_read_that_is_not_there(tmp_path):
    found = look(root=tmp_path)
    assert len({each.name for each in found}) == len(found) > 15
    assert all(each.value for each in found)
    assert all(each.effect and each.fix for each in found if each.status == WARN)


def test_the_summary_names_what_is_in_the_way(tmp_path):
    found = look(root=lay_out(tmp_path, {f"{FREQ}/scaling_governor": "powersave"}))
    assert "frequency governor: powersave" in sentence(found, None)
    assert "qs doctor" in sentence(found, None)
