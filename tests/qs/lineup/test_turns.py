"""A case in turns: together they are the case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qs.lineup.idle import CpuReading, awake, read_cpu
from qs.lineup.turns import turns_of
from qs.settings.case import Case
from qs.settings.traffic import ScenarioSettings

CASE = Case(
    name="bs1-c1",
    batch_size=1,
    requested_batch_size=1,
    clients=1,
    iterations=None,
    duration_s=None,
    time_limit_s=None,
    pool="thread",
    instances=1,
    intra_op_threads=None,
    affinity=(),
)
POISSON = ScenarioSettings("Poisson", rate_per_s=100.0, duration_s=6.0, seed=5)


def parts(rounds=3, **changes):
    return turns_of(replace(CASE, **changes), rounds).parts


@pytest.mark.parametrize(
    ("changes", "iterations"),
    [
        ({"iterations": 10}, [4, 3, 3]),
        ({"iterations": 2}, [1, 1]),
        ({"iterations": 1}, [1]),
        ({"iterations": 9, "time_limit_s": 3.0}, [3, 3, 3]),
    ],
)
def test_iterations_are_shared_out(changes, iterations):
    assert [each.iterations for each in parts(**changes)] == iterations


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({"duration_s": 6.0}, [2.0] * 3),
        ({"duration_s": 1.0}, [0.5] * 2),  # none is shorter than half a second
        ({"duration_s": 0.2}, [0.2]),
        ({"duration_s": 6.0, "rounds": 1}, [6.0]),
    ],
)
def test_durations_are_shared_out(changes, seconds):
    assert [each.duration_s for each in parts(**changes)] == pytest.approx(seconds)


def test_what_goes_on_until_it_is_known_is_known_together():
    found = parts(time_limit_s=9.0, until_known=0.05, rounds=4)
    assert [each.time_limit_s for each in found] == [2.25] * 4
    assert [each.until_known for each in found] == pytest.approx([0.1] * 4)


def test_arrivals_are_others_in_each_round():
    found = parts(scenario=POISSON, duration_s=6.0)
    assert [each.scenario.seed for each in found] == [5, 6, 7]
    assert [each.scenario.duration_s for each in found] == [2.0] * 3


@pytest.mark.parametrize("name", ["Server", "Offline", "SingleStream", "stages", "replay"])
def test_a_schedule_and_mlperfs_rules_are_of_a_whole_run(name):
    case = replace(CASE, scenario=ScenarioSettings(name, duration_s=60.0), duration_s=60.0)
    assert turns_of(case, 3).parts == (case,)


@pytest.mark.parametrize(
    ("used_s", "passed_s", "share"),
    [
        (1.0, 1.0, 1.0),
        (3.0, 2.0, 1.5),
        (0.2, 1.0, None),  # a thread pool that spins for a moment
        (0.4, 100.0, None),  # a watchdog
    ],
)
def test_who_computes_when_not_asked_to(used_s, passed_s, share):
    assert awake(CpuReading(7, 5.0, 0.0), CpuReading(7, 5.0 + used_s, passed_s)) == share


def test_another_process_or_none_is_not_awake(tmp_path):
    before = CpuReading(7, 0.0, 0.0)
    assert awake(before, CpuReading(8, 9.0, 9.0)) is None
    assert awake(None, before) is awake(before, None) is None
    assert read_cpu(None) is None
    assert read_cpu(7, tmp_path) is None
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_text("7 (a) S b) S 1 7 7 0 -1 0 0 0 0 0 250 50 100 0 20 0 1")
    found = read_cpu(7, tmp_path)
    assert found is not None and found.used_s == pytest.approx(4.0)
