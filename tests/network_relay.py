"""The process in the middle of tests/networks.py: it makes a network namespace for each node, with
a TUN device in each and one where it was started, and carries IP packets between them, late, with
losses, or not at all.

A TUN device hands whole IP packets to whoever holds it, so no queueing discipline of the kernel is
needed. Devices and namespaces are held by descriptors of this process and end with it, however it
ends; it ends when its standard input does.

Told on standard input, a line of JSON each, answered by a line: {"node": 1, "line": {...}}.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

NEW_NET = 0x40000000  # CLONE_NEWNET
SET_INTERFACE = 0x400454CA  # TUNSETIFF
TUN, NO_HEADER = 0x0001, 0x1000  # IFF_TUN, IFF_NO_PI
TIMER_SLACK = 29  # PR_SET_TIMERSLACK
MTU = 9_000
# packets read of one device before the others have their turn, and before those that are due
AT_ONCE = 16
# what a node may have on its way; beyond it packets are lost, as a router's would be
MOST_WAITING = 20_000
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass
class Port:
    """One end: the device there, and the state of its line to the middle."""

    fd: int
    to_ns: int = 0
    from_ns: int = 0
    jitter_ns: int = 0
    loss: float = 0.0
    cut: bool = False
    # the last packet leaves the middle at this time: none overtakes another
    last_due_ns: int = 0
    waiting: int = 0
    counted: dict[str, int] = field(default_factory=lambda: {"carried": 0, "lost": 0})


def check(result: int) -> None:
    """Raises OSError where a call of libc failed."""
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def device(name: str, address: str) -> int:
    """A TUN device in the namespace that this process is in, up and with an address of a /24."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, SET_INTERFACE, struct.pack("16sH22x", name.encode(), TUN | NO_HEADER))
    for words in (
        ["addr", "add", f"{address}/24", "dev", name],
        ["link", "set", name, "mtu", str(MTU), "txqueuelen", "5000", "up"],
    ):
        subprocess.run(["ip", *words], check=True, capture_output=True)
    return fd


def open_ports(name: str, network: str, nodes: int) -> tuple[list[Port], list[int]]:
    """The driver's port and each node's, and the descriptors of the nodes' namespaces."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    ports, spaces = [Port(device(name, f"{network}.1"))], []
    for number in range(1, nodes + 1):
        check(LIBC.unshare(NEW_NET))
        try:
            spaces.append(os.open("/proc/self/ns/net", os.O_RDONLY))
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True, capture_output=True)
            ports.append(Port(device("tun0", f"{network}.{number + 1}")))
        finally:
            check(LIBC.setns(home, NEW_NET))
    return ports, spaces


class Relay:
    """Carries packets between ports until its standard input ends."""

    def __init__(self, ports: list[Port]):
        self.ports = ports
        self.random = random.Random(1)
        self.waiting: list[tuple[int, int, int, bytes]] = []  # a heap: due, order, port, packet
        self.order = 0
        self.told = b""

    def run(self) -> None:
        by_fd = {port.fd: number for number, port in enumerate(self.ports)}
        sources = [0, *by_fd]
        while True:
            wait_s = 3600.0
            if self.waiting:
                wait_s = max(self.waiting[0][0] - time.monotonic_ns(), 0) / 1e9
            ready, _, _ = select.select(sources, [], [], wait_s)
            for fd in ready:
                if fd:
                    self.take(by_fd[fd])
                elif not self.listen():
                    return
            self.deliver()

    def take(self, number: int) -> None:
        """Read packets of a port, and say when each is due at the port of its destination."""
        port = self.ports[number]
        for _ in range(AT_ONCE):
            try:
                packet = os.read(port.fd, MTU + 64)
            except BlockingIOError:
                return
            # IPv4 alone, to an address of this network: its last byte says whose
            other = packet[19] - 1 if len(packet) >= 20 and packet[0] >> 4 == 4 else -1
            if not 0 <= other < len(self.ports) or other == number:
                continue
            to = self.ports[other]
            if self.dropped(port) or self.dropped(to) or to.waiting >= MOST_WAITING:
                port.counted["lost"] += 1
                continue
            late_ns = port.from_ns + to.to_ns
            for each in (port, to):
                late_ns += int(self.random.random() * each.jitter_ns)
            due_ns = time.monotonic_ns() + late_ns
            if port.jitter_ns or to.jitter_ns:
                due_ns = to.last_due_ns = max(due_ns, to.last_due_ns)
            self.order += 1
            to.waiting += 1
            heapq.heappush(self.waiting, (due_ns, self.order, other, packet))

    def dropped(self, port: Port) -> bool:
        return port.cut or (port.loss > 0 and self.random.random() < port.loss)

    def deliver(self) -> None:
        now_ns = time.monotonic_ns()
        while self.waiting and self.waiting[0][0] <= now_ns:
            _, _, number, packet = heapq.heappop(self.waiting)
            port = self.ports[number]
            port.waiting -= 1
            if port.cut:  # it was on its way when the line was cut
                port.counted["lost"] += 1
                continue
            try:
                os.write(port.fd, packet)
                port.counted["carried"] += 1
            except OSError:
                port.counted["lost"] += 1

    def listen(self) -> bool:
        """Do what standard input says; False at its end."""
        read = os.read(0, 65536)
        self.told += read
        *lines, self.told = self.told.split(b"\n")
        for line in lines:
            say(self.do(json.loads(line)))
        return bool(read)

    def do(self, told: dict[str, Any]) -> dict[str, Any]:
        port = self.ports[told["node"]]
        for name, value in told.get("line", {}).items():
            setattr(port, name, value)
        return port.counted


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def main() -> None:
    name, network, nodes = sys.argv[1], sys.argv[2], int(sys.argv[3])
    LIBC.prctl(TIMER_SLACK, 1, 0, 0, 0)
    try:
        ports, spaces = open_ports(name, network, nodes)
    except subprocess.CalledProcessError as error:
        say({"fault": error.stderr.decode().strip()})
        return
    except OSError as error:
        say({"fault": str(error)})
        return
    say({"spaces": spaces, "pid": os.getpid()})
    Relay(ports).run()


if __name__ == "__main__":
    main()
