"""Requests are kept until they are read: each once, in memory that is bounded."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from qs.engine.machine.collector import Collector
from qs.engine.measures import keeping
from qs.engine.measures.keeping import Keeper
from qs.engine.wire.calls import WireCall

TIMEOUT_NS = 1_000_000_000


class Call:
    """As the wire's, as far as keeping goes."""

    def __init__(self, number: int, request: bytes = b"", size: int = 1_000):
        self.number, self.request, self.size = number, request, size
        self.issued_ns, self.last_ns = 10, 20

    def keep(self) -> int:
        return self.size


def filled(count: int, call=Call, **options) -> Keeper:
    keeper = Keeper(TIMEOUT_NS)
    requests = [bytes([number]) * 4_000 for number in range(5)]
    for number in range(count):
        failure = "reset" if number % 10 == 3 else None
        keeper.keep(call(number, requests[number % 5], **options), number % 7, failure)
    return keeper


def all_of(keeper: Keeper) -> list:
    return [each for batch in keeper.batches(lambda: 16) for each in batch]


def right(ended: list, count: int) -> None:
    assert sorted(each.call.number for each in ended) == list(range(count))
    for due_ns, failure, number in (
        (each.due_ns, each.failure, each.call.number) for each in ended
    ):
        assert (due_ns, failure) == (number % 7, "reset" if number % 10 == 3 else None)


def test_each_is_given_once_and_no_batch_mixes_those_that_failed_with_others():
    keeper = filled(100)
    batches = list(keeper.batches(lambda: 16))
    right([each for batch in batches for each in batch], 100)
    assert all(len(batch) <= 16 for batch in batches)
    assert all(len({each.failure is None for each in batch}) == 1 for batch in batches)
    assert all_of(keeper) == []


def test_what_was_given_is_kept_no_longer():
    keeper = filled(40)
    first = weakref.ref(keeper._calls[0])
    batches = keeper.batches(lambda: 10)
    next(batches)
    next(batches), next(batches)
    gc.collect()
    assert first() is None


@pytest.mark.parametrize("count", [60, 100, 1_000])
def test_what_is_too_much_for_memory_comes_back_from_a_file(count, monkeypatch):
    monkeypatch.setattr(keeping, "MOST_BYTES", 50_000)
    monkeypatch.setattr(keeping, "PIECE_BYTES", 7_000)
    keeper = filled(count)
    assert len(keeper._calls) <= 8
    # Requests that were made before the run are in it once, and in the file never.
    assert 0 < keeper.written_bytes < 200 * count
    requests = keeper._first[0][0].request
    assert keeper.longest_ns > 0
    ended = all_of(keeper)
    right(ended, count)
    assert {each.call.request[0] for each in ended} == set(range(5))
    assert all(each.call.request is requests for each in ended if each.call.request[0] == 0)
    assert keeper.lost == 0 and keeper._file.closed


def test_requests_that_are_made_in_the_run_are_in_the_file(monkeypatch):
    monkeypatch.setattr(keeping, "MOST_BYTES", 5_000)
    monkeypatch.setattr(keeping, "PIECE_BYTES", 2_000)
    keeper = Keeper(TIMEOUT_NS)
    for number in range(30):
        keeper.keep(Call(number, b"%d" % number), 0, None)
    assert [each.call.request for each in all_of(keeper)] == [b"%d" % n for n in range(30)]


class Unwritable(Call):
    def __reduce__(self):
        raise pickle.PicklingError("no")


@pytest.mark.parametrize("why", ["not pickled", "disk full", "no folder"])
def test_what_cannot_be_written_stays_in_memory_as_long_as_there_is_room(why, monkeypatch):
    monkeypatch.setattr(keeping, "MOST_BYTES", 20_000)
    monkeypatch.setattr(keeping, "PIECE_BYTES", 5_000)
    monkeypatch.setattr(keeping, "MOST_UNWRITTEN_BYTES", 100_000)
    if why == "disk full":
        monkeypatch.setattr(keeping, "LEAST_FREE_BYTES", 1 << 60)
    if why == "no folder":

        def none(**options):
            raise FileNotFoundError("none")

        monkeypatch.setattr(keeping.tempfile, "TemporaryFile", none)
    call = Unwritable if why == "not pickled" else Call
    keeper = filled(100, call)
    assert keeper.lost == 0
    right(all_of(keeper), 100)
    keeper = filled(200, call)
    kept = all_of(keeper)
    assert keeper.lost == 200 - len(kept) and 100 < len(kept) < 130
    right(kept, len(kept))


def test_a_late_answer_and_impossible_times_are_failures_as_they_are_counted():
    keeper = Keeper(TIMEOUT_NS)
    for issued_ns, last_ns in ((10, 20), (10, TIMEOUT_NS + 11), (4, 20), (10, 9), (10, 1 << 62)):
        call = Call(0)
        call.issued_ns, call.last_ns = issued_ns, last_ns
        keeper.keep(call, 5, None)
    found = [each.failure for each in all_of(keeper)]
    assert sorted(map(str, found)) == ["None", *["impossible times"] * 3, "timeout"]


@pytest.mark.parametrize("fault", [AttributeError, ValueError, "text"])
def test_a_call_that_cannot_be_told_to_last_is_kept_as_it_is(fault):
    class Odd(Call):
        def keep(self):
            if fault == "text":
                return "much"
            raise fault("no")

    right(all_of(filled(30, Odd)), 30)


def test_a_call_of_the_wire_lets_go_of_everything_but_its_answer():
    class Client:
        def cancel(self, call):
            raise AssertionError("it is done")

    client, memory = Client(), bytearray(b"x" * 100_000)
    call = WireCall(b"request", lambda call: None, client)
    call.line, call.last_ns, call.head = client, 7, b"head"
    call.body = memoryview(memory)[:50_000]
    assert 50_000 < call.keep() < 52_000
    memory[:] = b"y" * 100_000
    assert call.body == b"x" * 50_000
    call.cancel()
    gone = weakref.ref(client)
    del client
    assert gone() is None
    assert pickle.loads(pickle.dumps(call, 5)).body == call.body


def collector_sets_aside_what_is_kept() -> None:
    """In a process of its own: with all that tests have in memory a collection takes seconds."""
    collector = Collector()
    collector.begin()
    try:
        frozen = gc.get_freeze_count()
        collector.keeps = True
        kept = [[number] for number in range(60_000)]
        collector.collect(in_a_pause=True)
        assert gc.get_freeze_count() >= frozen + len(kept)
    finally:
        collector.end()
    assert gc.get_freeze_count() == 0 and collector.pauses == 0


def test_the_collector_sets_aside_what_is_kept():
    name = collector_sets_aside_what_is_kept.__name__
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    code = f"from {__name__} import {name}; {name}()"
    subprocess.run([sys.executable, "-c", code], env=env, timeout=120, check=True)
