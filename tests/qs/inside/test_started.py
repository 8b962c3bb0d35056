"""Backends whose requests are started: batches become requests once, answers are read afterwards,
and queries of several requests end with the last of them.
"""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.contract.server_backend import is_started, missing
from qs.inside import looking as looking_module
from qs.inside import verifying
from qs.inside.driving import Drive, Loaded, target_for
from qs.inside.looking import Looking, NoOutput
from qs.inside.started import takes_requests, together, with_runner

BATCHES = [{"x": np.full((1, 2), float(number), np.float32)} for number in range(3)]


class FakeCall:
    """As a client's: its body is valid until `done` has returned."""

    def __init__(self, body, failure=None, at_ns=0):
        self.body, self.failure, self.detail = body, failure, "refused it" if failure else ""
        self.issued_ns = self.sent_ns = 10 + at_ns
        self.first_ns, self.last_ns = 20 + at_ns, 30 + at_ns
        self.cancelled = False

    def cancel(self):
        self.cancelled = True


class FakeBackend:
    """A server that doubles what it is sent; some of its requests fail, or are answered wrongly."""

    def __init__(self, failing=(), wrong=()):
        self.failing, self.wrong, self.made = set(failing), set(wrong), 0
        self.memory = bytearray(4096)  # one for all answers, as a client's
        self.started = 0

    def predict(self, feeds):
        return {"y": feeds["x"] * 2}

    def request_of(self, feeds):
        self.made += 1
        return json.dumps(feeds["x"].tolist()).encode()

    def _ended(self, request):
        number = self.started
        self.started += 1
        if number in self.failing:
            return FakeCall(b"", "HTTP 503", number)
        values = (np.array(json.loads(request)) * (3 if number in self.wrong else 2)).tolist()
        body = json.dumps(values).encode()
        self.memory[: len(body)] = body
        return FakeCall(memoryview(self.memory)[: len(body)], None, number)

    def start(self, request, done):
        call = self._ended(request)
        done(call)
        self.memory[:] = bytes(len(self.memory))  # the next answer's
        return call

    def ask(self, request):
        return self._ended(request)

    def outputs_of(self, call):
        return {"y": np.array(json.loads(bytes(call.body)), np.float32)}


def loaded(backend, **more):
    return Loaded(backend, 1, 0, ["y"], **more)


def call_all(target, requests):
    """Each one's call, as the engine starts them: on a loop."""

    async def drive():
        ended = []
        for request in requests:
            target.start(request, ended.append)
        await asyncio.sleep(0)
        return ended

    target.begin_measuring()
    ended = asyncio.run(drive())
    target.end_measuring()
    return ended


def test_what_is_needed_to_be_started():
    assert is_started(FakeBackend()) and is_started(FakeBackend)
    half = SimpleNamespace(predict=len, start=len)
    assert not is_started(half) and missing(half) == ["request_of", "outputs_of"]
    # a pool that blocks gives requests where there is `ask`
    assert [takes_requests(FakeBackend(), pool) for pool in ("async", "thread", None)] == [
        True,
        True,
        False,
    ]
    without = SimpleNamespace(request_of=len, start=len, outputs_of=len)
    assert [takes_requests(without, pool) for pool in ("async", "process")] == [True, False]


@pytest.mark.parametrize(
    ("config", "runner"),
    [
        (None, "async"),
        ({}, "async"),
        ({"clients": 4}, "async"),
        ({"runner": "async"}, "async"),
        ({"pool": "thread"}, None),
        ({"runner": "own:factory"}, "own:factory"),
        ({"runner": "backend"}, "backend"),
    ],
)
def test_the_runner_where_the_config_leaves_it_open(config, runner):
    found = with_runner(config, FakeBackend())
    assert found.get("runner") == runner
    assert {key: found[key] for key in config or ()} == (config or {})
    assert with_runner(config, SimpleNamespace(predict=len)) is config


def test_batches_become_requests_once_and_answers_are_not_read_meanwhile():
    backend = FakeBackend()
    target = target_for(loaded(backend), BATCHES, Drive(), "async")
    assert [json.loads(each) for each in target.samples] == [[[0, 0]], [[1, 1]], [[2, 2]]]
    calls = call_all(target, target.samples * 5)
    assert backend.made == 3 and len(calls) == 15 and not any(call.failure for call in calls)


def test_predict_is_called_where_batches_are_wanted():
    target = target_for(loaded(FakeBackend()), BATCHES, Drive(prepared=False), "thread")
    assert target.samples is BATCHES and target.start is None
    assert target.call(BATCHES[1])["y"].tolist() == [[2, 2]]


def test_a_pool_of_threads_asks_with_requests_and_counts_each_kind_of_failure():
    target = target_for(loaded(FakeBackend(failing=[1])), BATCHES, Drive(), "thread")
    assert target.call(target.samples[2]).failure is None
    with pytest.raises(Exception, match="refused it") as caught:
        target.call(target.samples[2])
    assert type(caught.value).__name__ == "HTTP 503"
    listed = target_for(loaded(FakeBackend()), BATCHES, Drive(lists=True), "thread")
    assert len(listed.call(listed.samples)) == 3


@pytest.mark.parametrize("mode", verifying.MODES)
@pytest.mark.parametrize("pool", ["async", "thread"])
def test_answers_are_kept_as_bytes_and_read_in_the_end(tmp_path, mode, pool):
    backend = FakeBackend(failing=[4], wrong=[7])
    verify = {"mode": mode, "seed": 1, "folder": str(tmp_path)}
    target = target_for(loaded(backend), BATCHES, Drive(verify=verify), pool)
    if pool == "async":
        call_all(target, target.samples * 4)
    else:
        target.begin_measuring()
        for request in target.samples * 4:
            try:
                target.call(request)
            except Exception as failed:
                assert type(failed).__name__ == "HTTP 503"
        target.end_measuring()
    about, answers = verifying.read(tmp_path / "0.0.npz")
    assert about["requests"] == 11  # but for the one that failed
    found = [(each.sample, each.outputs["y"].tolist(), each.count) for each in answers]
    assert (1, [[3, 3]], 1) in found  # request 7 is of sample 1
    assert sum(count for _, _, count in found) == 11
    if mode == verifying.ALL:
        assert len(found) == 4


def test_an_answer_that_cannot_be_read_is_kept_as_one_without_outputs(tmp_path):
    backend = FakeBackend()
    right, backend._ended = backend._ended, lambda request: FakeCall(b"<html>")
    verify = {"mode": "all", "seed": 1, "folder": str(tmp_path)}
    target = target_for(
        loaded(backend), BATCHES, Drive(verify=verify, folder=str(tmp_path)), "async"
    )
    backend._ended, wrong = right, backend._ended
    target.start(target.samples[0], lambda call: None)
    backend._ended = wrong
    call_all(target, target.samples)
    _, answers = verifying.read(tmp_path / "0.0.npz")
    assert [each.outputs for each in answers] == [{}, {}, {}]


def test_calls_without_a_body_are_read_at_once(tmp_path):
    backend = FakeBackend()
    ended = backend._ended

    def plain(request):
        call = ended(request)
        call.value, call.body = json.loads(bytes(call.body)), None
        return call

    backend._ended = plain
    backend.outputs_of = lambda call: {"y": np.array(call.value)}
    verify = {"mode": "all", "seed": 1, "folder": str(tmp_path)}
    call_all(t := target_for(loaded(backend), BATCHES, Drive(verify=verify), "async"), t.samples)
    _, answers = verifying.read(tmp_path / "0.0.npz")
    assert sorted(each.outputs["y"].tolist() for each in answers) == [[[0, 0]], [[2, 2]], [[4, 4]]]


def test_a_query_of_several_requests_ends_with_the_last_of_them():
    waiting = []

    def start(request, done):
        call = FakeCall(b"", at_ns=request)
        waiting.append((call, done))
        return call

    ended = []
    call = together(start)([5, 0, 9], ended.append)
    for at in (2, 0):
        part, done = waiting[at]
        done(part)
    assert not ended
    call.cancel()
    assert all(part.cancelled for part, _ in waiting)
    part, done = waiting[1]
    part.failure, part.detail = "cancelled", "by the plan"
    done(part)
    assert ended == [call] and (call.failure, call.detail) == ("cancelled", "by the plan")
    assert (call.issued_ns, call.sent_ns, call.first_ns, call.last_ns) == (10, 10, 20, 39)


@pytest.mark.parametrize(
    ("drive", "states", "said"),
    [
        (Drive(shared_by=4), {}, "dynamic batching"),
        (Drive(), {"h": "h_out"}, "--state \\(h\\)"),
    ],
)
def test_what_would_change_requests_meanwhile_is_refused(drive, states, said):
    with pytest.raises(UserError, match=said):
        target_for(loaded(FakeBackend(), states=states), BATCHES, drive, "async")


def test_the_first_answer_of_started_requests_is_looked_at_before_measuring(tmp_path):
    backend = FakeBackend(failing=[0])
    backend.outputs_of = lambda call: {}
    target = target_for(loaded(backend), BATCHES, Drive(folder=str(tmp_path)), "async")
    ended = []
    for request in target.samples:  # a warm-up
        target.start(request, ended.append)
    assert [call.failure for call in ended] == ["HTTP 503", None, None]
    with pytest.raises(NoOutput, match="an empty dict"):
        target.begin_measuring()


def test_a_later_answer_that_is_none_is_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(looking_module, "EVERY", 2)
    backend = FakeBackend()
    target = target_for(loaded(backend), BATCHES, Drive(folder=str(tmp_path)), "async")
    call_all(target, target.samples)
    assert not list(tmp_path.iterdir())
    target.begin_measuring()
    backend._ended = lambda request: FakeCall(memoryview(b"<html>"))
    for request in target.samples:
        target.start(request, lambda call: None)
    target.end_measuring()
    assert "cannot be read" in (tmp_path / "answers-0.txt").read_text()


def test_calls_are_looked_at_by_reading_them(tmp_path):
    backend = FakeBackend()
    looking = Looking(str(tmp_path), 0, False, backend.outputs_of)
    looking(FakeCall(b"", "HTTP 503"))  # counted as what it is
    with pytest.raises(NoOutput, match="cannot be read"):
        looking(FakeCall(b"<html>"))
    looking(FakeCall(b"[1]"))
    looking(FakeCall(b"<html>"))
    assert "cannot be read" in (tmp_path / "answers-0.txt").read_text()
    backend.outputs_of = lambda call: {}
    with pytest.raises(NoOutput, match="an empty dict"):
        Looking(str(tmp_path), 1, False, backend.outputs_of)(FakeCall(b"[1]"))


def test_a_connection_for_each_request_of_a_query():
    asked = []

    class Opening(FakeBackend):
        async def open(self, clients):
            asked.append(clients)

    for drive in (Drive(), Drive(lists=True, per_query=8)):
        asyncio.run(target_for(loaded(Opening()), BATCHES, drive, "async").open(3))
    assert asked == [3, 24]
