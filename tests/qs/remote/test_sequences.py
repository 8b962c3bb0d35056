"""Requests of sequences: which id, which marks, and as which bytes."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qs.remote.asked import Asked
from qs.remote.protocols.kserve_messages import messages, sequence_marks
from qs.remote.sequences import OVERLAPS, Sequenced, SequencedClient, SingleSequences
from qs.remote.serving import protocol_of

REQUEST = Sequenced(lambda number, first, last: (number, first, last))


class Client:
    """Keeps what was started, until it is ended."""

    facts = "its own"

    def __init__(self):
        self.sent, self.waiting = [], []

    def start(self, request, done):
        self.sent.append(request)
        self.waiting.append((SimpleNamespace(failure=None), done))
        return self.waiting[-1][0]

    def end(self, at=0, failure=None):
        call, done = self.waiting.pop(at)
        call.failure = failure
        done(call)

    def counts(self):
        return {"connections": 1}


def test_sequences_in_turn_each_to_its_end():
    client, ended = Client(), []
    sequenced = SequencedClient(client, count=2, length=3, first_id=7)
    for _ in range(8):
        sequenced.start(REQUEST, ended.append)
        client.end()
    assert client.sent == [
        (7, True, False), (8, True, False), (7, False, False), (8, False, False),
        (7, False, True), (8, False, True), (9, True, False), (10, True, False),
    ]  # fmt: skip
    assert len(ended) == 8
    assert sequenced.counts() == {"connections": 1, OVERLAPS: 0}
    assert sequenced.facts == "its own"


def test_processes_share_the_ids():
    for instance, ids in ((0, [7, 9, 11]), (1, [8, 10, 12])):
        client = Client()
        sequenced = SequencedClient(client, 1, 1, 7 + instance, step=2)
        for _ in ids:
            sequenced.start(REQUEST, lambda call: None)
            client.end()
        assert client.sent == [(number, True, True) for number in ids]


def test_a_sequence_is_not_sent_to_before_its_last_answer_if_another_is_free():
    client = Client()
    sequenced = SequencedClient(client, count=3, length=9, first_id=1)
    for _ in range(3):
        sequenced.start(REQUEST, lambda call: None)
    client.end(1)  # of sequence 2
    sequenced.start(REQUEST, lambda call: None)
    assert client.sent[-1] == (2, False, False)
    sequenced.start(REQUEST, lambda call: None)  # none is free: 1 was sent to longest ago
    assert client.sent[-1] == (1, False, False)
    assert sequenced.counts()[OVERLAPS] == 1
    while client.waiting:
        client.end()
    sequenced.start(REQUEST, lambda call: None)
    assert sequenced.counts()[OVERLAPS] == 1


def test_after_a_failure_a_sequence_begins_anew():
    client = Client()
    sequenced = SequencedClient(client, count=1, length=5, first_id=1)
    for failure in (None, "HTTP 503", None):
        sequenced.start(REQUEST, lambda call: None)
        client.end(failure=failure)
    assert client.sent == [(1, True, False), (1, False, False), (2, True, False)]


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 4),
    length=st.integers(1, 4),
    steps=st.lists(st.integers(-1, 3), max_size=40),
)
def test_of_any_order_of_answers_each_id_begins_once_and_goes_on_in_order(count, length, steps):
    client = Client()
    sequenced = SequencedClient(client, count, length, 1)
    for step in steps:
        if step >= 0 and client.waiting:
            client.end(step % len(client.waiting))
        else:
            sequenced.start(REQUEST, lambda call: None)
    by_id: dict = {}
    for number, first, last in client.sent:
        by_id.setdefault(number, []).append((first, last))
    for marks in by_id.values():
        assert [first for first, _ in marks] == [True] + [False] * (len(marks) - 1)
        assert all(last == (at + 1 == length) for at, (_, last) in enumerate(marks))
    assert sum(len(marks) < length for marks in by_id.values()) <= count


def test_requests_that_are_not_measured_are_sequences_of_one():
    single = SingleSequences(5)
    first, second = single.made(REQUEST), single.made(REQUEST)
    assert first[0] != second[0] and min(first[0], second[0]) > 10**11
    assert first[1:] == second[1:] == (True, True)
    assert single.made(b"plain") == b"plain"


@pytest.mark.parametrize("binary", ["always", "never"])
@pytest.mark.parametrize("parameters", [{}, {"priority": 1}])
def test_over_http_only_id_and_marks_change(binary, parameters):
    asked = Asked.of(
        {"url": "kserve+http://h/m", "sequences": 2, "binary": binary, "parameters": parameters}
    )
    made = protocol_of(asked.address(), asked)
    made._model = SimpleNamespace(inputs=(), outputs=())
    request = made.request({"x": np.ones(3)})
    lengths = set()
    for number, first, last in ((1, True, False), (2**63 - 1, False, True)):
        sent = request.of(number, first, last)
        lengths.add(len(sent))
        head, _, body = sent.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        document = json.JSONDecoder().raw_decode(body.decode("latin-1"))[0]
        more = {"binary_data_output": True} if binary == "always" else {}
        assert document["parameters"] == {
            "sequence_id": number, "sequence_start": first, "sequence_end": last,
            **parameters, **more,
        }  # fmt: skip
        assert document["inputs"][0]["name"] == "x"
    assert len(lengths) == 1


@settings(max_examples=40, deadline=None)
@given(number=st.integers(0, 2**63 - 1), first=st.booleans(), last=st.booleans())
def test_over_grpc_marks_have_a_constant_length(number, first, last):
    marks = sequence_marks(number, first, last)
    assert len(marks) == len(sequence_marks(0, False, False))
    message = messages().ModelInferRequest.FromString(marks)
    found = {each.key: each.value for each in message.parameters}
    assert found["sequence_id"].int64_param == number
    assert found["sequence_start"].bool_param == first
    assert found["sequence_end"].bool_param == last
    assert found["sequence_end"].WhichOneof("choice") == "bool_param"


def test_over_grpc_only_the_message_changes():
    asked = Asked.of({"url": "kserve+grpc://h/m", "sequences": 2})
    made = protocol_of(asked.address(), asked)
    made._model = SimpleNamespace(inputs=(), outputs=())
    request = made.request({"x": np.ones(3, np.float32)})
    one, other = request.of(1, True, False), request.of(2, False, True)
    assert len(one.data) == len(other.data) and one.data[:5] == other.data[:5]
    assert (one.blocks, one.path) == (other.blocks, other.path)
    for sent, number in ((one, 1), (other, 2)):
        message = messages().ModelInferRequest.FromString(bytes(sent.message))
        assert message.parameters[0].value.int64_param == number
        assert message.raw_input_contents == [np.ones(3, "<f4").tobytes()]
