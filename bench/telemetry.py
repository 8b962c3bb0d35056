"""What reading the machine's power costs: CPU time of the reading threads as a share of one core,
and what a request loses by it.

The machine is a folder that looks like one: two sockets with their memory, sensors, accelerators, a
battery, and the system's own /proc/stat; every source reads as many files as on a server. The worst
case is measured: the target is Python, in the same process as the readings, and wants the
interpreter for itself. `qs run` has the backend in another process.

    python bench/telemetry.py [--json] [--quick]
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

from compare import Report, Say, command, interleaved, pairwise

from qs.engine import ClosedLoop, Pool, RunPlan, Stop, run
from qs.telemetry.series import Phase
from qs.telemetry.watching import Telemetry

GOAL_SHARE = 0.005
GOAL_RATIO = 0.99
WITH, WITHOUT = "with readings", "without"
LOOPS = 200
INTERVALS_S = (1.0, 0.1)


def target(sample: object) -> None:
    """Some microseconds of Python."""
    for _ in range(LOOPS):
        pass


def server(root: Path) -> Path:
    """Every file that a source looks for on a machine of two sockets."""
    files: dict[str, object] = {}
    for socket in range(2):
        top = f"sys/class/powercap/intel-rapl:{socket}"
        for at, name in (("", f"package-{socket}"), (":0", "core"), (":1", "dram")):
            files |= {f"{top}{at}/name": name, f"{top}{at}/energy_uj": 123456789}
            files[f"{top}{at}/max_energy_range_uj"] = 262143328850
    for number, driver in enumerate(("coretemp", "coretemp", "amdgpu", "amdgpu")):
        chip = f"sys/class/hwmon/hwmon{number}"
        files |= {f"{chip}/name": driver, f"{chip}/temp1_input": 45000}
        files[f"{chip}/temp1_label"] = "edge" if driver == "amdgpu" else "Package id 0"
        files[f"{chip}/power1_average"] = 31000000
    battery = "sys/class/power_supply/BAT0"
    files |= {f"{battery}/type": "Battery", f"{battery}/status": "Discharging"}
    files[f"{battery}/power_now"] = 12000000
    for name, value in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc" / "stat").symlink_to("/proc/stat")
    return root


def measured(telemetry: Telemetry | None, seconds: float) -> tuple[float, float]:
    """Mean service time in ns, and the readings' share of a core."""
    plan = RunPlan(
        load=ClosedLoop(1), stop=Stop(duration_s=seconds), pool=Pool("thread"), calibrate=False
    )
    if telemetry is None:
        return run(plan, target).service.mean_ns, 0.0
    watched = telemetry.watch()
    result = run(plan, target, beside=watched)
    summary = watched.summary(Phase(result.start_ns, result.wall_s))
    assert summary is not None
    return result.service.mean_ns, summary.cost_share


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    seconds = 0.3 if options.quick else 5.0
    with tempfile.TemporaryDirectory() as folder:
        root = server(Path(folder))
        opened = {each: Telemetry(each, root) for each in INTERVALS_S}
        try:
            sides = {WITHOUT: partial(measured, None, seconds)} | {
                f"{WITH} every {each:g} s": partial(measured, telemetry, seconds)
                for each, telemetry in opened.items()
            }
            found = interleaved(sides, options.rounds, say)
        finally:
            for telemetry in opened.values():
                telemetry.close()
    times = {name: [ns for ns, _ in values] for name, values in found.items()}
    for name, values in times.items():
        report.figure(f"service time of a request, {name}", "ns", values)
    for name in list(sides)[1:]:
        shares = [100.0 * share for _, share in found[name]]
        report.goal(f"CPU time of the reading threads, {name}", "<=", 100 * GOAL_SHARE, shares, "%")
        ratios = pairwise(times[WITHOUT], times[name])
        report.goal(f"{WITHOUT} / {name}", ">=", GOAL_RATIO, ratios, "x")


if __name__ == "__main__":
    command("telemetry", __doc__, measure, rounds=7)
