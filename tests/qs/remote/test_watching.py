"""A scripted server read beside a case: its statistics and metrics, and what becomes of those that
hang, lie, flood or are not there.
"""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from qs.remote import watching
from qs.remote.asked import Asked
from qs.remote.metrics import Wanted
from qs.remote.protocol import ServedModel
from qs.remote.sampler import Readings
from qs.remote.server_side import counted_between, statistics_entry
from qs.remote.serving import Serving
from qs.remote.watching import MetricsProbe, ServerWatch, no_statistics
from tests.servers.kserve import KserveServer, doubling

NAMES = ("scripted_*",)


def asked(server: KserveServer, **more) -> Asked:
    metrics_url = f"http://127.0.0.1:{server.port}/metrics"
    return Asked.of(
        {"url": server.url("double"), "metrics_url": metrics_url, "metrics": NAMES} | more
    )


def read(server: KserveServer, requests: int = 3, **more) -> dict[str, Readings]:
    """What is read beside a case of so many requests."""
    one = asked(server, **more)
    serving = Serving(one)
    watch = ServerWatch(one, None, 60.0)
    try:
        with watch.watching() as watched:
            for _ in range(requests):
                serving.infer({"x": np.ones((1, 4), np.float32)})
        return watched.take()
    finally:
        watch.close()
        serving.close()


@pytest.fixture
def quick(monkeypatch):
    """What does not answer is given up soon; what does has time enough."""
    monkeypatch.setattr(watching, "READING_S", 0.2)
    monkeypatch.setattr(watching, "START_S", 30.0)
    monkeypatch.setattr(watching, "END_S", 30.0)


@pytest.fixture
def server():
    with KserveServer([doubling()]) as server:
        yield server


def test_statistics_and_metrics_before_and_after(server, quick):
    found = read(server)
    entry = statistics_entry(counted_between(found["statistics"]))
    assert (entry.requests, entry.batch_sizes, entry.restarts) == (3, {"1": 3}, 0)
    names = [[series.name for series in page.values] for page in found["metrics"].values]
    assert names == [["scripted_inferences_total", "scripted_connections"]] * 2
    assert not found["statistics"].faults and not found["metrics"].faults


def test_they_go_over_connections_of_their_own(server, quick):
    read(server)
    # One for requests, and one for each of the two.
    assert server.connections == 3


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ("silence", "timeout"),
        ("slow", "timeout"),
        ("half", "timeout"),
        ("reset", "reset|closed"),
        ("garbage", "bad answer"),
        ("HTTP 503 busy", "HTTP 503"),
        ("redirect", "redirected"),
        ("huge", "too large|timeout"),
    ],
)
@pytest.mark.parametrize("what", ["stats", "metrics"])
def test_a_server_that_does_not_tell_costs_its_readings_alone(server, quick, what, fault, word):
    server.beside[what] = fault
    found = read(server)
    name, other = ("statistics", "metrics") if what == "stats" else ("metrics", "statistics")
    assert found[name].values == []
    (text,) = found[name].faults
    assert re.search(f"^{name}: .*({word})", text)
    assert len(found[other].values) == 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "model_stats"),
        (json.dumps({"model_stats": [{"name": "double", "inference_count": -3}]}), "no count"),
        (b'{"model_stats": ' + b"[" * 100_000, "not JSON"),
    ],
)
def test_statistics_that_are_none(server, quick, content, why):
    server.beside["stats"] = content if isinstance(content, bytes) else content.encode()
    found = read(server)
    assert found["statistics"].values == []
    assert [why in text for text in found["statistics"].faults] == [True]


def test_a_server_that_counts_from_0_again(server, quick):
    one = asked(server)
    watch = ServerWatch(one, None, 60.0)
    serving = Serving(one)
    server.models["double"].answered = 1_000
    try:
        with watch.watching() as watched:
            server.models["double"].answered = 0
            serving.infer({"x": np.ones((1, 4), np.float32)})
        entry = statistics_entry(counted_between(watched.take()["statistics"]))
    finally:
        watch.close()
        serving.close()
    assert (entry.requests, entry.restarts) == (1, 1)


def test_headers_go_to_the_server_that_they_are_for_and_to_no_other(server):
    read_at = KserveServer([doubling()])
    with read_at:
        for at, sent in ((server, "secret"), (read_at, None)):
            one = asked(at, url=server.url("double"), headers={"authorization": "secret"})
            probe = MetricsProbe(one, Wanted(NAMES))
            assert probe.read().values
            probe.close()
            assert at.seen[-1].headers.get("authorization") == sent


@pytest.mark.parametrize(
    ("url", "model", "why"),
    [
        ("kserve+http://h/m", None, ""),
        ("kserve+http://h/m", ServedModel("m", extensions=("statistics",)), ""),
        ("kserve+grpc://h/m", ServedModel("m", server_name="mlserver"), "mlserver does not"),
        ("torchserve+http://h/m", None, "torchserve+http:// has no statistics"),
    ],
)
def test_why_there_are_no_statistics(url, model, why):
    found = no_statistics(Asked.of({"url": url}), model)
    assert found.startswith(why) and bool(found) == bool(why)
