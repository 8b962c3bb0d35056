"""Streams are cut into events as the WHATWG has it, however they came."""

from __future__ import annotations

import time
import tracemalloc
from array import array
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.llm.apis.api import Event
from qs.llm.events import MOST_LINES, comments, events


def marks_of(parts: Iterable[bytes]) -> array[int]:
    """A read for each part, at 10, 20, 30 ... ns."""
    marks = array("q")
    size = 0
    for number, part in enumerate(parts, 1):
        size += len(part)
        marks.extend((10 * number, size))
    return marks


def found(*parts: bytes) -> list[tuple[int, int, bytes, bytes]]:
    return [tuple(each) for each in events(b"".join(parts), marks_of(parts))]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((b"data: a\n\n",), [(10, 10, b"a", b"")]),
        ((b"data:a\n\n",), [(10, 10, b"a", b"")]),
        ((b"data:  a\n\n",), [(10, 10, b" a", b"")]),
        ((b"data: a\n\n", b"data: b\n\n"), [(10, 10, b"a", b""), (20, 20, b"b", b"")]),
        ((b"data: a\n\ndata: b\n\n",), [(10, 10, b"a", b""), (10, 10, b"b", b"")]),
        ((b"da", b"ta: a", b"\n", b"\n"), [(10, 40, b"a", b"")]),
        ((b"data: a\n\nd", b"ata: b\n\n"), [(10, 10, b"a", b""), (10, 20, b"b", b"")]),
        ((b"data: a\ndata: b\n\n",), [(10, 10, b"a\nb", b"")]),
        ((b"event: e\nid: 7\nretry: 9\ndata: a\n\n",), [(10, 10, b"a", b"e")]),
        ((b"event: e\n", b"data: a\n\n"), [(10, 20, b"a", b"e")]),
        ((b"\xef\xbb\xbfdata: a\n\n",), [(10, 10, b"a", b"")]),
        ((b"\xef\xbb", b"\xbfdata: a\n\n"), [(20, 20, b"a", b"")]),
        ((b"data: a\r\n\r\ndata: b\r\n\r\n",), [(10, 10, b"a", b""), (10, 10, b"b", b"")]),
        ((b"data: a\r", b"\n\r", b"\ndata: b\r\n\r\n"), [(10, 20, b"a", b""), (30, 30, b"b", b"")]),
        ((b"data: a\r\rdata: b\r\n\n",), [(10, 10, b"a", b""), (10, 10, b"b", b"")]),
        # A comment before an event is not its first byte, nor are blank lines.
        ((b": ping\n\n", b"data: a\n\n"), [(20, 20, b"a", b"")]),
        ((b":\n", b"data: a\n\n"), [(20, 20, b"a", b"")]),
        ((b"\n\n\n", b"data: a\n\n"), [(20, 20, b"a", b"")]),
        ((b"data: a\n: in the midst\ndata: b\n\n",), [(10, 10, b"a\nb", b"")]),
        # No data, no event; and what is not complete is none.
        ((b"data\n\ndata:\n\nevent: e\n\ndata: \n\ndata: a\n\n",), [(10, 10, b"a", b"")]),
        ((b"data\ndata\n\n",), [(10, 10, b"\n", b"")]),
        ((b"event: e\n\ndata: a\n\n",), [(10, 10, b"a", b"")]),
        ((b"data: a\n\ndata: b\n",), [(10, 10, b"a", b"")]),
        ((b"data: a",), []),
        ((b"",), []),
        ((b"whatever\n\n<html>\n\n",), []),
        ((b'error: {"code":500}\n\n',), [(10, 10, b'{"code":500}', b"error")]),
    ],
)
def test_events(parts: tuple[bytes, ...], expected: list[tuple[int, int, bytes, bytes]]) -> None:
    assert found(*parts) == expected


def test_without_marks_the_time_is_0() -> None:
    assert list(events(b"data: a\n\n", None)) == [Event(0, 0, b"a")]
    assert list(events(b"data: a\n\n", array("q"))) == [Event(0, 0, b"a")]


def test_bytes_beyond_the_last_mark_came_with_the_last_read() -> None:
    assert list(events(b"data: a\n\ndata: b\n\n", array("q", [5, 9]))) == [
        Event(5, 5, b"a"),
        Event(5, 5, b"b"),
    ]


def reference(parts: list[bytes]) -> list[tuple[int, int, bytes, bytes]]:
    """The standard's rules, byte by byte."""
    body = b"".join(parts)
    at = [10 * number for number, part in enumerate(parts, 1) for _ in part]
    place = 3 if body.startswith(b"\xef\xbb\xbf") else 0
    made: list[tuple[int, int, bytes, bytes]] = []
    data, name, first = [], b"", None
    while place < len(body):
        end = place
        while end < len(body) and body[end] not in b"\r\n":
            end += 1
        if end == len(body):
            break
        line, whole = body[place:end], at[end]
        if line and not line.startswith(b":"):
            first = at[place] if first is None else first
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":
                data.append(value)
            elif field == b"event":
                name = value
        elif not line:
            if b"\n".join(data):
                made.append((first or 0, whole, b"\n".join(data), name))
            data, name, first = [], b"", None
        place = end + (2 if body[end : end + 2] == b"\r\n" else 1)
    return made


PIECES = st.sampled_from(
    [b"data: ", b"data:", b"data", b"event: e", b": c", b":", b"\n", b"\r", b"\r\n", b"\n\n", b"x",
     b"{", b" ", b"id: 1", b"data: {}\n\n", b"data: {}\r\n\r\n", b"\xef\xbb\xbf"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40), st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_they_are_those_of_the_standard_however_the_bytes_were_cut(
    pieces: list[bytes], cuts: list[int]
) -> None:
    body = b"".join(pieces)
    parts, at, turn = [], 0, 0
    while at < len(body):
        size = cuts[turn % len(cuts)]
        parts.append(body[at : at + size])
        at, turn = at + size, turn + 1
    assert found(*parts) == reference(parts)
    whole = [each[2:] for each in found(body)]
    assert [each[2:] for each in found(*parts)] == whole


def test_comments_are_counted() -> None:
    assert comments(b": a\n\n:\n\ndata: x:y\n\n: b\r\n\r:c") == 4
    assert comments(b"\xef\xbb\xbf: a\n") == 1
    assert comments(b"data: a\n\n") == 0


SIZE = 8 << 20


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b"data: " + b"x" * SIZE + b"\n\n", 1),
        (b"data: " + b"x" * SIZE, 0),
        (b"data: x\n" * (SIZE // 8), 0),
        (b"data: x\n" * (SIZE // 8) + b"\n", 1),
        (b"\n" * SIZE, 0),
        (b": ping\n\n" * (SIZE // 8), 0),
        (b"\r\n" * (SIZE // 2), 0),
        (b"data:\n\n" * 50_000, 0),
        (b"x\n\n" * 50_000, 0),
        (b"data: x\n\n" * 50_000, 50_000),
    ],
    ids=["one event", "no end", "no blank line", "many lines", "blank lines", "comments", "crlf",
         "empty events", "unknown fields", "many events"],
)  # fmt: skip
def test_hostile_bodies_cost_little_time_and_memory(body: bytes, count: int) -> None:
    """Memory is asserted, and of time only that it ends in some."""
    tracemalloc.start()
    try:
        began = time.monotonic()
        assert sum(1 for _ in events(body, array("q", [1, len(body)]))) == count
        assert time.monotonic() - began < 60  # s
        assert tracemalloc.get_traced_memory()[1] < 4 * SIZE
    finally:
        tracemalloc.stop()


def test_an_event_of_very_many_lines_is_read_so_far() -> None:
    ((_, _, data, _),) = found(b"data: x\n" * (MOST_LINES + 5) + b"\n")
    assert data.count(b"x") == MOST_LINES
