"""How much runs differ with nothing changed: what the results say of it, what a run shows in its
quarters, and what other programs did.
"""

from __future__ import annotations

import numpy as np
import pytest

from qs.comparison.drift import drift, other_load
from qs.comparison.measured import METRICS, CaseRuns
from qs.comparison.noise import ASSUMED, ASSUMED_SPREAD, known_spread
from qs.result.logs import Series
from qs.result.result import Result
from qs.result.row import Row

THROUGHPUT, MEAN = METRICS[:2]
UNMEASURED = {
    **dict.fromkeys(("BS", "QPS", "AVG Latency", "P99 Latency")),
    "Mode": "QS",
    "Verdict": "VALID",
    "Reasons": [],
    "Warnings": [],
}


def result(spread: object = None) -> Result:
    check = {"summary": "", "findings": [], "self_benchmark": {"spread": spread}}
    return Result.model_validate(
        {
            "Model": "M",
            "Backend": "CPU",
            "Host Info": None,
            "Version": None,
            "Execution Date": "",
            "schema_version": 1,
            "Status": "complete",
            "Verdict": "VALID",
            "Reasons": [],
            "Warnings": [],
            "Task": "t",
            "Command": [],
            "QS Version": "0",
            "Started": "",
            "Machine Check": check,
        }
    )


@pytest.mark.parametrize(
    ("spreads", "share"),
    [
        ((0.02, 0.02), 0.02),
        ((0.03, 0.04), (0.0025 / 2) ** 0.5),
        ((0.02, None), ((0.02**2 + ASSUMED**2) / 2) ** 0.5),
        ((None, None), ASSUMED),
        (("0.5", True), ASSUMED),
        ((-1.0, 1e9), ASSUMED),
        ((float("nan"), []), ASSUMED),
    ],
)
def test_the_spread_that_two_results_state(spreads, share):
    found = known_spread([result(each) for each in spreads])
    assert found.share == pytest.approx(share, rel=1e-3)
    assert (found is ASSUMED_SPREAD) == (share == ASSUMED)


def series(per_cell: np.ndarray) -> Series:
    """A run whose cells of 0.25 s complete so many queries, each at once."""
    ones = np.full(per_cell.size, 0.25)
    return Series(ones, per_cell[:, None].astype(float), np.array([1e6]), np.array([1e6]))


def side(run: Series | None = None, **use: float) -> CaseRuns:
    row = Row.model_validate(UNMEASURED | ({"CPU Use": use} if use else {}))
    return CaseRuns((row,), run, 1)


def test_independent_noise_is_no_drift_and_a_drift_is():
    rng = np.random.default_rng(0)
    white = [drift(side(series(rng.poisson(400, 40))), THROUGHPUT, rng)[0] for _ in range(20)]
    assert np.mean(white) < 3 / (40 * 400)  # of the order of what the run as a whole varies by
    wandering = 400 * np.exp(0.15 * np.sin(np.arange(40) / 40 * 2 * np.pi))
    found, freedom = drift(side(series(wandering)), THROUGHPUT, rng)
    assert freedom == 3 and 0.05 < found**0.5 < 0.15


@pytest.mark.parametrize("cells", [0, 1, 3])
def test_too_few_cells_show_no_drift(cells):
    found = drift(side(series(np.full(cells, 9))), MEAN, np.random.default_rng(0))
    assert found[0] == 0.0


def test_repeats_and_missing_logs_show_no_drift():
    assert drift(side(), MEAN, np.random.default_rng(0)) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("a", "b", "error"),
    [
        (0.0, 0.0, 0.0),
        (0.0, 0.5, 0.52),
        (0.5, 0.5, 0.21),
        (0.05, 0.05, 0.0021),
        (0.02, 0.03, 0.01),
    ],
)
def test_what_other_programs_did_widens_the_interval(a, b, error):
    sides = [
        side(elapsed_s=10.0, host_cpus=2, others_s=20 * share - 1e-9, steal_s=0.0)
        for share in (a, b)
    ]
    assert other_load(*sides) ** 0.5 == pytest.approx(error, abs=0.02 if error > 0.1 else 0.002)
    assert other_load(sides[0], side()) <= other_load(*sides) + 1e-9
