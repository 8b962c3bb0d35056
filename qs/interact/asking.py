"""Decides whether to ask a person, and returns the answers. qs.interact.terminal shows the
dialogs.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qs.base import jsonc
from qs.base.errors import UserError
from qs.base.interrupt import Interrupted
from qs.config.interact import Profile, Question
from qs.interact.settling import SOURCE, Settled, settle, settle_asking
from qs.interact.terminal import Terminal

DUMB = ("dumb", "unknown", "")


def read_answers(path: Path) -> dict[str, object]:
    """A file of answers, as `--answers` takes it and a report keeps it: one JSON object, comments
    allowed.
    """
    answers = jsonc.read(path)
    if not isinstance(answers, dict):
        raise UserError(f"{path}: is not an object; allowed: {{name of the question: answer, ...}}")
    return answers


def silence(no_input: bool, environ: Mapping[str, str] = os.environ) -> str | None:
    """Why nobody can be asked; None if somebody can."""
    if no_input:
        return "--no_input"
    for stream, name in ((sys.stdin, "standard input"), (sys.stderr, "standard error")):
        if stream is None or stream.closed or not stream.isatty():
            return f"{name} is not a terminal"
    if environ.get("TERM", "").lower() in DUMB:
        return f"the terminal cannot show dialogs (TERM={environ.get('TERM', '')})"
    return None


async def answers_of(
    profile: Profile,
    given: Mapping[str, Any] | None,
    source: str | None,
    why_silent: str | None,
    say: Callable[[str], None],
) -> Settled:
    """Settle a profile: with the given answers, then by asking a person, or by default if
    `why_silent` gives a reason.

    `source` is the file of the given answers. Raises Faults for invalid answers, before anything is
    asked, and Interrupted if the person stops.
    """
    source = source or SOURCE
    if why_silent is None:
        return await _asked(profile, given, source, say)
    settled = settle(profile, given, source)
    defaults = settled.by_default
    if defaults:
        shown = ", ".join(f"{name} = {json.dumps(answer)}" for name, answer in defaults.items())
        say(
            f"not asked ({why_silent}); using the defaults: {shown}; "
            "to change them, use --answers FILE"
        )
    return settled


async def _asked(
    profile: Profile, given: Mapping[str, Any] | None, source: str, say: Callable[[str], None]
) -> Settled:
    terminal: Terminal | None = None

    async def ask(question: Question) -> object:
        nonlocal terminal
        if terminal is None:
            terminal = Terminal()
            say(f"{profile.source} asks; Enter takes the default, Ctrl-C stops")
        return await terminal.ask(question)

    try:
        return await settle_asking(profile, given, source, ask)
    except (KeyboardInterrupt, EOFError):
        raise Interrupted from None
