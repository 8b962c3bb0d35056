"""The environments in the cache: a folder each, whose record is written last, so that one without a
record is unfinished.

An environment is built where it stays, since what is installed in it names its place. Its lock lies
beside it and is held by whoever builds it, the installer's process included: were the builder
killed, the lock holds until the installer has ended too.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from qs.base import cache
from qs.base.errors import UserError
from qs.base.ownership import check_ours
from qs.environments.installers import python_of
from qs.environments.running import LIMIT_S, Stopped

RECORD = "qs-environment.json"
_LOOK_S = 0.1


@dataclass(frozen=True)
class Built:
    """What is known of an environment from when it was built."""

    key: str
    source: str  # the requirements.txt that it was first built for
    requirements: list[str]
    requirements_sha256: str
    created: str
    python: str
    abi: str
    tool: str
    seconds: float
    size_bytes: int
    packages: dict[str, str]


@dataclass(frozen=True)
class Stored:
    """One environment of the cache. `built` is None while it is being built, or where a build was
    cut off.
    """

    key: str
    path: Path
    built: Built | None
    last_used: float | None

    @property
    def python(self) -> str:
        return str(python_of(self.path))


def folder() -> Path:
    return cache.cache_dir() / "environments"


def stored() -> list[Stored]:
    """All environments, the last used first."""
    try:
        found = [look(path.name) for path in folder().iterdir() if path.is_dir()]
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda each: (-(each.last_used or 0.0), each.key))


def look(key: str) -> Stored:
    """An environment as it is on disk, there or not."""
    path = folder() / key
    try:
        content = json.loads((path / RECORD).read_text())
        built = Built(**{field.name: content[field.name] for field in fields(Built)})
        return Stored(key, path, built, (path / RECORD).stat().st_mtime)
    except (OSError, ValueError, KeyError, TypeError):
        return Stored(key, path, None, None)


def ready(key: str) -> Stored | None:
    """The environment when it can be used: finished, and the interpreter that it was made from is
    still there. UserError for one that may be another user's: its code would run with our rights.
    """
    found = look(key)
    check_ours(
        [folder().parent, folder(), *_run_from(found)],
        f"environment {key} was not used; remove it, or set QS_CACHE to a folder of yours",
    )
    return found if found.built is not None and Path(found.python).exists() else None


def _run_from(found: Stored) -> list[Path]:
    """The files and folders that an environment's interpreter is run from."""
    inside = ["", RECORD, "pyvenv.cfg", "bin", "lib"]
    if os.path.realpath(found.python) != os.path.realpath(sys.executable):
        inside.append("bin/python")  # else whoever owns it runs here already
    libraries = [place for at in ("lib/*", "lib/*/site-packages") for place in found.path.glob(at)]
    return [*(found.path / name for name in inside), *libraries]


def close_to_others(path: Path) -> None:
    """What is run from an environment that was just built cannot be written by everybody, whatever
    the umask was.
    """
    for place in _run_from(look(path.name)):
        if not place.is_symlink() and place.exists():
            place.chmod(place.stat().st_mode & ~0o002)


def used(found: Stored) -> None:
    """Note that it is used now."""
    with contextlib.suppress(OSError):  # a cache that is only readable is good enough to run from
        os.utime(found.path / RECORD)


def write_record(path: Path, built: Built) -> None:
    """The last step of a build."""
    partial = path / f".{RECORD}"
    partial.write_text(json.dumps(asdict(built), indent=2) + "\n")
    os.replace(partial, path / RECORD)


def size_bytes(path: Path) -> int:
    """All files of a folder; what a link points to does not count."""
    return sum(Path(at, name).lstat().st_size for at, _, names in os.walk(path) for name in names)


def remove(found: Stored) -> None:
    """Remove an environment. UserError where one is being built, or a process runs under its
    interpreter.
    """
    with locked(found.key, waiting=None):
        users = _running_under(found.path)
        if users:
            numbers = ", ".join(map(str, users))
            raise UserError(
                f"environment {found.key} is used by process {numbers}; "
                "remove it when that has ended"
            )
        clear(found.path)


def clear(path: Path) -> None:
    """Remove a folder; its record first, so that nobody takes what is left of it for an
    environment.
    """
    try:
        (path / RECORD).unlink(missing_ok=True)
        if path.exists():
            shutil.rmtree(path)
    except OSError as error:
        raise UserError(f"cannot remove {path}: {error.strerror} ({error.filename})") from error


@contextmanager
def locked(
    key: str, waiting: Callable[[], None] | None, stop: threading.Event | None = None
) -> Iterator[int]:
    """Hold the lock of an environment; gives its descriptor.

    Where another holds it: with `waiting`, that is called once and the lock waited for; without, a
    UserError.
    """
    path = folder() / f"{key}.lock"
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(
            f"cannot write to {path.parent}: {error.strerror}; set QS_CACHE to a folder of yours"
        ) from error
    try:
        _acquire(lock, key, waiting, stop)
        yield lock
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)  # closing alone would leave it to whoever inherited it
        os.close(lock)


def _acquire(
    lock: int, key: str, waiting: Callable[[], None] | None, stop: threading.Event | None
) -> None:
    limit = time.monotonic() + LIMIT_S
    told = False
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        if waiting is None:
            raise UserError(f"environment {key} is being built by another process")
        if not told:
            waiting()
            told = True
        if stop is not None and stop.is_set():
            raise Stopped
        if time.monotonic() > limit:
            raise UserError(
                f"another process has been building environment {key} for {LIMIT_S / 3600:.0f} h"
            )
        time.sleep(_LOOK_S)


def _running_under(path: Path) -> list[int]:
    import psutil

    python = str(path / "bin") + os.sep
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if (process.info["cmdline"] or [""])[0].startswith(python)
    ]
