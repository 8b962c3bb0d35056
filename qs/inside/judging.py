"""Answers given under load, judged against those that the backend gave to the same feeds before the
load, when it was idle.

Asked beforehand, since a backend that turns wrong for good under load would afterwards confirm its
own wrong answers. That the idle answers are right themselves is the reference's part: the first
batch of its items is compared again after they were asked for (qs.inside.service), so that a
backend that is right for a number of calls only is caught by it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from qs.inside.agreement import agreement
from qs.inside.reference_items import Reference
from qs.inside.text_answers import TextJudge, Texts
from qs.inside.verifying import MOST_BYTES, Answer, Arrays, Kept, checksum, copied, read, write
from qs.remote.protocol import Unanswered
from qs.tensors.closeness import (
    NO_DIFFERENCE,
    Difference,
    difference,
    tolerance,
    too_far,
    worse,
)
from qs.tensors.outputs import NUMBERS, no_outputs

IDLE = "idle"  # the file of idle answers, beside those of the workers
TWICE = 4  # feeds that the idle backend answers twice, to see how well it repeats itself
# For idle answers before a case: what comes later is asked for after it, if it was kept at all.
ASKING_S = 30.0
# For idle texts after a case, of which each takes seconds; what comes later is not checked.
ASKING_TEXTS_S = 120.0


class Unsteady(Exception):
    """The idle backend no longer answers as it did."""


class Idle:
    """What the idle backend answers, asked for once per sample. Sample 0 is asked for again at the
    end of each turn: what was answered in between counts only if that answer is the same.
    """

    def __init__(
        self,
        samples: Sequence[Any],
        predict: Callable[[Any], Any],
        names: Sequence[str],
        precision: object,
        texts: Texts | None = None,
    ) -> None:
        """`texts`: the backend's, where its answers are texts."""
        self._samples, self.predict, self.names = samples, predict, list(names)
        self._precision, self.texts = precision, texts
        self._answers: dict[int, Arrays] = {}
        self._sums: dict[int, int] = {}
        self._held = self._pairs = 0
        # the largest difference between two idle answers to one feed
        self.repeat: Difference = NO_DIFFERENCE

    @property
    def allowed(self) -> float:
        """How far an answer may be from the idle one. The busy backend need not repeat what the
        idle one does not; but if that is not even close to itself, the result says so.
        """
        return max(tolerance(self._precision), 2 * self.repeat["apart"])

    def ask_first(self, most: int | None) -> str | None:
        """Before the load: up to so many samples (None: all), within a time and a number of bytes.
        Returns a fault of the answers in words, None if there is none.
        """
        began = time.monotonic()
        for sample, feeds in enumerate(self._samples[:most]):
            if sample and (self._held > MOST_BYTES or time.monotonic() - began > ASKING_S):
                break
            try:
                raw = self.predict(feeds)
            except Unanswered:
                if not sample or self.texts is None:
                    raise
                continue  # a prompt too long, or a server that fails at times: not checked
            fault = no_outputs(raw)
            answer = copied(raw, self.names)
            fault = fault or _nothing_finite(answer)
            if fault is not None:
                return f"sample {sample}: {fault}"
            if sample < TWICE:
                self._repeated(answer, feeds)
            self._know(sample, answer)
        return self.changed() if len(self._samples) > 0 else None

    def changed(self) -> str | None:
        """Why the answer to sample 0 is not what it was; None if it is."""
        if 0 not in self._answers or self.repeat["problem"]:
            return None
        if self.texts is not None:  # how a text differs is told, and by itself no fault
            self._repeated(self._answers[0], self._samples[0])
            return None
        again = copied(self.predict(self._samples[0]), self.names)
        allowed, noise = tolerance(self._precision), self.repeat["apart"]
        if noise > allowed:  # how much it varies takes a few answers to tell
            allowed = math.inf if self._pairs < TWICE else 4 * noise
        why = too_far(difference(self._answers[0], again), allowed)
        return None if why is None else f"its answer to sample 0 has changed: {why}"

    def ask_rest(self, answers: Sequence[Answer]) -> dict[int, tuple[Arrays, int]]:
        """After the load: what was not asked for before. Returns the answers to feeds that are no
        sample, with checksums, by the place of the kept answer. Raises Unsteady.
        """
        missing = {each.sample for each in answers if each.sample is not None} - set(self._answers)
        others = [at for at, each in enumerate(answers) if each.sample is None]
        self._steady()
        began = time.monotonic()
        for sample in sorted(missing):
            if self.texts is not None and time.monotonic() - began > ASKING_TEXTS_S:
                break
            try:
                answer = copied(self.predict(self._samples[sample]), self.names)
            except Unanswered:
                if self.texts is None:
                    raise
                continue
            self._know(sample, answer)
        found = {}
        for at in others:
            right = copied(self.predict(answers[at].feeds), self.names)
            if self._pairs < TWICE:
                self._repeated(right, answers[at].feeds)
            found[at] = right, checksum(right)
        if missing or others:
            self._steady()
        return found

    def _steady(self) -> None:
        why = self.changed()
        if why is not None:
            raise Unsteady(why)

    def _repeated(self, answer: Arrays, feeds: Any) -> None:
        try:
            again = copied(self.predict(feeds), self.names)
        except Unanswered:
            if self.texts is None:
                raise
            return
        self.repeat = worse(self.repeat, difference(answer, again))
        self._pairs += 1

    def _know(self, sample: int, answer: Arrays) -> None:
        self._answers[sample] = answer
        self._sums[sample] = checksum(answer)
        self._held += sum(array.nbytes for array in answer.values())

    def knows(self, sample: int | None) -> bool:
        """Whether it was asked for; of an answer that is to no sample, it was."""
        return sample is None or sample in self._answers

    def judge_of_texts(self) -> TextJudge | None:
        return None if self.texts is None else TextJudge(self.texts, self._samples)

    def answer_to(self, sample: int) -> tuple[Arrays, int]:
        return self._answers[sample], self._sums[sample]

    def samples_answered_by(self, found: int) -> list[int]:
        return [sample for sample, each in self._sums.items() if each == found]

    def save(self, folder: str) -> None:
        kept = Kept.of([Answer(0, sample, each) for sample, each in self._answers.items()])
        write(
            Path(folder, f"{IDLE}.npz"), kept, {"repeat": dict(self.repeat), "pairs": self._pairs}
        )

    def load(self, folder: str) -> None:
        """The answers that another `Idle` saved."""
        about, answers = read(Path(folder, f"{IDLE}.npz"))
        self.repeat, self._pairs = about["repeat"], about["pairs"]
        for each in answers:
            if each.sample is not None:
                self._know(each.sample, each.outputs)


def ask_before(
    idle: Idle, folder: str, mode: str | None, reference: Reference | None, batch_size: int
) -> str | None:
    """See VendorService.idle_answers. Of outputs that are no items in a row, the reference knows
    the batches of another size only: at larger batch sizes they are not compared here.
    """
    fault = idle.ask_first(1 if mode is None else None)
    if fault is None and reference is not None and (batch_size == 1 or not reference.batches):
        first = replace(
            reference,
            feeds=reference.feeds[:batch_size],
            outputs=reference.outputs[:batch_size],
            tensors=[],
        )
        if batch_size > 1 and not first.batchable():  # a batch of the first item alone
            first = replace(first, feeds=first.feeds[:1], outputs=first.outputs[:1])
        failed = agreement(first, idle.predict, batch_size, idle.names)["summary"]["failed"]
        fault = failed and f"not the reference's: {failed}"
    idle.save(folder)
    return fault


def ask_after(idle: Idle, folder: str, mode: str | None) -> dict[str, Any]:
    """See VendorService.verification."""
    idle.load(folder)
    if mode is None:
        return {"changed": idle.changed(), "found": None}
    try:
        return {"changed": None, "found": judged(folder, mode, idle)}
    except Unsteady as why:
        return {"changed": str(why), "found": None}


def judged(folder: str, mode: str, idle: Idle) -> dict[str, Any]:
    """The row's Verification: the answers that the workers kept in `folder` against the idle ones.

    An answer is wrong if it is further from the idle one than `tolerance` (as a share of the
    output's largest value): what the compiled precision may cost, or twice what two idle answers to
    one feed differ by. It is also wrong, however near, if it is exactly the idle answer to another
    sample and not to its own; and if it has no outputs. Texts that differ are told apart from wrong
    ones (qs.inside.text_answers). Raises Unsteady if the idle backend itself has changed.
    """
    paths = [path for path in sorted(Path(folder).glob("[!.]*.npz")) if path.stem != IDLE]
    found = [(path.stem, *read(path)) for path in paths]
    answers = [(worker, answer) for worker, _, kept in found for answer in kept]
    asked = idle.ask_rest([answer for _, answer in answers])
    allowed = idle.allowed
    wrong, worst, unasked = 0, None, 0
    texts = idle.judge_of_texts()
    for at, (worker, answer) in enumerate(answers):
        if not idle.knows(answer.sample):
            unasked += answer.count
            continue
        right, right_sum = asked[at] if answer.sample is None else idle.answer_to(answer.sample)
        own_sum = checksum(answer.outputs)
        text = None if texts is None else texts.text(answer.outputs)
        if texts is not None and text is not None:
            texts.score(answer.sample, text)
            texts.compare(answer.sample, texts.text(right) or "", text, answer.count)
        if own_sum == right_sum and answer.outputs:
            continue
        apart = difference(right, answer.outputs)
        others = idle.samples_answered_by(own_sum) if answer.outputs else []
        if texts is not None and text is not None:
            if not (others and texts.belongs_elsewhere(text)):
                continue
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
        "checked": sum(answer.count for _, answer in answers) - unasked,
        "unchecked": sum(about["unchecked"] for _, about, _ in found) + unasked,
        "wrong": wrong,
        "worst": worst,
        "tolerance": allowed,
        "idle_repeat": idle.repeat["apart"],
    }
    if idle.repeat["problem"]:
        verification["note"] = f"two idle answers to one feed: {idle.repeat['problem']}"
    if texts is not None:
        verification |= texts.told(idle_same=idle.repeat["problem"] is None)
    return verification


def _more(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if one["apart"] is None or other["apart"] is None:
        return other["apart"] is not None
    return one["apart"] > other["apart"]


def _nothing_finite(answer: Arrays) -> str | None:
    """A fault if an output has values and none of them is a finite number."""
    for name, array in answer.items():
        if array.size and array.dtype.kind in NUMBERS and not np.isfinite(array).any():
            return f"no value of output {name} is finite"
    return None
