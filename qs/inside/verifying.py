"""Answers given under load, kept while a case is measured and judged after it: a backend that
answers wrongly when busy is caught.

Each worker keeps its own, within bounds, and writes them to a file when its measured phase has
ended; so the workers may be threads, processes or an event loop. `sample` keeps a seeded random few
of a worker's requests (a copy of their outputs each, nothing for all others); `all` takes a
checksum of every answer and keeps one copy of each answer that is new. Judging: `judged`, on an
idle backend.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qs.inside.targets import is_coroutine
from qs.tensors.closeness import difference, tolerance, too_far, worse
from qs.tensors.outputs import named_outputs

SAMPLE, ALL = "sample", "all"
MODES = (SAMPLE, ALL)
RESERVOIR = 16  # requests that a worker keeps of all it made
MOST_DISTINCT = 4096  # answers that are new, and bytes of them, that a worker keeps with `all`
MOST_BYTES = 256 << 20
TWICE = 4  # feeds that the idle backend answers twice, to see how well it repeats itself

Arrays = dict[str, np.ndarray]


@dataclass
class Answer:
    """`sample` is the batch's place among the case's; None: the engine joined several, and `feeds`
    are what was asked.
    """

    request: int
    sample: int | None
    outputs: Arrays
    feeds: Arrays | None = None
    count: int = 1


@dataclass
class Kept:
    """What one worker keeps. Algorithm L (Li 1994) tells the next request to keep, so that all
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
    """Wraps predict in one worker's process. `samples` are the batches that it is called with, told
    apart by identity.
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
        self._samples = samples  # held, so that no other batch gets one's identity
        self._places = {id(batch): place for place, batch in enumerate(samples)}

    def watched(self, predict: Callable[[Any], Any]) -> Callable[[Any], Any]:
        places, names, local = self._places, self._names, self._local

        if is_coroutine(predict):

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
        """In the worker's thread, after its warm-up: what came before is not looked at."""
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
    """One .npz, whole or absent; nothing in it is pickled."""
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
    partial = path.with_name(f".{path.name}")
    with partial.open("wb") as file:
        np.savez(file, about=np.array(json.dumps(about)), **arrays)
    partial.replace(path)


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


def judged(
    folder: str,
    mode: str,
    samples: Sequence[Any],
    predict: Callable[[Any], Any],
    names: Sequence[str],
    precision: object,
) -> dict[str, Any]:
    """The row's Verification: kept answers against those that the same backend gives to the same
    feeds when it is idle.

    An answer is wrong where it is further from the idle one than `tolerance` (of the output's
    largest value): what the compiled precision may cost, or twice what two idle answers to one feed
    differ by. It is wrong as well, however near, where it is another sample's idle answer to the
    bit and not its own.
    """
    found = [(path.stem, *read(path)) for path in sorted(Path(folder).glob("[!.]*.npz"))]
    idle: dict[Any, Arrays] = {}
    repeat: dict[str, Any] = {"apart": 0.0, "output": "", "problem": None}

    def ask(feeds: Any) -> Arrays:
        nonlocal repeat
        first = _copied(predict(feeds), names)
        if len(idle) < TWICE:
            repeat = worse(repeat, difference(first, _copied(predict(feeds), names)))
        return first

    wanted = sorted(
        {
            answer.sample
            for _, _, answers in found
            for answer in answers
            if answer.sample is not None
        }
    )
    for sample in wanted:
        idle[sample] = ask(samples[sample])
    # What the idle backend does not repeat cannot be asked of the busy one; but where it is not
    # even close to itself, that is said.
    allowed = max(tolerance(precision), 2 * repeat["apart"])
    sums = {sample: checksum(outputs) for sample, outputs in idle.items()}
    checked, wrong, worst = 0, 0, None
    for worker, _, answers in found:
        for answer in answers:
            checked += answer.count
            right = ask(answer.feeds) if answer.sample is None else idle[answer.sample]
            mine = checksum(answer.outputs)
            if mine == (checksum(right) if answer.sample is None else sums[answer.sample]):
                continue
            apart = difference(right, answer.outputs)
            others = [sample for sample, each in sums.items() if each == mine]
            why = too_far(apart, allowed)
            if others:
                why = f"it is the answer to sample {others[0]}"
            if why is None:
                continue
            wrong += answer.count
            told = {
                "request": answer.request,
                "worker": worker,
                "sample": answer.sample,
                "output": apart["output"],
                "apart": None if apart["problem"] else apart["apart"],
                "why": why,
            }
            if worst is None or _more(told, worst):
                worst = told
    said = {
        "mode": mode,
        "requests": sum(about["requests"] for _, about, _ in found),
        "checked": checked,
        "unchecked": sum(about["unchecked"] for _, about, _ in found),
        "wrong": wrong,
        "worst": worst,
        "tolerance": allowed,
        "idle_repeat": repeat["apart"],
    }
    if repeat["problem"]:
        said["note"] = f"two idle answers to one feed: {repeat['problem']}"
    return said


def _more(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if one["apart"] is None or other["apart"] is None:
        return other["apart"] is not None
    return one["apart"] > other["apart"]


def _named(raw: Any, names: Sequence[str]) -> Arrays:
    try:
        return named_outputs(raw, names)
    except TypeError:  # no outputs at all; they are compared as none
        return {}


def _copied(raw: Any, names: Sequence[str]) -> Arrays:
    return _own(_named(raw, names))


def _own(arrays: Mapping[str, np.ndarray]) -> Arrays:
    # A vendor may write its next answer into the same memory.
    return {name: np.array(array) for name, array in arrays.items()}
