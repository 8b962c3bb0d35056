"""The promise of a comparison with real runs of the engine, not drawn ones: a target that takes a
stated time, as steadily as the machine lets it.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from qs.base.files import write_json
from qs.comparison.comparing import compare_results
from qs.comparison.sides import from_path
from qs.engine import ClosedLoop, Pool, RunPlan, Stop, run
from qs.evaluate.rows import measured
from qs.result.folder import ReportFolder
from qs.result.record import Record, to_result
from qs.settings.case import Case
from tests.qs.comparison.synthetic import HOST, SHA

SECONDS = 3.0


class Steady:
    """Takes `service_s`: sleeps until shortly before, and looks at the clock for the rest."""

    def __init__(self, service_s: float):
        self.service_s = service_s

    def __call__(self, sample: object) -> None:
        until = time.perf_counter() + self.service_s
        time.sleep(self.service_s - 0.0002)
        while time.perf_counter() < until:
            time.sleep(0)


def measure(folder: Path, service_s: float) -> str:
    stop, pool = Stop(duration_s=SECONDS), Pool("thread", workers=1)
    plan = RunPlan(
        load=ClosedLoop(), stop=stop, pool=pool, calibrate=False, interval_s=SECONDS / 20
    )
    result = run(plan, Steady(service_s))
    report = ReportFolder(folder, "fp32")
    case = Case("bs1-c1", 1, 1, 1, None, SECONDS, None, "thread", 1, None, ())
    log = report.histogram(case.name)
    log.parent.mkdir(parents=True)
    result.write_hlog(log)
    record = Record(
        task="steady",
        hardware="CPU",
        model="steady",
        command=["qs"],
        qs_version="0",
        host=HOST,
        status="complete",
        model_source={"sha256": SHA, "note": ""},
        rows=[measured(case, result, f"{log.parent.name}/{log.name}")],
    )
    write_json(report.result, to_result(record).to_dict())
    return str(report.result)


def verdicts(tmp_path: Path, a_s: float, b_s: float) -> list[str]:
    """Twenty comparisons, A and B measured in turn."""
    found = []
    for number in range(20):
        sides = [
            from_path(measure(tmp_path / f"{side}{number}", service_s))
            for side, service_s in (("a", a_s), ("b", b_s))
        ]
        found.append(compare_results(sides).headline.verdict)
    return found


@pytest.mark.slow
def test_a_target_against_itself(tmp_path):
    found = verdicts(tmp_path, 0.002, 0.002)
    print(found)
    assert sum(each in ("same", "cannot tell") for each in found) >= 19, found


@pytest.mark.slow
def test_a_target_made_10_percent_slower(tmp_path):
    found = verdicts(tmp_path, 0.002, 0.0022)
    print(found)
    assert sum(each == "slower" for each in found) >= 19, found
