"""Networks and clocks for tests of several machines, all on this one: nodes in network namespaces
behind lines that are slow, lossy or cut, and with clocks that are off by a known time.

The driver is where the tests run. Each node is a prefix of a command:
`subprocess.run([*network.prefix(1), *shifted_s(3), "python", ...])` runs in node 1, whose monotonic
clock is 3 s ahead, exactly. Nothing of it outlives the process that made it. Where the kernel does
not allow it, the test is skipped with the reason.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

RELAY = Path(__file__).with_name("network_relay.py")
NS_PER_MS = 1_000_000


class Network:
    """Nodes 1 to n, each behind a line of its own to the middle; the driver's line has no delay.

    `to_ms` is how long packets to a node take, `from_ms` those from it; `jitter_ms` is added evenly
    from 0 on, without one packet overtaking another; `loss` is the share of packets that are lost.
    """

    def __init__(self, nodes: int, **line: float):
        number = os.getpid()
        # no two processes' networks are the same, as good as ever
        self.network = f"10.{200 + number % 50}.{number // 50 % 250}"
        self.nodes = nodes
        self.line = line
        self.name = f"qs{number}"

    def __enter__(self) -> Network:
        reason = namespaces_missing()
        if reason:
            pytest.skip(reason)
        self.relay = subprocess.Popen(
            [sys.executable, str(RELAY), self.name, self.network, str(self.nodes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        began = self._answer()
        if "fault" in began:
            self.__exit__()
            pytest.skip(f"no network of namespaces here: {began['fault']}")
        self.pid, self.spaces = began["pid"], began["spaces"]
        for node in range(1, self.nodes + 1):
            self.set(node, **self.line)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.relay.stdin is not None and self.relay.stdout is not None
        self.relay.stdin.close()
        self.relay.wait(10)
        self.relay.stdout.close()

    @property
    def driver(self) -> str:
        """The address of this side."""
        return f"{self.network}.1"

    def address(self, node: int) -> str:
        return f"{self.network}.{node + 1}"

    def prefix(self, node: int) -> tuple[str, ...]:
        """What to put before a command so that it runs in a node; it stays the same process."""
        return ("nsenter", f"--net=/proc/{self.pid}/fd/{self.spaces[node - 1]}")

    def set(self, node: int, **line: float) -> None:
        """Change a node's line; what is not named stays as it was."""
        told = {"loss": line.pop("loss")} if "loss" in line else {}
        for name, value in line.items():
            assert name in ("to_ms", "from_ms", "jitter_ms"), name
            told[name.replace("_ms", "_ns")] = round(value * NS_PER_MS)
        self._tell(node, told)

    def cut(self, node: int) -> None:
        """From now on every packet to and from a node is dropped, those on their way too."""
        self._tell(node, {"cut": True})

    def heal(self, node: int) -> None:
        self._tell(node, {"cut": False})

    def counted(self, node: int) -> dict[str, int]:
        """Packets carried to a node, and lost on the way from it."""
        return self._tell(node, {})

    def _tell(self, node: int, line: dict[str, float]) -> dict[str, Any]:
        """Returns when it is so."""
        assert 1 <= node <= self.nodes and self.relay.stdin is not None
        self.relay.stdin.write(json.dumps({"node": node, "line": line}) + "\n")
        self.relay.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.relay.stdout is not None
        line = self.relay.stdout.readline()
        assert line, f"the relay ended with {self.relay.wait(10)}"
        return json.loads(line)


def shifted_s(seconds: int) -> tuple[str, ...]:
    """What to put before a command so that its monotonic clock is ahead by whole seconds, exactly.
    Its wall clock is the machine's.
    """
    reason = shifts_missing()
    if reason:
        pytest.skip(reason)
    return ("unshare", "-T", "--monotonic", str(seconds))


def wall_shifted_s(seconds: int) -> tuple[str, ...]:
    """What to put before a command so that its wall clock is ahead, and its monotonic clock is the
    machine's.
    """
    library = wall_clock()
    if library is None:
        pytest.skip("no C compiler on this machine (Debian: apt-get install gcc)")
    return ("env", f"LD_PRELOAD={library}", f"WALL_CLOCK_OFF_S={seconds}")


@lru_cache
def wall_clock() -> str | None:
    """tests/wall_clock.c, compiled for as long as this process lives."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    folder = tempfile.mkdtemp(prefix="qs-wall-clock-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    library = os.path.join(folder, "wall_clock.so")
    source = Path(__file__).with_name("wall_clock.c")
    flags = ("-O2", "-fno-builtin", "-shared", "-fPIC", "-o", library)
    subprocess.run([compiler, *flags, str(source), "-ldl"], check=True)
    return library


@lru_cache
def namespaces_missing() -> str:
    """Why there can be no network of namespaces here; "" if there can."""
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun on this machine"
    return _refused("no network namespaces here", "unshare", "-n", "ip", "link", "set", "lo", "up")


@lru_cache
def shifts_missing() -> str:
    """Why no process can have another monotonic clock here; "" if one can."""
    return _refused("no time namespaces here", "unshare", "-T", "--monotonic", "1", "true")


def _refused(what: str, *command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except FileNotFoundError as error:
        return f"{what}: {error}"
    return "" if done.returncode == 0 else f"{what}: {done.stderr.strip()}"
