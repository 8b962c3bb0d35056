"""What a user sees of each fault of a server: `qs load` on servers of the tests' own process.

Faults come by the number of the request, never by the clock.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from qs.remote.asked import Asked
from qs.remote.protocol import NotReady
from qs.remote.serving import Serving
from tests.qs.program import Ran, command, environment, qs, refused
from tests.qs.results import read_result
from tests.servers import kserve_grpcio
from tests.servers.kserve import KserveServer, doubling

CERTIFICATES = Path(__file__).parents[2] / "engine/wire/certificates"
# So many requests come before any fault of a case: trials, and the warm-up of WARM_UP.
FIRST = 100
WARM_UP = ("--warmup", 5)
LIMIT_S = 60


class ByNumber:
    """Faults by the number of the inference, from 1: what KserveServer takes for its `faults`. A
    function is called then; numbers without one get what `usual` says.
    """

    def __init__(
        self, at: Mapping[int, str | Callable[[], object]], usual: str | None = None
    ) -> None:
        self.at, self.usual, self.number = dict(at), usual, 0

    def __bool__(self) -> bool:
        return True

    def popleft(self) -> str | None:
        self.number += 1
        fault = self.at.get(self.number, self.usual)
        if callable(fault):
            fault()
            return self.usual
        return fault


def load(folder: Path, url: str, *options: object) -> tuple[Ran, dict[str, Any]]:
    """(What it printed, the one row)."""
    ran = qs("load", url, "--out", folder, *WARM_UP, *options)
    assert "Traceback" not in ran.stderr, ran.stderr
    files = list(folder.rglob("result-*.json"))
    assert len(files) == 1, ran.stderr
    (row,) = read_result(files[0])["Performance"]
    return ran, row


ENDINGS = {
    "HTTP 400 bad input": "HTTP 400",
    "HTTP 429": "HTTP 429",
    "HTTP 500 out of memory": "HTTP 500",
    "HTTP 503": "HTTP 503",
    "redirect": "redirected",
    "garbage": "bad answer",
    "wrong length": "bad answer",
    "bad chunk": "bad answer",
    "half then reset": "reset",
    "huge": "answer too large",
    "silence": "timeout",
    "half": "timeout",
    "drip": "timeout",
    "close": None,  # sent once more
    "reset": None,
}


def test_each_fault_is_counted_as_what_it_is_and_the_rest_is_kept(tmp_path):
    """One run of one client, in which each fault happens once."""
    with KserveServer([doubling()]) as server:
        server.faults = ByNumber({FIRST + 10 * at: fault for at, fault in enumerate(ENDINGS)})
        ran, row = load(
            tmp_path, server.url("double"), "--iterations", 300, "--predict_timeout", "1.5s"
        )
    kinds = [kind for kind in ENDINGS.values() if kind]
    wanted = {kind: kinds.count(kind) for kind in kinds}
    assert row["Errors By Kind"] == wanted
    assert row["Completed"] == 300 - len(kinds)
    assert row["Verdict"] == "INVALID" and ran.returncode == 3
    assert row["Reasons"][-1] == "the first fault: HTTP 400: bad input"
    assert row["P50 Latency"] > 0
    assert "2 sent again" in ran.stdout


@pytest.mark.slow
def test_a_server_that_is_away_for_a_while_is_a_doubt_that_says_when(tmp_path):
    """It answers 503, and later its model is unloaded and loaded again."""
    model = doubling()
    with KserveServer([model]) as server:
        server.delay_s = 0.004
        away = dict.fromkeys(range(FIRST + 100, FIRST + 200), "HTTP 503")
        unloaded = {
            FIRST + 300: lambda: setattr(model, "known", False),
            FIRST + 400: lambda: setattr(model, "known", True),
        }
        server.faults = ByNumber({**away, **unloaded})
        ran, row = load(tmp_path, server.url("double"), "--iterations", 500)
    assert row["Errors By Kind"] == {"HTTP 503": 100, "HTTP 400": 100}
    assert row["Completed"] == 300
    (doubt,) = (each for each in row["Doubts"] if each["Code"] == "unavailable")
    assert doubt["Text"].startswith("the server was unavailable from ")
    assert doubt["Text"].count(" s to ") == 2, doubt
    assert "(100 HTTP 400, 100 HTTP 503)" in doubt["Text"]
    assert doubt["Text"] in ran.stdout
    (page,) = tmp_path.rglob("report.html")
    assert "the server was unavailable" in page.read_text()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("answer wrong type", "INT8"),
        pytest.param("answer wrong shape", "shape", marks=pytest.mark.slow),
        pytest.param("answer wrong name", "missing; there are: other", marks=pytest.mark.slow),
        pytest.param("answer nothing", "y", marks=pytest.mark.slow),
    ],
)
def test_an_answer_that_is_not_what_was_announced_makes_the_row_invalid(tmp_path, fault, words):
    with KserveServer([doubling()]) as server:
        server.faults = ByNumber({FIRST + 20: lambda: setattr(server.faults, "usual", fault)})
        ran, row = load(tmp_path, server.url("double"), "--iterations", 200)
    assert row["Verdict"] == "INVALID" and ran.returncode == 3
    assert row["Completed"] == 200
    assert any("under load" in each and words in each for each in row["Reasons"]), row["Reasons"]


@pytest.mark.slow
def test_status_codes_of_grpc_and_a_message_larger_than_allowed(tmp_path):
    faults: dict[int, kserve_grpcio.Fault] = {
        FIRST: (14, "shutting down"),
        FIRST + 10: (3, "unexpected shape"),
        FIRST + 20: (8, "too many requests"),
        FIRST + 30: (13, ""),
        FIRST + 40: 65 << 20,
    }
    with kserve_grpcio.zeros(faults) as port:
        _, row = load(tmp_path, f"kserve+grpc://127.0.0.1:{port}/zeros", "--iterations", 200)
    assert row["Errors By Kind"] == {
        "gRPC UNAVAILABLE": 1,
        "gRPC INVALID_ARGUMENT": 1,
        "gRPC RESOURCE_EXHAUSTED": 1,
        "gRPC INTERNAL": 1,
        "answer too large": 1,
    }
    assert row["Completed"] == 195
    assert row["Reasons"][-1] == "the first fault: gRPC UNAVAILABLE: shutting down"


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


BEFORE = [
    (lambda: f"kserve+http://127.0.0.1:{closed_port()}/m", ["refused"]),
    (
        lambda: "kserve+http://no-such-host.invalid:8000/m",
        ["the name no-such-host.invalid cannot be resolved"],
    ),
]


@pytest.mark.parametrize(("url", "words"), BEFORE, ids=["refused", "DNS"])
def test_what_is_told_before_anything_is_measured(tmp_path, url, words):
    """As a user runs it in test_nothing_is_measured_without_a_server."""
    serving = Serving(Asked.of({"url": url(), "ready_timeout_s": 0.1}))
    with pytest.raises(NotReady) as error:
        serving.describe()
    serving.close()
    for word in words:
        assert word in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize(("url", "words"), BEFORE, ids=["refused", "DNS"])
def test_nothing_is_measured_without_a_server(tmp_path, url, words):
    refused(qs("load", url(), "--out", tmp_path, "--ready_timeout", "0.3s"), *words)
    assert not list(tmp_path.rglob("result-*.json"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("certificate", "options", "words"),
    [
        ("elsewhere", ("--ca", CERTIFICATES / "ca.pem"), ["certificate", "127.0.0.1"]),
        ("expired", ("--ca", CERTIFICATES / "ca.pem"), ["certificate", "expired"]),
        ("server", (), ["certificate is not accepted"]),
    ],
    ids=["wrong name", "expired", "unknown authority"],
)
def test_nothing_is_sent_to_a_server_that_cannot_prove_itself(
    tmp_path, certificate, options, words
):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{certificate}.pem")
    with KserveServer([doubling()], tls=context) as server:
        url = server.url("double", "kserve+https")
        refused(qs("load", url, "--out", tmp_path, "--ready_timeout", "20s", *options), *words)
        assert server.seen == []


@pytest.mark.slow
def test_twenty_thousand_connections_with_a_file_limit_of_1024_are_told_before_the_start(tmp_path):
    with KserveServer([doubling()]) as server:
        asked = ["load", server.url("double"), "--rate", "10", "--connections", "20000"]
        shell = 'ulimit -n 1024; exec "$@"'
        ran = subprocess.run(
            ["bash", "-c", shell, "bash", *command(*asked, "--out", tmp_path)],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        connections = server.connections
    print(ran.stdout, ran.stderr)
    assert "Traceback" not in ran.stderr
    assert ran.returncode == 2
    assert "20,000" in ran.stderr and "1,024" in ran.stderr and "ulimit" in ran.stderr
    assert connections < 100


@pytest.mark.slow
def test_a_server_that_is_killed_and_comes_back_within_the_run(tmp_path):
    """In open loop: what falls due meanwhile fails, and what comes later is answered."""
    port = closed_port()
    servers = [served_by_a_process(port)]

    def restart() -> None:
        while answered(port) < 2 * FIRST:
            threading.Event().wait(0.02)
        servers[0].kill()
        servers[0].wait(LIMIT_S)
        threading.Event().wait(1.0)
        servers.append(served_by_a_process(port))

    watching = threading.Thread(target=restart)
    watching.start()
    try:
        url = f"kserve+http://127.0.0.1:{port}/double"
        _, row = load(tmp_path, url, "--rate", 100, "--duration", "12s")
    finally:
        watching.join(LIMIT_S)
        for each in servers:
            each.kill()
            each.wait(LIMIT_S)
    assert row["Errors By Kind"].get("refused", 0) > 0
    assert row["Completed"] > FIRST and row["Intervals"][-1]["Completed"] > 0
    assert any("the server was unavailable from" in each for each in row["Warnings"]), row


def served_by_a_process(port: int) -> subprocess.Popen[bytes]:
    """A server of the model `double` that listens."""
    made = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.kserve", str(port)],
        stdout=subprocess.DEVNULL,
        env=environment(),
    )
    while answered(port) < 0:
        assert made.poll() is None
        threading.Event().wait(0.02)
    return made


def answered(port: int) -> int:
    """How many inferences it has answered; -1 if it does not listen."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
            text = page.read().decode()
    except OSError:
        return -1
    (line,) = (each for each in text.splitlines() if each.startswith("scripted_inferences_total{"))
    return int(line.rpartition(" ")[2])


@pytest.mark.slow
def test_an_address_of_ipv6_that_is_closed_and_one_of_ipv4_that_is_not(tmp_path):
    with KserveServer([doubling()]) as server:
        url = server.url("double").replace("127.0.0.1", "localhost")
        ran, row = load(tmp_path, url, "--iterations", 20)
    assert row["Completed"] == 20 and not row["Errors"], ran.stderr
