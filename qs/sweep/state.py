"""What a sweep has measured so far, one JSON object in each line, written as each trial ends, so
that a sweep that was killed can be resumed.

The first line says what is swept, and a sweep of something else is not resumed from it. A line that
was cut off in the middle is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.files import Lines, write_atomic
from qs.limit import Trial
from qs.result.row import Row

ABOUT, TRIAL, LIMIT = "about", "trial", "limit"
# A resumed sweep may have another time or place, but must measure the same.
SAME = (
    "task",
    "artifact",
    "hardware",
    "model_sha256",
    "precision",
    "axes",
    "repeats",
    "duration_s",
    "budget_s",
    "goals",
    "seed",
    "qs_version",
)


@dataclass(frozen=True)
class SweepTrial:
    """One combination measured once."""

    turn: int  # the number of its round
    name: str  # the combination's
    row: Row
    took_s: float  # with loading and warm-up

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": TRIAL,
            "round": self.turn,
            "name": self.name,
            "took_s": self.took_s,
            "row": self.row.to_dict(),
        }

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> SweepTrial:
        row = Row.model_validate(plain["row"])
        return SweepTrial(plain["round"], plain["name"], row, plain["took_s"])


class State:
    """The file of one sweep, and what it holds."""

    def __init__(self, path: Path, about: Mapping[str, Any], resume: bool):
        """Begins a new file, or with `resume` reads the existing one. Raises UserError if that is
        of another sweep.
        """
        self.path = path
        # By the number of the round and the combination's name.
        self._trials: dict[tuple[int, str], SweepTrial] = {}
        self.limit_trials: list[Trial] = []
        self.resumed = False
        self._torn = False  # the last line may have been cut off by a full disk
        about = json.loads(json.dumps(dict(about), default=str))
        lines = _lines(path) if resume and path.exists() else []
        if lines:
            self._check(lines[0], about)
            self.resumed = True
            for line in lines[1:]:
                if line.get("kind") == TRIAL:
                    trial = SweepTrial.from_dict(line)
                    self._trials[(trial.turn, trial.name)] = trial
                elif line.get("kind") == LIMIT:
                    self.limit_trials.append(Trial.from_dict(line["trial"]))
            self._rewrite(lines)
        else:
            self._rewrite([{"kind": ABOUT, **about}])

    def add(self, trial: SweepTrial) -> None:
        """Raises Unwritable if the disk does not take it; it counts all the same."""
        self._trials[(trial.turn, trial.name)] = trial
        self._append(trial.to_dict())

    def add_limit_trial(self, trial: Trial) -> None:
        self._append({"kind": LIMIT, "trial": trial.to_dict()})

    def __contains__(self, turn_and_name: tuple[int, str]) -> bool:
        return turn_and_name in self._trials

    @property
    def trials(self) -> list[SweepTrial]:
        """By round, and by the combinations' names in it."""
        return [trial for _, trial in sorted(self._trials.items(), key=lambda item: item[0])]

    def rows(self) -> dict[str, list[Row]]:
        """The rows of each combination's trials by its name, in the order of the rounds."""
        rows: dict[str, list[Row]] = {}
        for trial in self.trials:
            rows.setdefault(trial.name, []).append(trial.row)
        return rows

    def _check(self, first: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        for name in SAME:
            if first.get(name) != about.get(name):
                raise UserError(
                    f"--resume: {self.path} is of another sweep: its {name} is "
                    f"{first.get(name)!r}, now it is {about.get(name)!r}; "
                    "leave out --resume to begin anew, or ask for the same"
                )

    def _append(self, entry: Mapping[str, Any]) -> None:
        file = Lines(self.path, keep=True)
        begun, self._torn = b"\n" if self._torn else b"", True
        try:
            file.add(begun + json.dumps(entry, default=str).encode())
            file.sync()
        finally:
            file.close()
        self._torn = False

    def _rewrite(self, lines: list[dict[str, Any]]) -> None:
        """Without what was cut off, so that the next line starts on its own."""
        write_atomic(
            self.path, b"".join(json.dumps(line, default=str).encode() + b"\n" for line in lines)
        )


def _lines(path: Path) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for text in path.read_bytes().split(b"\n"):
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            lines.append(line)
    return lines if lines and lines[0].get("kind") == ABOUT else []
