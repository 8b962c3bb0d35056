"""Answers given under load, kept while a case is measured and judged after it, which catches a
backend that answers wrongly when it is busy.

Each worker keeps its own answers, within bounds, and writes them to a file when its measured phase
has ended; so the workers may be threads, processes or an event loop. `sample` keeps a seeded random
few of a worker's requests (a copy of the outputs of each, nothing for the others); `all` takes a
checksum of every answer and keeps one copy of each new one. `judged` compares them with the answers
of the idle backend.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.files import replacing
from qs.engine import is_async
from qs.tensors.closeness import (
    NO_DIFFERENCE,
    Difference,
    difference,
    tolerance,
    too_far,
    worse,
)
from qs.tensors.outputs import named_outputs

SAMPLE, ALL = "sample", "all"
MODES = (SAMPLE, ALL)
RESERVOIR = 16  # requests that a worker keeps of all it made
# New answers, and bytes of them, that a worker keeps with `all`.
MOST_DISTINCT = 4096
MOST_BYTES = 256 << 20
TWICE = 4  # feeds that the idle backend answers twice, to see how well it repeats itself

Arrays = dict[str, np.ndarray]


@dataclass
class Answer:
    request: int
    # the batch's place among the case's; None: the engine joined several of them
    sample: int | None
    outputs: Arrays
    # what was asked, if the engine joined several batches
    feeds: Arrays | None = None
    count: int = 1


@dataclass
class Kept:
    """What one worker keeps. Algorithm L (Li 1994) names the next request to keep, so that all
    others cost one comparison.
    """

    mode: str
    random: random.Random
    requests: int = 0
    unchecked: int = 0
    reservoir: list[Answer] = field(default_factory=list)
    distinct: dict[tuple, Answer] = field(default_factory=dict)
    _bytes: int = 0
    _next: int = 0
    _weight: float = 1.0

    def take(self, sample: int | None, feeds: Any, raw: Any, names: Sequence[str]) -> None:
        number = self.requests
        self.requests = number + 1
        if self.mode == ALL and sample is not None:
            self._every(number, sample, raw, names)
        elif number >= self._next:
            self._some(number, sample, feeds, raw, names)

    def _some(
        self, number: int, sample: int | None, feeds: Any, raw: Any, names: Sequence[str]
    ) -> None:
        answer = Answer(
            number, sample, _copied(raw, names), None if sample is not None else _own(feeds)
        )
        if len(self.reservoir) < RESERVOIR:
            self.reservoir.append(answer)
        else:
            self.reservoir[self.random.randrange(RESERVOIR)] = answer
        if len(self.reservoir) < RESERVOIR:
            self._next = number + 1
            return
        self._weight *= math.exp(math.log(1.0 - self.random.random()) / RESERVOIR)
        skipped = math.log(1.0 - self.random.random()) / math.log1p(-min(self._weight, 1 - 1e-12))
        self._next = number + int(skipped) + 1

    def _every(self, number: int, sample: int, raw: Any, names: Sequence[str]) -> None:
        outputs = _named(raw, names)
        key: tuple = (sample, checksum(outputs))
        known = self.distinct.get(key)
        if known is not None:
            known.count += 1
            return
        size = sum(array.nbytes for array in outputs.values())
        if len(self.distinct) >= MOST_DISTINCT or (
            self.distinct and self._bytes + size > MOST_BYTES
        ):
            self.unchecked += 1
            return
        self._bytes += size
        self.distinct[key] = Answer(number, sample, _own(outputs))

    def answers(self) -> list[Answer]:
        return [*self.reservoir, *self.distinct.values()]


class Verifier:
    """Wraps predict in one worker's process. The batches that it is called with are told apart by
    their identity.
    """

    def __init__(
        self, mode: str, seed: int, folder: str, instance: int, names: Sequence[str]
    ) -> None:
        self._mode, self._seed, self._folder, self._instance, self._names = (
            mode,
            seed,
            Path(folder),
            instance,
            names,
        )
        self._places: dict[int, int] = {}
        self._samples: Sequence[Any] = ()
        self._local = threading.local()
        self._workers = itertools.count()

    def knows(self, samples: Sequence[Any]) -> None:
        self._samples = samples  # held, so that no other object gets the identity of one
        self._places = {id(batch): place for place, batch in enumerate(samples)}

    def watched(self, predict: Callable[[Any], Any]) -> Callable[[Any], Any]:
        places, names, local = self._places, self._names, self._local

        if is_async(predict):

            async def awaited(batch: Any) -> Any:
                raw = await predict(batch)
                kept = getattr(local, "kept", None)
                if kept is not None:
                    kept.take(places.get(id(batch)), batch, raw, names)
                return raw

            return awaited

        def call(batch: Any) -> Any:
            raw = predict(batch)
            kept = getattr(local, "kept", None)
            if kept is not None:
                kept.take(places.get(id(batch)), batch, raw, names)
            return raw

        return call

    def begin_measuring(self) -> None:
        """In the worker's thread, after its warm-up, whose answers are not kept."""
        worker = next(self._workers)
        self._local.worker = worker
        self._local.kept = Kept(
            self._mode, random.Random(f"{self._seed} {self._instance} {worker}")
        )

    def end_measuring(self) -> None:
        """In the worker's thread, after its last request: write down what was kept."""
        kept, self._local.kept = self._local.kept, None
        write(self._folder / f"{self._instance}.{self._local.worker}.npz", kept)


def checksum(outputs: Mapping[str, np.ndarray]) -> int:
    found = 0
    for name in sorted(outputs):
        array = outputs[name]
        found = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), found)
        found = zlib.crc32(
            np.ascontiguousarray(array).view(np.uint8).data if array.size else b"", found
        )
    return found


def write(path: Path, kept: Kept) -> None:
    """One .npz, written whole or not at all; nothing in it is pickled."""
    answers = kept.answers()
    arrays: dict[str, Any] = {}
    entries = []
    for number, answer in enumerate(answers):
        entry: dict[str, Any] = {
            "request": answer.request,
            "sample": answer.sample,
            "count": answer.count,
        }
        for side, given in (("outputs", answer.outputs), ("feeds", answer.feeds)):
            entry[side] = None if given is None else list(given)
            for place, array in enumerate((given or {}).values()):
                arrays[f"{side}_{number}_{place}"] = array
        entries.append(entry)
    about = {
        "mode": kept.mode,
        "requests": kept.requests,
        "unchecked": kept.unchecked,
        "answers": entries,
    }
    with replacing(path, durable=False) as file:
        np.savez(file, about=np.array(json.dumps(about)), **arrays)


def read(path: Path) -> tuple[dict[str, Any], list[Answer]]:
    with np.load(path, allow_pickle=False) as arrays:
        about = json.loads(str(arrays["about"]))
        answers = []
        for number, entry in enumerate(about["answers"]):
            outputs, feeds = (
                None
                if entry[side] is None
                else {
                    name: arrays[f"{side}_{number}_{place}"]
                    for place, name in enumerate(entry[side])
                }
                for side in ("outputs", "feeds")
            )
            answers.append(
                Answer(entry["request"], entry["sample"], outputs or {}, feeds, entry["count"])
            )
    return about, answers


class Idle:
    """What the idle backend answers, asked for once per sample."""

    def __init__(
        self, samples: Sequence[Any], predict: Callable[[Any], Any], names: Sequence[str]
    ) -> None:
        self._samples, self._predict, self._names = samples, predict, names
        self._answers: dict[int, Arrays] = {}
        self._sums: dict[int, int] = {}
        # the largest difference between two idle answers to one feed
        self.repeat: Difference = NO_DIFFERENCE

    def ask_all(self, wanted: Iterable[int]) -> None:
        for sample in wanted:
            self._answers[sample] = self.ask(self._samples[sample])
            self._sums[sample] = checksum(self._answers[sample])

    def ask(self, feeds: Any) -> Arrays:
        first = _copied(self._predict(feeds), self._names)
        if len(self._answers) < TWICE:
            again = _copied(self._predict(feeds), self._names)
            self.repeat = worse(self.repeat, difference(first, again))
        return first

    def answer_to(self, kept: Answer) -> tuple[Arrays, int]:
        """The idle answer to what a kept one was asked, and its checksum."""
        if kept.sample is not None:
            return self._answers[kept.sample], self._sums[kept.sample]
        right = self.ask(kept.feeds)
        return right, checksum(right)

    def samples_answered_by(self, found: int) -> list[int]:
        return [sample for sample, each in self._sums.items() if each == found]


def judged(
    folder: str,
    mode: str,
    samples: Sequence[Any],
    predict: Callable[[Any], Any],
    names: Sequence[str],
    precision: object,
) -> dict[str, Any]:
    """The row's Verification: the kept answers against those that the same backend gives to the
    same feeds when it is idle.

    An answer is wrong if it is further from the idle one than `tolerance` (as a share of the
    output's largest value): what the compiled precision may cost, or twice what two idle answers to
    one feed differ by. It is also wrong, however near, if it is exactly the idle answer to another
    sample and not to its own.
    """
    found = [(path.stem, *read(path)) for path in sorted(Path(folder).glob("[!.]*.npz"))]
    answers = [(worker, answer) for worker, _, kept in found for answer in kept]
    idle = Idle(samples, predict, names)
    idle.ask_all(sorted({each.sample for _, each in answers if each.sample is not None}))
    # The busy backend need not repeat what the idle one does not; but if that is not even close to
    # itself, the result says so.
    allowed = max(tolerance(precision), 2 * idle.repeat["apart"])
    wrong, worst = 0, None
    for worker, answer in answers:
        right, right_sum = idle.answer_to(answer)
        own_sum = checksum(answer.outputs)
        if own_sum == right_sum:
            continue
        apart = difference(right, answer.outputs)
        others = idle.samples_answered_by(own_sum)
        why = f"it is the answer to sample {others[0]}" if others else too_far(apart, allowed)
        if why is None:
            continue
        wrong += answer.count
        case = {
            "request": answer.request,
            "worker": worker,
            "sample": answer.sample,
            "output": apart["output"],
            "apart": None if apart["problem"] else apart["apart"],
            "why": why,
        }
        if worst is None or _more(case, worst):
            worst = case
    verification = {
        "mode": mode,
        "requests": sum(about["requests"] for _, about, _ in found),
        "checked": sum(answer.count for _, answer in answers),
        "unchecked": sum(about["unchecked"] for _, about, _ in found),
        "wrong": wrong,
        "worst": worst,
        "tolerance": allowed,
        "idle_repeat": idle.repeat["apart"],
    }
    if idle.repeat["problem"]:
        verification["note"] = f"two idle answers to one feed: {idle.repeat['problem']}"
    return verification


def _more(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if one["apart"] is None or other["apart"] is None:
        return other["apart"] is not None
    return one["apart"] > other["apart"]


def _named(raw: Any, names: Sequence[str]) -> Arrays:
    try:
        return named_outputs(raw, names)
    except TypeError:  # nothing that could be compared
        return {}


def _copied(raw: Any, names: Sequence[str]) -> Arrays:
    return _own(_named(raw, names))


def _own(arrays: Mapping[str, np.ndarray]) -> Arrays:
    # A vendor may write its next answer into the same memory.
    return {name: np.array(array) for name, array in arrays.items()}
