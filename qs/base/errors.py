"""The user's errors: one clear message, exit status 2, no traceback.

A bug is any other exception and keeps its traceback; a failed request is a recorded outcome of a
run, not an exception. Nothing here prints or exits: that is the command line's part.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = 12


class _Missing:
    """Stands as a fault's value where nothing was given."""

    def __repr__(self) -> str:
        return "missing"

    def __reduce__(self) -> str:
        return "MISSING"  # one object, in every process


MISSING = _Missing()


class UserError(Exception):
    """What the user gave, or the machine lacks, stops the run; the message is written for the
    user.
    """


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in what the user gave.

    `file` is the file, or the flag (`--clients`) the value came from; `key` is the place in it,
    empty where the file as a whole is meant; `value` is what stands there; `allowed` says in words
    what may stand there.
    """

    file: str
    key: str
    value: object
    allowed: str
    nearest: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        # A file carries many keys; a flag is its own key, and naming it twice says nothing more.
        named = self.key and not self.file.startswith("--")
        place = f"{self.file}: {self.key}" if named else self.file
        parts = [f"{place} is {_SHORT.repr(self.value)}; allowed: {self.allowed}"]
        if self.nearest is not None:
            parts.append(f"did you mean {self.nearest!r}?")
        if self.hint is not None:
            parts.append(self.hint)
        return "; ".join(parts).replace("\n", " ")


class Faults(UserError):
    """Everything that is wrong, at once: a user who mends one fault must not meet the next one only
    then.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(faults)
        if not self.faults:
            raise ValueError("Faults without a fault")
        super().__init__(self.faults)  # the arguments of __init__, so that pickling works

    def __str__(self) -> str:
        lines = [str(fault) for fault in self.faults]
        if len(lines) == 1:
            return lines[0]
        return "\n".join([f"{len(lines)} faults:", *(f"  {line}" for line in lines)])


def together(errors: Sequence[UserError]) -> UserError:
    """One error that says what all of them say; Faults where each of them is."""
    if len(errors) == 1:
        return errors[0]
    if all(isinstance(error, Faults) for error in errors):
        return Faults(
            fault for error in errors if isinstance(error, Faults) for fault in error.faults
        )
    return UserError("\n".join(str(error) for error in errors))
