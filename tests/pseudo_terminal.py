"""Commands as a person meets them: at a terminal, with nobody there to type."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pexpect

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 600.0
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\\\)")


@dataclass(frozen=True)
class Seen:
    """What a command left. `raw` has its escape sequences, `screen` has not."""

    status: int | None
    raw: str

    @property
    def screen(self) -> str:
        return _ESCAPES.sub("", self.raw)


def environment(**more: str) -> dict[str, str]:
    """This interpreter's `qs` and `python` first on the path, and the checkout to import from."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: each for name, each in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    own = {"PATH": path, "PYTHONPATH": str(ROOT), "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    return {**kept, **own, **more}


def spawned(
    line: str, cwd: Path, columns: int = 80, limit_s: float = LIMIT_S, **more: str
) -> pexpect.spawn:
    """A shell's line, at a terminal of so many columns."""
    return pexpect.spawn(
        "/bin/sh",
        ["-c", f"exec {line}" if " && " not in line else line],
        cwd=str(cwd),
        env=environment(**more),
        encoding="utf-8",
        codec_errors="replace",
        timeout=limit_s,
        dimensions=(30, columns),
    )


def left_alone(
    line: str, cwd: Path, columns: int = 80, limit_s: float = LIMIT_S, **more: str
) -> Seen:
    """Run a line to its end without a key. AssertionError if it is still there after the limit: it
    waits for somebody.
    """
    child = spawned(line, cwd, columns, limit_s, **more)
    try:
        child.expect(pexpect.EOF)
    except pexpect.TIMEOUT:
        raise AssertionError(f"{line}: still waits; it said {child.before[-500:]!r}") from None
    finally:
        child.close(force=True)
    return Seen(child.exitstatus, child.before)
