"""What a sweep has measured so far, one JSON object a line, written as each trial ends: a sweep
that was killed goes on from it.

The first line says what is swept; a sweep of something else does not go on from it. A line that was
cut off in the middle is not read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.result.row import Row

ABOUT, TRIAL, LIMIT = "about", "trial", "limit"
# A sweep that goes on may have another time or place, but must measure the same.
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
class SavedTrial:
    """One trial of a setting, and how long it took with all that is not measured."""

    row: Row
    took_s: float


class State:
    """The file of one sweep. `trials` are those known already, by (round, setting's name)."""

    def __init__(self, path: Path, about: Mapping[str, Any], resume: bool):
        """Begins a new file, or with `resume` reads the one that is there. Raises UserError where
        that is of another sweep.
        """
        self.path = path
        self.trials: dict[tuple[int, str], SavedTrial] = {}
        self.limit_trials: list[dict[str, Any]] = []
        self.resumed = False
        about = json.loads(json.dumps(dict(about), default=str))
        lines = _lines(path) if resume and path.exists() else []
        if lines:
            self._check(lines[0], about)
            self.resumed = True
            for line in lines[1:]:
                if line.get("kind") == TRIAL:
                    trial = SavedTrial(Row.model_validate(line["row"]), line["took_s"])
                    self.trials[(line["round"], line["name"])] = trial
                elif line.get("kind") == LIMIT:
                    self.limit_trials.append(line["trial"])
            self._rewrite(lines)
        else:
            self._rewrite([{"kind": ABOUT, **about}])

    def trial(self, round_number: int, name: str, row: Row, took_s: float) -> None:
        self._append(
            {
                "kind": TRIAL,
                "round": round_number,
                "name": name,
                "took_s": took_s,
                "row": row.to_dict(),
            }
        )
        self.trials[(round_number, name)] = SavedTrial(row, took_s)

    def limit(self, trial: Mapping[str, Any]) -> None:
        self._append({"kind": LIMIT, "trial": dict(trial)})

    def rows(self) -> dict[str, list[Row]]:
        """Setting's name -> its trials' rows, by round."""
        found: dict[str, list[Row]] = {}
        for _, name in sorted(self.trials):
            found.setdefault(name, [])
        for (_, name), trial in sorted(self.trials.items()):
            found[name].append(trial.row)
        return found

    @property
    def spent_s(self) -> float:
        return sum(trial.took_s for trial in self.trials.values())

    def _check(self, first: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        for name in SAME:
            if first.get(name) != about.get(name):
                raise UserError(
                    f"--resume: {self.path} is of another sweep: its {name} is {first.get(name)!r}, now it is {about.get(name)!r}; "
                    "leave out --resume to begin anew, or ask for the same"
                )

    def _append(self, entry: Mapping[str, Any]) -> None:
        with self.path.open("ab") as file:
            file.write(json.dumps(entry, default=str).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _rewrite(self, lines: list[dict[str, Any]]) -> None:
        """Without what was cut off, so that the next line begins a line."""
        from qs.base.files import write_atomic

        write_atomic(
            self.path, b"".join(json.dumps(line, default=str).encode() + b"\n" for line in lines)
        )


def _lines(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for text in path.read_bytes().split(b"\n"):
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            found.append(line)
    return found if found and found[0].get("kind") == ABOUT else []
