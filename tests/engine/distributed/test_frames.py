"""Frames: what is not sealed right is not read, and what is read is bounded, whatever is sent."""

from __future__ import annotations

import pickle
import struct
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.engine.distributed.talking import frames
from qs.engine.distributed.talking.bounds import BYTES_PER_S, FRAMES_PER_S, MOST_FRAMES, Allowance
from qs.engine.distributed.talking.frames import Assembler, FrameError, Kind, Opener, Sealer
from qs.engine.distributed.talking.plain import MOST_JSON_BYTES, decoded, encoded

SECRET, KEY = b"s" * 32, b"k" * 32


def test_both_sides_prove_that_they_know_the_secret_and_have_the_same_keys():
    challenged = frames.challenge()
    answered = frames.response(challenged, 7, SECRET)
    assert frames.number_in(answered) == 7 and len(answered) == frames.RESPONSE_BYTES
    welcomed = frames.welcome(challenged, answered, SECRET)
    frames.check_welcome(welcomed, challenged, answered, SECRET)
    down, up = frames.keys(challenged, answered, SECRET)
    assert len({down, up, welcomed, SECRET}) == 4
    assert SECRET not in challenged + answered + welcomed


def test_who_does_not_know_the_secret_is_refused():
    challenged = frames.challenge()
    answered = frames.response(challenged, 7, SECRET)
    forged = [
        frames.response(challenged, 7, b"t" * 32),
        # another's number, another connection's answer, an answer turned back
        struct.pack("<I", 8) + answered[4:],
        frames.response(frames.challenge(), 7, SECRET),
        answered[:-32] + frames.welcome(challenged, answered, SECRET),
    ]
    for each in forged:
        with pytest.raises(FrameError, match="secret"):
            frames.welcome(challenged, each, SECRET)
    for secret, said in ((b"t" * 32, answered), (SECRET, forged[0])):
        proof = frames.welcome(challenged, said, SECRET if said is answered else b"t" * 32)
        with pytest.raises(FrameError, match="secret"):
            frames.check_welcome(proof, challenged, said, secret)


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.1 400 Bad", frames.challenge()[1:], b"x" * 40],
    ids=["nothing", "another protocol", "one byte short", "no challenge"],
)
def test_what_is_no_driver_is_told_nothing(said):
    with pytest.raises(FrameError, match="no driver"):
        frames.response(said, 7, SECRET)


@pytest.mark.parametrize("key", [None, KEY])
@given(
    said=st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=300))),
    cuts=st.lists(st.integers(1, 100)),
)
def test_frames_come_out_as_they_went_in_however_the_bytes_are_cut(key, said, cuts):
    sealer, opener = Sealer(key), Opener(key)
    data = b"".join(sealer.frame(kind, body) for kind, body in said)
    found, at = [], 0
    for size in [*cuts, len(data)]:
        found += opener.frames(data[at : at + size])
        at += size
    assert found == [(int(kind), body) for kind, body in said]


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20])
def test_a_long_message_comes_in_several_frames(size):
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    opener, assembler, found = Opener(KEY), Assembler(8 << 20), []
    for frame in Sealer(KEY).message(body):
        found += [assembler.add(*each) for each in opener.frames(frame)]
    assert found[-1] == body and set(found[:-1]) <= {None}
    assert len(found) == max(-(-size // frames.MOST_FRAME_BYTES), 1)
    assert assembler.add(Kind.MESSAGE, b"next") == b"next"


def test_a_frame_that_was_changed_left_out_doubled_or_moved_is_refused():
    sealer = Sealer(KEY)
    one, two = sealer.frame(Kind.ALIVE, b"one"), sealer.frame(Kind.ALIVE, b"two")
    changed = [one[:at] + bytes([one[at] ^ 1]) + one[at + 1 :] for at in range(4, len(one))]
    for data in (*changed, two, one + one, Sealer(b"l" * 32).frame(Kind.ALIVE, b"one")):
        with pytest.raises(FrameError, match="seal"):
            list(Opener(KEY).frames(data))
    assert len(list(Opener(KEY).frames(one + two))) == 2


def test_what_is_too_long_is_refused_before_it_is_there():
    head = struct.pack("<IB", (1 << 20) + 1, Kind.MESSAGE)
    with pytest.raises(FrameError, match="1,048,577 bytes"):
        list(Opener(None).frames(head))
    assembler = Assembler(10)
    assembler.add(Kind.PART, b"12345678")
    with pytest.raises(FrameError, match="more than 10 bytes"):
        assembler.add(Kind.PART, b"901")


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.binary()
    # half of a pair of surrogates is no text
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
        | st.dictionaries(
            st.none() | st.integers() | st.floats(allow_nan=False) | st.binary(), inner
        )
    ),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_data_comes_back_as_it_was(value):
    assert same(decoded(encoded(value)), value)


def same(one, other) -> bool:
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, dict):
        return all(map(same, one, other)) and all(map(same, one.values(), other.values()))
    return not isinstance(one, (list, tuple)) or all(map(same, one, other))


@pytest.mark.parametrize(
    "value",
    [
        float("inf"),
        -float("inf"),
        r"\ud800",
        "\\" * 3 + "ud800",
        {"\0": 1},
        {"\0": ["b", 3]},
        {"": {"\0": {1: b""}}},
        [b"1", (b"22", [b""]), {b"3": b"44"}],
    ],
)
def test_what_could_be_taken_for_something_else_is_not(value):
    assert same(decoded(encoded(value)), value)


def test_numbers_that_are_none_and_text_that_is_none():
    assert decoded(encoded(float("nan"))) != decoded(encoded(float("nan")))
    assert decoded(encoded("a\ud800b")) == "a?b"  # as it would be printed


def itself() -> list:
    found: list = []
    found.append(found)
    return found


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, Kind, [lambda: 0], {(1, 2): 3}, itself()])
def test_only_plain_data_can_be_said(value):
    with pytest.raises((TypeError, ValueError)):
        decoded(encoded(value))


def said(text: str, rest: bytes = b"") -> bytes:
    body = text.encode()
    return struct.pack("<I", len(body)) + body + rest


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\1",
        struct.pack("<I", 10) + b"1",
        struct.pack("<I", MOST_JSON_BYTES + 1) + b"1" * (MOST_JSON_BYTES + 1),
        pickle.dumps(1),
        said(""),
        said("{"),
        said("[" * 100_000),
        said('"\\ud800"'),
        said('"\\\\\\udc00"'),
        b"\2\0\0\0\xff\xff",
        said('{"\\u0000":1}'),
        said('{"\\u0000":["b",1]}'),
        said('{"\\u0000":["b",-1]}', b"12"),
        said('{"\\u0000":["b",1.5]}', b"12"),
        said('{"\\u0000":["b",true]}', b"12"),
        said('{"\\u0000":["b",2],"a":1}', b"12"),
        said('[{"\\u0000":["b",2]},{"\\u0000":["b",2]}]', b"123"),
        said('{"\\u0000":["t",5]}'),
        said('{"\\u0000":["d",[1]]}'),
        said('{"\\u0000":["d",[[[1],2]]]}'),
        said('{"\\u0000":["d",[[{"\\u0000":["t",[]]},2]]]}'),
        said('{"\\u0000":["d",[' + ",".join(f"[{n},0]" for n in range(101)) + "]]}"),
        said('{"\\u0000":["x",2]}'),
    ],
)
def test_what_is_not_plain_data_is_a_value_error(data):
    with pytest.raises(ValueError):
        decoded(data)


def test_a_message_makes_no_more_of_itself_than_its_length_allows():
    for text in (
        "[" + "[]," * 300_000 + "0]",
        "[" + '{"":0},' * 150_000 + "0]",
        '["' + "a" * 10**6,
    ):
        data = said(text)
        tracemalloc.start()
        try:
            decoded(data)
        except ValueError:
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 50 * len(data)


def test_keys_that_collide_take_no_time():
    """A hundred at most: the hash of whole numbers is known."""
    pairs = ",".join(f"[{n * (2**61 - 1)},0]" for n in range(100))
    each = f'{{"\\u0000":["d",[{pairs}]]}}'
    began = time.thread_time()
    decoded(said("[" + ",".join([each] * 20) + "]"))
    assert time.thread_time() - began < 5


def test_an_allowance_fills_with_time():
    allowance = Allowance(0)
    for _ in range(int(MOST_FRAMES)):
        allowance.take(10, 0)
    with pytest.raises(FrameError, match=f"flood of messages, more than {FRAMES_PER_S:g}"):
        allowance.take(10, 0)
    allowance = Allowance(0)
    for second in range(10_000):  # five updates a second are no flood, however long
        for _ in range(5):
            allowance.take(10_000, second * 10**9)
            allowance.work(0.001)
    with pytest.raises(FrameError, match="flood of bytes"):
        for _ in range(20):
            allowance.take(int(BYTES_PER_S), 10**13)
    with pytest.raises(FrameError, match="too long to read"):
        for _ in range(4):
            allowance.work(2.0)
