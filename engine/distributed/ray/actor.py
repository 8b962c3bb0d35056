"""What Ray places on a node: an actor that starts the node process as its child and waits for it.

Ray sends this module and those that it uses by value (keeping.py), so a node needs nothing of
ours to load it: they import the standard library alone. Nothing is measured in an actor's process,
which Ray gives a nice value, an OMP_NUM_THREADS and hidden accelerators of its own.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from qs.engine.distributed.places.node_process import NodeProcess, machine_id

# What Ray lays over the environment of a worker; without the raylet's own, these are taken out.
_WORKERS_OWN = ("RAY_JOB_ID", "RAY_RAYLET_PID", "RAY_CLIENT_MODE", "OMP_NUM_THREADS")
_HIDES = ("VISIBLE_DEVICES", "VISIBLE_CORES", "VISIBLE_CHIPS")
_NEEDED = ("numpy",)
_LOOK_S = 0.5
_LEAVE_S = 1.0


class NodeActor:
    """One place. `arranged` is plain data, the same for all places of a cluster:

    path       folders to import from; None: where what Ray has brought lies (`modules`)
    modules    names of the packages that Ray has brought, besides ours
    folder     to work in; None: where the actor works, which is what Ray has brought if it has
    variables  laid over the environment, or taken out of it where None
    group      the process group of a cluster of our own, which ends with its raylet
    """

    def __init__(self, arranged: dict[str, Any]):
        self._arranged = arranged
        self._raylet = os.getppid()
        self._as_nice_as_the_raylet()

    def about(self) -> dict[str, Any]:
        """What is known of the place before a node process runs there."""
        environment = self._environment()
        return {
            "machine": machine_id(),
            "host": socket.gethostname(),
            "python": ".".join(map(str, sys.version_info[:3])),
            "executable": sys.executable,
            "cpus": len(os.sched_getaffinity(0)),
            "nice": os.nice(0),
            "niced": self._niced,
            "omp_num_threads": environment.get("OMP_NUM_THREADS"),
            "missing": [name for name in _NEEDED if find_spec(name) is None],
        }

    def run(self, line: bytes, cpus: list[int] | None) -> tuple[str, bool]:
        """Start a node process, on those CPUs if they are given, and wait until it has ended: how
        it ended, in words, and whether that was for the end of the raylet.
        """
        if cpus is not None:
            os.sched_setaffinity(0, cpus)  # of this thread, and so of its children
        folder = self._arranged["folder"]
        process = NodeProcess(
            line,
            environment=self._environment(),
            path=self._path(),
            folder=None if folder is None else Path(folder),
        )
        try:
            while not process.wait(_LOOK_S):
                if os.getppid() != self._raylet:
                    # Ray's own worker waits for its task in this case, and the others hear of the
                    # raylet's end in ten seconds; the answer of this task they hear now.
                    leaving = threading.Timer(_LEAVE_S, os._exit, (1,))
                    leaving.daemon = True
                    leaving.start()
                    self._end_cluster()
                    return "its raylet died", True
            return process.how(), False
        finally:
            process.kill()
            process.close()

    def _as_nice_as_the_raylet(self) -> None:
        """Ray has its workers run at a nice value of 15 more, and what is measured would give way
        to whatever else runs there. Only root may undo that.
        """
        self._niced = False
        try:
            meant = os.getpriority(os.PRIO_PROCESS, self._raylet)
            self._niced = os.nice(0) > meant
            os.setpriority(os.PRIO_PROCESS, 0, meant)
        except OSError:
            return
        self._niced = False

    def _end_cluster(self) -> None:
        """Ray's other processes on this machine would look for the raylet for a minute."""
        if self._arranged["group"] is not None:
            try:
                os.killpg(self._arranged["group"], signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass

    def _path(self) -> list[str]:
        given: list[str] | None = self._arranged["path"]
        if given is not None:
            return given
        found = []
        for name in ("qs", *self._arranged["modules"]):
            spec = find_spec(name)
            # a package's folder, also of one without an __init__.py; else a module's file
            inside = None if spec is None else spec.submodule_search_locations
            place = None if spec is None else next(iter(inside), None) if inside else spec.origin
            if place is None:
                raise ModuleNotFoundError(f"package {name} did not reach this node")
            found.append(str(Path(place).parent))
        return found

    def _environment(self) -> dict[str, str]:
        """The raylet's own, as it was when that was started."""
        try:
            data = Path(f"/proc/{self._raylet}/environ").read_bytes()
            pairs = (entry.partition(b"=") for entry in data.split(b"\0") if b"=" in entry)
            base = {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
        except OSError:  # another user's
            base = {}
        if not base:
            base = {
                name: value
                for name, value in os.environ.items()
                if name not in _WORKERS_OWN and not (name.endswith(_HIDES) and not value)
            }
        if "LD_PRELOAD" not in os.environ:
            base.pop("LD_PRELOAD", None)  # it was meant for the raylet
        for name, value in self._arranged["variables"].items():
            if value is None:
                base.pop(name, None)
            else:
                base[name] = value
        return base
