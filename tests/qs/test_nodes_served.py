"""Served models loaded from nodes that are objects of this process: each makes its share of the
requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qs.nodes import fleet
from qs.nodes.served import share_of
from qs.remote.asked import Asked
from tests.qs.nodes.nodes_here import NodesHere
from tests.qs.program import qs
from tests.servers.digits import digits_server
from tests.servers.kserve import KserveServer
from tests.servers.scripted import chat_events, scripted, stream

QUICK = ["--warmup", "0", "--telemetry", "off", "--out", "r", "--json"]


@pytest.fixture(scope="module")
def server() -> Iterator[KserveServer]:
    with digits_server() as running:
        yield running


@pytest.fixture(params=[1])
def machines(request) -> int:
    return request.param


@pytest.fixture
def opened(monkeypatch, machines) -> None:
    def nodes(asked: Any, shipped: Any, say: Any) -> NodesHere:
        return NodesHere(asked.nodes, shipped, machines)

    monkeypatch.setattr(fleet, "opened_nodes", nodes)


def row_of(text: str) -> tuple[dict, dict]:
    result = json.loads(text)
    [row] = result["Performance"]
    return row, result


def test_each_node_makes_its_share_of_the_requests(server, tmp_path, opened, monkeypatch):
    monkeypatch.setenv("ACME_KEY", "hush")
    options = ["--nodes", "2", "--clients", "4", "--iterations", "25", "--no_calibrate"]
    headers = ["--header", "Authorization: @env:ACME_KEY"]
    address = f"kserve+http://127.0.0.1:{server.port}/digits"
    server.keep_seen, server.seen = True, []
    ran = qs("load", address, *QUICK, *options, *headers, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    row, _ = row_of(ran.stdout)
    assert row["Completed"] == 100
    assert [node["completed"] for node in row["Nodes"]] == [50, 50]
    assert not any("nodes_loopback" in str(doubt) for doubt in row_of(ran.stdout)[1]["Doubts"])
    assert not any("hush" in file.read_text() for file in Path(tmp_path).rglob("*.json*"))


def test_connections_are_shared_out_and_ids_of_sequences_are_each_nodes_own():
    asked = {"url": "kserve+http://a/m", "connections": 5, "sequences": 2, "sequence_base": 7}
    told = {"configure_runtime": {"compile_result": {"asked": asked, "model": "m"}, "x": 1}, "y": 2}
    shares = [share_of(told, number, 3) for number in range(3)]
    parts = [share["configure_runtime"]["compile_result"]["asked"] for share in shares]
    assert [part["connections"] for part in parts] == [2, 2, 1]
    first = Asked.of(parts[0]).sequence_base
    assert [Asked.of(part).sequence_base - first for part in parts] == [0, 1 << 41, 2 << 41]
    assert (shares[0], share_of(told, 0, 1)["y"]) == (share_of(told, 0, 3), 2)
    assert share_of({"configure_runtime": {"compile_result": None}}, 1, 2) == {
        "configure_runtime": {"compile_result": None}
    }
    none = {"configure_runtime": {"compile_result": {"asked": {**asked, "connections": None}}}}
    own = share_of(none, 1, 2)["configure_runtime"]["compile_result"]["asked"]
    assert own["connections"] is None


def test_typed_connections_are_those_of_all_nodes(server, tmp_path, opened):
    options = ["--nodes", "2", "--rate", "200", "--iterations", "20", "--connections", "6"]
    address = f"kserve+http://127.0.0.1:{server.port}/digits"
    ran = qs("load", address, *QUICK, *options, "--no_calibrate", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    # These nodes are put together with the counts of the first.
    assert row_of(ran.stdout)[0]["Counts"]["connections"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("machines", [2], indirect=True)
def test_localhost_of_another_machine_is_a_warning_and_the_clients_limit_is_left_out(
    server, tmp_path, opened
):
    options = ["--nodes", "2", "--rate", "200", "--duration", "0.5s", "--clients", "8"]
    address = f"kserve+http://127.0.0.1:{server.port}/digits"
    ran = qs("load", address, *QUICK, *options, cwd=tmp_path)
    assert ran.returncode in (0, 3), ran.stderr
    row, result = row_of(ran.stdout)
    assert "127.0.0.1 is another server on each of 2 machines" in ran.stderr
    assert "each of them makes its share" in row["Client"]["not_measured"]


@pytest.mark.slow
def test_a_language_model_is_asked_from_each_node(tmp_path, opened):
    usage = {"prompt_tokens": 11, "completion_tokens": 3}
    good = stream(chat_events("Hel", "lo", usage=usage), first_s=0.002, gap_s=0.001)
    with scripted(good) as server:
        options = ["--nodes", "2", "--clients", "2", "--iterations", "6", "--no_calibrate"]
        ran = qs("load", f"openai+{server.url}/v1", *QUICK, *options, cwd=tmp_path)
    assert ran.returncode in (0, 3), ran.stderr
    row, _ = row_of(ran.stdout)
    assert row["Completed"] == 12 and len(row["Nodes"]) == 2
