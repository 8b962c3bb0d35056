"""Names of tasks, hardware, models and data sets: which are plain, and which known one was probably
meant.

A plain name is one path component and nothing else, so that joining it to a folder stays inside
that folder. Looking names up on disk is qs.base.workspace's part.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from qs.base.errors import UserError

PLAIN = "a plain name: no '/', '\\', ':' or control characters, not starting with '.', not empty"
_LONGEST = 200  # with a suffix still below the 255 bytes that file systems take


def is_plain(name: object) -> bool:
    """True where `name` can be one path component on every platform and be printed."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= _LONGEST
        and name == name.strip()
        # refuses NUL, line breaks, and the surrogates of undecodable arguments
        and name.isprintable()
        and not name.startswith(".")
        and not any(mark in name for mark in "/\\:")
    )


def check_plain(name: str, what: str) -> str:
    """The name itself where it is plain; else UserError. `what` names it: "task", "hardware
    type".
    """
    if is_plain(name):
        return name
    shown = repr(name) if len(str(name)) <= _LONGEST else repr(str(name)[:40] + "...")
    raise UserError(f"{shown} cannot be the name of a {what}; allowed: {PLAIN}")


def nearest(name: object, candidates: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The candidate that was probably meant by a misspelt name, or None where nothing is near
    enough.

    `cutoff` is how alike they must be, from 0 to 1 (difflib's ratio); case and '-' against '_' do
    not count.
    """
    by_folded: dict[str, str] = {}
    for candidate in candidates:
        by_folded.setdefault(candidate.casefold().replace("-", "_"), candidate)
    folded = str(name).casefold().replace("-", "_")
    close = difflib.get_close_matches(folded, list(by_folded), n=1, cutoff=cutoff)
    return by_folded[close[0]] if close else None
