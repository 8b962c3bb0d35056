"""A server of fixed service time with a number of workers: one FIFO queue, as theory has it.

It answers every HTTP/1.1 request without a body. When a request has come, the worker that is free
first takes it, and the answer is written when its service time has passed: nothing is computed, and
workers are numbers, so that none is late for its next request because it was late with one before.

    python bench/queue_server.py WORKERS SERVICE_S       prints its port on 127.0.0.1

When its standard input is closed it prints how long each request was served (ns, to the moment its
answer was written), in the order of their arrival, and ends.
"""

from __future__ import annotations

import heapq
import json
import select
import socket
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
END = b"\r\n\r\n"
# The system wakes sleepers later than this; from then on the clock is looked at.
SPIN_NS = 150_000
now_ns = time.perf_counter_ns


class Queue:
    """Requests that are being served or wait, and how long those that ended were served."""

    def __init__(self, workers: int, service_ns: int):
        self.served_ns: list[int] = []
        self._free = [0] * workers  # when each worker is free
        self._service_ns = service_ns
        self._ending: list[tuple[int, int, int, socket.socket]] = []  # end, number, start, whose

    def arrived(self, connection: socket.socket) -> None:
        start = max(now_ns(), self._free[0])
        heapq.heapreplace(self._free, start + self._service_ns)
        number = len(self.served_ns)
        self.served_ns.append(0)
        heapq.heappush(self._ending, (start + self._service_ns, number, start, connection))

    def answer(self) -> float | None:
        """Answer all whose time has passed. Returns for how long (s) none ends; None: for ever."""
        while self._ending:
            end, number, start, connection = self._ending[0]
            now = now_ns()
            if now < end:
                return max(end - SPIN_NS - now, 0) / 1e9
            heapq.heappop(self._ending)
            connection.send(ANSWER)
            self.served_ns[number] = now - start
        return None


def serve(queue: Queue) -> None:
    """Until the standard input is closed."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1_024)
    print(listener.getsockname()[1], flush=True)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    poll.register(sys.stdin, select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    rest: dict[int, bytes] = {}
    while True:
        # epoll's own time-out is in whole milliseconds; that of select is in microseconds.
        select.select([poll], [], [], queue.answer())
        for fd, _ in poll.poll(0):
            if fd == sys.stdin.fileno():
                return
            if fd == listener.fileno():
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[connection.fileno()] = connection
                poll.register(connection, select.EPOLLIN)
                continue
            connection = connections[fd]
            data = connection.recv(65_536)
            if not data:
                poll.unregister(fd)
                del connections[fd]
                continue
            *whole, rest[fd] = (rest.pop(fd, b"") + data).split(END)
            for _ in whole:
                queue.arrived(connection)


if __name__ == "__main__":
    queue = Queue(int(sys.argv[1]), round(float(sys.argv[2]) * 1e9))
    serve(queue)
    print(json.dumps(queue.served_ns))
