"""What a sweep has measured so far, one JSON object in each line, written as each trial ends, so
that a sweep that was killed can be resumed.

The first line says what is swept, and a sweep of something else is not resumed from it. A line that
was cut off in the middle is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.files import Lines, read_regular, write_atomic
from qs.base.visible import one_line
from qs.limit import Trial
from qs.result.row import Row

ABOUT, TRIAL, LIMIT = "about", "trial", "limit"
MOST_BYTES = 200_000_000  # some ten thousand trials of a limit
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
    "over": "search",
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
        of another sweep, or of none.
        """
        self.path = path
        # By the number of the round and the combination's name.
        self._trials: dict[tuple[int, str], SweepTrial] = {}
        self.limit_trials: list[Trial] = []
        self.resumed = False
        self._torn = False  # the last line may have been cut off by a full disk
        about = json.loads(json.dumps(dict(about), default=str))
        self.left_out = 0  # damaged lines
        content = read_regular(path, MOST_BYTES) if resume and path.exists() else b""
        if content.strip():
            self._resume(content, about)
        else:
            self._rewrite([json.dumps({"kind": ABOUT, **about}).encode()])

    def _resume(self, content: bytes, about: Mapping[str, Any]) -> None:
        """Raises UserError for what is no state of this sweep; the file stays as it is."""
        kept: list[bytes] = []
        for number, text in enumerate(content.split(b"\n"), start=1):
            if not text.strip():
                continue
            line = _line(text)
            if not kept:
                self._check(number, line, about)
            elif line is None:
                self.left_out += 1
                continue
            else:
                self._take(number, line)
            kept.append(text)
        self.resumed = True
        self._rewrite(kept)

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

    def _check(
        self, number: int, first: Mapping[str, Any] | None, about: Mapping[str, Any]
    ) -> None:
        if first is None or first.get("kind") != ABOUT:
            raise UserError(
                f"--resume: {self.path}, line {number}: does not say what was swept; leave out "
                "--resume to begin anew, which replaces the file"
            )
        for name, called in SAME.items():
            before, now = first.get(name), about.get(name)
            if before != now:
                differs = (
                    "has changed since"
                    if name.endswith("sha256")
                    else f"is {_shown(before)}, now it is {_shown(now)}"
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

    def _rewrite(self, lines: Sequence[bytes]) -> None:
        """Without what was cut off, so that the next line starts on its own."""
        write_atomic(self.path, b"".join(line + b"\n" for line in lines))


def _line(text: bytes) -> dict[str, Any] | None:
    """The object in a line; None if it is damaged."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def _shown(value: object) -> str:
    try:
        return one_line(repr(value), 200)
    except RecursionError:
        return "nested too deeply"
