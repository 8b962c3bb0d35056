"""Does a comparison of two runs keep its promise? One target against itself must get no verdict,
and one made 10 % slower must be called slower, while other programs come and go.

Each pair is two whole runs, one after the other, of a target that computes for a fixed number of
steps, with the default duration of a case. A process beside them works for a moment now and then:
--noise is the share of its time. --rounds is the number of pairs of each kind. What the machine
does besides is stated as `other load`; where others take half of it, 10 % cannot be told.

    python bench/two_runs.py [--json] [--quick] [--rounds N] [--noise SHARE]
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import tempfile
import time
from pathlib import Path

from compare import Report, Say, command

from qs.base.files import write_json
from qs.comparison.comparing import compare_results
from qs.comparison.drift import share_of_others
from qs.comparison.sides import Side, from_path
from qs.engine import ClosedLoop, Pool, RunPlan, Stop, run
from qs.evaluate.rows import measured
from qs.result.folder import ReportFolder
from qs.result.record import Record, to_result
from qs.settings.case import Case
from qs.settings.settings import DURATION_S

STEPS, SLOWER, CELLS = 20_000, 1.1, 40


class Spin:
    """Computes for a fixed number of steps."""

    def __init__(self, steps: int):
        self.steps = steps

    def __call__(self, sample: object) -> None:
        for _ in range(self.steps):
            pass


def measure(folder: Path, steps: int, seconds: float) -> Side:
    plan = RunPlan(
        load=ClosedLoop(),
        stop=Stop(duration_s=seconds),
        pool=Pool("thread", workers=1),
        calibrate=False,
        interval_s=seconds / CELLS,
    )
    result = run(plan, Spin(steps))
    report = ReportFolder(folder, "fp32")
    case = Case("bs1-c1", 1, 1, 1, None, seconds, None, "thread", 1, None, ())
    log = report.histogram(case.name)
    log.parent.mkdir(parents=True)
    result.write_hlog(log)
    row = measured(case, result, f"{log.parent.name}/{log.name}")
    record = Record("spin", "CPU", "spin", ["qs"], "0", rows=[row], status="complete")
    write_json(report.result, to_result(record).to_dict())
    return from_path(str(report.result))


def noise(share: float) -> None:
    """Work for some tenths of a second, then rest, so that the share of work is `share`."""
    chance = random.Random(0)
    while True:
        busy = chance.uniform(0.05, 0.5)
        until = time.perf_counter() + busy
        while time.perf_counter() < until:
            pass
        time.sleep(busy * (1.0 - share) / share)


def measure_pairs(options: argparse.Namespace, report: Report, say: Say) -> None:
    seconds = 3.0 if options.quick else DURATION_S
    verdicts: dict[str, list[str]] = {"equal": [], "slower": []}
    others: list[float] = []
    beside = multiprocessing.Process(target=noise, args=(options.noise,), daemon=True)
    if options.noise > 0.0:
        beside.start()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            for kind, factor in (("equal", 1.0), ("slower", SLOWER)):
                sides = [
                    measure(Path(folder, f"{kind}{number}{name}"), int(STEPS * times), seconds)
                    for name, times in (("a", 1.0), ("b", factor))
                ]
                found = compare_results(sides)
                verdicts[kind].append(found.headline.verdict)
                others += [
                    share_of_others(side) or 0.0
                    for case in found.cases
                    for side in (case.a, case.b)
                ]
                say(f"pair {number + 1} of {options.rounds}, {kind}: {found.headline.verdict}")
    if options.noise > 0.0:
        beside.terminate()
    alarms = [float(each in ("slower", "faster", "mixed")) for each in verdicts["equal"]]
    told = [float(each == "slower") for each in verdicts["slower"]]
    wrong = [float(each == "faster") for each in verdicts["slower"]]
    report.figure("other load", "of the machine", others)
    report.figure("wrong direction", "of slower pairs", [sum(wrong) / len(wrong)])
    report.goal("equal pairs with a verdict", "<=", 0.0, [sum(alarms) / len(alarms)], "of all")
    report.goal("slower pairs called slower", ">=", 0.95, [sum(told) / len(told)], "of all")
    for kind, each in verdicts.items():
        report.note(f"{kind}: {', '.join(each)}")


if __name__ == "__main__":
    command(
        "two_runs",
        __doc__,
        measure_pairs,
        rounds=20,
        add_options=lambda parser: parser.add_argument(
            "--noise", type=float, default=0.1, help="share of time that a neighbour works"
        ),
    )
