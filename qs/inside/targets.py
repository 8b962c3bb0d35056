"""What the engine calls: predict in the form of a plan's queries, blocking or as a coroutine
function.

A query is one batch; or a list of batches, if the plan has several samples a query; or fewer items
than the loaded batch, if queries that are due close together share a call.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.contract.server_backend import is_started
from qs.engine import is_async
from qs.inside.looking import Looking

NOTHING: Mapping[str, Any] = {}


def check_kind(backend: Any, pool: str | None) -> None:
    """UserError if the pool drives the other kind of backend. None: any kind."""
    predict = backend.predict
    if pool is None or is_async(predict) == (pool == "async"):
        return
    if pool == "async" and is_started(backend):
        return
    if pool == "async":
        raise UserError(
            "pool 'async' needs a coroutine, but predict is a plain function; "
            "declare it `async def predict`, or leave out pool 'async'"
        )
    raise UserError(
        f"predict is a coroutine function, which pool {pool!r} cannot drive; "
        "add --pool async, or state runner 'async' in the QS config"
    )


def target_of(
    predict: Callable[[Any], Any],
    lists: bool = False,
    rows: Mapping[str, int] | None = None,
    states: Mapping[str, str] | None = None,
    verifier: Any = None,
    looking: Looking | None = None,
    axes: Mapping[str, int] = NOTHING,
) -> Callable[[Any], Any]:
    """A new function that calls predict.

    lists     a query is a list of batches: predict is called for one after the other, a coroutine
              for all at once
    rows      input -> rows of the loaded batch: smaller batches are filled up with their own rows
    states    input -> output of the same thread's previous call, which feeds it from the second on
    verifier  keeps answers, to be judged after the case
    looking   gets a coroutine's latest answer
    axes      the batch dimensions that are not the first
    """
    if verifier is not None:
        predict = verifier.watched(predict)
    if states and not is_async(predict):
        predict = feeding_back(predict, states)
    if is_async(predict):
        held = Looking(None, 0, lists) if looking is None else looking

        async def one(batch: Any) -> Any:
            held.last = answer = await predict(batch)
            return answer

        async def many(batches: Any) -> Any:
            held.last = answers = await asyncio.gather(*(predict(batch) for batch in batches))
            return answers

        return many if lists else one

    def call(batch: Any) -> Any:
        return predict(batch)

    def in_order(batches: Any) -> Any:
        return [predict(batch) for batch in batches]

    def full(batch: Any) -> Any:
        return predict(filled(batch, rows or {}, axes))

    return in_order if lists else full if rows else call


def feeding_back(predict: Callable[[Any], Any], states: Mapping[str, str]) -> Callable[[Any], Any]:
    """predict as one stream per thread: the outputs that are state go into the next call. Outputs
    are looked up by name.
    """
    carried = threading.local()

    def call(batch: Any) -> Any:
        outputs = predict({**batch, **getattr(carried, "fed", {})})
        carried.fed = {given: outputs[output] for given, output in states.items()}
        return outputs

    return call


def filled(
    batch: Mapping[str, np.ndarray],
    rows: Mapping[str, int],
    axes: Mapping[str, int] = NOTHING,
) -> dict[str, np.ndarray]:
    """A batch with that many rows in every input, repeating its own from the first. `axes` are the
    batch dimensions that are not the first; inputs without `rows` stay as they are.
    """
    found = dict(batch)
    for name, wanted in rows.items():
        array, axis = batch[name], axes.get(name, 0)
        if array.shape[axis] != wanted:
            found[name] = np.take(array, np.arange(wanted) % array.shape[axis], axis)
    return found


def rows_of(
    batch: Mapping[str, Any], items: int, copy: Any, axes: Mapping[str, int | None] = NOTHING
) -> dict[str, int] | None:
    """Input -> rows of the loaded batch, for a batch of `items` items; None if the copy takes any
    number. Inputs that all items of a batch share (axis None, scalars) have no rows.
    """
    if getattr(copy.backend, "any_batch_size", False):
        return None
    if copy.batch_size < items:
        raise UserError(
            f"a batch of {copy.batch_size} items is loaded, fewer than the {items} of one query"
        )
    return {
        name: np.shape(array)[axis] * copy.batch_size // items
        for name, array in batch.items()
        if (axis := axes.get(name, 0)) is not None and np.ndim(array) > axis
    }
