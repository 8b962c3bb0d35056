"""Which Ray cluster there is: the one at hand, or one of our own on this machine, which ends with
the process that started it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

# Short: sockets below it have names of 107 bytes at most, and Ray's take 80.
PREFIX = "qsr-"
# What a driver says last to the process that holds Ray; one that is killed does not.
GOODBYE = b"goodbye"
_FILE = "held"
_OBJECT_STORE_BYTES = 80_000_000  # the least that Ray takes is 75 MiB; next to nothing goes in
_ANSWER_LIMIT_S = 3.0
# Ray would else replace addresses of loopback by the machine's, and listen there.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


def cluster_at_hand() -> str | None:
    """The address of the cluster that was last started or joined on this machine, if it answers.
    That of another user has to be asked for by name: who joins a cluster runs what it sends.
    """
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    try:
        with Path(folder, "ray", "ray_current_cluster").open() as note:
            if os.fstat(note.fileno()).st_uid not in (os.getuid(), 0):
                return None
            address = note.read().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return address if address and fault_of(address) is None else None


def fault_of(address: str) -> str | None:
    """Why nothing can be at a "host:port", or None."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        return "it is not of the form HOST:PORT"
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _ANSWER_LIMIT_S):
            return None
    except OSError as fault:
        return fault.strerror or str(fault) or type(fault).__name__


def is_loopback(address: str) -> bool:
    return address.rpartition(":")[0].strip("[]") in ("127.0.0.1", "localhost", "::1")


def new_folder() -> tuple[Path, int]:
    """A folder for a cluster's files, and a descriptor that holds it for as long as it is open."""
    short = "/tmp" if os.access("/tmp", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=short))
    held = os.open(folder / _FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX)
    return folder, held


def remove_stale() -> None:
    """Remove folders of this user that nobody holds, as their processes were killed."""
    for folder in Path("/tmp").glob(f"{PREFIX}*"):
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            held = os.open(folder / _FILE, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # in use
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(held)


def settings_of(folder: Path) -> dict[str, str]:
    """The environment of a cluster of our own, and of who joins it; to be set before Ray is
    imported.
    """
    return {
        **LOOPBACK,
        "RAY_TMPDIR": str(folder),  # also where Ray notes which cluster is at hand
        # Another user of this machine may not join it, and no token is written to the home.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_worker_niceness": "0",
        "RAY_worker_oom_score_adjustment": "0",
    }


class OwnCluster:
    """A cluster of one raylet, which has room for any number of places: all of it on loopback, no
    dashboard, no autoscaler, no log monitor, no workers before they are asked for.

    The kernel ends its processes with the thread that makes it. Raises what Ray raises.
    """

    def __init__(self, folder: Path):
        from ray.cluster_utils import Cluster

        files = folder / "ray"
        files.mkdir()
        options: dict[str, Any] = {
            "num_cpus": 0,
            "num_gpus": 0,
            "temp_dir": str(files),
            "object_store_memory": _OBJECT_STORE_BYTES,
            "include_dashboard": False,
            "include_log_monitor": False,
            "no_monitor": True,
            "dashboard_agent_listen_port": 0,
        }
        if free_of("/dev/shm") < 2 * _OBJECT_STORE_BYTES:
            # No message of a run passes through the store: a file will do.
            options["plasma_directory"] = str(files)
        self._cluster = Cluster(initialize_head=True, head_node_args=options)
        self.address: str = self._cluster.address

    def stop(self) -> None:
        self._cluster.shutdown()


def free_of(folder: str) -> int:
    """Free bytes of the file system that a folder is on; 0 where there is none."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize
