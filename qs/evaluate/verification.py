"""Whether the answers of a case can be right: those given under load, kept by its workers if that
was asked for and judged when it has ended; and in any case, if there is a reference, whether the
idle backend answers after the case as before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from qs.base.interrupt import Interrupt
from qs.base.scratch import scratch
from qs.base.storable import storable
from qs.base.words import percent
from qs.evaluate.failures import BackendFailed
from qs.result.row import Row
from qs.result.verdict import DoubtEntry
from qs.result.verification_entry import TextsEntry, VerificationEntry
from qs.settings.case import Case
from qs.settings.settings import Settings
from qs.tensors.outputs import NOTED

IDLE_DIFFERS = (
    "the idle server itself does not answer a prompt twice the same, so its answers under load "
    "tell little"
)
GREEDY = "--body temperature=0 --body seed=1, if the server obeys them"
COMPARE_ALONE = "--clients 1 tells whether it is the load; batching may change a token"
UNTIED = (
    "compared with the idle backend's own answers before the case, and with no reference: numeric "
    "agreement was not asked for, could not be measured, or failed"
)


class Answers(Protocol):
    """What is asked when it is idle: a backend, or those of all nodes."""

    async def idle_answers(self, reference: Path | None, **kept: Any) -> str | None: ...

    async def verification(self, **kept: Any) -> dict[str, Any]: ...

    async def drop(self) -> None: ...


@dataclass
class Verification:
    """For one case. Without a mode and a reference, only answers without outputs are faults."""

    mode: str | None
    seed: int = 0
    # the reference's items and answers, if the numeric check has compared with them and agreed
    reference: Path | None = None
    folder: str = ""  # the case's own, for what its workers leave
    _open: ExitStack = field(default_factory=ExitStack)
    _fault: str | None = None  # of the idle answers

    @classmethod
    def of(cls, settings: Settings, reference: Path | None) -> Verification:
        return cls(settings.verify.value, settings.seed.value, reference)

    def __enter__(self) -> Verification:
        self.folder = str(self._open.enter_context(scratch("qs-verify-")))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def _compares(self) -> bool:
        """Whether there are answers to compare with, or to be compared."""
        return self.mode is not None or self.reference is not None

    @property
    def asked(self) -> dict[str, Any] | None:
        """Which answers the workers are to keep, and where."""
        if self.mode is None:
            return None
        return {"mode": self.mode, "seed": self.seed, "folder": self.folder}

    async def begun(self, backend: Answers, samples: Mapping[str, Any] | None, case: Case) -> None:
        """Before the case: the idle answers. Raises BackendFailed."""
        if self._compares:
            self._fault = storable(
                await backend.idle_answers(self.reference, **self._kept(samples, case))
            )

    async def judged(
        self,
        backend: Answers,
        samples: Mapping[str, Any] | None,
        case: Case,
        row: Row,
        interrupt: Interrupt,
    ) -> Row:
        """The row with its `Verification`; wrong answers make it INVALID, and so does an
        interruption before answers that were to be looked at were.
        """
        for file in sorted(Path(self.folder).glob(NOTED)):
            row = row.invalid(
                f"under load, {file.read_text()} (instance {file.stem.rpartition('-')[2]})"
            )
        if not self._compares:
            return row
        if self._fault is not None:
            return self._not_verified(row, f"the idle backend, before the case: {self._fault}")
        try:
            answer = storable(
                await interrupt.unless(backend.verification(**self._kept(samples, case)))
            )
        except BackendFailed as failure:
            if failure.lost_host:
                await backend.drop()
            return self._not_verified(row, failure.said)
        if answer is None:
            if self.mode is None:
                return row
            return self._not_verified(row, "interrupted before the answers were checked")
        if answer["changed"]:
            why = f"the idle backend, after the case: {answer['changed']}"
            return self._not_verified(row, why)
        if answer["found"] is None:
            return row
        found = VerificationEntry(**answer["found"])
        if self.reference is None and found.note is None:
            found = found.changed(note=UNTIED)
        return _judged(row, found)

    def _kept(self, samples: Mapping[str, Any] | None, case: Case) -> dict[str, Any]:
        """Where answers are kept, and what the case was fed."""
        return {
            "folder": self.folder,
            "mode": self.mode,
            "batch_size": case.requested_batch_size,
            "samples": samples,
            "shared_by": case.shared_by,
        }

    def _not_verified(self, row: Row, why: str) -> Row:
        if self.mode is not None:
            nothing = VerificationEntry(
                mode=self.mode, checked=0, wrong=0, worst=None, tolerance=None, not_verified=why
            )
            row = row.changed(verification=nothing)
        return row.invalid(f"verification: {why}")


def _differing(texts: TextsEntry) -> DoubtEntry:
    """A server that answers otherwise when it is busy."""
    apart = texts.compared - texts.same
    where = f"{texts.unit} {texts.earliest} at the earliest, {texts.median} in the median"
    interval = (
        f", 95 % interval {percent(float(texts.low))} to {percent(float(texts.high))}"
        if texts.low is not None and texts.high is not None
        else ""
    )
    text = (
        f"{apart} of {texts.compared} answers under load are not those of the idle server to the "
        f"same prompts ({percent(float(texts.share or 0))} are{interval}); they part at {where}"
    )
    return DoubtEntry(code="answers_differ_under_load", text=text, cure=COMPARE_ALONE)


def _judged(row: Row, found: VerificationEntry) -> Row:
    row = row.changed(verification=found)
    if found.wrong and found.worst is not None:
        worst = found.worst
        which = "" if worst.sample is None else f" to sample {worst.sample}"
        row = row.invalid(
            f"verification: {found.wrong} of {found.checked} checked answers are wrong; "
            f"the worst is that of request {worst.request} of worker {worst.worker}{which}: "
            f"{worst.why}"
        )
    elif not found.checked:
        text = "--verify: no answer was kept that could be checked"
        row = row.doubted(DoubtEntry(code="nothing_verified", text=text, cure="--verify all"))
    if found.texts is not None and found.texts.same < found.texts.compared:
        row = row.doubted(_differing(found.texts))
    if found.texts is not None and found.texts.idle_same is False:
        row = row.doubted(DoubtEntry(code="idle_differs", text=IDLE_DIFFERS, cure=GREEDY))
    if found.unchecked:
        text = f"--verify all: {found.unchecked} answers were not checked: " + (
            "there was no time to ask the idle server for all of them"
            if found.texts is not None
            else "the backend gives ever new answers to the same feeds"
        )
        row = row.doubted(DoubtEntry(code="not_all_verified", text=text))
    return row
