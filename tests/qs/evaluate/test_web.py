"""The live page's server: who is answered, and what with."""

from __future__ import annotations

import http.client
import json

import pytest

from qs.base.errors import UserError
from qs.engine import Progress
from qs.evaluate.web import MOST_POINTS, LivePage, served
from qs.result.record import Record
from tests.qs.program import qs, refused

TREND = [{"run": f"#{at}", "case": "BS 1", "items_per_s": 100.0 + at} for at in range(3)]


@pytest.fixture
def live(tmp_path):
    with served(0, TREND) as page:
        page.follow(Record("digits", "CPU", "M", ["qs", "run"], "1"), tmp_path)
        yield page


def ask(live: LivePage, path: str, host: str | None = None, method: str = "GET"):
    port = int(live.address.rsplit(":", 1)[1].rstrip("/"))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    return answer, content


def test_the_page_and_the_state(live):
    answer, page = ask(live, "/")
    assert answer.status == 200 and "Run of digits on CPU" in page and "In earlier runs" in page
    assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    answer, state = ask(live, "/state")
    assert answer.status == 200 and json.loads(state)["over"] is False


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "0.0.0.0:1", ""])
def test_another_sites_name_for_this_machine_is_refused(live, host):
    answer, content = ask(live, "/", host)
    assert answer.status == 403 and "digits" not in content


@pytest.mark.parametrize("path", ["/report.html", "/../etc/passwd", "/%2e%2e/", "/state/"])
def test_nothing_else_is_there(live, path):
    answer, content = ask(live, path)
    assert answer.status == 404 and "<ul>" not in content


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_written(live, method):
    assert ask(live, "/", method=method)[0].status == 501


def test_a_case_in_flight_is_followed(live):
    before = json.loads(ask(live, "/state")[1])["version"]
    with live.case("batch size 8") as follow:
        for at in range(1, 4):
            follow(Progress("measure", at * 100, elapsed_s=float(at), now_per_s=100.0))
        state = json.loads(ask(live, "/state")[1])
        assert [(each["s"], each["to"]) for each in state["points"]] == [(0, 1), (1, 2), (2, 3)]
        assert "batch size 8: measuring, 300 queries" in state["now"]
    live.ended("batch size 8", None)
    assert json.loads(ask(live, "/state")[1])["version"] > before


def test_a_long_case_stays_small():
    live = LivePage()
    with live.case("x") as follow:
        for at in range(1, 40 * MOST_POINTS):
            follow(Progress("measure", at, elapsed_s=at / 4, now_per_s=4.0))
    points = json.loads(live.state())["points"]
    assert len(points) < MOST_POINTS
    assert points[-1]["to"] > 0.95 * 40 * MOST_POINTS / 4


def test_nobody_is_waited_for_who_does_not_look():
    live = LivePage(clock=lambda: 0.0)
    live.over()
    assert json.loads(live.state())["over"] is True


def test_a_port_that_is_taken_is_one_message(live):
    port = int(live.address.rsplit(":", 1)[1].rstrip("/"))
    with pytest.raises(UserError, match=f"--web.*{port}"), served(port):
        pass
    with served(None) as none:
        assert none is None


def test_what_is_no_port_is_refused():
    task = "digits-cnn-onnx-fp32"
    refused(qs("run", "--task", task, "--web", "65536"), "--web", "65536")
    refused(qs("run", "--task", task, "--web", "x"), f"TASK is '{task} and x'")
