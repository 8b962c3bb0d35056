"""Whose is a file whose content will be run or obeyed? Ours, or root's, and not open to others.

In a folder that several people use, one of them can leave a `qs.cfg`, a `backends/CPU` or an
environment that the next one's command would pick up (what CVE-2022-24765 was for git). Such files
are refused unless the folder is named in QS_TRUSTED. Left out: who may write to the folders above,
and access lists beyond the permission bits.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from qs.base.errors import UserError

VARIABLE = "QS_TRUSTED"
EVERYTHING = "*"


def distrust(path: Path) -> str | None:
    """Why the content of `path` may be another user's, in words; None if it is ours, if nothing is
    there, or if QS_TRUSTED names it or a folder above it. A link counts as well as its target.
    """
    if _is_trusted(path):
        return None
    try:
        link, target = os.lstat(path), os.stat(path)
    except (OSError, ValueError):
        return None
    for about in (link, target):
        if about.st_uid not in _our_uids():
            return f"belongs to {_name_of(about.st_uid)}, not to you"
    mode = target.st_mode
    if stat.S_ISDIR(mode) and mode & stat.S_ISVTX:
        return None  # as in /tmp: others may add to it, but not replace what is there
    if mode & stat.S_IWOTH:
        return "can be written by everybody"
    if mode & stat.S_IWGRP and target.st_gid not in {os.getegid(), *os.getgroups()}:
        return f"can be written by group {target.st_gid}, which you are not in"
    return None


def check_ours(paths: Iterable[Path], consequence: str) -> None:
    """Raise UserError for the first of `paths` that may be another user's. `consequence` says what
    was not done therefore, and what else there is to do.
    """
    for path in paths:
        reason = distrust(path)
        if reason is not None:
            raise UserError(
                f"{path} {reason}: {consequence}; if you trust it, set {VARIABLE} to {path} or a "
                f"folder above it (several: '{os.pathsep}' between them; {EVERYTHING}: everything)"
            )


def owner_of(path: Path) -> int | None:
    """The uid of whoever owns `path`; None if nothing is there."""
    try:
        return os.stat(path).st_uid
    except (OSError, ValueError):
        return None


def _our_uids() -> set[int]:
    ours = {0, os.getuid(), os.geteuid()}
    sudo = os.environ.get("SUDO_UID", "")
    if os.geteuid() == 0 and sudo.isascii() and sudo.isdigit():
        ours.add(int(sudo))  # sudo sets it to whoever asked
    return ours


def _is_trusted(path: Path) -> bool:
    named = [part for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    if EVERYTHING in named:
        return True
    real = os.path.realpath(path)
    return any(Path(real).is_relative_to(os.path.realpath(folder)) for folder in named)


def _name_of(uid: int) -> str:
    import pwd

    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
