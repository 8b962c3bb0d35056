"""What the engine calls: predict in the form of a plan's queries, blocking or as a coroutine
function.

A query is one batch; or a list of batches, if the plan has several samples a query; or fewer items
than the loaded batch, if queries that are due close together share a call.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from qs.base.errors import UserError
from qs.engine import UNANSWERED, Target, UnfinishedAnswer, is_async, look
from qs.tensors.outputs import NOTED, no_outputs


class NoOutput(UnfinishedAnswer):
    """The first answer of predict holds no output: there is nothing to be measured."""


class Looking:
    """Looks at the answers that the engine shows it: of each instance the first, and one now and
    then. Without outputs, the first raises NoOutput; a later one is noted in the case's folder,
    since what was measured before it is kept.
    """

    def __init__(self, folder: str | None, instance: int, lists: bool) -> None:
        self._folder, self._instance, self._lists = folder, instance, lists
        self._seen = self._noted = False
        self.last: Any = UNANSWERED
        self.then: Callable[[], None] = lambda: None

    def end(self) -> None:
        """After a worker's last request. Of coroutines the engine shows the first answer only; so
        the last is looked at here.
        """
        self(self.last)
        self.then()

    def __call__(self, answer: Any) -> None:
        if answer is UNANSWERED or self._noted:
            return
        for each in answer if self._lists and isinstance(answer, list) else [answer]:
            look(each)
            fault = no_outputs(each)
            if fault is None:
                continue
            if not self._seen or self._folder is None:
                raise NoOutput(f"{fault}, which holds no output; let it return its outputs' arrays")
            self._noted = True
            Path(self._folder, NOTED.replace("*", str(self._instance))).write_text(fault)
        self._seen = True


NOTHING: Mapping[str, Any] = {}


class Hook(Protocol):
    """What is called in each worker's thread around its measured phase."""

    def begin_measuring(self) -> None: ...
    def end_measuring(self) -> None: ...


@dataclass(frozen=True)
class LoadedTarget(Target):
    """predict of a loaded copy, as the engine calls it."""

    # of the batch that is really loaded
    loaded_batch_size: int = 0

    @classmethod
    def watched(
        cls,
        call: Callable[[Any], Any],
        samples: Sequence[Any],
        looking: Looking,
        loaded_batch_size: int,
        hooks: Sequence[Hook] = (),
    ) -> LoadedTarget:
        """With hooks around what is measured; `looking` is the last one, and looks at answers."""

        def begin() -> None:
            for hook in hooks:
                hook.begin_measuring()

        def end() -> None:
            for hook in hooks:
                hook.end_measuring()

        looking.then = end
        return cls(call, samples, begin, looking.end, looking, loaded_batch_size)


def check_kind(predict: Any, pool: str | None) -> None:
    """UserError if the pool drives the other kind of predict. None: any kind."""
    if pool is None or is_async(predict) == (pool == "async"):
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


@dataclass(frozen=True)
class Drive:
    """How the engine is going to drive one copy of the model: the arguments of `load_target`."""

    # items a query, or the whole of a query's batch where nothing is shared
    batch_size: int = 1
    instances: int = 1
    # {"count", "seed"} of the QS config, or a count
    samples: Any = None
    # a list of CPUs for each instance; None: the calling thread's
    affinity: Sequence[Sequence[int]] | None = None
    intra_op_threads: int | None = None
    # whether a query is a list of batches
    lists: bool = False
    # at most this many queries share a call: a batch for all of them is loaded
    shared_by: int | None = None
    # {"mode", "seed", "folder"}: keep answers there, for `verification`
    verify: Mapping[str, Any] | None = None
    # the case's own folder, where answers without outputs are noted; None: they raise
    folder: str | None = None
    # how often to ask the backend's own `telemetry`, whose answers go there too; None: never
    telemetry_s: float | None = None

    @property
    def to_load(self) -> int:
        """The batch size to ask for."""
        return self.batch_size * (self.shared_by or 1)

    def sample_size(self, loaded: int) -> int:
        """Items in each of the batches to cycle through, given the batch size really loaded."""
        return self.batch_size if self.shared_by else loaded

    def placement(self, instance: int) -> dict[str, Any]:
        """The published `placement` of that instance."""
        affinity = self.affinity
        return {
            "instance": instance,
            "instances": self.instances,
            "cpus": list(affinity[instance % len(affinity)]) if affinity else None,
            "intra_op_threads": self.intra_op_threads,
        }


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
