"""Schedules: exact rates, the right distributions, the same due times from the same seed, and
shards that make the whole.
"""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qs.engine.load import ConstantRate, Gamma, Poisson, Replay, Schedule, Stage, Stages
from qs.engine.load.schedule import BLOCK, bounded, striped

STEPS = Stages((Stage(2, 100), Stage(1, 0), Stage(3, 50), Stage(2, 400, ramp=True)))


def first(schedule: Schedule, count: int) -> np.ndarray:
    blocks = list(bounded(schedule.blocks(), None, count))
    return np.concatenate(blocks) if blocks else np.zeros(0, np.int64)


def whole(schedule: Schedule, until_s: float | None = None) -> np.ndarray:
    until_ns = None if until_s is None else int(until_s * 1e9)
    blocks = list(bounded(schedule.blocks(), until_ns, None))
    return np.concatenate(blocks) if blocks else np.zeros(0, np.int64)


def kolmogorov_smirnov(samples: np.ndarray, distribution) -> float:
    """sqrt(n) times the greatest distance of the empirical distribution to the given one; 1.63 is
    exceeded once in 100 cases.
    """
    ordered = np.sort(samples)
    n = ordered.size
    expected = distribution(ordered)
    above = np.arange(1, n + 1) / n - expected
    below = expected - np.arange(n) / n
    return float(np.sqrt(n) * max(above.max(), below.max()))


# -- what every schedule keeps


@pytest.mark.parametrize(
    "schedule",
    [
        ConstantRate(1_000),
        ConstantRate(0.3),
        ConstantRate(3e6),
        Poisson(1_000),
        Poisson(2e6, seed=None),
        Gamma(1_000, 0.1),
        Gamma(3e6, 7.0, seed=None),
        Gamma(0.01, 0.001),
        STEPS,
        Stages(STEPS.stages, seed=3),
        Replay((3.0, 1.0, 2.0)),
    ],
    ids=repr,
)
def test_blocks_are_int64_in_order_and_bounded(schedule):
    assert isinstance(schedule, Schedule)
    assert schedule.faults() == []
    last = 0
    for block in islice(schedule.blocks(), 4):
        assert block.dtype == np.int64
        assert 0 < block.size <= BLOCK
        assert block[0] >= last
        assert (np.diff(block) >= 0).all()
        last = int(block[-1])


@given(
    st.lists(st.lists(st.integers(0, 50), max_size=12), max_size=6),
    st.integers(0, 60),
    st.integers(0, 40),
)
@settings(max_examples=50)
def test_bounded_cuts_at_time_and_count(parts, until, count):
    flat = sorted(offset for part in parts for offset in part)
    blocks, at = [], 0
    for part in parts:
        blocks.append(np.array(flat[at : at + len(part)], np.int64))
        at += len(part)
    expected = [offset for offset in flat if offset < until][:count]
    found = [int(offset) for block in bounded(iter(blocks), until, count) for offset in block]
    assert found == expected


def test_bounded_takes_no_more_blocks_than_it_needs():
    taken = []

    def blocks():
        for number in range(10):
            taken.append(number)
            yield np.array([number * 10, number * 10 + 5], np.int64)

    assert [block.tolist() for block in bounded(blocks(), None, 4)] == [[0, 5], [10, 15]]
    assert taken == [0, 1]


@given(st.lists(st.integers(1, 9), max_size=8), st.integers(1, 5))
@settings(max_examples=50)
def test_stripes_make_the_whole(sizes, of):
    edges = np.cumsum([0, *sizes])
    blocks = [np.arange(start, end) for start, end in zip(edges, edges[1:])]
    stripes = [
        [int(x) for block in striped(iter(blocks), index, of) for x in block] for index in range(of)
    ]
    assert stripes == [list(range(index, int(edges[-1]), of)) for index in range(of)]


@pytest.mark.parametrize("of", [1, 2, 3, 7])
@pytest.mark.parametrize(
    "schedule",
    [
        ConstantRate(997),
        STEPS,
        Stages(STEPS.stages, seed=5),
        Gamma(3_000, 0.3, seed=5),
        Replay(np.random.default_rng(1).uniform(0, 8, 40_000)),
    ],
    ids=["constant", "stages", "stages-poisson", "gamma", "replay"],
)
def test_shards_together_are_the_schedule(schedule, of):
    shards = [whole(schedule.shard(index, of), 8) for index in range(of)]
    assert np.array_equal(np.sort(np.concatenate(shards)), whole(schedule, 8))
    sizes = [shard.size for shard in shards]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    "schedule",
    [ConstantRate(997), STEPS, Gamma(300, 2.0), Replay(tuple(np.linspace(0, 8, 1_000)))],
    ids=repr,
)
def test_shards_of_shards_together_are_the_schedule(schedule):
    parts = [
        whole(schedule.shard(outer, 2).shard(inner, 3), 8)
        for outer in range(2)
        for inner in range(3)
    ]
    assert np.array_equal(np.sort(np.concatenate(parts)), whole(schedule, 8))


@pytest.mark.parametrize("rate", [1e-7, 1e-12, 1e-310])
@pytest.mark.parametrize(
    "make",
    [
        ConstantRate,
        Poisson,
        lambda rate: Gamma(rate, 0.5),
        lambda rate: Gamma(rate, 0.001),
        lambda rate: Stages((Stage(1e13, rate),)),
    ],
)
def test_a_rate_too_low_for_any_request_is_due_late_and_not_before_the_start(make, rate):
    """An int64 of nanoseconds holds 292 years."""
    for block in islice(make(rate).blocks(), 3):
        assert block[0] >= 0 and (np.diff(block) >= 0).all()


# -- constant rate


@pytest.mark.parametrize(
    ("rate", "number"), [(1, 10), (3, 100_000), (1_000, 50_000), (333.25, 40_000), (1e6, 200_000)]
)
def test_constant_rate_is_exact_to_a_nanosecond_and_does_not_drift(rate, number):
    due = first(ConstantRate(rate), number + 1)
    assert due.size == number + 1
    assert due[0] == 0
    assert abs(int(due[number]) - number * 1e9 / rate) <= 1
    assert int(np.diff(due).max()) - int(np.diff(due).min()) <= 1


def test_constant_rate_for_a_second_has_its_rate_of_requests():
    assert whole(ConstantRate(1_234), 1).size == 1_234


# -- Poisson


def test_poisson_has_its_rate_and_exponential_gaps():
    due = first(Poisson(1_000, seed=11), 50_000)
    assert due[-1] / 1e9 == pytest.approx(50, rel=0.02)
    gaps_s = np.diff(due, prepend=0) / 1e9
    assert kolmogorov_smirnov(gaps_s, lambda x: 1 - np.exp(-1_000 * x)) < 1.63
    # and one gap says nothing about the next
    assert abs(np.corrcoef(gaps_s[:-1], gaps_s[1:])[0, 1]) < 3 / np.sqrt(gaps_s.size)


def test_poisson_counts_vary_as_much_as_their_mean():
    per_second = np.bincount(whole(Poisson(200, seed=2), 500) // 1_000_000_000, minlength=500)
    assert per_second.mean() == pytest.approx(200, rel=0.02)
    assert per_second.var() / per_second.mean() == pytest.approx(1, abs=4 * np.sqrt(2 / 500))


def test_the_test_of_distribution_can_fail():
    gaps_s = np.diff(first(ConstantRate(1_000), 5_000)) / 1e9
    assert kolmogorov_smirnov(gaps_s, lambda x: 1 - np.exp(-1_000 * x)) > 10


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: Poisson(800, seed),
        lambda seed: Gamma(800, 0.5, seed),
        lambda seed: Stages(STEPS.stages, seed),
    ],
)
def test_the_seed_decides_the_due_times(make):
    def due(seed):
        return first(make(seed), 400)

    assert np.array_equal(due(4), due(4))
    assert np.array_equal(due(0), due(0))
    assert not np.array_equal(due(0), due(4))


def test_poisson_due_times_are_the_same_on_every_machine():
    assert first(Poisson(1_000, seed=0), 4).tolist() == [679_931, 1_699_529, 1_719_335, 1_721_604]


def test_unseeded_poisson_is_new_each_time():
    assert not np.array_equal(first(Poisson(100, None), 20), first(Poisson(100, None), 20))


def test_poisson_shards_are_independent_and_add_up_to_the_rate():
    shards = [whole(Poisson(3_000, seed=6).shard(index, 3), 20) for index in range(3)]
    for one in shards:
        assert one.size == pytest.approx(20_000, rel=0.03)
    assert not np.array_equal(shards[0][:100], shards[1][:100])
    together = np.sort(np.concatenate(shards))
    assert together.size == pytest.approx(60_000, rel=0.02)
    gaps_s = np.diff(together, prepend=0) / 1e9
    # Whole nanoseconds make ties of the shortest gaps; at 3,000/s they are far below what the test
    # resolves.
    assert kolmogorov_smirnov(gaps_s, lambda x: 1 - np.exp(-3_000 * x)) < 1.63


def test_poisson_shards_of_shards_differ():
    parts = [
        first(Poisson(400, 1).shard(outer, 2).shard(inner, 2), 50)
        for outer in range(2)
        for inner in range(2)
    ]
    assert len({tuple(part.tolist()) for part in parts}) == 4


# -- gamma


@given(st.floats(0.05, 40.0), st.floats(0.1, 1e6), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_gamma_has_its_rate_and_its_burstiness(shape, rate, seed):
    """The variation of its gaps is 1 / sqrt(shape); within six standard errors."""
    count = 30_000
    schedule = Gamma(rate, shape, seed)
    assert schedule.faults() == []
    gaps = np.diff(first(schedule, count)).astype(float)
    variation = shape**-0.5
    assert gaps.mean() * rate / 1e9 == pytest.approx(1, abs=6 * variation / count**0.5 + 1e-3)
    error = ((6 / shape + 2) / 4 + variation**2) ** 0.5 / count**0.5
    assert gaps.std() / gaps.mean() == pytest.approx(variation, rel=6 * error + 1e-3)


@pytest.mark.parametrize(
    ("shape", "distribution"),
    [
        (0.5, lambda x: np.vectorize(math.erf)(np.sqrt(500 * x))),
        (1.0, lambda x: 1 - np.exp(-1_000 * x)),
        (2.0, lambda x: 1 - (1 + 2_000 * x) * np.exp(-2_000 * x)),
    ],
)
def test_gaps_are_gamma_distributed(shape, distribution):
    gaps_s = np.diff(first(Gamma(1_000, shape, seed=7), 20_000)) / 1e9
    assert kolmogorov_smirnov(gaps_s, distribution) < 1.63


def test_gamma_has_its_rate_from_the_start_on():
    """Were the first gap like the others, a burst would stand at the start of every run: some
    (1 / shape - 1) / 2 requests too many.
    """
    counts = [whole(Gamma(100, 0.1, seed), 0.05).size for seed in range(800)]
    assert np.mean(counts) == pytest.approx(5, abs=1.2)


def test_gamma_due_times_are_the_same_on_every_machine():
    assert first(Gamma(1_000, 0.5, seed=0), 4).tolist() == [1311778, 1312324, 5082292, 6385312]


def test_unseeded_gamma_is_seeded_before_a_run():
    seeded = Gamma(100, 0.5, None).seeded()
    assert seeded.seed is not None and seeded.seeded() is seeded
    assert np.array_equal(first(seeded, 20), first(seeded, 20))


# -- stages


def test_steps_have_their_counts_and_gaps():
    due = whole(STEPS) / 1e9
    assert ((due < 2).sum(), ((due >= 2) & (due < 3)).sum(), ((due >= 3) & (due < 6)).sum()) == (
        200,
        0,
        150,
    )
    assert np.allclose(np.diff(due[due < 2]), 0.01)
    assert np.allclose(np.diff(due[(due >= 3) & (due < 6)]), 0.02)


def test_a_ramp_follows_the_integral_of_its_rate():
    """From 50/s to 400/s in 2 s: R(t) = 50 t + 87.5 t^2, so 450 requests, of which 137.5 in the
    first second.
    """
    due = whole(STEPS) / 1e9 - 6
    due = due[due >= 0]
    assert due.size == 450
    assert (due < 1).sum() == pytest.approx(137.5, abs=1)
    assert np.allclose(50 * due + 87.5 * due**2, np.arange(450), atol=1e-4)


def test_a_ramp_from_nothing_and_one_to_nothing():
    up = whole(Stages((Stage(10, 100, ramp=True),))) / 1e9
    assert up.size == 500
    assert np.allclose(5 * up**2, np.arange(500), atol=1e-4)
    down = whole(Stages((Stage(1, 100), Stage(10, 0, ramp=True)))) / 1e9
    assert down.size == 600
    assert down.max() < 11


def test_expected_and_rate_at():
    assert STEPS.expected == 200 + 0 + 150 + 450
    assert STEPS.duration_s == 8
    assert [STEPS.rate_at(t) for t in (0, 1.9, 2.5, 3, 6, 7, 8, 100)] == [
        100,
        100,
        0,
        50,
        50,
        225,
        0,
        0,
    ]


def test_seeded_stages_are_poisson_of_the_same_rate():
    due = whole(Stages((Stage(20, 500), Stage(20, 2_000, ramp=True)), seed=9)) / 1e9
    flat = due[due < 20]
    assert kolmogorov_smirnov(np.diff(flat, prepend=0), lambda x: 1 - np.exp(-500 * x)) < 1.63
    ramp = due[due >= 20] - 20
    assert ramp.size == pytest.approx(25_000, rel=0.03)
    # Given their number, the arrivals of a Poisson process are distributed as its rate is.
    assert kolmogorov_smirnov(ramp, lambda t: (500 * t + 37.5 * t**2) / 25_000) < 1.63


def test_stages_over_many_blocks_lose_nothing_at_the_joints():
    stages = Stages(tuple(Stage(1, rate) for rate in (BLOCK, 3, BLOCK - 1, BLOCK + 1, 1)))
    assert whole(stages).size == stages.expected
    assert np.bincount(whole(stages) // 1_000_000_000).tolist() == [
        BLOCK,
        3,
        BLOCK - 1,
        BLOCK + 1,
        1,
    ]


# -- faults


@pytest.mark.parametrize(
    ("schedule", "named"),
    [
        (ConstantRate(0), ["rate_per_s"]),
        (ConstantRate(-1), ["rate_per_s"]),
        (ConstantRate(float("nan")), ["rate_per_s"]),
        (Poisson(float("inf")), ["rate_per_s"]),
        (Gamma(0, 0), ["rate_per_s: 0", "burstiness: 0"]),
        (Gamma(1, float("nan")), ["burstiness: nan"]),
        (Gamma(1, 1e7, seed=-1), ["burstiness: 10000000.0", "seed: -1"]),
        (Gamma(1, "1"), ["burstiness: '1'"]),
        (Gamma(1, index=2, of=2), ["index: 2"]),
        (Stages(()), ["stages: empty"]),
        (
            Stages((Stage(0, 5), Stage(1, -1), Stage(1, 1))),
            ["stages[0].duration_s: 0", "stages[1].rate_per_s: -1"],
        ),
        (Stages((Stage(1, 0), Stage(2, 0))), ["every rate is 0"]),
        (Replay(()), ["empty"]),
        (Replay((0.0, -1.0)), ["at least 0"]),
        (Replay((0.0, float("nan"))), ["finite"]),
        (Replay((), speed=0), ["empty", "speed: 0"]),
    ],
)
def test_faults_name_what_is_wrong(schedule, named):
    found = schedule.faults()
    assert len(found) == len(named)
    for fault, part in zip(found, named):
        assert part in fault
