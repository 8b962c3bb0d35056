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
