"""Answers given under load: kept by the workers of a case if that was asked for, judged when it has
ended.
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
from qs.result.row import Row, VerificationEntry
from qs.settings.case import Case
from qs.settings.settings import Settings


@dataclass
class Verification:
    """For one case. If `mode` is None it adds nothing to what the workers do."""

    mode: str | None
    seed: int = 0
    _folder: Path | None = None
    _open: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def of(cls, settings: Settings) -> Verification:
        return cls(settings.verify.value, settings.seed.value)

    def __enter__(self) -> Verification:
        if self.mode is not None:
            self._folder = self._open.enter_context(scratch("qs-verify-"))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def asked(self) -> dict[str, Any] | None:
        """Which answers the workers are to keep, and where."""
        if self._folder is None:
            return None
        return {"mode": self.mode, "seed": self.seed, "folder": str(self._folder)}

    async def judged(
        self,
        backend: Backend,
        samples: Mapping[str, Any] | None,
        case: Case,
        row: Row,
        interrupt: Interrupt,
    ) -> Row:
        """The row with its `Verification`; wrong answers make it INVALID, and so does an
        interruption before they were looked at.
        """
        if self._folder is None:
            return row
        try:
            answer = await interrupt.unless(
                backend.verification(case, samples, str(self._folder), self.mode)
            )
        except BackendFailed as failure:
            if failure.lost_host:
                await backend.drop()
            return self._not_verified(row, failure.said)
        if answer is None:
            return self._not_verified(row, "interrupted before the answers were checked")
        return _judged(row, VerificationEntry(**storable(answer)))

    def _not_verified(self, row: Row, why: str) -> Row:
        nothing = VerificationEntry(
            mode=self.mode, checked=0, wrong=0, worst=None, tolerance=None, not_verified=why
        )
        return row.changed(verification=nothing).invalid(f"verification: {why}")


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
        row = row.warned("--verify: no answer was kept that could be checked")
    if found.unchecked:
        row = row.warned(
            f"--verify all: {found.unchecked} answers were not checked: the backend gives ever "
            "new answers to the same feeds"
        )
    return row
