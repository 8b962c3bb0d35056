"""Answers given under load, kept while a case is measured and judged after it
(qs.inside.judging), which catches a backend that answers wrongly when it is busy.

Each worker keeps its own answers, within bounds, and writes them to a file when its measured phase
has ended; so the workers may be threads, processes or an event loop. `sample` keeps a seeded random
few of a worker's requests (a copy of the outputs of each, nothing for the others); `all` takes a
checksum of every answer and keeps one copy of each new one.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.files import replacing
from qs.engine import is_async
from qs.inside.started import still
from qs.tensors.outputs import named_outputs, recovered, stored

SAMPLE, ALL = "sample", "all"
MODES = (SAMPLE, ALL)
RESERVOIR = 16  # requests that a worker keeps of all it made
# New answers, and bytes of them, that a worker keeps with `all`.
MOST_DISTINCT = 4096
MOST_BYTES = 256 << 20

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
    # a call that holds the answer, in place of `outputs`: read when nothing is measured any more
    call: Any = None


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

    @classmethod
    def of(cls, answers: list[Answer]) -> Kept:
        """Those answers, kept."""
        return cls(ALL, random.Random(0), len(answers), reservoir=answers)

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
        asked = None if sample is not None else own(feeds)
        self._draw(Answer(number, sample, copied(raw, names), asked))

    def _draw(self, answer: Answer) -> None:
        number = answer.request
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
        outputs = named(raw, names)
        size = sum(array.nbytes for array in outputs.values())
        key = sample, checksum(outputs)
        if self._is_new(key, size):
            self.distinct[key] = Answer(number, sample, own(outputs))

    def take_call(self, sample: int, call: Any) -> None:
        """As `take`, of a call that holds its answer as bytes: those are compared, and kept."""
        number = self.requests
        self.requests = number + 1
        if self.mode == ALL:
            body = call.body
            key = (sample, zlib.crc32(body), len(body))
            if self._is_new(key, len(body)):
                self.distinct[key] = Answer(number, sample, {}, call=still(call))
        elif number >= self._next:
            self._draw(Answer(number, sample, {}, call=still(call)))

    def _is_new(self, key: tuple, size: int) -> bool:
        """Whether to keep an answer; one that is there already, or too many, is counted here."""
        known = self.distinct.get(key)
        if known is not None:
            known.count += 1
            return False
        if len(self.distinct) >= MOST_DISTINCT or (
            self.distinct and self._bytes + size > MOST_BYTES
        ):
            self.unchecked += 1
            return False
        self._bytes += size
        return True

    def read(self, outputs_of: Callable[[Any], Any], names: Sequence[str]) -> None:
        """The answers of the calls that were kept. One that cannot be read has no outputs."""
        for answer in self.answers():
            if answer.call is not None:
                with suppress(Exception):  # a server may have answered anything
                    answer.outputs = copied(outputs_of(answer.call), names)
                answer.call = None

    def answers(self) -> list[Answer]:
        return [*self.reservoir, *self.distinct.values()]


class Verifier:
    """Wraps predict in one worker's process, or what sends requests. The batches, or requests, that
    it is called with are told apart by their identity.
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
        self._outputs_of: Callable[[Any], Any] | None = None
        self._local = threading.local()
        self._workers = itertools.count()

    def knows(self, samples: Sequence[Any]) -> None:
        self._samples = samples  # held, so that no other object gets the identity of one
        self._places.clear()  # what wraps predict holds it
        self._places.update((id(batch), place) for place, batch in enumerate(samples))

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

    def started(
        self, start: Callable[..., Any], outputs_of: Callable[[Any], Any]
    ) -> Callable[..., Any]:
        """`start` of a backend whose requests are told apart by their identity, as its batches."""
        places, local = self._places, self._local
        self._outputs_of = outputs_of

        def begin(request: Any, done: Callable[[Any], None]) -> Any:
            def ended(call: Any) -> None:
                self._take(local, places.get(id(request)), call)
                done(call)

            return start(request, ended)

        return begin

    def asked(
        self, ask: Callable[[Any], Any], outputs_of: Callable[[Any], Any]
    ) -> Callable[[Any], Any]:
        """The same for one that blocks until the call has ended."""
        places, local = self._places, self._local
        self._outputs_of = outputs_of

        def call(request: Any) -> Any:
            answer = ask(request)
            self._take(local, places.get(id(request)), answer)
            return answer

        return call

    def _take(self, local: threading.local, sample: int | None, call: Any) -> None:
        """`sample` is None for a request that was made meanwhile, such as a conversation's turn:
        nobody could ask it again.
        """
        kept = getattr(local, "kept", None)
        if kept is None or call.failure is not None or sample is None:
            return
        if isinstance(getattr(call, "body", None), (bytes, bytearray, memoryview)):
            kept.take_call(sample, call)
            return
        assert self._outputs_of is not None
        try:
            raw = self._outputs_of(call)
        except Exception:  # a server may have answered anything
            raw = {}
        kept.take(sample, None, raw, self._names)

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
        if self._outputs_of is not None:
            kept.read(self._outputs_of, self._names)
        write(self._folder / f"{self._instance}.{self._local.worker}.npz", kept)


def checksum(outputs: Mapping[str, np.ndarray]) -> int:
    found = 0
    for name in sorted(outputs):
        array = stored(outputs[name])
        found = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), found)
        found = zlib.crc32(
            np.ascontiguousarray(array).view(np.uint8).data if array.size else b"", found
        )
    return found


def write(path: Path, kept: Kept, more: Mapping[str, Any] | None = None) -> None:
    """One .npz, written whole or not at all; nothing in it is pickled. `more` is plain data."""
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
                arrays[f"{side}_{number}_{place}"] = stored(array)
        entries.append(entry)
    about = {
        "mode": kept.mode,
        "requests": kept.requests,
        "unchecked": kept.unchecked,
        "answers": entries,
        **(more or {}),
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
                    name: recovered(arrays[f"{side}_{number}_{place}"])
                    for place, name in enumerate(entry[side])
                }
                for side in ("outputs", "feeds")
            )
            answers.append(
                Answer(entry["request"], entry["sample"], outputs or {}, feeds, entry["count"])
            )
    return about, answers


def named(raw: Any, names: Sequence[str]) -> Arrays:
    """The outputs of an answer; none if it holds nothing that could be compared."""
    try:
        return named_outputs(raw, names)
    except TypeError:
        return {}


def copied(raw: Any, names: Sequence[str]) -> Arrays:
    return own(named(raw, names))


def own(arrays: Mapping[str, np.ndarray]) -> Arrays:
    # A vendor may write its next answer into the same memory.
    return {name: np.array(array) for name, array in arrays.items()}
