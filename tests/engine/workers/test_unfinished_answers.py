"""An answer that is not there yet is no answer: timing it would measure nothing."""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing.pool
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from qs.engine import (
    Batching,
    ClosedLoop,
    ConstantRate,
    Factory,
    HostError,
    Poisson,
    Pool,
    RunPlan,
    Stop,
    run,
)
from qs.engine.errors import UnfinishedAnswer
from qs.engine.workers.answers import look


async def fetch(sample: Any) -> int:
    await asyncio.sleep(0.01)
    return 1


def make_fetch() -> Callable[[Any], Any]:
    return fetch


class Fetcher:
    async def __call__(self, sample: Any) -> int:
        return await fetch(sample)


def parts(sample: Any) -> Any:
    yield 1


async def async_parts(sample: Any) -> Any:
    yield 1


class Awaitable:
    def __await__(self) -> Any:
        return iter(())


TARGETS = {
    "coroutine": lambda sample: fetch(sample),
    "awaitable object": lambda sample: Awaitable(),
    "future": lambda sample: concurrent.futures.Future(),
    "generator": parts,
    "async generator": async_parts,
    "factory of a coroutine function": Factory(f"{__name__}:make_fetch"),
    "factory of an object with async __call__": Factory(f"{__name__}:Fetcher"),
}
PLANS = {
    "closed loop": RunPlan(ClosedLoop(iterations=20)),
    "closed loop, warm-up": RunPlan(ClosedLoop(iterations=20), warmup_iterations=1),
    "inline": RunPlan(ClosedLoop(iterations=20), pool=Pool("inline")),
    "processes": RunPlan(ClosedLoop(iterations=20), pool=Pool("process")),
    "open loop": RunPlan(ConstantRate(200), Stop(iterations=20), Pool(workers=2)),
    "open loop, one worker": RunPlan(Poisson(200), Stop(iterations=20)),
    "shared calls": RunPlan(ConstantRate(200), Stop(iterations=20), batching=Batching(2)),
}


@pytest.mark.filterwarnings("ignore:coroutine 'fetch' was never awaited:RuntimeWarning")
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_it_is_refused_in_every_pool_and_load(plan: RunPlan, target: Any) -> None:
    if plan.pool.kind == "process" and not isinstance(target, Factory):
        pytest.skip("what is made here is not what another process would import")
    with pytest.raises(HostError, match="the target returned a") as refused:
        run(plan, target, [1.0])
    assert refused.value.is_a(UnfinishedAnswer)


@pytest.mark.parametrize("load", [ClosedLoop(iterations=5), ConstantRate(200)], ids=repr)
def test_a_coroutine_function_that_returns_one_is_refused_too(load: Any) -> None:
    async def outer(sample: Any) -> Any:
        return concurrent.futures.Future()

    with pytest.raises(HostError, match="the target returned a Future"):
        run(RunPlan(load, Stop(iterations=5), Pool("async")), outer)


def test_a_coroutine_function_itself_is_awaited() -> None:
    result = run(RunPlan(ClosedLoop(iterations=5)), fetch)
    assert result.verdict == "VALID" and result.service.min_ns >= 5_000_000


class Later:
    """As PyTorch's futures and asynchronous results are asked."""

    def done(self) -> bool:
        return False

    def wait(self) -> int:
        return 1


class Computing:
    """As JAX dispatches: the array is returned before it is computed."""

    def __init__(self, ready: bool | None):
        self.ready = ready

    def is_ready(self) -> bool:
        if self.ready is None:
            raise RuntimeError("deleted")
        return self.ready

    def block_until_ready(self) -> None:
        pass


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([1, concurrent.futures.Future()], "a list with a Future"),
        ((concurrent.futures.Future(),), "a tuple with a Future"),
        ({"logits": Awaitable()}, "a dict with an Awaitable, which nobody awaits"),
        ([parts(0)], "a list with a generator"),
        (async_parts(0), "an async generator"),
        (map(str, [1]), "a map, of which nothing has run yet"),
        (multiprocessing.pool.ApplyResult(types.SimpleNamespace(_cache={}), None, None), "get"),
        (Later(), "a Later, which may not be done"),
        (Computing(False), "a Computing, which is still computed"),
        ([Computing(True), Computing(False)], "block_until_ready"),
    ],
)
def test_what_only_promises_an_answer_is_none_also_as_a_part_of_one(answer, said):
    with pytest.raises(UnfinishedAnswer, match=said):
        look(answer)


class Hostile(dict[str, Any]):
    def values(self) -> Any:
        raise RuntimeError("no")

    def __iter__(self) -> Any:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "answer",
    [
        None,
        0,
        "",
        {},
        [],
        (1, 2),
        {"logits": [1], "result": 1, "done": True},
        range(3),
        iter([1]),
        Computing(True),
        Computing(None),
        Hostile(a=1),
        np.zeros(3),
        types.SimpleNamespace(result=print, done=print),
    ],
)
def test_what_is_there_is_an_answer(answer: Any) -> None:
    look(answer)
