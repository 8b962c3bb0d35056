"""The reader of streams, without a socket: the same bytes give the same body, however they are cut
into reads, and a mark for each read that brought some of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.engine.wire import answers, streams
from qs.engine.wire.answers import AnswerReader, Memory
from qs.engine.wire.calls import WireCall
from qs.engine.wire.failures import BadAnswer
from qs.engine.wire.heads import Heads
from qs.engine.wire.streams import StreamReader
from tests.engine.wire.asking import GET

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MOST = 1 << 20
EVENT = b'data: {"choices":[{"delta":{"content":" token"}}]}\n\n'


def chunk(data: bytes, size: str = "{:x}", extension: bytes = b"") -> bytes:
    return size.format(len(data)).encode() + extension + b"\r\n" + data + b"\r\n"


Kind = TypeVar("Kind", bound=AnswerReader)


def reader_of(kind: type[Kind] = StreamReader, most: int = MOST) -> Kind:  # type: ignore[assignment]
    return kind(Memory(), Heads(), most)


def feed(reader: AnswerReader, reads: Iterable[bytes]) -> bool:
    """As a connection does; each read is stamped with its number, from 1."""
    whole = False
    for number, data in enumerate(reads, 1):
        assert not whole, "bytes after the answer were not told of"
        reader.room[: len(data)] = data
        if isinstance(reader, StreamReader):
            if reader.between and reader.lone(len(data), number):
                continue
            reader.now_ns = number
        whole = reader.received(len(data), GET)
    return whole


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted({place for place in places if 0 < place < len(data)}), len(data)]
    return [data[a:b] for a, b in zip(edges, edges[1:])]


def pairs(reader: StreamReader) -> list[tuple[int, int]]:
    marks = list(reader.marks)
    return list(zip(marks[::2], marks[1::2]))


def body_bytes(parts: Sequence[tuple[bytes, bool]]) -> list[int]:
    """How much of the body has come after each byte of the answer, from after none."""
    come = [0]
    for data, of_body in parts:
        come += [come[-1] + (index + 1 if of_body else 0) for index in range(len(data))]
    return come


SIZES = st.sampled_from(["{:x}", "{:X}", "00{:x}", "{:08x}"])
EXTENSIONS = st.sampled_from([b"", b"", b"", b";a=b", b';a="b"'])
ENDS = st.sampled_from(
    [b"0\r\n\r\n", b"0\r\n\r\n", b"000\r\n\r\n", b"0;a\r\n\r\n", b"0\r\nA: b\r\n\r\n"]
)
PLACES = st.one_of(
    st.lists(st.integers(1, 900), max_size=20),
    st.just(range(2_000)),
    st.just(range(0, 2_000, 2)),
)
BODIES = st.one_of(st.just(EVENT), st.binary(min_size=1, max_size=60))


@given(st.lists(st.tuples(BODIES, SIZES, EXTENSIONS), max_size=8), ENDS, PLACES)
def test_chunks_cut_anywhere(
    chunks: list[tuple[bytes, str, bytes]], end: bytes, places: Sequence[int]
) -> None:
    parts: list[tuple[bytes, bool]] = [(HEAD, False)]
    for data, size, extension in chunks:
        parts += [(size.format(len(data)).encode() + extension + b"\r\n", False), (data, True)]
        parts += [(b"\r\n", False)]
    parts.append((end, False))
    raw = b"".join(data for data, _ in parts)
    reads = cut(raw, places)
    reader = reader_of()
    assert feed(reader, reads)
    body = b"".join(data for data, *_ in chunks)
    assert reader.body == body
    assert isinstance(reader.body, bytes)
    assert pairs(reader) == expected(reads, body_bytes(parts))
    plain = reader_of(AnswerReader)
    assert feed(plain, reads) and plain.body == body


def expected(reads: Sequence[bytes], come: Sequence[int]) -> list[tuple[int, int]]:
    found, at = [], 0
    for number, read in enumerate(reads, 1):
        before, at = at, at + len(read)
        if come[at] > come[before]:
            found.append((number, come[at]))
    return found


@pytest.mark.parametrize("kind", ["length", "until the end"])
@given(st.lists(BODIES, min_size=1, max_size=8), PLACES)
def test_other_bodies_cut_anywhere(kind: str, pieces: list[bytes], places: Sequence[int]) -> None:
    body = b"".join(pieces)
    head = b"HTTP/1.1 200 OK\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(body) if kind == "length" else b"\r\n"
    reads = cut(head + body, places)
    reader = reader_of()
    whole = feed(reader, reads)
    assert whole if kind == "length" else reader.ended()
    assert reader.body == body and isinstance(reader.body, bytes)
    assert pairs(reader) == expected(reads, body_bytes([(head, False), (body, True)]))


EDITS = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.integers(0, 3),
        st.sampled_from([b"", b"\r", b"\n", b"\r\n", b"0", b"f", b";", b"g", b" ", b"\x00", b"-1",
                         b"+", b"0x", b"_", b"0\r\n\r\n", b"fffffffffffffffffff"]),
    ),
    max_size=3,
)  # fmt: skip


def outcome(reader: AnswerReader, reads: Sequence[bytes]) -> tuple[str, int, bytes]:
    """What becomes of it, with which read; what follows an answer is nobody's."""
    for number, data in enumerate(reads):
        try:
            if feed(reader, [data]):
                return "whole", number, bytes(reader.body)
        except BadAnswer:
            return "bad", number, b""
    return "unfinished", len(reads), b""


@given(st.lists(BODIES, max_size=4), EDITS, PLACES)
def test_wrong_bytes_are_as_wrong_as_llhttp_finds_them(
    pieces: list[bytes], edits: list[tuple[int, int, bytes]], places: Sequence[int]
) -> None:
    raw = b"".join(map(chunk, pieces)) + b"0\r\n\r\n"
    for place, dropped, added in edits:
        raw = raw[:place] + added + raw[place + dropped :]
    reads = cut(HEAD + raw, places)
    assert outcome(reader_of(), reads) == outcome(reader_of(AnswerReader), reads)


def test_what_came_before_a_fault_is_kept_and_marked() -> None:
    reader = reader_of()
    with pytest.raises(BadAnswer, match="a chunk of its body is not right"):
        feed(reader, [HEAD + chunk(b"abc"), chunk(b"de") + b"2\r\nfgh\r\n"])
    call = WireCall(GET, lambda call: None, None)
    reader.leave(call)
    assert (call.status, call.body) == (200, b"abcdefg")
    assert pairs(reader) == [(1, 3), (2, 7)]
    assert call.marks is reader.marks


def test_nothing_is_left_where_no_head_had_come() -> None:
    reader = reader_of()
    assert feed(reader, [HEAD + chunk(b"abc") + b"0\r\n\r\n"])
    assert not feed(reader, [HEAD[:20]])
    call = WireCall(GET, lambda call: None, None)
    reader.leave(call)
    assert (call.status, call.body, call.marks) == (0, b"", None)


@pytest.mark.parametrize("kind", ["plain", "llhttp", "length", "until the end"])
def test_marks_take_part_in_what_is_kept_at_most(kind: str) -> None:
    """Chunks of one byte, each in a read of its own."""
    count, most = 3_000, 16_000
    head, end, one = HEAD, b"0\r\n\r\n", chunk(b"x")
    if kind == "llhttp":
        one = chunk(b"x", extension=b";a")
    elif kind == "length":
        head, end, one = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n", b"", b"x"
    elif kind == "until the end":
        head, end, one = b"HTTP/1.1 200 OK\r\n\r\n", b"", b"x"
    reader = reader_of(most=most)
    longest = 0
    whole = False
    for number, data in enumerate([head, *[one] * count, end], 1):
        if not data:
            continue
        reader.room[: len(data)] = data
        if reader.between and reader.lone(len(data), number):
            continue
        reader.now_ns = number
        whole = reader.received(len(data), GET)
        longest = max(longest, len(reader.marks))
    assert whole or reader.ended()
    assert reader.too_large and reader.body == b"" and not reader.marks
    assert longest < 2_000


def test_a_chunk_of_a_gigabyte_is_not_kept() -> None:
    reader = reader_of(most=MOST)
    size = 1 << 30
    assert not feed(reader, [HEAD + b"%x\r\n" % size])
    reader.room[:] = bytes(len(reader.room))
    for _ in range(size // len(reader.room)):
        assert not reader.received(len(reader.room), GET)
        assert len(reader._kept) <= MOST + len(reader.room)
    assert feed(reader, [b"\r\n0\r\n\r\n"])
    assert reader.too_large and reader.body == b"" and not reader.marks


@pytest.mark.parametrize("kind", ["plain", "llhttp", "length", "until the end"])
def test_many_streams_share_what_memory_there_is(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is lent is given back, however a stream ends."""
    monkeypatch.setattr(answers, "most_streamed_bytes", lambda: 400_000)
    monkeypatch.setattr(streams, "FREE_BYTES", 1_000)
    memory, heads = Memory(), Heads()
    head, piece, end = HEAD, chunk(b"x" * 1_000), b"0\r\n\r\n"
    if kind == "llhttp":
        piece = chunk(b"x" * 1_000, extension=b";a")
    elif kind == "length":
        head, piece, end = b"HTTP/1.1 200 OK\r\nContent-Length: 150000\r\n\r\n", b"x" * 1_000, b""
    elif kind == "until the end":
        head, piece, end = b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1_000, b""
    for _ in range(4):
        readers = [StreamReader(memory, heads, MOST) for _ in range(8)]
        for reader in readers:
            feed(reader, [head])
        for _ in range(149):
            for reader in readers:
                feed(reader, [piece])
        kept = [reader for reader in readers if not reader.too_large]
        assert 1 <= len(kept) < len(readers)
        assert all(reader.crowded for reader in readers if reader.too_large)
        for number, reader in enumerate(readers):
            if number % 2:
                call = WireCall(GET, lambda call: None, None)
                reader.leave(call)
                assert len(call.body) == (149_000 if reader in kept else 0)
            else:
                whole = feed(reader, [piece, *filter(None, [end])])
                assert whole or reader.ended()
                assert len(reader.body) == (150_000 if reader in kept else 0)
        assert memory._lendable == 400_000


def test_sizes_that_never_come_again_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_SIZES", 16)
    reader = reader_of()
    bodies = [b"x" * size for size in range(1, 100)]
    assert feed(reader, [HEAD, *map(chunk, bodies), b"0\r\n\r\n"])
    assert reader.body == b"".join(bodies)
    assert len(reader._sizes) <= 16
