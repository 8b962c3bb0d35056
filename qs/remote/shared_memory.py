"""Inputs in system shared memory: a server on this machine reads them where we have put them, and
a request only says where (Triton's extension `system_shared_memory`).

A region is a file in /dev/shm. Its name is removed as soon as the server has mapped it, so that
nothing is left there, whatever becomes of this process; the server lets go of it when it is
unregistered. That is done at the end, and for regions of processes that did not live to do it, by
the next one. Outputs come with the answer: a region for outputs could serve one request at a time.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import hashlib
import itertools
import os
import re
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from qs.base.errors import UserError
from qs.base.words import number
from qs.remote.address import Address

FOLDER = Path("/dev/shm")
_OURS = re.compile(r"qs-(\d+)-(\d+)-\d+")
_COUNT = itertools.count()


class Regions:
    """What this process has registered at one server."""

    def __init__(
        self,
        address: Address,
        register: Callable[[str, int], None],
        unregister: Callable[[str], None],
        registered: Callable[[], Sequence[str]],
    ) -> None:
        """`register(name, bytes)` maps /NAME, and raises UserError; `registered` are the names that
        the server has. UserError if the server is on another machine.
        """
        self._address = address
        self._register, self._unregister, self._registered = register, unregister, registered
        self._names: list[str] = []
        self._known: dict[bytes, tuple[str, list[int]]] = {}  # by what is in them
        self._lock = threading.Lock()
        check_here(address)
        for name in registered():
            if left_behind(name):
                with contextlib.suppress(UserError):
                    unregister(name)

    def put(self, parts: Sequence[bytes]) -> tuple[str, list[int]]:
        """(name of a region that holds the parts, where each begins in it). UserError."""
        digest = _digest(parts)
        with self._lock:
            if digest not in self._known:
                self._known[digest] = self._made(parts)
            return self._known[digest]

    def _made(self, parts: Sequence[bytes]) -> tuple[str, list[int]]:
        name = f"qs-{_namespace()}-{os.getpid()}-{next(_COUNT)}"
        offsets = [0, *itertools.accumulate(map(len, parts))]
        path = FOLDER / name
        try:
            fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                with open(fd, "wb") as file:
                    for each in parts:
                        file.write(each)
                self._register(name, offsets[-1])
            finally:
                path.unlink(missing_ok=True)
        except OSError as error:
            size = f"{number(offsets[-1] / 1e6)} MB"
            why = f"no room for {size}" if error.errno == errno.ENOSPC else error.strerror
            raise UserError(f"--shared_memory: {FOLDER}: {why}") from None
        if not self._names:
            atexit.register(self.close)
        self._names.append(name)
        return name, offsets[:-1]

    def close(self) -> None:
        """Have the server let go of them."""
        atexit.unregister(self.close)
        with self._lock:
            names, self._names, self._known = self._names, [], {}
        for name in names:
            with contextlib.suppress(UserError):
                self._unregister(name)


def _digest(parts: Sequence[bytes]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for each in parts:
        digest.update(len(each).to_bytes(8, "little"))
        digest.update(each)
    return digest.digest()


def left_behind(name: str) -> bool:
    """Whether a region was registered by one of our processes that is no more."""
    found = _OURS.fullmatch(name)
    # another container's numbers of processes say nothing here
    if found is None or int(found[1]) != _namespace():
        return False
    return not Path(f"/proc/{found[2]}").exists()


def check_here(address: Address) -> None:
    """UserError if the server is on another machine: it could not see our memory."""
    try:
        found = socket.getaddrinfo(address.host, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise UserError(f"{address}: {error.strerror or error}") from None
    if not FOLDER.is_dir():
        raise UserError(f"--shared_memory: there is no {FOLDER} here")
    for family, kind, _, _, place in found:
        try:
            with socket.socket(family, kind) as probe:
                probe.bind((place[0], 0, *place[2:]))
                return
        except OSError:
            continue
    raise UserError(
        f"{address}: --shared_memory is for a server on this machine, and {address.host} "
        f"({found[0][4][0]}) is no address of it"
    )


def _namespace() -> int:
    """Of process ids."""
    return os.stat("/proc/self/ns/pid").st_ino
