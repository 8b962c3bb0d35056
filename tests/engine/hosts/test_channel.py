"""Messages: what goes in comes out, descriptors travel beside, and a child can send plain data
only.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import threading

import numpy as np
import pytest

from qs.engine.hosts import channel


@pytest.fixture
def pair():
    one, other = socket.socketpair()
    yield one, other
    one.close()
    other.close()


def plainly(sender: socket.socket, receiver: socket.socket, data: bytes):
    """What a conductor makes of bytes that a child sent, and whether the next message still comes
    through.
    """

    async def receive():
        receiver.setblocking(False)
        thread = threading.Thread(
            target=lambda: (sender.sendall(data), channel.send(sender, "next"))
        )
        thread.start()
        try:
            first = await channel.receive_plain(receiver)
        except pickle.UnpicklingError as refused:
            first = refused
        after = await channel.receive_plain(receiver)
        thread.join()
        return first, after

    return asyncio.run(receive())


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(8, "little") + data


@pytest.mark.parametrize(
    "message",
    [
        None,
        True,
        -1,
        1 << 80,
        2.5,
        "wörd",
        b"\0\xff",
        [1, [2]],
        (),
        {"a": (1, {"b": [None]})},
        b"x" * 5_000_000,
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_plain_data_comes_through(pair, message, protocol):
    found, after = plainly(*pair, framed(pickle.dumps(message, protocol)))
    assert found == message
    assert type(found) is type(message)
    assert after == "next"


class Marker:
    made = 0

    def __init__(self):
        type(self).made += 1

    def __reduce__(self):
        return (Marker, ())


@pytest.mark.parametrize(
    "message",
    [
        np.float64(1),
        np.arange(3),
        Marker(),
        [{"deep": (np.int8(1),)}],
        Marker,
        print,
        ValueError("x"),
        range(3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_everything_else_is_refused_by_name_and_the_stream_goes_on(pair, message):
    Marker.made = 0
    refused, after = plainly(*pair, framed(pickle.dumps(message)))
    assert isinstance(refused, pickle.UnpicklingError)
    assert "only plain data" in str(refused)
    assert after == "next"
    assert Marker.made == 0


def test_a_command_in_a_message_is_not_run(pair, tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path}/run",))

    refused, _ = plainly(*pair, framed(pickle.dumps(Evil())))
    assert "system" in str(refused)
    assert not (tmp_path / "run").exists()


def test_bytes_that_are_no_pickle_are_refused(pair):
    refused, after = plainly(*pair, framed(b"not a pickle"))
    assert isinstance(refused, pickle.UnpicklingError)
    assert after == "next"


def test_descriptors_travel_beside(pair, tmp_path):
    (tmp_path / "file").write_text("inside")
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    channel.send(pair[0], {"some": "message"}, [fd])
    os.close(fd)
    message, fds = channel.receive(pair[1])
    assert message == {"some": "message"}
    assert len(fds) == 1
    assert os.read(fds[0], 10) == b"inside"
    os.close(fds[0])


def test_the_end_is_an_eof(pair):
    pair[0].close()
    with pytest.raises(EOFError):
        channel.receive(pair[1])


def test_an_end_in_the_middle_is_an_eof(pair):
    one, other = pair
    one.sendall(framed(b"x" * 100)[:20])
    one.close()
    other.setblocking(False)
    with pytest.raises(EOFError):
        asyncio.run(channel.receive_plain(other))
