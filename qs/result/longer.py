"""The command of a result, typed again with another option: above all one that measures longer."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from qs.base.visible import typed_word

LEAST_S = 3.0
STARTED_BY = ("__main__.py", "qs", "launch.py")
# Options that say when a case ends, and a short form.
_ENDS = (
    "--iterations",
    "--duration",
    "--until_stable",
    "--stable_percentile",
    "--min_duration",
    "--min_queries",
    "--time_limit",
    "-d",
)
# The load itself says how long it lasts; a sweep's budget says it for each setting.
_FIXED = ("--stages", "--replay", "--budget")
# How a result is shown is not what is measured.
_SHOWN = ("--json", "--quiet", "-q")


def rounded_s(seconds: float) -> float:
    """A duration that a person would type, at least `seconds` and LEAST_S: two digits."""
    seconds = max(seconds, LEAST_S)
    step = 10.0 ** max(math.floor(math.log10(seconds)) - 1, 0)
    return math.ceil(seconds / step - 1e-9) * step


def longer_command(command: Sequence[str], seconds: float) -> str | None:
    """What measures each case for that long, as it is typed; None if its load has a length of its
    own, or the command is not known.
    """
    if len(command) < 2 or any(_flag(word) in _FIXED for word in command):
        return None
    return with_option(command, "--duration", f"{rounded_s(seconds):g}s", _ENDS, _SHOWN)


def with_option(
    command: Sequence[str],
    flag: str,
    value: str,
    without: Collection[str],
    without_flags: Collection[str] = (),
) -> str | None:
    """The command with that option, as a shell takes it; None if the command is not known.

    without        options with a value that are left out: --long_form, or -s
    without_flags  the same without a value
    """
    if not command:
        return None
    program = "qs" if Path(command[0]).name in STARTED_BY else command[0]
    kept = [program, *_kept(command[1:], without, without_flags), flag, value]
    return " ".join(map(typed_word, kept))


def _kept(
    words: Sequence[str], without: Collection[str], without_flags: Collection[str]
) -> Iterator[str]:
    skip = False
    for word in words:
        flag = _flag(word)
        if skip:
            skip = False
        elif flag in without:
            skip = "=" not in word
        elif flag[:2] in without and flag[2:3].isdigit():  # -d5s
            continue
        elif flag not in without_flags:
            yield word


def _flag(word: str) -> str:
    """The option that a word names, as the tables above spell it; empty for a value."""
    if not word.startswith("-"):
        return ""
    name = word.partition("=")[0]
    return "--" + name[2:].replace("-", "_") if name.startswith("--") else name
