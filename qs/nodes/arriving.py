"""On a node: where each file that is needed comes from, checked by its SHA-256, and where it is for
the backend that runs here.

A group of files that are all at their own paths with the same content is used where it is: on the
machine that they come from, or on a shared disk. Of any other group a tree is made, as it is on
that machine, in a folder that goes with this process. A file of it is the one at its own path, one
that arrived before (kept in the cache by its SHA-256), one that Ray has staged, one of the sources
that the workspace declares; else it has to be sent.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from qs.base.cache import cache_dir
from qs.base.errors import UserError
from qs.base.files import why
from qs.environments.folder import VIEWS
from qs.models.obtaining import NotHere, obtained
from qs.nodes.goods import File, Goods, Group, Moved
from qs.tensors.digest import read_sha256, sha256_of

STORE = "shipped"  # of the cache: files by their SHA-256
PART, DEAD_S = ".part-", 24 * 3600.0  # a file on its way, and when it is on none any more
SPARE_BYTES = 256 << 20  # left free on the disk
LINKED_BYTES = 1 << 20  # a larger file is not copied into the tree
WORK, TREE = "work", "tree"


@dataclass
class Arrivals:
    """What one backend needs here. All of it reads and writes files: call it in a thread.

    folder   this process's own, in the cache
    staged   where Ray has left small files, named by their SHA-256
    """

    folder: Path
    staged: Path | None = None
    offline: bool = False
    _found: dict[str, Path] = field(default_factory=dict)  # SHA-256 -> a file that has it
    _parts: dict[str, Path] = field(default_factory=dict)
    _looked: dict[tuple[str, str], bool] = field(default_factory=dict)  # of one look
    notes: list[str] = field(default_factory=list)

    def look(self, goods: Goods) -> tuple[list[str], int]:
        """SHA-256 of the files that have to be sent, and how many bytes they are. UserError where
        the disk has no room for them, or a file with a secret is missing.
        """
        for path in goods.secrets:
            if not os.path.isfile(path):
                raise UserError(
                    f"{path}, from which a header is read, is not there; files with secrets are "
                    "not sent: put it there, or name a variable (@env:NAME)"
                )
        self._looked.clear()
        lacking: dict[str, int] = {}
        for group in goods.groups:
            others = {file.path for file in group.files if not self._same(file)}
            if not others:
                continue
            for file in group.files:
                if file.path not in others:
                    self._found.setdefault(file.sha256, Path(file.path))
                elif not self._had(file):
                    lacking[file.sha256] = file.size
        if not lacking:
            return [], 0
        size, store = sum(lacking.values()), self._store()
        _remove_dead(store)
        free = shutil.disk_usage(store).free
        if size + SPARE_BYTES > free:
            raise UserError(
                f"{store} has {free / 1e9:.3g} GB free, and {size / 1e9:.3g} GB have to be sent "
                "there; free some, or set QS_CACHE to another disk"
            )
        return list(lacking), size

    def take(self, sha256: str, piece: bytes, last: bool) -> None:
        """The next piece of a file. UserError where the disk does not keep it, or what came is
        another file.
        """
        part = self._parts.get(sha256)
        if part is None:
            part = self._parts[sha256] = self._store() / f"{PART}{uuid.uuid4().hex}"
        try:
            with part.open("ab") as file:
                file.write(piece)
                if last:
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            self._parts.pop(sha256)
            part.unlink(missing_ok=True)
            raise _full(error, part.parent) from None
        if last:
            self._parts.pop(sha256)
            self._keep(part, sha256)

    def laid_out(self, goods: Goods) -> Moved:
        """Make the tree, and the working folder; where everything is."""
        places: dict[str, str] = {}
        try:
            work = self._fresh(WORK)
            tree = self._fresh(TREE)
            for group in goods.groups:
                if _there_already(group) and all(map(self._same, group.files)):
                    places |= {place: place for place in group.places}
                    if group.work:
                        _show(Path(group.places[0]), work)
                    continue
                for place in group.places:
                    places[place] = str(work) if group.work else str(tree) + place
                for file in group.files:
                    self._lay(file, _there(file.path, group, work, tree))
            for place, there in places.items():
                if there != place and not Path(there).exists():
                    Path(there).mkdir(parents=True)
        except OSError as error:
            raise _full(error, self.folder) from None
        return Moved.of(places)

    def _fresh(self, name: str) -> Path:
        """An empty folder; the one of before was another run's."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def _same(self, file: File) -> bool:
        """Whether the file at its own path is that file."""
        key = file.path, file.sha256
        if key not in self._looked:
            self._looked[key] = self._is_same(file)
        return self._looked[key]

    def _is_same(self, file: File) -> bool:
        if not _is(file.path, file.size):
            return False
        try:
            found = sha256_of(Path(file.path))
        except OSError:
            return False
        if found != file.sha256:
            self._note(
                f"{file.path} is another file here: its SHA-256 is {found}, not {file.sha256}; "
                "it is not used"
            )
        return found == file.sha256

    def _had(self, file: File) -> bool:
        """Whether a file can be had without being sent."""
        if file.sha256 in self._found:
            return True
        places = [self._store() / file.sha256]
        if self.staged is not None:
            places.append(self.staged / file.sha256)
        for place in places:
            if _is(str(place), file.size) and _sound(place, file.sha256):
                self._found[file.sha256] = place
                return True
        for entry in file.sources:
            try:
                found = obtained(entry, file.path, self.offline)
            except NotHere:
                continue
            except UserError as reason:
                self._note(str(reason))
                continue
            self._found[file.sha256] = found
            return True
        return False

    def _keep(self, part: Path, sha256: str) -> None:
        """What was sent, whole: into the store, if the disk gives back what was written."""
        try:
            found = read_sha256(part)
            if found != sha256:
                part.unlink(missing_ok=True)
                raise UserError(
                    f"a file that was sent has the SHA-256 {found} in {part.parent}, not {sha256}: "
                    "it was changed meanwhile, or this disk does not keep what is written"
                )
            kept = part.with_name(sha256)
            os.replace(part, kept)
        except OSError as error:
            raise _full(error, part.parent) from None
        self._found[sha256] = kept

    def _lay(self, file: File, there: Path) -> None:
        there.parent.mkdir(parents=True, exist_ok=True)
        found = self._found.get(file.sha256)
        if found is None:
            raise UserError(
                f"{file.path} (SHA-256 {file.sha256}) is not here: it is not at its path, not in "
                "the cache, no source has it, and it was not sent"
            )
        if file.size > LINKED_BYTES:
            _link(found, there)
        else:
            shutil.copyfile(found, there)
        digest = sha256_of(there)
        if digest != file.sha256:
            raise UserError(
                f"{there} has the SHA-256 {digest}, not {file.sha256}: this disk does not "
                "keep what is written"
            )
        if file.runs and not there.is_symlink() and file.size <= LINKED_BYTES:
            there.chmod(0o755)

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _store(self) -> Path:
        store = cache_dir() / STORE
        try:
            store.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot create {store}: {why(error)}; set QS_CACHE") from None
        return store


def _remove_dead(store: Path) -> None:
    """Remove what transfers have left that were cut off."""
    for part in store.glob(f"{PART}*"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > DEAD_S:
                part.unlink()


def _there_already(group: Group) -> bool:
    return all(map(os.path.exists, group.places))


def _there(path: str, group: Group, work: Path, tree: Path) -> Path:
    if not group.work:
        return Path(str(tree) + path)
    return work / os.path.relpath(path, group.places[0])


def _show(actual: Path, work: Path) -> None:
    """Links to what a compiler left: files that are found by relative names."""
    for entry in _entries(actual):
        if entry.name not in VIEWS and not entry.name.startswith("."):
            (work / entry.name).symlink_to(entry)


def _entries(folder: Path) -> Iterable[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else ()


def _is(path: str, size: int) -> bool:
    try:
        return os.path.isfile(path) and os.path.getsize(path) == size
    except OSError:
        return False


def _sound(place: Path, sha256: str) -> bool:
    """Whether a file is what its name says; one that is not is removed, as somebody's disk or code
    has changed it.
    """
    try:
        if sha256_of(place) == sha256:
            return True
        place.unlink()
    except OSError:
        pass
    return False


def _link(found: Path, there: Path) -> None:
    """A second name, where the disk has such; a link that is followed is not what every runtime
    takes.
    """
    if found.parent.name == STORE:
        try:
            os.link(found, there)
            return
        except OSError:
            pass
    there.symlink_to(found)


def _full(error: OSError, folder: Path) -> UserError:
    room = "; free some, or set QS_CACHE to another disk"
    more = room if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return UserError(f"cannot write to {folder}: {why(error)}{more}")
