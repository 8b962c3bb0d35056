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
from qs.base.console import is_dumb
from qs.base.errors import UserError
from qs.base.interrupt import Interrupted
from qs.base.words import number
from qs.config.interact import Profile, Question
from qs.interact.settling import (
    ANSWER_WITHIN_S,
    NOT_ANSWERED,
    SOURCE,
    Settled,
    settle,
    settle_asking,
)
from qs.interact.terminal import Terminal


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
    if is_dumb(environ):
        return f"the terminal cannot show dialogs (TERM={environ.get('TERM', '')})"
    return None


async def answers_of(
    profile: Profile,
    given: Mapping[str, Any] | None,
    source: str | None,
    why_silent: str | None,
    say: Callable[[str], None],
    typed: Mapping[str, Any] | None = None,
) -> Settled:
    """Settle a profile: with the given answers, then with options of that name (`typed`), then by
    asking a person, or by default if `why_silent` gives a reason.

    `source` is the file of the given answers. Raises Faults for invalid answers, before anything is
    asked, and Interrupted if the person stops.
    """
    source = source or SOURCE
    if why_silent is None:
        settled = await _asked(profile, given, source, say, typed)
        why, defaults = f"not answered within {number(ANSWER_WITHIN_S)} s", settled.unanswered
    else:
        settled = settle(profile, given, source, typed)
        asks = [question.name for question in profile.questions if question.ask]
        why = f"not asked ({why_silent})"
        defaults = {name: each for name, each in settled.by_default.items() if name in asks}
    if defaults:
        shown = ", ".join(f"{name} = {json.dumps(answer)}" for name, answer in defaults.items())
        say(f"{why}; using the defaults: {shown}; to change them, use --answers FILE")
    return settled


async def _asked(
    profile: Profile,
    given: Mapping[str, Any] | None,
    source: str,
    say: Callable[[str], None],
    typed: Mapping[str, Any] | None,
) -> Settled:
    """Once nobody has answered in time, nobody is there: the other questions take their defaults at
    once, until one without a default is answered.
    """
    terminal: Terminal | None = None
    away = False

    async def ask(question: Question) -> object:
        nonlocal terminal, away
        waits = question.preset is None
        if away and not waits:
            return NOT_ANSWERED
        if terminal is None:
            terminal = Terminal()
            say(f"{profile.source} asks; Enter takes the default, Ctrl-C stops")
        answer = await terminal.ask(question, None if waits else ANSWER_WITHIN_S)
        away = answer is NOT_ANSWERED
        return answer

    try:
        return await settle_asking(profile, given, source, ask, typed)
    except (KeyboardInterrupt, EOFError):
        raise Interrupted from None
