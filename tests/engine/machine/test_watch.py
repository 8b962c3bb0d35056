"""What a run and its machine used: figures of real work in this process and its children, within
what is physically possible.
"""

from __future__ import annotations

import builtins
import json
import subprocess
import sys
import threading
import time

import pytest

from qs.engine.machine import times
from qs.engine.machine.times import ThreadUse, WakeUps
from qs.engine.machine.watch import CpuUse, Watch
from qs.engine.record.report import WorkerReport

SPIN = "import time\nwhile time.process_time() < {}: pass"


def spin(cpu_s: float) -> None:
    until = time.thread_time() + cpu_s
    while time.thread_time() < until:
        pass


def test_work_here_and_in_children_is_the_runs():
    watch = Watch()
    spin(0.2)
    subprocess.run([sys.executable, "-c", SPIN.format(0.2)], check=True)
    use = watch.result(["thread"], [[]], [False])
    assert use.run_s >= 0.35
    assert use.conductor_s >= 0.19
    # The system samples who is at work: what it counts of the host may lag behind what it counts
    # of a process.
    assert use.host_busy_s >= use.run_s * 0.5 - 0.05
    assert use.others_s >= 0
    assert 0 <= use.steal_s <= use.elapsed_s * use.host_cpus
    assert 0 <= use.idle_cpus <= use.host_cpus


def test_workers_in_the_conducting_thread_are_not_counted_twice():
    watch = Watch()
    meter, report = ThreadUse(), WorkerReport(0)
    spin(0.1)
    meter.into(report)
    spin(0.05)
    use = watch.result(["inline"], [[report]], [True])
    assert 0.1 <= use.workers_s < 0.14
    assert 0.04 <= use.conductor_s < 0.1


def test_workers_are_told_apart_by_their_group():
    reports = [
        WorkerReport(
            0, cpu_ns=1_000_000_000, wake_up_ns=7, involuntary_switches=3, voluntary_switches=5
        ),
        WorkerReport(1, cpu_ns=500_000_000, involuntary_switches=4),
    ]
    use = Watch().result(
        ["thread", "process"], [reports, [WorkerReport(2, cpu_ns=250_000_000)]], [False, False]
    )
    assert [(group.kind, group.workers, group.cpu_s, group.wake_up_ns) for group in use.groups] == [
        ("thread", 2, 1.5, 7),
        ("process", 1, 0.25, None),
    ]
    assert (use.workers_s, use.voluntary_switches, use.involuntary_switches) == (1.75, 5, 7)


def test_plain_data_of_it_is_json():
    use = CpuUse(
        10.0, 2.0, 2, 1.0, 0.1, run_s=1.2, host_busy_s=1.5, seen_mhz=(3000.0, 2000.0, 2500.0)
    )
    plain = json.loads(json.dumps(use.to_dict()))
    assert plain["frequency_mhz"] == {"least": 2000.0, "last": 2500.0, "looks": 3}
    assert plain["others_s"] == pytest.approx(0.3)
    assert CpuUse(1.0, 2.0, 2, 1.0, 0.1).to_dict()["frequency_mhz"] is None


def test_without_psutil_the_rest_is_still_told(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "psutil":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    use = Watch().result(["thread"], [[WorkerReport(0, cpu_ns=1_000_000)]], [False])
    assert (use.run_s, use.host_busy_s, use.steal_s, use.others_s, use.idle_cpus) == (None,) * 5
    assert use.workers_s == 0.001


def test_psutil_is_imported_only_where_it_is_asked():
    code = "import sys, qs.engine; sys.exit('psutil' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_tick_reads_the_frequency_at_most_once_a_second(monkeypatch):
    watch = Watch()
    looks = []
    monkeypatch.setattr(watch._frequency, "look", lambda: looks.append(time.perf_counter()))
    began = time.perf_counter()
    for _ in range(1_000):
        watch.tick()
    assert len(looks) <= time.perf_counter() - began


def test_host_times_go_forward():
    before = times.host_times()
    spin(0.05)
    after = times.host_times()
    assert after.at_s > before.at_s
    assert after.busy_s >= before.busy_s


def test_a_thread_counts_its_own_switches_and_no_others():
    report = WorkerReport(0)

    def work() -> None:
        meter = ThreadUse()
        for _ in range(20):
            time.sleep(0.003)
        meter.into(report)

    noise = threading.Thread(target=lambda: [time.sleep(0.0001) for _ in range(200)])
    worker = threading.Thread(target=work)
    noise.start()
    worker.start()
    worker.join()
    noise.join()
    if not report.voluntary_switches:
        pytest.skip("this system does not count switches by thread")
    # A sleep that was over before it began, as on a busy machine, is none.
    assert 10 <= report.voluntary_switches < 150
    assert report.cpu_ns < 50_000_000


def test_wake_ups_need_a_few_to_say_what_is_typical():
    wake_ups = WakeUps()
    for _ in range(2):
        wake_ups.waiting(0.0)
        wake_ups.timed_out()
    assert wake_ups.typical_ns() is None
    for _ in range(3):
        wake_ups.waiting(-0.5)
        wake_ups.timed_out()
    assert wake_ups.typical_ns() >= 500_000_000
    wake_ups.waiting(10.0)
    wake_ups.timed_out()
    assert wake_ups.typical_ns() >= 0
