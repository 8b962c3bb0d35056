"""Cuts a stream into its events: server-sent events, by the rules of the WHATWG's HTML standard
(9.2.6, "Interpreting an event stream"), each with the instants of the reads that brought its first
and its last byte.

Whatever the reads were, the events are the same. Two things are ours: a field `error` is taken for
data of an event named "error" (llama.cpp's servers of 2023 and 2024 say errors so), and of an
event with more lines than anybody means the rest is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from qs.llm.apis.api import Event

BOM = b"\xef\xbb\xbf"
# Lines of one event that are looked at.
MOST_LINES = 10_000
# The end of a line before one that is neither blank nor a comment.
_TO_A_FIELD = re.compile(rb"\n[^\n:]")
_NEVER = 1 << 62


def events(body: bytes, marks: Sequence[int] | None) -> Iterator[Event]:
    """Those that are complete. `marks` are pairs: when a read returned, and how many bytes of
    `body` had come by then; without them the events have the time 0.
    """
    stamps = marks[0::2] if marks else (0,)
    ends: list[int] = list(marks[1::2]) if marks else [len(body)]
    if b"\r" in body:
        body, ends = _with_newlines(body, ends)
    # What is beyond the last mark came with the last read.
    ends[-1] = _NEVER
    find, begins, size = body.find, body.startswith, len(body)
    new = tuple.__new__  # three times as fast as Event(...)
    at = len(BOM) if begins(BOM) else 0
    read = 0
    while at < size:
        if begins(b"data: ", at):
            end = find(b"\n", at)
            if end < 0:
                return
            if body[end + 1 : end + 2] == b"\n":
                # Nearly all events are one line of data, and a blank one.
                while ends[read] <= at:
                    read += 1
                last = read
                end += 1
                while ends[last] <= end:
                    last += 1
                data = body[at + 6 : end - 1]
                if data:
                    yield new(Event, (stamps[read], stamps[last], data, b""))
                at = end + 1
                continue
        if body[at] in b"\n:":
            field = _TO_A_FIELD.search(body, at)
            if field is None:
                return
            at = field.start() + 1
            continue
        # A line ends at `blank`, and the next one is empty.
        blank = find(b"\n\n", at)
        if blank < 0:
            return
        while ends[read] <= at:
            read += 1
        last = read
        while ends[last] <= blank + 1:
            last += 1
        data, name = _fields(body[at:blank])
        if data:
            yield new(Event, (stamps[read], stamps[last], data, name))
        at = blank + 2


def comments(body: bytes) -> int:
    """How many lines are comments, which keep a connection alive."""
    lines = body.count(b"\n:") + body.startswith((b":", BOM + b":"))
    return lines + (body.count(b"\r:") if b"\r" in body else 0)


def _with_newlines(body: bytes, ends: list[int]) -> tuple[bytes, list[int]]:
    """The body with \\n at the end of each line, and the marks as they stand in it: what a \\r\\n
    loses is lost when its \\n comes.
    """
    moved = []
    lost = before = 0
    for end in ends:
        # From one byte before: a pair may stand across two reads.
        lost += body.count(b"\r\n", max(before - 1, 0), end)
        moved.append(end - lost)
        before = end
    return body.replace(b"\r\n", b"\n").replace(b"\r", b"\n"), moved


def _fields(block: bytes) -> tuple[bytes, bytes]:
    """(data, type) of an event's lines."""
    lines = block.split(b"\n", MOST_LINES)[:MOST_LINES]
    found: list[bytes] = []
    name = b""
    for line in lines:
        field, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if field == b"data":
            found.append(value)
        elif field == b"event":
            name = value
        elif field == b"error":
            found.append(value)
            name = b"error"
    return b"\n".join(found), name
