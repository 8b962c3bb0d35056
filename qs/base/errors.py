"""The user's errors: one clear message, exit status 2, no traceback.

A bug is any other exception and keeps its traceback; a failed request is a recorded outcome of a
run, not an exception. Nothing here prints or exits: that is the command line's part.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qs.base.addresses import public, public_in

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = 12


def _shown(text: str) -> str:
    """A message fit to be printed and kept: no credentials, only characters that UTF-8 has."""
    return public(text).encode("utf-8", "backslashreplace").decode()


MOST_FAULTS = 50  # that a message lists, and whose nearest right name is looked for


class _Missing:
    """The value of a fault if nothing was given."""

    def __repr__(self) -> str:
        return "missing"

    def __reduce__(self) -> str:
        return "MISSING"  # one object, in every process


MISSING = _Missing()


class UserError(Exception):
    """The run cannot go on with what the user gave or this machine has; the message is written for
    the user, and shows no credentials of an address in it.
    """

    def __str__(self) -> str:
        return _shown(super().__str__())


class NoItems(UserError):
    """The task's data set has no items: nothing can be run on it, and no backend is to blame."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in the user's input."""

    file: str
    """The file, or the flag (`--clients`), that the value came from."""
    key: str
    """The place in the file; empty for the file as a whole."""
    value: object
    allowed: str
    """In words, what would be valid instead."""
    nearest: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        # A file carries many keys; a flag is its own key, and naming it twice says nothing more.
        named = self.key and not self.file.startswith("--")
        place = f"{self.file}: {self.key}" if named else self.file
        parts = [f"{place} is {_SHORT.repr(public_in(self.value))}; allowed: {self.allowed}"]
        if self.nearest is not None:
            parts.append(f"did you mean {self.nearest!r}?")
        if self.hint is not None:
            parts.append(self.hint)
        return _shown("; ".join(parts).replace("\n", " "))


class Faults(UserError):
    """Everything that is wrong, at once: nobody should have to fix one fault to learn of the
    next.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(faults)
        if not self.faults:
            raise ValueError("Faults without a fault")
        super().__init__(self.faults)  # the arguments of __init__, so that pickling works

    def __str__(self) -> str:
        count = len(self.faults)
        lines = [str(fault) for fault in self.faults[:MOST_FAULTS]]
        if count == 1:
            return lines[0]
        if count > MOST_FAULTS:
            lines.append(f"and {count - MOST_FAULTS:,} more")
        return "\n".join([f"{count:,} faults:", *(f"  {line}" for line in lines)])


def together(errors: Sequence[UserError]) -> UserError:
    """One error that says what all of them say; Faults if each of them is."""
    if len(errors) == 1:
        return errors[0]
    if all(isinstance(error, Faults) for error in errors):
        return Faults(
            fault for error in errors if isinstance(error, Faults) for fault in error.faults
        )
    return UserError("\n".join(str(error) for error in errors))
