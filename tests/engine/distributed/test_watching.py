from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from qs.engine import ConstantRate, Histogram, RunPlan, Stop
from qs.engine.conduct.lead import Snapshot
from qs.engine.distributed import shares_of
from qs.engine.distributed.leading.follower import Follower
from qs.engine.distributed.leading.watching import Whole
from qs.engine.distributed.results.checkpoints import log_of, plain_snapshot, snapshot_of
from qs.engine.distributed.results.updates import Update

PLAN = RunPlan(load=ConstantRate(1_000), stop=Stop(duration_s=10))
MS = 1_000_000


def histogram(values_ms: list[int]) -> Histogram:
    made = Histogram()
    made.record(np.array(values_ms, np.int64) * MS)
    return made


def update(late_ms: list[int], as_told: bool) -> Update:
    times, lateness = histogram([1] * len(late_ms)), histogram(late_ms)
    kept = Snapshot(2_000, 1_000, len(late_ms), {}, times, times, lateness)
    if as_told:
        kept = snapshot_of(plain_snapshot(kept))
    return Update(2_000, 1_000, 1_000, 1_000, len(late_ms), 0, 2_000, snapshot=kept)


@pytest.mark.parametrize("as_told", [False, True])
def test_lateness_is_that_of_the_last_checkpoints_of_all_nodes(as_told):
    node = SimpleNamespace(name="a", link=SimpleNamespace(heard_ns=0), lost="")
    followers = [
        Follower(node, share, index, log_of(PLAN, 3))
        for index, share in enumerate(shares_of(PLAN, 3))
    ]
    whole = Whole(PLAN, watched=True)
    rng = np.random.default_rng(1)
    told: list[list[int]] = [[], [], []]
    for turn in range(20):
        index = turn % 3
        told[index] = [*told[index], *rng.integers(0, 500, 30).tolist()]
        whole.hear(followers[index], update(told[index], as_told))
        every = histogram([late for each in told for late in each])
        shown = whole.progress(followers, 3 * MS, 0, False).lateness_p99_ns
        assert shown == every.value_at(99)
    followers[0].lose(RuntimeError("gone"), 0)
    whole.hear(followers[0], update([400] * 1_000, as_told))  # nobody hears it any more
    assert whole.progress(followers, 3 * MS, 0, False).lateness_p99_ns == every.value_at(99)
