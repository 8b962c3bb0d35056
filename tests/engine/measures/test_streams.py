"""Streams of a real client, kept in memory and in a file: what is read is what came."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qs.engine import ClosedLoop, Measure, Pool, Reading, RunPlan, run
from qs.engine.measures import keeping
from qs.engine.wire.http import HttpClient
from qs.engine.wire.requests import http_request
from qs.engine.wire.settings import ClientSettings
from tests.servers.scripted import Piece, Script, scripted

EVENTS = [b"data: %d\n\n" % number for number in range(6)]
PLAN = RunPlan(
    ClosedLoop(4, 30),
    pool=Pool("async"),
    calibrate=False,
    measures=(Measure("events", "events"), Measure("first"), Measure("gap", many=True)),
)


class Request(bytes):
    """A request that knows more of itself."""

    prompt: tuple[str, int]


class Streams:
    def __init__(self, port: int):
        self._client = HttpClient(ClientSettings("127.0.0.1", port, streamed=True))
        self.start, self.open, self.close = (
            self._client.start,
            self._client.open,
            self._client.close,
        )
        self.bodies: list[bytes] = []
        self.prompts: list[tuple[str, int]] = []

    def read(self, ended):
        calls = [each.call for each in ended]
        self.bodies += [bytes(call.body) for call in calls]
        self.prompts += [call.request.prompt for call in calls]
        stamps = [np.array(call.marks[::2]) for call in calls]
        gaps = np.concatenate([np.diff(each) for each in stamps])
        return Reading(
            {
                "events": np.array([bytes(call.body).count(b"data") for call in calls]),
                "first": np.array([call.marks[0] - call.sent_ns for call in calls]),
            },
            {"gap": (gaps, np.concatenate([each[1:] for each in stamps]))},
        )


def requests(port: int) -> list[Request]:
    made = []
    for number in range(5):
        made.append(Request(http_request("POST", "/", f"127.0.0.1:{port}", body=b"x" * 3_000)))
        made[-1].prompt = ("who", number)
    return made


@pytest.mark.parametrize("where", ["memory", "file"])
def test_streams_are_kept_whole(where, monkeypatch):
    if where == "file":
        monkeypatch.setattr(keeping, "MOST_BYTES", 30_000)
        monkeypatch.setattr(keeping, "PIECE_BYTES", 4_000)
    pieces = tuple(Piece(0.001, event) for event in EVENTS)
    with scripted(Script(pieces)) as server:
        target = Streams(server.port)
        result = run(PLAN, target, samples=requests(server.port))
    assert (result.completed, result.unread, result.misread) == (120, 0, {}), result.warnings
    assert bool(result.written_bytes) == (where == "file")
    assert result.written_bytes < 200 * 1_000  # requests are not among what is written
    assert target.bodies == [b"".join(EVENTS)] * 120
    assert sorted(target.prompts) == sorted([("who", number) for number in range(5)] * 24)
    assert result.measures["events"].histogram.min_ns == 6
    # A busy machine may bring several events with one read, and none is lost by it.
    assert 0 < result.measures["gap"].histogram.count <= 120 * 5
    assert result.measures["first"].histogram.min_ns >= 1_000_000


def test_a_cut_stream_is_kept_with_what_came():
    pieces = tuple(Piece(0.001, event) for event in EVENTS)
    with scripted(Script(pieces), Script(pieces[:2], end="reset")) as server:
        target = Streams(server.port)
        plan = replace(PLAN, load=ClosedLoop(1, 10))
        result = run(plan, target, samples=requests(server.port))
    assert (result.completed, result.errors) == (5, 5), result.errors_by_kind
    assert sorted(map(len, target.bodies)) == [2 * len(EVENTS[0])] * 5 + [6 * len(EVENTS[0])] * 5
    assert result.measures["events"].histogram.count == 5
    assert set(result.outcomes) == set()
