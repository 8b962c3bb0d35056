"""Answers under load: kept by the workers of a case where that was asked for, judged when it has
ended.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import Any

from qs.evaluate.backend import call
from qs.evaluate.failures import BackendFailed
from qs.result.row import Row, VerificationEntry
from qs.settings.case import Case
from qs.settings.settings import Settings


@dataclass
class Verification:
    """For one case. Off where `mode` is None: then it adds nothing to what the workers do."""

    mode: str | None
    seed: int = 0
    _folder: tempfile.TemporaryDirectory | None = None

    @classmethod
    def of(cls, settings: Settings) -> Verification:
        return cls(settings.verify.value, settings.seed.value)

    def __enter__(self) -> Verification:
        if self.mode is not None:
            self._folder = tempfile.TemporaryDirectory(prefix="qs-verify-")
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def arguments(self) -> dict[str, Any]:
        """What load_target is told."""
        if self._folder is None:
            return {}
        return {"verify": {"mode": self.mode, "seed": self.seed, "folder": self._folder.name}}

    async def judged(self, bench: Any, case: Case, row: Row) -> Row:
        """The row with its `Verification`; wrong answers make it INVALID."""
        if self._folder is None:
            return row
        try:
            answer = await call(
                bench.host,
                "verification",
                "verifying answers",
                folder=self._folder.name,
                mode=self.mode,
                batch_size=case.requested_batch_size,
                samples=bench.settings.plain_samples,
                shared_by=case.shared_by,
                predict_limit_s=None if bench.in_process else bench.host.limits.predict_s,
            )
        except BackendFailed as failure:
            if failure.lost_host:
                await bench.host.drop()
            nothing = VerificationEntry(
                mode=self.mode,
                checked=0,
                wrong=0,
                worst=None,
                tolerance=None,
                not_verified=failure.said,
            )
            return row.changed(verification=nothing).invalid(f"verification: {failure.said}")
        return _judged(row, VerificationEntry(**answer))


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
