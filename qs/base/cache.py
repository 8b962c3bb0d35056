"""The user's data and cache folders, and cached files that are built exactly once, however many
processes ask at the same time.

A cached file is whole or absent: it is built in a folder beside its place and renamed at the end,
after the files that go with it (a large model's weights; their names begin with its own). The
caller's key covers everything that the content depends on, so nothing here ever expires. Left out:
eviction (the user may delete any file at any time).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from qs.base.errors import UserError

_BUILDING = ".building-"
LOCK_TIMEOUT_S = 1800.0  # longer than any build or download takes; a lock dies with its process


def cache_dir() -> Path:
    """QS_CACHE if it is set, else the user's cache folder on this platform. Created if missing."""
    given = os.environ.get("QS_CACHE")
    if given:
        folder = Path(given).expanduser()
    else:
        import platformdirs

        folder = Path(platformdirs.user_cache_dir("qs", appauthor=False))
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot create the cache folder {folder}: {error.strerror}; set QS_CACHE to another"
        ) from error
    return folder.resolve()


def data_dir() -> Path:
    """QS_DATA if it is set, else the user's data folder on this platform."""
    given = os.environ.get("QS_DATA")
    if given:
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("qs", appauthor=False))


def key_of(parts: Mapping[str, object]) -> str:
    """A short name for everything in `parts` (plain data); equal parts give equal names."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def build_once(key: str, suffix: str, build: Callable[[Path], None]) -> Path:
    """The cached file `<key><suffix>`. If it is missing, `build` creates it first, at a path of
    that name in a temporary folder.

    `key` may contain folders ("models/ab12"). One process builds, the others wait for it. If
    `build` raises, nothing is left behind and the next caller tries again. Raises RuntimeError if
    the build creates no file, or further ones whose names do not begin with its name.
    """
    path = cache_dir() / f"{key}{suffix}"
    _remove_dead(path.parent)
    if path.is_file():
        return path
    with locked(path):
        if not path.is_file():  # another process may have built it while this one waited
            _build(path, build)
    return path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of `path` (the file `<path>.lock`) against other processes and threads.

    Raises UserError if its folder is not writable, or if another process keeps the lock for half an
    hour.
    """
    import filelock

    lock = filelock.FileLock(f"{path}.lock", timeout=LOCK_TIMEOUT_S)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as error:
        raise UserError(
            f"another process has held {path}.lock for {LOCK_TIMEOUT_S / 60:.0f} minutes"
        ) from error
    except OSError as error:
        raise UserError(
            f"cannot write to {path.parent}: {error.strerror}; set QS_CACHE to a folder of yours"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _remove_dead(folder: Path) -> None:
    """Remove what builds left whose processes were killed: nobody holds their lock."""
    import filelock

    for left in folder.glob(f"{_BUILDING}*"):
        name = left.name.removeprefix(_BUILDING)
        lock = filelock.FileLock(folder / f"{name}.lock", timeout=0)
        with contextlib.suppress(filelock.Timeout, OSError), lock:
            shutil.rmtree(left, ignore_errors=True)


def _build(path: Path, build: Callable[[Path], None]) -> None:
    # One fixed name, since the lock is held: leftovers of a killed build are removed, not piled up.
    folder = path.with_name(f"{_BUILDING}{path.name}")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir()
        build(folder / path.name)
        made = sorted(each.name for each in folder.iterdir())
        if path.name not in made:
            raise RuntimeError(f"the build of {path.name} created no file")
        stray = [name for name in made if not name.startswith(path.name)]
        if stray:
            raise RuntimeError(f"the build of {path.name} created {', '.join(stray)} beside it")
        for name in reversed(made):  # the file itself, whose name is the shortest, comes last
            os.replace(folder / name, path.with_name(name))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"no space left in the cache folder {path.parent}; free some or set QS_CACHE"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
