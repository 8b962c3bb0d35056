"""`qs load` of a served model as a person uses it: the page's own commands, and what stands in the
result and in the history. The server is scripted, and computes what the digits' file computes.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from qs.history.entries import Wanted, entries
from tests.qs.program import ROOT, Ran, qs, refused
from tests.servers.digits import digits_server
from tests.servers.kserve import KserveServer
from tests.servers.mlserver import MlServer, running

PAGE = (ROOT / "docs" / "servers.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
TOKEN = "a-secret-that-nothing-may-keep"


@pytest.fixture(scope="module")
def server() -> Iterator[KserveServer]:
    with digits_server() as running:
        yield running


def typed(command: str, server: KserveServer, cwd: Path) -> Ran:
    """A command of the page, at the port where the server is."""
    words = shlex.split(command.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}"))
    return qs(*words[1:], cwd=cwd, TOKEN="blue")


def check(ran: Ran, command: str) -> None:
    # Whether it keeps up, and whether two runs can be told apart, is the machine's business.
    depends = re.search("--rate|--slo|qs compare", command)
    assert ran.returncode in ((0, 3) if depends else (0,)), ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.slow
def test_every_command_of_the_page(
    server: KserveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(COMMANDS) > 12 and all(each.startswith("qs ") for each in COMMANDS)
    for command in COMMANDS:
        check(typed(command, server, tmp_path), command)
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(snippet.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}"), {})


@pytest.mark.parametrize("loops", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_is_kept_of_a_run_and_no_secret_is(
    server: KserveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loops: int
) -> None:
    server.keep_seen, server.seen = True, []
    words = ["--pool", "async", "--workers", str(loops), "--clients", "4", "--duration", "0.2s"]
    words += ["--header", f"Authorization: {TOKEN}", "--out", "r", "--json"]
    before = entries(Wanted())
    monkeypatch.setattr(sys, "argv", ["qs", "load", server.url("digits"), *words])
    ran = qs("load", server.url("digits"), *words, cwd=tmp_path)
    server.keep_seen = False
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    asked = [each for each in server.inferences() if each.headers.get("authorization") == TOKEN]
    assert asked and len(asked) == len(server.inferences())
    title = f"127.0.0.1:{server.port}/digits"
    assert (result["Task"], result["Backend"], result["Kind"]) == (title, "KSERVE", "load")
    assert result["Model Source"]["sha256"] is None
    assert result["Model Source"]["served"] == {
        "address": server.url("digits"),
        "model": "digits",
        "version": "1",
        "versions": "1",
        "platform": "onnxruntime_onnx",
        "server": "scripted",
        "server_version": "1.2.3",
    }
    (row,) = result["Performance"]
    assert row["Completed"] > 0 and row["Errors"] == 0
    assert (row["Pool"], row["Instances"]) == ("async", loops)
    # The server's own times beside the client's, and what the client costs.
    assert (result["Served"]["server"], result["Served"]["tensors"]) == ("scripted", "binary")
    assert result["Served"]["header_names"] == ["Authorization"]
    assert row["Server"]["statistics"]["requests"] == row["Completed"]
    shares = [part["share"] for part in row["Server"]["parts"]]
    assert sum(shares) == pytest.approx(1.0, abs=0.01)
    assert set(row["Parts"]) == {"wait", "first_byte", "transfer"}
    assert row["Counts"]["opened while measuring"] == 0
    assert row["Client"]["limit_per_s"] > 0 and row["Client"]["processes"] == loops
    (entry,) = set(entries(Wanted())) - set(before)
    assert (entry.task, entry.hardware, entry.model) == (title, "KSERVE", "digits")
    shown = [ran.stdout, ran.stderr, str(entry)]
    assert not any(TOKEN in text for text in shown)
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) > 3
    assert not any(TOKEN.encode() in path.read_bytes() for path in kept)
    assert "Authorization: ****" in " ".join(result["Command"])


def test_a_plan_shows_what_would_be_sent_and_sends_none_of_it(
    server: KserveServer, tmp_path: Path
) -> None:
    server.keep_seen, server.seen = True, []
    words = ["--dry_run", "--rate", "100", "--header", "X-Tenant: @env:HOME", "--binary", "never"]
    ran = qs("load", server.url("digits"), *words, cwd=tmp_path)
    server.keep_seen = False
    assert ran.returncode == 0, ran.stderr
    assert server.inferences() == [] and not (tmp_path / "reports").exists()
    for words in (
        f"{server.url('digits')}: digits, version 1 (onnxruntime_onnx), served by scripted 1.2.3",
        "HTTP/1.1, no TLS: POST /v2/models/digits/infer, ",
        "tensors: JSON",
        "compression: none",
        "connections: 256, opened before measuring",
        "with each request: header X-Tenant",
        "dimension 0 (batch) of image, as the server's max_batch_size says (at most 16)",
        "Poisson, batch size 1, for 10 s",
        "pool              async",
    ):
        assert words in ran.stdout


def test_a_server_that_is_not_there_is_one_message(tmp_path: Path) -> None:
    with KserveServer([]) as gone:
        url = gone.url("digits")
    ran = qs("load", url, "--ready_timeout", "100ms", cwd=tmp_path)
    refused(ran, url, "refused")


@pytest.fixture(scope="module")
def mlserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlServer]:
    with running(tmp_path_factory) as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["kserve+http", "kserve+grpc"])
@pytest.mark.parametrize("how", ["--clients 4", "--rate 50", "--client blocking --clients 2"])
def test_mlserver(scheme: str, how: str, mlserver: MlServer, tmp_path: Path) -> None:
    if scheme == "kserve+grpc":
        if "blocking" in how:
            pytest.importorskip("grpc")
        how = how.replace("blocking", "grpcio")
    words = [*how.split(), "--duration", "0.5s", "--verify", "sample", "--json", "--out", "r"]
    ran = qs("load", mlserver.url("double", scheme), *words, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert result["Served"]["server"] == "mlserver"
    assert result["Performance"][0]["Errors"] == 0
    assert np.isfinite(result["Performance"][0]["QPS"])
