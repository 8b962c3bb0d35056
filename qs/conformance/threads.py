"""Thread safety: several clients at the same time get the answers that each of them gets alone."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np

from qs.conformance.outcome import Outcome, Problem, judged, passed, skipped
from qs.conformance.service import ConformanceService, LoadedInstance
from qs.tensors.closeness import NO_DIFFERENCE, Difference, difference, too_far, worse

CLIENTS = 4
LONGEST_S = 1.0
LEAST_CALLS = 3  # of each client, however long they take
_SWITCH_S = 1e-5  # threads take turns often, so that a race shows without luck
_ALONE = ("process", "inline")
FIX = (
    "keep nothing of one call on self, or guard it with a lock; "
    "else say pool 'process' in generate_qs_config()"
)


def observe(service: ConformanceService, batch_size: int, allowed: float) -> dict[str, Any]:
    """Calls, wrong answers and errors of a few clients that call predict of one loaded instance at
    the same time.
    """
    opened = service.opened(batch_size)
    tally = Tally(opened, allowed)
    if opened.started is not None:
        opened.run(_as_started(opened, tally))
    elif opened.awaits:
        opened.run(_as_coroutines(opened.answer_later, tally))
    else:
        _in_threads(opened, tally)
    return tally.facts()


class Tally:
    """The serial answers, and how the concurrent ones compare."""

    def __init__(self, opened: LoadedInstance, allowed: float) -> None:
        self.samples, self._allowed = opened.samples, allowed
        self._serial = [opened.answer(feeds) for feeds in opened.samples]
        self._end = time.monotonic() + LONGEST_S
        self._counts = [0] * CLIENTS
        self._wrong: list[Difference] = []
        self._errors: list[str] = []

    def turns(self, client: int) -> Iterator[int]:
        """Which sample a client submits next, until it has made enough calls and time is up."""
        while self._counts[client] < LEAST_CALLS or time.monotonic() < self._end:
            self._counts[client] += 1
            yield (client + self._counts[client]) % len(self.samples)

    def take(self, index: int, answer: dict[str, np.ndarray]) -> None:
        found = difference(self._serial[index], answer)
        if too_far(found, self._allowed):
            self._wrong.append(found)

    def raised(self, error: BaseException) -> None:
        """The client goes on: an occasional error must not hide how many answers are wrong."""
        self._errors.append(traceback.format_exception_only(type(error), error)[-1].strip())

    def facts(self) -> dict[str, Any]:
        worst = NO_DIFFERENCE
        for found in self._wrong:
            worst = worse(worst, found)
        return {
            "calls": sum(self._counts),
            "wrong": len(self._wrong),
            "worst": worst,
            "errors": len(self._errors),
            "first_error": self._errors[0] if self._errors else "",
            "distinct": len(self.samples),
        }


def _in_threads(opened: LoadedInstance, tally: Tally) -> None:
    ready = threading.Barrier(CLIENTS)

    def client(number: int) -> None:
        ready.wait()
        for index in tally.turns(number):
            try:
                tally.take(index, opened.answer(tally.samples[index]))
            except BaseException as error:
                tally.raised(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        threads = [
            threading.Thread(target=client, args=(number,), daemon=True)
            for number in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)


async def _as_started(opened: LoadedInstance, tally: Tally) -> None:
    """As a run does: between `open` and `close`, if the backend has those."""
    backend = opened.started
    if callable(getattr(backend, "open", None)):
        await backend.open(CLIENTS)
    try:
        await _as_coroutines(opened.answer_started, tally)
    finally:
        if callable(getattr(backend, "close", None)):
            await backend.close()


async def _as_coroutines(answer: Callable[[Any], Awaitable[Any]], tally: Tally) -> None:
    async def client(number: int) -> None:
        for index in tally.turns(number):
            try:
                tally.take(index, await answer(tally.samples[index]))
            except Exception as error:
                tally.raised(error)
            await asyncio.sleep(0)  # the others' turn, also if predict never awaits anything

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))


def judge(seen: dict[str, Any], allowed: float, pool: str | None) -> Outcome:
    """`pool` is the one that the QS config asks for: a pool that never calls one instance from two
    threads needs no thread safety.
    """
    if seen["distinct"] < 2:
        return skipped(
            "there is only one batch to submit: mixed-up answers could not be told from right ones"
        )
    found, calls = [], seen["calls"]
    if seen["errors"]:
        found.append(f"{seen['errors']} of {calls} concurrent calls raised {seen['first_error']}")
    if seen["wrong"]:
        why = too_far(seen["worst"], allowed)
        found.append(
            f"{seen['wrong']} of {calls} concurrent answers are not the serial ones: {why}"
        )
    if found and pool in _ALONE:
        return passed(
            "it is not thread-safe, and its QS config does not ask for that "
            f"(pool {pool}): {'; '.join(found)}"
        )
    good = f"{calls} answers to {CLIENTS} clients at a time equal the serial ones"
    return judged([Problem(text, FIX) for text in found], good)
