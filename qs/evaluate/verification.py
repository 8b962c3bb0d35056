"""Answers under load: kept by the workers of a case where that was asked for, judged when it has
ended.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qs.evaluate.backend import call
from qs.evaluate.failures import BackendFailed
from qs.settings.case import Case
from qs.settings.plan import Value


@dataclass
class Verification:
    """For one case. Off where `mode` is None: then it adds nothing to what the workers do."""

    mode: str | None
    seed: int = 0
    _folder: tempfile.TemporaryDirectory | None = None

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> Verification:
        verify = values.get("verify")
        return cls(None) if verify is None else cls(verify.value, values["seed"].value or 0)

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

    async def judge(self, bench: Any, case: Case, row: dict[str, Any]) -> None:
        """Add `Verification` to the row; wrong answers make it INVALID."""
        if self._folder is None:
            return
        try:
            found = await call(
                bench.host,
                "verification",
                "verifying answers",
                folder=self._folder.name,
                mode=self.mode,
                batch_size=case.requested_batch_size,
                samples=bench.values["samples"].value,
                shared_by=case.shared_by,
                predict_limit_s=None if bench.in_process else bench.host.limits.predict_s,
            )
        except BackendFailed as failure:
            if failure.lost_host:
                await bench.host.drop()
            row["Verification"] = {
                "mode": self.mode,
                "checked": 0,
                "wrong": 0,
                "worst": None,
                "tolerance": None,
            }
            row["Verification"]["not_verified"] = failure.said
            _invalid(row, f"verification: {failure.said}")
            return
        row["Verification"] = found
        if found["wrong"]:
            worst = found["worst"]
            which = "" if worst["sample"] is None else f" to sample {worst['sample']}"
            _invalid(
                row,
                f"verification: {found['wrong']} of {found['checked']} checked answers are wrong; the worst is that of request "
                f"{worst['request']} of worker {worst['worker']}{which}: {worst['why']}",
            )
        elif not found["checked"]:
            row["Warnings"].append("--verify: no answer was kept that could be checked")
        if found["unchecked"]:
            row["Warnings"].append(
                f"--verify all: {found['unchecked']} answers were not checked: the backend gives ever new answers to the same feeds"
            )


def _invalid(row: dict[str, Any], reason: str) -> None:
    row["Verdict"] = "INVALID"
    row["Reasons"].append(reason)
