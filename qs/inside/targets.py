"""What the engine calls: predict in the form that a plan's queries have, blocking or as a coroutine
function.

A query is one batch; or a list of batches, where the plan has several samples a query; or fewer
items than the loaded batch, where queries that are due close together share a call.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.engine.workers.target import Target, is_async


@dataclass(frozen=True)
class LoadedTarget(Target):
    """What the engine calls of a loaded copy, with the size of the batch that was really loaded."""

    loaded_batch_size: int = 0


def is_coroutine(predict: Any) -> bool:
    """Whether calling it gives a coroutine (a coroutine function, or an object whose __call__ is
    one).
    """
    return is_async(predict)


def check_kind(predict: Any, pool: str | None) -> None:
    """UserError where the pool drives the other kind of predict. None: any kind."""
    if pool is None or is_coroutine(predict) == (pool == "async"):
        return
    if pool == "async":
        raise UserError(
            "pool 'async' drives coroutines, and predict is none; write `async def predict`"
        )
    raise UserError(
        f"predict is a coroutine function, which pool {pool!r} cannot drive; "
        "state runner 'async' in the QS config, or pool 'async' with a runner of your own"
    )


def target_of(
    predict: Callable[[Any], Any],
    lists: bool = False,
    rows: Mapping[str, int] | None = None,
    states: Mapping[str, str] | None = None,
    verifier: Any = None,
) -> Callable[[Any], Any]:
    """What is called once a query.

    lists   a query is a list of batches: predict is called for one after the other, a coroutine for
            all at once
    rows    input -> rows of the loaded batch: batches with fewer are filled up with their own rows
    states  input -> output of the same thread's call before, which feeds it from the second call on
    verifier  a Verifier that keeps answers, to be judged after the case (qs.inside.verifying)
    """
    if verifier is not None:
        predict = verifier.watched(predict)
    if states and not is_coroutine(predict):
        predict = feeding_back(predict, states)
    if is_coroutine(predict):

        async def one(batch: Any) -> Any:
            return await predict(batch)

        async def many(batches: Any) -> Any:
            return await asyncio.gather(*(predict(batch) for batch in batches))

        return many if lists else one

    def call(batch: Any) -> Any:
        return predict(batch)

    def in_order(batches: Any) -> Any:
        return [predict(batch) for batch in batches]

    def full(batch: Any) -> Any:
        return predict(filled(batch, rows or {}))

    return in_order if lists else full if rows else call


def feeding_back(predict: Callable[[Any], Any], states: Mapping[str, str]) -> Callable[[Any], Any]:
    """predict as one stream a thread: the outputs that are state go into the next call. Outputs are
    looked up by name.
    """
    carried = threading.local()

    def call(batch: Any) -> Any:
        outputs = predict({**batch, **getattr(carried, "fed", {})})
        carried.fed = {given: outputs[output] for given, output in states.items()}
        return outputs

    return call


def filled(batch: Mapping[str, np.ndarray], rows: Mapping[str, int]) -> dict[str, np.ndarray]:
    """A batch with so many rows in every input, repeating its own from the first."""
    return {
        name: array
        if len(array) == rows[name]
        else np.resize(array, (rows[name], *array.shape[1:]))
        for name, array in batch.items()
    }


class Blocking:
    """A backend whose predict is a coroutine function, for callers that do not await: checkers,
    comparisons.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._loop: asyncio.AbstractEventLoop | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def predict(self, feeds: Any) -> Any:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(self._backend.predict(feeds))

    def close(self) -> None:
        """Give up the event loop, with what the backend left on it."""
        if self._loop is not None:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
            self._loop = None


def blocking(backend: Any) -> Any:
    """The backend for callers that do not await."""
    return Blocking(backend) if is_coroutine(backend.predict) else backend


def put_back(backend: Any) -> None:
    if isinstance(backend, Blocking):
        backend.close()


def rows_of(batch: Mapping[str, Any], items: int, copy: Any) -> dict[str, int] | None:
    """Input -> rows of the loaded batch, for a batch of so many items; None where the copy takes
    any number.
    """
    if getattr(copy.backend, "any_batch_size", False):
        return None
    if copy.batch_size < items:
        raise UserError(
            f"loaded is a batch of {copy.batch_size} items, fewer than the {items} of one query"
        )
    return {name: len(array) * copy.batch_size // items for name, array in batch.items()}
