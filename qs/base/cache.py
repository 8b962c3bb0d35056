"""The user's data and cache folders, and cached files that are built exactly once, however many
processes ask at the same time.

A cached file or folder is whole or absent: it is built in a folder beside its place and renamed at
the end, after the files that go with it (a large model's weights; their names begin with its own).
The caller's key covers everything that the content depends on, so nothing here ever expires. Left
out: eviction (the user may delete any file at any time).
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
    folder = _folder("QS_CACHE", "user_cache_dir")
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot create the cache folder {folder}: {error.strerror}; set QS_CACHE to another"
        ) from error
    return folder.resolve()


def data_dir() -> Path:
    """QS_DATA if it is set, else the user's data folder on this platform. UserError if there is
    none.
    """
    return _folder("QS_DATA", "user_data_dir")


def _folder(variable: str, default: str) -> Path:
    """What the variable names, else platformdirs' folder of that name. UserError where neither is
    one: a container's user may have no home.
    """
    given = os.environ.get(variable)
    if given:
        try:
            return Path(given).expanduser()
        except RuntimeError:
            raise UserError(f"{variable} is {given!r}: there is no such user's folder") from None
    import platformdirs

    try:
        folder = Path(getattr(platformdirs, default)("qs", appauthor=False))
    except RuntimeError:  # of later versions; earlier ones leave the "~" as it was
        folder = Path("~")
    if not folder.is_absolute():
        raise UserError(
            f"this user (uid {os.getuid()}) has no home folder: HOME is not set, and there is no "
            f"entry in /etc/passwd; set {variable} to a folder of yours"
        )
    return folder


def check_variables() -> None:
    """Raise UserError for a QS_CACHE or QS_DATA that can name no folder."""
    for variable in ("QS_CACHE", "QS_DATA"):
        if os.environ.get(variable):
            _folder(variable, "")


def key_of(parts: Mapping[str, object]) -> str:
    """A short name for everything in `parts` (plain data); equal parts give equal names."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def build_once(
    key: str,
    suffix: str,
    build: Callable[[Path], None],
    sound: Callable[[Path], bool] | None = None,
) -> Path:
    """The cached file or folder `<key><suffix>`. If it is missing, `build` creates it first, at a
    path of that name in a temporary folder; also if `sound` says of what is there that it is
    damaged (a disk's fault, a copy cut short). What `sound` raises counts as damage.

    `key` may contain folders ("models/ab12"). One process builds, the others wait for it. If
    `build` raises, nothing is left behind and the next caller tries again. Raises RuntimeError if
    the build creates no file, or further ones whose names do not begin with its name.
    """
    path = cache_dir() / f"{key}{suffix}"
    _remove_dead(path.parent)
    if _usable(path, sound):
        return path
    with locked(path):
        if not _usable(path, sound):  # another process may have built it while this one waited
            _build(path, build)
    return path


def _usable(path: Path, sound: Callable[[Path], bool] | None) -> bool:
    if not path.exists():
        return False
    try:
        return sound is None or sound(path)
    except Exception:  # there are many ways to be no such file
        return False


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
        if path.is_dir():  # a damaged one: no folder takes the place of another
            shutil.rmtree(path)
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
