"""The promise of a comparison: noise is not called a difference, and 10 % slower is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from qs.comparison.comparing import compare_results
from qs.comparison.sides import from_path
from tests.qs.comparison.synthetic import Drawn, Noise, write_result

QUIET = {"same", "cannot tell"}


def verdict(tmp_path: Path, seed: int, a: Drawn, b: Drawn) -> str:
    """Two results, drawn independently of each other."""
    first = write_result(tmp_path / f"a{seed}", 2 * seed, [a])
    second = write_result(tmp_path / f"b{seed}", 2 * seed + 1, [b])
    return compare_results([from_path(str(first)), from_path(str(second))]).headline.verdict


@pytest.mark.parametrize(
    ("noise", "repeats"),
    [
        (Noise(), 1),
        (Noise(slow=0.06, lasts=500.0), 1),
        pytest.param(Noise(run=0.02), 3, marks=pytest.mark.slow),
    ],
    ids=["usual", "noise that lasts for a second", "runs that differ, repeated"],
)
def test_a_target_against_itself_20_times(tmp_path, noise, repeats):
    drawn = Drawn(noise=noise, repeats=repeats, seconds=8.0 / repeats, interval_s=0.25 / repeats)
    verdicts = [verdict(tmp_path, seed, drawn, drawn) for seed in range(20)]
    assert sum(each in QUIET for each in verdicts) >= 19, verdicts


@pytest.mark.parametrize("repeats", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_target_made_10_percent_slower_20_times(tmp_path, repeats):
    drawn = Drawn(repeats=repeats, seconds=8.0 / repeats, interval_s=0.25 / repeats)
    slower = Drawn(
        repeats=repeats,
        seconds=drawn.seconds,
        interval_s=drawn.interval_s,
        base_ns=1.1 * drawn.base_ns,
    )
    verdicts = [verdict(tmp_path, seed, drawn, slower) for seed in range(20)]
    assert sum(each == "slower" for each in verdicts) >= 19, verdicts
    back = [verdict(tmp_path, seed, slower, drawn) for seed in range(100, 105)]
    assert back == ["faster"] * 5


def test_a_result_against_the_same_file_is_never_different(tmp_path):
    path = str(write_result(tmp_path, 1))
    found = compare_results([from_path(path), from_path(path)])
    assert found.headline.verdict in QUIET
    assert {each.change for case in found.cases for each in case.differences} == {0.0}
