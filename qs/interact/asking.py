"""Whether a person is asked, and the answers that come of it. The dialogs themselves are
qs.interact.terminal's.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from qs.base.interrupt import Interrupted
from qs.config.interact import Profile, Question
from qs.interact.settling import SOURCE, Settled, settle, settle_asking

DUMB = ("dumb", "unknown", "")


def silence(no_input: bool, environ: Mapping[str, str] = os.environ) -> str | None:
    """Why nobody can be asked; None where somebody can."""
    if no_input:
        return "--no_input"
    for stream, name in ((sys.stdin, "standard input"), (sys.stderr, "standard error")):
        if stream is None or stream.closed or not stream.isatty():
            return f"{name} is no terminal"
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
    """Settle a profile: with the answers given, then with a person's, or with defaults where
    `why_silent` says why.

    `source` is the file that the answers came from. Raises Faults for answers that do not fit,
    before anything is asked, and Interrupted where the person stops.
    """
    source = source or SOURCE
    if why_silent is None:
        return await _asked(profile, given, source, say)
    settled = settle(profile, given, source)
    defaults = settled.by_default
    if defaults:
        shown = ", ".join(f"{name} = {json.dumps(answer)}" for name, answer in defaults.items())
        say(
            f"not asked ({why_silent}), so the defaults hold: {shown}; "
            "--answers FILE answers otherwise"
        )
    return settled


async def _asked(
    profile: Profile, given: Mapping[str, Any] | None, source: str, say: Callable[[str], None]
) -> Settled:
    terminal: Any = None

    async def ask(question: Question) -> object:
        nonlocal terminal
        if terminal is None:
            from qs.interact.terminal import Terminal

            terminal = Terminal()
            say(f"{profile.source} asks; Enter takes the default, Ctrl-C stops")
        return await terminal.ask(question)

    try:
        return await settle_asking(profile, given, source, ask)
    except (KeyboardInterrupt, EOFError):
        raise Interrupted from None
