"""Descriptors of files: none of ours is one that everybody prints to, and what is mapped keeps its
size.
"""

from __future__ import annotations

import fcntl
import os
import tempfile


def open_standard() -> list[int]:
    """Open /dev/null at those of the descriptors 0 to 2 that are closed, and return them. A loop
    would take them for its own, and be written into or, with libuv, abort.
    """
    opened = []
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            opened.append(os.open(os.devnull, os.O_RDWR))
    return opened


def above_standard(fd: int) -> int:
    """The descriptor, moved if it is one that everybody prints to (0 to 2), because that was
    closed.
    """
    if fd > 2:
        return fd
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(fd)
    return moved


def anonymous_file(size: int) -> int:
    """A descriptor of a file in memory that has no name."""
    if hasattr(os, "memfd_create"):
        fd = above_standard(os.memfd_create("engine", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
        os.ftruncate(fd, size)
        # Whoever maps it may not make it shorter: the others would die of SIGBUS.
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
        return fd
    with tempfile.TemporaryFile() as file:
        fd = above_standard(os.dup(file.fileno()))
    os.ftruncate(fd, size)
    return fd
