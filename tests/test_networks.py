"""The networks and clocks that tests of several machines use are as slow, as lossy and as far off
as they say.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.networks import Network, shifted_s, wall_shifted_s

MS = 1_000_000
# answers each byte with itself, on any address of its node
ECHO = """
import socket, sys
listening = socket.create_server((sys.argv[1], 7000))
print("ready", flush=True)
while True:
    connection, _ = listening.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := connection.recv(1 << 20):
        connection.sendall(data[-1:])
"""


class Echo:
    """A server in a node, and a connection to it."""

    def __init__(self, network: Network, node: int):
        command = [*network.prefix(node), sys.executable, "-c", ECHO, network.address(node)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None and self.process.stdout.readline()
        self.connection = socket.create_connection((network.address(node), 7000), timeout=30)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def trip_ns(self) -> int:
        began_ns = time.monotonic_ns()
        self.connection.sendall(b"x")
        assert self.connection.recv(1) == b"x"
        return time.monotonic_ns() - began_ns

    def close(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def echo():
    opened = []

    def start(network: Network, node: int) -> Echo:
        opened.append(Echo(network, node))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.mark.parametrize(("to_ms", "from_ms"), [(0, 0), (5, 5), (50, 50), (1, 20)])
def test_a_round_trip_takes_the_delay_of_both_ways(echo, to_ms: float, from_ms: float) -> None:
    with Network(1, to_ms=to_ms, from_ms=from_ms) as network:
        line = echo(network, 1)
        least_ns = min(line.trip_ns() for _ in range(20))
    assert 0 <= least_ns - (to_ms + from_ms) * MS < 5 * MS


def test_jitter_lies_between_nothing_and_what_is_said(echo) -> None:
    with Network(1, jitter_ms=10) as network:
        line = echo(network, 1)
        trips = [line.trip_ns() for _ in range(60)]
    assert min(trips) < 6 * MS and max(trips) > 12 * MS  # two ways, each 0 to 10 ms


def test_a_cut_line_carries_nothing_until_it_is_healed(echo) -> None:
    with Network(2) as network:
        one, other = echo(network, 1), echo(network, 2)
        one.trip_ns()
        network.cut(1)
        one.connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            one.trip_ns()
        assert other.trip_ns() < 5_000 * MS  # only node 1 was cut off
        network.heal(1)
        one.connection.settimeout(30)
        assert one.connection.recv(1) == b"x"  # what was lost is sent again
        assert network.counted(1)["carried"] > 0


def test_lost_packets_are_sent_again(echo) -> None:
    with Network(1, loss=0.2) as network:
        line = echo(network, 1)
        for _ in range(12):
            line.trip_ns()
        assert network.counted(1)["lost"] > 0


def test_nodes_reach_each_other(echo) -> None:
    ask = "import socket, sys; s = socket.create_connection((sys.argv[1], 7000)); s.sendall(b'x')"
    with Network(2, to_ms=1) as network:
        echo(network, 1).connection.close()  # the server has one connection at a time
        there = [*network.prefix(2), sys.executable, "-c", ask + "; print(s.recv(1))"]
        asked = subprocess.run([*there, network.address(1)], capture_output=True, timeout=60)
    assert asked.stdout == b"b'x'\n"


def test_a_network_carries_what_a_cluster_sends(echo) -> None:
    size = 20_000_000
    with Network(1, to_ms=5, from_ms=5) as network:
        line = echo(network, 1)
        began = time.monotonic()
        line.connection.sendall(bytes(size) + b"y")
        while line.connection.recv(1 << 20)[-1:] != b"y":
            pass
        took = time.monotonic() - began
    print(f"{size / took / 1e6:.0f} MB/s")
    assert took < 60  # a package of 20 MB is not what a test waits for


def test_nothing_of_a_network_is_left(tmp_path: Path) -> None:
    script = "from tests.networks import Network; import os\nwith Network(2) as n: os._exit(0)"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[1])
    with Network(2) as network:
        name = network.name
        assert os.path.exists(f"/sys/class/net/{name}")
    assert not os.path.exists(f"/sys/class/net/{name}")
    left = [each for each in os.listdir("/sys/class/net") if each.startswith("qs")]
    for each in left:  # another session's, if anything
        assert os.path.exists(f"/proc/{each[2:]}")


# an absolute sleep first: it must not be confused by where a clock stands
NOW = "import time; time.sleep(0.01); print(time.monotonic_ns(), time.time_ns())"


def read_clocks(*prefix: str) -> tuple[list[int], list[int], list[int]]:
    before = [time.monotonic_ns(), time.time_ns()]
    done = subprocess.run([*prefix, sys.executable, "-c", NOW], check=True, capture_output=True)
    return (
        before,
        [int(each) for each in done.stdout.split()],
        [
            time.monotonic_ns(),
            time.time_ns(),
        ],
    )


@pytest.mark.parametrize(
    ("prefix", "off_s"),
    [
        (lambda: shifted_s(3), (3, 0)),
        (lambda: shifted_s(-2), (-2, 0)),
        (lambda: wall_shifted_s(3), (0, 3)),
        (lambda: (*shifted_s(7), *wall_shifted_s(-5)), (7, -5)),
    ],
    ids=["monotonic", "behind", "wall", "both"],
)
def test_clocks_are_off_by_what_is_said(prefix, off_s: tuple[int, int]) -> None:
    before, there, after = read_clocks(*prefix())
    for begun, read, ended, off in zip(before, there, after, off_s):
        assert begun <= read - off * 1_000 * MS <= ended
