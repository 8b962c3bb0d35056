"""How a connection between a driver and a node behaves where packets are lost for some seconds."""

from __future__ import annotations

import os
import socket

# Of linux/tcp.h; Python's socket module names neither.
_THIN_LINEAR_TIMEOUTS = 16
_RTO_MAX_MS = 44
_MOST_WAIT_MS = 1_000


def try_often(fd: int) -> None:
    """Have what was lost sent again about each second.

    By default the pause doubles each time: after a gap of seven seconds nothing comes for another
    five, and by then the other side has given up. Kernels that do not know an option are left as
    they are (the first came with Linux 2.6.34; the second, for what is long as well, with 6.15).
    """
    with socket.socket(fileno=os.dup(fd)) as sock:
        for option, value in ((_THIN_LINEAR_TIMEOUTS, 1), (_RTO_MAX_MS, _MOST_WAIT_MS)):
            try:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
            except OSError:
                pass
