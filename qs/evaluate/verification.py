"""Whether the answers of a case can be right: those given under load, kept by its workers if that
was asked for and judged when it has ended; and in any case, if there is a reference, whether the
idle backend answers after the case as before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qs.base.interrupt import Interrupt
from qs.base.scratch import scratch
from qs.base.storable import storable
from qs.evaluate.backend import Backend
from qs.evaluate.failures import BackendFailed
from qs.result.row import Row
from qs.result.verdict import DoubtEntry
from qs.result.verification_entry import VerificationEntry
from qs.settings.case import Case
from qs.settings.settings import Settings
from qs.tensors.outputs import NOTED

UNTIED = (
    "compared with the idle backend's own answers before the case, and with no reference: numeric "
    "agreement was not asked for, could not be measured, or failed"
)


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

    async def begun(self, backend: Backend, samples: Mapping[str, Any] | None, case: Case) -> None:
        """Before the case: the idle answers. Raises BackendFailed."""
        if self._compares:
            self._fault = storable(
                await backend.idle_answers(self.reference, **self._kept(samples, case))
            )

    async def judged(
        self,
        backend: Backend,
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
    if found.unchecked:
        text = (
            f"--verify all: {found.unchecked} answers were not checked: the backend gives ever "
            "new answers to the same feeds"
        )
        row = row.doubted(DoubtEntry(code="not_all_verified", text=text))
    return row
