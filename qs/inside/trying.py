"""Tries what was guessed about a model file: shapes with one inference each, and, where a shape
runs with zeros alone, values small enough.

A failure with a value that the model does not know (an id beyond a table) looks like one of a wrong
shape. A shape is given up only if zeros fail in it as well: a shorter sequence holds fewer odd
values, so that a search by shapes alone would end at a length of one.

Bounded: no guess is begun once failures have taken FAILURES_S, and guesses that take too much
memory are not made (qs.artifact.guesses).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from qs.artifact.inputs import Input
from qs.artifact.named_values import BY_NAME
from qs.base.errors import UserError
from qs.tensors.onnx_words import sentence

FAILURES_S = 1.0
SETTLING_S = 5.0  # for values that run; then they are zeros
ONE_RUN_S = 60.0
SMALLER = "since the file failed with larger values in a trial"

Feeds = Mapping[str, np.ndarray]
Feeder = Callable[[Sequence[Input]], Feeds]


@dataclass(frozen=True)
class Tried:
    """What came of it."""

    inputs: Sequence[Input]
    # By output; None: no guess could be run.
    results: Mapping[str, np.ndarray] | None
    seconds: float = 0.0
    tried: Sequence[Sequence[Input]] = ()
    # What was said of the first failure.
    said: str = ""


class ValueFault(Exception):
    """The shape runs with zeros; with the values that it would be fed it does not, and they are not
    ours to change.
    """

    def __init__(self, feeds: Feeds, said: str) -> None:
        super().__init__(said)
        self.feeds, self.said = feeds, said


class Runs(Protocol):
    """What computes. `run` raises UserError where trying on is of no use."""

    @property
    def name(self) -> str:
        """What to call it in messages."""
        ...

    def run(self, feeds: Feeds) -> Feeds: ...

    def said(self, error: Exception) -> str:
        """What it said as it failed, in a sentence."""
        ...


class Session:
    """An ONNX Runtime session that runs feeds by name, for at most ONE_RUN_S."""

    name = "ONNX Runtime"

    def __init__(self, session: Any) -> None:
        self._session = session
        self.outputs = [output.name for output in session.get_outputs()]

    def run(self, feeds: Feeds) -> dict[str, np.ndarray]:
        import onnxruntime

        options = onnxruntime.RunOptions()
        timer = threading.Timer(ONE_RUN_S, setattr, (options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            made = {name: _object(array) for name, array in feeds.items()}
            return dict(zip(self.outputs, self._session.run(self.outputs, made, options)))
        finally:
            timer.cancel()

    def said(self, error: Exception) -> str:
        return sentence(error)


def tried(
    session: Runs,
    guesses: Iterable[Sequence[Input]],
    feeds_of: Feeder,
    ours: Callable[[Input], bool],
) -> Tried:
    """The first of the guesses that runs, with values that run in it.

    feeds_of   what a run would be fed
    ours       whether an input's values are generated, and nobody stated their range

    Raises ValueFault.
    """
    said, spent_s = "", 0.0
    failed: list[Sequence[Input]] = []
    for guess in guesses:
        if failed and spent_s > FAILURES_S:
            break
        began = time.perf_counter()
        feeds = feeds_of(guess)
        started = time.perf_counter()
        try:
            results = session.run(feeds)
            return Tried(guess, results, time.perf_counter() - started, [*failed, guess], said)
        except UserError:
            raise
        except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
            fault = session.said(error)
        said = said or fault
        if _runs(session, _zeros(feeds)):
            settled = _with_smaller_values(session, guess, feeds_of, ours)
            if settled is None:
                raise ValueFault(feeds, fault)
            started = time.perf_counter()
            results = session.run(feeds_of(settled))
            return Tried(settled, results, time.perf_counter() - started, [*failed, guess], said)
        failed.append(guess)
        spent_s += time.perf_counter() - began
    return Tried((), None, 0.0, failed, said)


def _with_smaller_values(
    session: Runs, guess: Sequence[Input], feeds_of: Feeder, ours: Callable[[Input], bool]
) -> Sequence[Input] | None:
    """The inputs with smaller ranges for those whose values are at fault; None if those are not
    ours to change.
    """
    suspects = [each for each in guess if ours(each) and "INT" in each.type]
    feeds = feeds_of(guess)
    calm = {**feeds, **_zeros({each.name: feeds[each.name] for each in suspects})}
    if not suspects or not _runs(session, calm):
        return None
    found, until = {}, time.perf_counter() + SETTLING_S
    for each in suspects:
        if not _runs(session, {**calm, each.name: feeds[each.name]}):
            found[each.name] = _smaller(session, each, calm, until)
    settled = [found.get(each.name, each) for each in guess]
    if not _runs(session, feeds_of(settled)):
        low = {each.name: replace(each, range=(0, 1), range_from=SMALLER) for each in suspects}
        settled = [low.get(each.name, each) for each in guess]
    return settled if _runs(session, feeds_of(settled)) else None


def _smaller(session: Runs, each: Input, calm: Feeds, until: float) -> Input:
    """With the largest range [0, 2^n) whose last value runs, while all else is zero; a number that
    a name reveals stays one number.
    """
    most = int(np.iinfo(calm[each.name].dtype).max)
    runs, fails = 0, 10  # powers of two: the range [0, 1) runs, since zeros do
    while fails - runs > 1 and time.perf_counter() < until:
        power = (runs + fails) // 2
        array = np.full_like(calm[each.name], min(2**power - 1, most))
        if _runs(session, {**calm, each.name: array}):
            runs = power
        else:
            fails = power
    low = 2**runs - 1 if each.range_from == BY_NAME else 0
    return replace(each, range=(low, 2**runs), range_from=SMALLER)


def _zeros(feeds: Feeds) -> dict[str, np.ndarray]:
    return {name: np.zeros_like(array) for name, array in feeds.items()}


def _runs(session: Runs, feeds: Feeds) -> bool:
    try:
        session.run(feeds)
    except UserError:
        raise
    except Exception:  # ONNX Runtime raises a dozen unrelated classes
        return False
    return True


def _object(array: np.ndarray) -> np.ndarray:
    return array.astype(object) if array.dtype.kind == "U" else array
