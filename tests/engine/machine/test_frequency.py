"""CPU frequency and thermal throttling, on a folder that looks like sysfs."""

from __future__ import annotations

from pathlib import Path

from qs.engine.machine.frequency import FrequencyLog


def cpu(
    root: Path, number: int, mhz: int, base: int | None = None, events: int | None = None
) -> None:
    folder = root / f"cpu{number}"
    (folder / "cpufreq").mkdir(parents=True, exist_ok=True)
    (folder / "cpufreq/scaling_cur_freq").write_text(f"{mhz * 1000}\n")
    if base is not None:
        (folder / "cpufreq/base_frequency").write_text(f"{base * 1000}\n")
    if events is not None:
        (folder / "thermal_throttle").mkdir(exist_ok=True)
        (folder / "thermal_throttle/core_throttle_count").write_text(f"{events}\n")


def test_the_busiest_cpu_speaks_for_the_machine(tmp_path):
    cpu(tmp_path, 0, 800, base=2400)
    cpu(tmp_path, 1, 3000, base=2400)
    log = FrequencyLog([0, 1], tmp_path)
    log.look()
    cpu(tmp_path, 1, 1900)
    log.look()
    assert log.seen_mhz == [3000, 1900]
    assert log.base_mhz == 2400


def test_only_events_during_the_run_count(tmp_path):
    cpu(tmp_path, 0, 2000, events=7)
    cpu(tmp_path, 1, 2000, events=1)
    log = FrequencyLog([0, 1], tmp_path)
    assert log.thermal_events() == 0
    cpu(tmp_path, 1, 2000, events=4)
    assert log.thermal_events() == 3


def test_a_machine_that_shows_nothing(tmp_path):
    log = FrequencyLog([0, 1], tmp_path)
    log.look()
    assert (log.seen_mhz, log.base_mhz, log.thermal_events()) == ([], None, None)


def test_a_file_that_cannot_be_read_as_a_number(tmp_path):
    cpu(tmp_path, 0, 2000)
    (tmp_path / "cpu0/cpufreq/scaling_cur_freq").write_text("<unsupported>\n")
    log = FrequencyLog([0], tmp_path)
    log.look()
    assert log.seen_mhz == []
