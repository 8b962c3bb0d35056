"""A real Ray cluster whose nodes are in the namespaces of tests/networks.py: a head where the tests
run, and a raylet behind each line, started by `ray start` as anybody does on his machines.

Ended by killing what was started, never by `ray stop`, which ends other clusters too.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import pytest

from tests.networks import Network

# what the nodes behind the lines are known by, so that the head's can be left out
LABEL = "place=behind"
START_S = 120.0


class Raylets:
    """`prefixes`: by node, what stands before its command besides the namespace, such as
    `shifted_s(3)`.
    """

    def __init__(self, network: Network, prefixes: Mapping[int, Sequence[str]] | None = None):
        self.network = network
        self.prefixes = prefixes or {}
        self.started: list[subprocess.Popen[bytes]] = []
        self.folder = Path(tempfile.mkdtemp(prefix="qst-"))  # short: sockets are in it

    def __enter__(self) -> Raylets:
        pytest.importorskip("ray", reason="the extra ray is not installed")
        port, client = free_ports(self.network.driver, 2)
        self.address = f"{self.network.driver}:{port}"
        try:
            self._start(
                (),
                self.network.driver,
                "--head",
                f"--port={port}",
                f"--ray-client-server-port={client}",
                f"--temp-dir={self.folder}/0",
                "--include-dashboard=false",
            )
            self._wait(0)
            for node in range(1, self.network.nodes + 1):
                prefix = (*self.network.prefix(node), *self.prefixes.get(node, ()))
                options = (f"--address={self.address}", f"--labels={LABEL}")
                # a folder of its own, as on a machine of its own
                folder = f"--temp-dir={self.folder}/{node}"
                self._start(prefix, self.network.address(node), *options, folder)
            for node in range(1, self.network.nodes + 1):
                self._wait(node)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.started:
            end_tree(process.pid)
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def raylet(self, node: int) -> psutil.Process:
        """The raylet of a node; 0 is the head's."""
        return child_named(self.started[node].pid, "raylet/raylet")

    def gcs(self) -> psutil.Process:
        """The head's control store."""
        return child_named(self.started[0].pid, "gcs_server")

    def log(self, node: int) -> str:
        """What `ray start` printed there."""
        return self._log(node).read_text()

    def _log(self, node: int) -> Path:
        return self.folder / f"start{node}.log"

    def _start(self, prefix: Sequence[str], address: str, *options: str) -> None:
        command = [
            *prefix,
            sys.executable,
            "-m",
            "ray.scripts.scripts",
            "start",
            "--block",
            "--disable-usage-stats",
            "--num-cpus=2",
            "--object-store-memory=100000000",
            "--min-worker-port=0",
            "--max-worker-port=0",
            f"--node-ip-address={address}",
            *options,
        ]
        with self._log(len(self.started)).open("wb") as log:
            self.started.append(
                subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    env={**os.environ, "RAY_enable_metrics_collection": "0"},
                )
            )

    def _wait(self, node: int) -> None:
        limit = time.monotonic() + START_S
        while "Ray runtime started" not in self.log(node):
            code = self.started[node].poll()
            assert code is None, f"node {node} ended with {code}: {self.log(node)}"
            assert time.monotonic() < limit, f"node {node} did not start: {self.log(node)}"
            time.sleep(0.1)


def free_ports(address: str, count: int) -> list[int]:
    """Ports that nothing listens on now."""
    held = [socket.create_server((address, 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def child_named(pid: int, words: str) -> psutil.Process:
    """The descendant whose command has these words."""
    for child in psutil.Process(pid).children(recursive=True):
        if words in " ".join(child.cmdline()[:1]):
            return child
    raise AssertionError(f"{pid} has no child {words!r}")


def end_tree(pid: int) -> None:
    """Kill a process and all its descendants, those that are stopped too."""
    try:
        process = psutil.Process(pid)
        tree = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for each in tree:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            pass
    psutil.wait_procs(tree[1:], timeout=10)
