"""A real Ray cluster of three nodes on loopback, in a process of its own.

Tests ask for the fixture `ray_cluster`:

    from tests.clusters import ray_cluster  # noqa: F401

It lives as long as the session, so a test that kills a node adds another one (`add`), or makes a
cluster of its own (`started_cluster`). It needs `RAY_TMPDIR` alone to be hidden from others:
nothing is written to /tmp/ray, and `ray.init()` elsewhere does not find it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import gone, until

ROOT = Path(__file__).parents[1]
# Of the cluster and of whoever joins it: all of it on loopback, whose addresses Ray would else
# replace by the machine's; no statistics sent.
VARIABLES = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
}


class RayCluster:
    """Node i is `ids[i]` to Ray, and its raylet has the process id `raylets[i]`. It has the label
    place=a, b, c ... and the resource place_a, ... .
    """

    def __init__(self, nodes: int):
        self.folder = Path(tempfile.mkdtemp(prefix="qst-", dir="/tmp"))
        (self.folder / "ray").mkdir()
        self.ids: list[str] = []
        self.raylets: list[int] = []
        self._log = (self.folder / "log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.clusters", str(self.folder)],
            cwd=ROOT,
            env={**os.environ, **VARIABLES, "RAY_TMPDIR": str(self.folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        try:
            for _ in range(nodes):
                self.add()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Of the process that holds it; all of it ends with that."""
        return self._process.pid

    def add(self) -> int:
        """Another node; its number."""
        told = self._ask({"place": "abcdefghijklmnopqrstuvwxyz"[len(self.ids)]})
        self.address: str = told["address"]
        self.ids.append(told["id"])
        self.raylets.append(told["raylet"])
        return len(self.ids) - 1

    def kill(self, number: int) -> None:
        """SIGKILL to a node's raylet."""
        os.kill(self.raylets[number], signal.SIGKILL)
        until(lambda: gone(self.raylets[number]))

    def processes(self) -> list[int]:
        """Of the cluster that are alive, workers among them: those with its folder in their
        environment.
        """
        mark = f"RAY_TMPDIR={self.folder}".encode()
        return [pid for pid in _pids() if mark in _environment(pid) and not gone(pid)]

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._process.stdout.close()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the cluster ended: {(self.folder / 'log').read_text()[-2000:]}"
        told: dict[str, Any] = json.loads(line)
        return told


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


@contextmanager
def started_cluster(nodes: int = 3) -> Iterator[RayCluster]:
    cluster = RayCluster(nodes)
    try:
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayCluster]:
    pytest.importorskip("ray")
    with started_cluster() as cluster:
        yield cluster


def main(folder: Path) -> None:
    """Hold a cluster: a line with a node's place adds it and is answered; the end of the input ends
    all.
    """
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # where Ray prints to
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    for line in sys.stdin:
        place = json.loads(line)["place"]
        node = cluster.add_node(
            num_cpus=0,  # no worker is started before it is asked for
            node_ip_address="127.0.0.1",
            object_store_memory=80_000_000,
            labels={"place": place},
            resources={f"place_{place}": 1},
            dashboard_agent_listen_port=0,
            **(
                {
                    "temp_dir": str(folder / "ray"),
                    "include_dashboard": False,
                    "include_log_monitor": False,
                    "no_monitor": True,
                }
                if place == "a"
                else {}
            ),
        )
        raylet = node.all_processes["raylet"][0].process.pid
        answer = {"address": cluster.address, "id": node.node_id, "raylet": raylet}
        print(json.dumps(answer), file=told, flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
