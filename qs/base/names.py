"""Names of tasks, hardware, models and data sets: which are plain, and which known one a misspelt
name probably means.

A plain name is a single path component, so that joining it to a folder stays inside that folder.
qs.base.workspace looks names up on disk.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable

from qs.base.errors import UserError

PLAIN = "a plain name: no '/', '\\', ':' or control characters, not starting with '.', not empty"
LAST = "last"  # the newest run
TAG = "a tag has no spaces, is not a number alone or the word last, and starts with no #, @ or -"
_SHORT = 4  # letters: of such words the first one is hardly ever mistyped
_LONGEST = 200  # with a suffix, still below the 255 bytes that file systems allow


def is_plain(name: object) -> bool:
    """True if `name` is printable and a valid path component on every platform."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= _LONGEST
        and name == name.strip()
        # excludes NUL, line breaks, and the surrogates of undecodable arguments
        and name.isprintable()
        and not name.startswith(".")
        and not any(mark in name for mark in "/\\:")
    )


def is_tag(text: str) -> bool:
    """Whether a run may have this tag: @TAG then cannot be taken for another way to name a run."""
    return (
        0 < len(text) <= _LONGEST
        and text.isprintable()
        and not any(each.isspace() for each in text)
        and not text.isdecimal()
        and text != LAST
        and text[0] not in "#@-"
    )


def is_unicode(text: object) -> bool:
    """True for a str that UTF-8 can hold: one without half of a surrogate pair, as JSON's escapes
    and Python's undecodable file names have them.
    """
    if not isinstance(text, str):
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_plain(name: str, what: str) -> str:
    """The name itself if it is plain, else UserError. `what` says what it names: "task", "hardware
    type".
    """
    if is_plain(name):
        return name
    shown = repr(name) if len(str(name)) <= _LONGEST else repr(str(name)[:40] + "...")
    raise UserError(f"{shown} is not a valid name for a {what}; allowed: {PLAIN}")


def nearest(name: object, candidates: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The candidate that a misspelt name probably means, or None if nothing is similar enough.

    `cutoff` is the similarity required, from 0 to 1 (difflib's ratio); upper and lower case, '-'
    and '_' count as equal. A short word has to begin with the same letter, or to have the same
    letters.
    """
    by_folded: dict[str, str] = {}
    if len(str(name)) > _LONGEST:
        return None
    for candidate in candidates:
        by_folded.setdefault(candidate.casefold().replace("-", "_"), candidate)
    folded = str(name).casefold().replace("-", "_")
    likely = list(by_folded)
    if len(folded) <= _SHORT:  # GPU is no misspelt CPU
        likely = [
            each for each in likely if each[:1] == folded[:1] or sorted(each) == sorted(folded)
        ]
    close = difflib.get_close_matches(folded, likely, n=1, cutoff=cutoff)
    return by_folded[close[0]] if close else None


def as_typed(flag: str, name: str, value: str) -> str:
    """`--range x=0,10` as a shell takes it, for any name of an input: one with spaces at its ends
    or a `=` in it stands in double quotes of its own (see qs.cli.types.Named).
    """
    quoted = f'"{name}"' if name != name.strip() or "=" in name or name[:1] == '"' else name
    return f"{flag} {shlex.quote(f'{quoted}={value}')}"


# Types by the names that other tools give them.
TYPE_ALIASES = {
    "FLOAT": "FLOAT32",
    "DOUBLE": "FLOAT64",
    "HALF": "FLOAT16",
    "FP16": "FLOAT16",
    "FP32": "FLOAT32",
    "FP64": "FLOAT64",
}


def type_name(stated: str) -> str:
    """A type's name as ByteMLPerf spells it, which is in capital letters."""
    upper = stated.strip().upper()
    return TYPE_ALIASES.get(upper, upper)
