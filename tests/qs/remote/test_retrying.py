"""429 and 503 with Retry-After: counted always, obeyed when asked, and the times of such a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from qs.engine.wire.calls import WireCall
from qs.engine.wire.failures import Failure
from qs.remote.retrying import COUNT, OBEYED, RetryingClient, retry_after_s

NOW_S = 1_000_000_000.0  # 2001-09-09 01:46:40 GMT


def answer(status: int, *headers: str) -> WireCall:
    call = WireCall(b"", lambda call: None, None)
    call.status = status
    call.head = "\r\n".join(["HTTP/1.1 429 No", *headers]).encode()
    return call


@pytest.mark.parametrize(
    ("status", "header", "pause_s"),
    [
        (429, "Retry-After: 2", 2.0),
        (503, "retry-after: 0.25", 0.25),
        (429, "Retry-After: Sun, 09 Sep 2001 01:46:50 GMT", 10.0),
        (429, "Retry-After: Sun, 09 Sep 2001 01:46:00 GMT", 0.0),
        (429, "Retry-After: -3", 0.0),
        (429, "Retry-After: soon", None),
        (429, "Retry-After: 99999999", None),
        (429, "Retry-After: nan", None),
        (429, "Retry-After:", None),
        (429, "X-Other: 3", None),
        (500, "Retry-After: 2", None),
        (200, "Retry-After: 2", None),
    ],
)
def test_how_long_an_answer_asks_to_wait(status, header, pause_s):
    assert retry_after_s(answer(status, header), NOW_S) == pause_s


class Client:
    """Answers with these statuses in turn, each a stamp later, on the next pass of the loop."""

    def __init__(self, *statuses: int, pause: str = "0.01") -> None:
        self.statuses, self.pause, self.calls = list(statuses), pause, []
        self.clock = 100

    def start(self, request: object, done: Callable[[WireCall], object]) -> WireCall:
        call = WireCall(request, done, self)
        call.issued_ns, call.sent_ns = self.clock, self.clock + 1
        self.clock += 100
        self.calls.append(call)
        asyncio.get_running_loop().call_soon(self._answer, call)
        return call

    def _answer(self, call: WireCall) -> None:
        call.status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if not call.status:  # it never comes
            return
        call.first_ns, call.last_ns = call.sent_ns + 1, call.sent_ns + 2
        call.body = b"%d" % call.status
        call.head = f"HTTP/1.1 {call.status} X\r\nRetry-After: {self.pause}".encode()
        if call.status != 200:
            call.failure = f"HTTP {call.status}"
        call.done(call)

    def cancel(self, call: WireCall) -> None:
        call.failure, call.last_ns = Failure.CANCELLED, call.sent_ns + 3
        call.done(call)

    def counts(self) -> dict[str, int]:
        return {"connections": 1}

    def begin_measuring(self) -> str:
        return "begun"


def ended(client: Client, retries: int, cancel_after_s: float | None = None):
    """(the call, the counts) of one request."""

    async def work():
        wrapped = RetryingClient(client, retries)
        assert wrapped.begin_measuring() == "begun"
        over = asyncio.get_running_loop().create_future()
        call = wrapped.start("request", over.set_result)
        if cancel_after_s is not None:
            asyncio.get_running_loop().call_later(cancel_after_s, call.cancel)
        assert await asyncio.wait_for(over, 5) is call
        return call, wrapped.counts()

    return asyncio.run(work())


@pytest.mark.parametrize(
    ("statuses", "retries", "failure", "counts", "tries"),
    [
        ((200,), 0, None, {COUNT: 0}, 1),
        ((429,), 0, "HTTP 429", {COUNT: 1}, 1),
        ((500,), 3, "HTTP 500", {COUNT: 0, OBEYED: 0}, 1),
        ((429, 200), 3, None, {COUNT: 1, OBEYED: 1}, 2),
        ((429, 503, 200), 3, None, {COUNT: 2, OBEYED: 2}, 3),
        ((429,), 2, "HTTP 429", {COUNT: 3, OBEYED: 2}, 3),
        ((429, 500, 200), 2, "HTTP 500", {COUNT: 1, OBEYED: 1}, 2),
    ],
)
def test_it_is_sent_again_as_often_as_asked(statuses, retries, failure, counts, tries):
    client = Client(*statuses)
    call, counted = ended(client, retries)
    assert (call.failure, len(client.calls)) == (failure, tries)
    assert counted == {"connections": 1, **counts}
    last = client.calls[-1]
    assert (call.issued_ns, call.sent_ns, call.last_ns) == (100, last.sent_ns, last.last_ns)
    assert (call.body, call.status, call.request) == (last.body, last.status, "request")


def test_an_answer_without_a_time_is_not_waited_for():
    client = Client(429, pause="soon")
    call, counted = ended(client, 3)
    assert (call.failure, len(client.calls), counted[COUNT]) == ("HTTP 429", 1, 0)


@pytest.mark.parametrize(
    ("client", "pause_s"), [(Client(429, pause="60"), 0.02), (Client(0), 0.02)],
    ids=["while it waits", "while it is on its way"],
)  # fmt: skip
def test_a_request_that_is_given_up_ends(client, pause_s):
    call, _ = ended(client, 3, cancel_after_s=pause_s)
    assert (call.failure, len(client.calls)) == (Failure.CANCELLED, 1)
    assert call.last_ns > call.issued_ns == 100
