"""The command that removes a doubt, whole, so that it can be copied and run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from qs.base.visible import typed_word

_STARTED_BY = ("__main__.py", "qs", "launch.py")
# A cure that begins with flags, each with its value if that is one word.
_FLAGS = re.compile(r"--([a-z][a-z_0-9]*)(?: ([\w.:%]+))?")
_COMMAND = re.compile(r"qs [a-z]+(?: --[a-z_]+(?: [\w.:%]+)?)*")
# Flags that say the same as another: one replaces the other.
_INSTEAD = {"duration": ("iterations",), "iterations": ("duration",)}
_NO_VALUE = ("affinity",)


def remedy(cure: str, command: Sequence[str]) -> str:
    """The run's command with the flag that the cure begins with, or the command that it is; empty
    if the cure is neither.
    """
    own = _COMMAND.match(cure)
    if own:
        return own.group()
    found = _FLAGS.match(cure)
    if not found or not command:
        return ""
    name, value = found.groups()
    if name in _NO_VALUE or (value is not None and not _is_value(name, value)):
        value = None
    program, *rest = command
    kept = ["qs" if Path(program).name in _STARTED_BY else program]
    kept += _without(rest, (name, *_INSTEAD.get(name, ())))
    return " ".join(map(typed_word, [*kept, f"--{name}", *([value] if value else [])]))


def _is_value(name: str, value: str) -> bool:
    """Not the next word of a sentence."""
    return any(each.isdigit() for each in value) or name in ("spin", "pool")


def _without(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """The words without these flags and their values."""
    kept: list[str] = []
    dropping = False
    for word in words:
        if word.startswith("--"):
            name = word[2:].partition("=")[0].replace("-", "_")
            dropping = name in names and "=" not in word
            if name in names:
                continue
        elif dropping:
            dropping = False
            continue
        kept.append(word)
    return kept
