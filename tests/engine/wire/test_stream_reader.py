"""The reader of streams, without a socket: the same bytes give the same body, however they are cut
into reads, and a mark for each read that brought some of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from qs.engine.wire.answers import AnswerReader, Memory
from qs.engine.wire.heads import Heads
from qs.engine.wire.streams import StreamReader
from tests.engine.wire.asking import GET

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MOST = 1 << 20
EVENT = b'data: {"choices":[{"delta":{"content":" token"}}]}\n\n'


def chunk(data: bytes, size: str = "{:x}", extension: bytes = b"") -> bytes:
    return size.format(len(data)).encode() + extension + b"\r\n" + data + b"\r\n"


def reader_of(kind: type[AnswerReader] = StreamReader, most: int = MOST) -> AnswerReader:
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
BODIES = st.one_of(st.just(EVENT), st.binary(min_size=1, max_size=60))


@given(
    st.lists(st.tuples(BODIES, SIZES, EXTENSIONS), max_size=8),
    ENDS,
    st.one_of(
        st.lists(st.integers(1, 900), max_size=20),
        st.just(range(2_000)),
        st.just(range(0, 2_000, 2)),
    ),
)
def test_chunks_cut_anywhere(chunks, end, places) -> None:
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
