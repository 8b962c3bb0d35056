"""The command that measures a result again, for longer: the one that was typed, with another
duration in place of whatever ended it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from qs.base.visible import typed_word
from qs.result.result import Result

LEAST_S = 3.0
STARTED_BY = ("__main__.py", "qs", "launch.py")
# Options that say when a case ends, and their short forms.
_ENDS = {
    "--iterations",
    "--duration",
    "--until_stable",
    "--stable_percentile",
    "--min_duration",
    "--min_queries",
    "--time_limit",
    "-d",
}
# The load itself says how long it lasts; a sweep's budget says it for each setting.
_FIXED = {"--stages", "--replay", "--budget"}
# How a result is shown is not what is measured.
_SHOWN = {"--json", "--quiet", "-q"}


def rounded_s(seconds: float) -> float:
    """A duration that a person would type, at least `seconds` and LEAST_S: two digits."""
    seconds = max(seconds, LEAST_S)
    step = 10.0 ** max(math.floor(math.log10(seconds)) - 1, 0)
    return math.ceil(seconds / step - 1e-9) * step


def longer_command(result: Result, seconds: float) -> str | None:
    """What measures each case of a result for that long, as it is typed; None if its load has a
    length of its own, or the command is not known.
    """
    words = list(result.command)
    if len(words) < 2 or any(_flag(word) in _FIXED for word in words):
        return None
    program = "qs" if Path(words[0]).name in STARTED_BY else words[0]
    kept = [program, *_without_ends(words[1:]), "--duration", f"{rounded_s(seconds):g}s"]
    return " ".join(map(typed_word, kept))


def _without_ends(words: Sequence[str]) -> Iterator[str]:
    skip = False
    for word in words:
        flag = _flag(word)
        if skip:
            skip = False
        elif flag in _ENDS:
            skip = "=" not in word
        elif flag.startswith("-d") and flag[2:3].isdigit():  # -d5s
            continue
        elif flag not in _SHOWN:
            yield word


def _flag(word: str) -> str:
    """The option that a word names, as the tables above spell it; empty for a value."""
    if not word.startswith("-"):
        return ""
    name = word.partition("=")[0]
    return "--" + name[2:].replace("-", "_") if name.startswith("--") else name
