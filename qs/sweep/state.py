"""What a sweep has measured so far, one JSON object in each line, written as each trial ends, so
that a sweep that was killed can be resumed.

The first line says what is swept, and a sweep of something else is not resumed from it. A line that
was cut off in the middle is ignored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.files import Lines, write_atomic
from qs.base.visible import one_line
from qs.limit import Trial
from qs.result.row import Row

ABOUT, TRIAL, LIMIT = "about", "trial", "limit"
# A resumed sweep may have another time or place, but must measure the same: what is compared, and
# what it is called.
SAME = {
    "task": "task",
    "artifact": "artifact",
    "hardware": "hardware",
    "model_sha256": "model_sha256",
    "artifact_sha256": "content of the artifact",
    "precision": "precision",
    "axes": "axes",
    "repeats": "repeats",
    "duration_s": "duration_s",
    "budget_s": "budget_s",
    "goals": "goals",
    "seed": "seed",
    "options": "options",
    "versions": "version of the backend",
    "backend_sha256": "code of the backend",
    "qs_version": "qs_version",
}


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
        """Raises ValueError, KeyError or TypeError if `to_dict` did not make it."""
        turn, name, took_s = plain["round"], plain["name"], plain["took_s"]
        if type(turn) is not int or turn < 0 or not isinstance(name, str):
            raise ValueError("round and name are not those of a trial")
        if type(took_s) not in (int, float) or not 0 <= took_s < math.inf:
            raise ValueError(f"took_s is {took_s!r}")
        return SweepTrial(turn, name, Row.model_validate(plain["row"]), took_s)


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
            self._check(lines[0][1], about)
            self.resumed = True
            for number, line in lines[1:]:
                self._take(number, line)
            self._rewrite([line for _, line in lines])
        else:
            self._rewrite([{"kind": ABOUT, **about}])

    def _take(self, number: int, line: Mapping[str, Any]) -> None:
        """Raises UserError for a trial that is none: the file may be anybody's by now."""
        try:
            if line.get("kind") == TRIAL:
                trial = SweepTrial.from_dict(line)
                self._trials[(trial.turn, trial.name)] = trial
            elif line.get("kind") == LIMIT:
                self.limit_trials.append(Trial.from_dict(line["trial"]))
        # Decoders of others (pydantic, hdrh, zlib) raise what they please.
        except Exception as error:
            said = one_line(f"{type(error).__name__}: {error}", 200)
            raise UserError(
                f"--resume: {self.path}, line {number}: no trial of a sweep ({said}); remove the "
                "line to measure that trial again, or leave out --resume to begin anew"
            ) from None

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
        for name, called in SAME.items():
            before, now = first.get(name), about.get(name)
            if before != now:
                differs = (
                    "has changed since"
                    if name.endswith("sha256")
                    else f"is {before!r}, now it is {now!r}"
                )
                raise UserError(
                    f"--resume: {self.path} is of another sweep: its {called} {differs}; "
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


def _lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Objects with the numbers of their lines, if the first one says what is swept."""
    lines: list[tuple[int, dict[str, Any]]] = []
    for number, text in enumerate(path.read_bytes().split(b"\n"), start=1):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict):
            lines.append((number, line))
    return lines if lines and lines[0][1].get("kind") == ABOUT else []
