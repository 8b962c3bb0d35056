"""Dynamic batching: requests due close together share a call, each with its own times; nothing is
lost at the edges.
"""

from __future__ import annotations

import numpy as np
import pytest

from qs.engine import ConstantRate, Pool, Replay, RunPlan, Stop, run
from qs.engine.plan import Batching
from tests.fakes import MS, S, VirtualClock


class Batches:
    """A target on a virtual clock that remembers the batches it was given; each takes 10 ms."""

    def __init__(self, clock: VirtualClock | None = None):
        self.clock = clock
        self.sizes: list[int] = []

    def __call__(self, sample: np.ndarray) -> None:
        self.sizes.append(len(sample))
        if self.clock is not None:
            self.clock.advance_ns(10 * MS)


ONE = [np.zeros((1, 2), np.float32)]


def batched(due_s, target: Batches, **options):
    plan = RunPlan(Replay(tuple(due_s)), pool=Pool("inline"), batching=Batching(**options))
    return run(plan, target, samples=ONE, clock=target.clock, keep_columns=True)


@pytest.mark.parametrize(
    ("due_ms", "size", "delay_ms", "batches", "response_ms"),
    [
        ([0, 1, 2, 50], 4, 5, [3, 1], [15, 14, 13, 15]),  # closes 5 ms after its oldest
        (
            [0, 1, 2, 3, 4],
            2,
            5,
            [2, 2, 1],
            [11, 10, 19, 18, 27],
        ),  # full at once; the others wait for the worker
        ([0, 0, 0], 8, 0, [3], [10, 10, 10]),  # all that is due when the worker is free
        ([0, 30, 60], 8, 5, [1, 1, 1], [15, 15, 15]),
    ],
)
def test_batches_close_when_full_or_when_their_time_is_up(
    due_ms, size, delay_ms, batches, response_ms
):
    target = Batches(VirtualClock())
    due_s = [ms / 1_000 for ms in due_ms]
    result = batched(due_s, target, max_batch_size=size, max_delay_us=delay_ms * 1_000)
    assert target.sizes == batches
    took = (result.columns["completed_ns"] - result.columns["due_ns"]) / MS
    assert sorted(took.tolist()) == pytest.approx(sorted(response_ms), abs=0.001)
    assert (result.completed, result.errors) == (len(due_ms), 0)


@pytest.mark.parametrize("workers", [1, 3])
def test_every_request_is_in_one_batch(workers):
    target = Batches()
    plan = RunPlan(
        ConstantRate(2_000),
        Stop(iterations=400),
        Pool("thread", workers=workers),
        batching=Batching(8, max_delay_us=2_000),
    )
    result = run(plan, target, samples=ONE, keep_columns=True)
    assert (result.completed, sum(target.sizes)) == (400, 400)
    assert max(target.sizes) <= 8
    assert np.array_equal(
        np.sort(result.columns["due_ns"]), next(ConstantRate(2_000).blocks())[:400]
    )


def test_a_failed_batch_fails_all_its_requests():
    clock = VirtualClock()
    target = Batches(clock)

    def faulty(sample):
        target(sample)
        if len(target.sizes) == 2:
            raise ValueError("the second")

    plan = RunPlan(
        Replay(tuple(k / 100 for k in range(12))),
        pool=Pool("inline"),
        batching=Batching(3, max_delay_us=20_000),
    )
    result = run(plan, faulty, samples=ONE, clock=clock)
    assert (result.completed, result.errors_by_kind) == (9, {"ValueError": 3})
    assert result.response.count == 9


def test_samples_that_cannot_be_joined_are_failed_requests():
    """The fault of joining ended the worker without a word."""

    def collate(samples):
        raise TypeError("cannot be joined")

    plan = RunPlan(
        Replay((0.0, 0.01)),
        pool=Pool("inline"),
        batching=Batching(2, max_delay_us=0, collate=collate),
    )
    result = run(plan, Batches(), samples=ONE)
    assert (result.completed, result.errors_by_kind) == (0, {"TypeError": 2})


def test_workers_that_wait_for_another_s_batch_do_not_hang():
    """They were taken for hung when a batch took longer to come than the time-out."""
    plan = RunPlan(
        Replay((0.0, 1.2)),
        pool=Pool("thread", workers=3),
        timeout_s=0.3,
        batching=Batching(4, max_delay_us=1_000),
    )
    result = run(plan, Batches(), samples=ONE)
    assert (result.completed, result.errors_by_kind) == (2, {})


def test_a_line_that_is_worked_off_in_batches_keeps_its_due_times():
    clock = VirtualClock()
    target = Batches(clock)
    result = batched(np.arange(1_000) / 1_000, target, max_batch_size=50, max_delay_us=0)
    assert result.completed == 1_000
    # 10 ms of arrivals fall due during each call, so batches of about ten hold the rate.
    assert np.median(target.sizes) == pytest.approx(10, abs=1)
    assert result.response.max_ns <= 21 * MS
    assert result.wall_s * S <= 1.02 * S
