"""A reader that raises, hangs, dies or tells nonsense: the run keeps all response times, what it
concerns is missing, and the result says why.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from types import SimpleNamespace

import pytest

from qs.engine import (
    ClosedLoop,
    ConstantRate,
    Doubt,
    Ending,
    Factory,
    HostError,
    PlanError,
    Pool,
    Stop,
    run,
    run_async,
)
from qs.engine.conduct import pulse
from qs.engine.judging.caveats.reading import written
from qs.engine.measures import keeping, reading
from tests.engine.measures.test_reading import CLOSED, MEASURES, OPEN, agrees
from tests.fakes import ReadTarget, StartedTarget


class WritableTarget(ReadTarget):
    """Its calls let go of what cannot be written."""

    def start(self, sample, done):
        def ended(call):
            call.done = None
            done(call)

        return super().start(sample, ended)


def whole(result) -> None:
    """Response times are all there."""
    assert (result.completed, result.errors) == (100, 0)
    assert result.response.count == 100
    assert sum(row.completed for row in result.intervals) == 100


@pytest.mark.parametrize(
    ("wrong", "missing", "says"),
    [
        ("short", {"took"}, "values for"),
        ("floats", {"took"}, "float64"),
        ("negative", {"took"}, "-2"),
        ("a list", {"took"}, "list"),
        ("two dimensions", {"took"}, "2 dimensions"),
        ("many as one", {"gap"}, "any number of values"),
        ("too few instants", {"gap"}, "two arrays"),
        ("the future", {"gap"}, "not come yet"),
        ("another's", set(), "no such measure"),
        ("no names", {"took", "number"}, "dict by name"),
        ("no names of many", {"gap"}, "dict by name"),
        ("few words", {"outcomes"}, "words for"),
        ("no words", {"outcomes"}, "no word"),
        ("minus", {"counts"}, "-1"),
        ("when", {"what happened"}, "float64"),
    ],
)
def test_what_is_told_wrongly_is_missing_and_nothing_else(wrong, missing, says):
    result = run(CLOSED, ReadTarget(wrong, bad=2))
    whole(result)
    assert result.unread == 0
    assert "misread" in result.warning_codes
    assert says in next(each for each in result.warnings if "reader" in each)
    names = {each.name for each in MEASURES}
    assert set(result.measures) == names - missing
    assert set(result.misread) >= missing
    assert bool(result.outcomes) == ("outcomes" not in missing)
    assert bool(result.read) == ("counts" not in missing)
    assert bool(result.happened) == ("what happened" not in missing)
    assert result.to_dict()["misread"] == result.misread


def test_a_bound_of_a_measure_that_is_missing_makes_nobody_good():
    result = run(replace(CLOSED, bounds=(replace(CLOSED.bounds[0], measure="took"),)), ReadTarget())
    assert result.good is not None
    bounds = (replace(CLOSED.bounds[0], measure="took"),)
    result = run(replace(CLOSED, bounds=bounds), ReadTarget("short"))
    assert (result.good, result.good_per_s, result.good_by_interval) == (None, None, [])
    assert "took" not in result.sampled


@pytest.mark.parametrize("wrong", ["ValueError", "SystemExit", "KeyboardInterrupt", "nothing"])
def test_a_reader_that_always_raises(wrong):
    result = run(CLOSED, ReadTarget(wrong))
    whole(result)
    assert (result.unread, result.good) == (100, 0)
    assert all(each.histogram.count == 0 for each in result.measures.values())
    said = next(each for each in result.warnings if "not read" in each)
    assert said.startswith("100 of 100 requests were not read, since the reader raised (")


def test_of_a_batch_that_cannot_be_read_only_the_culprit_is_lost():
    target = ReadTarget("one raises")
    result = run(CLOSED, target, keep_columns=True)
    whole(result)
    assert result.unread == 1
    assert result.measures["took"].histogram.count == 99
    assert result.measures["gap"].histogram.count == 3 * 99
    assert (result.columns["took"] == -1).sum() == 1
    assert "1 of 100 requests were not read" in str(result.warnings)


@pytest.mark.parametrize("plan", [CLOSED, OPEN], ids=["closed", "open"])
def test_a_reader_that_hangs_is_given_up(plan, monkeypatch):
    monkeypatch.setattr(reading, "LIMIT_NS", 300_000_000)
    result = run(plan, ReadTarget("hang", bad=3))
    whole(result)
    read = result.measures["took"].histogram.count
    assert 0 < read < 100 and result.unread == 100 - read
    assert "the reader did not come back" in str(result.warnings)


def test_a_reader_that_is_slow_is_waited_for_and_seen():
    seen = []
    result = run(CLOSED, ReadTarget("slow"), on_progress=seen.append)
    agrees(result)
    reads = [each.read for each in seen if each.phase == "reading"]
    assert reads == sorted(reads) and reads[0] < 100 == reads[-1]
    assert all(each.completed == 100 for each in seen if each.phase == "reading")
    assert result.wall_s < 0.5  # reading is in no figure


def test_an_interrupt_ends_the_reading_with_what_is_read_by_then():
    async def inside():
        target = ReadTarget("interrupt", bad=2)
        target.interrupt = asyncio.Event()
        return await run_async(CLOSED, target, interrupt=target.interrupt)

    result = asyncio.run(inside())
    whole(result)
    assert result.ended_by is Ending.INTERRUPT and result.interrupted
    assert result.verdict == "INVALID" and result.reasons
    read = result.measures["took"].histogram.count
    assert 0 < read < 100 and result.unread == 100 - read
    assert "interrupted while they were read" in str(result.warnings)


def test_after_an_interrupt_what_was_measured_is_read():
    async def inside():
        target = ReadTarget(nth=50, what="interrupt", pause_s=0.001)
        target.interrupt = asyncio.Event()
        return await run_async(CLOSED, target, interrupt=target.interrupt)

    result = asyncio.run(inside())
    assert result.interrupted and 0 < result.completed < 100
    assert result.measures["took"].histogram.count == result.completed
    assert result.unread == 0


@pytest.mark.parametrize("load", [ClosedLoop(4), ConstantRate(400)], ids=["closed", "open"])
def test_an_interrupt_while_answers_hang_keeps_those_that_came(monkeypatch, load):
    """Processes give up what is in flight themselves; they were ended, with all that they kept."""
    monkeypatch.setattr("qs.engine.conduct.ending.INTERRUPT_DRAIN_S", 0.2)
    plan = replace(CLOSED, load=load, stop=Stop(duration_s=600), pool=Pool("async", workers=2))
    target = Factory("tests.fakes:ReadTarget", {"nth": 51, "what": "hang", "onward": True})

    async def inside():
        stop = asyncio.Event()

        def look(progress):
            if progress.completed >= 100:
                stop.set()

        return await run_async(plan, target, on_progress=look, interrupt=stop)

    result = asyncio.run(inside())
    assert result.ended_by is Ending.INTERRUPT and result.completed == 100
    assert set(result.errors_by_kind) <= {"cut off", "not issued"}
    assert result.errors_by_kind["cut off"] >= 4
    assert result.measures["took"].histogram.count == 100 and result.unread == 0


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["kill", "exit", "crash"])
def test_a_process_that_dies_while_it_reads_takes_nothing_else_with_it(wrong):
    plan = replace(CLOSED, pool=Pool("async", workers=2), load=replace(CLOSED.load, iterations=500))
    result = run(plan, Factory("tests.fakes:ReadTarget", {"wrong": wrong, "bad": 4}))
    assert (result.completed, result.errors, result.verdict) == (2_000, 0, "VALID"), result.reasons
    assert result.response.count == 2_000
    assert all(row.in_flight == 0 for row in result.intervals)
    read = result.measures["took"].histogram.count
    assert result.unread == 2_000 - read > 0
    assert "the process that held them was lost" in str(result.warnings)


@pytest.mark.slow
def test_a_process_that_stands_still_while_it_reads_is_ended(monkeypatch):
    monkeypatch.setattr(pulse, "READING_NS", 1_000_000_000)
    plan = replace(CLOSED, pool=Pool("async", workers=2))
    result = run(plan, Factory("tests.fakes:ReadTarget", {"wrong": "stop", "bad": 1}))
    assert (result.completed, result.errors) == (100, 0)
    assert result.unread == 100
    assert "the process that held them was lost" in str(result.warnings)


@pytest.mark.slow
@pytest.mark.parametrize("plan", [CLOSED, OPEN], ids=["closed", "open"])
def test_what_a_process_had_kept_is_lost_with_it_and_the_others_are_read(plan):
    shared = replace(plan, pool=Pool("async", workers=2))
    result = run(shared, Factory("tests.fakes:ReadTarget", {"nth": 20, "what": "die"}))
    assert result.completed + result.errors == 100
    read = result.measures["took"].histogram.count
    assert result.unread == result.completed - read >= 15
    assert result.unread_why == {"lost": ""}
    assert "the process that held them was lost" in str(result.warnings)


def test_a_run_that_is_interrupted_before_its_start_has_nothing_to_read():
    async def inside():
        interrupt = asyncio.Event()
        interrupt.set()
        plan = replace(CLOSED, warmup_s=20.0)
        return await run_async(plan, ReadTarget(), interrupt=interrupt)

    result = asyncio.run(inside())
    assert (result.completed, result.unread, result.interrupted) == (0, 0, True)
    assert all(each.histogram.count == 0 for each in result.measures.values())
    assert result.to_dict()["good"] == 0


# -- plans


def test_only_a_target_that_reads_can_be_asked():
    with pytest.raises(HostError, match="only a started target with `read`"):
        run(CLOSED, StartedTarget())

    async def coroutine(sample):
        pass

    with pytest.raises(HostError, match="only a started target with `read`"):
        run(CLOSED, coroutine)
    with pytest.raises(PlanError, match="they are read from the calls of a started target"):
        run(replace(CLOSED, pool=Pool("thread")), print)


@pytest.mark.parametrize("wrong", ["hang", "interrupt"])
def test_a_file_that_was_not_read_to_its_end_is_closed(wrong, monkeypatch):
    monkeypatch.setattr(reading, "LIMIT_NS", 200_000_000)
    monkeypatch.setattr(keeping, "MOST_BYTES", 20_000)
    monkeypatch.setattr(keeping, "PIECE_BYTES", 5_000)
    files = []

    def opened(**options):
        files.append(tempfile.TemporaryFile(**options))  # noqa: SIM115
        return files[-1]

    monkeypatch.setattr(keeping, "tempfile", SimpleNamespace(TemporaryFile=opened))

    async def inside():
        target = WritableTarget(wrong, bad=4)
        target.interrupt = asyncio.Event()
        return await run_async(CLOSED, target, interrupt=target.interrupt)

    result = asyncio.run(inside())
    whole(result)
    assert 0 < result.unread < 100 and result.written_bytes
    assert [file.closed for file in files] == [True]


# -- writing


def test_what_is_written_while_requests_are_made_is_said_where_it_took_long(monkeypatch):
    monkeypatch.setattr(keeping, "MOST_BYTES", 20_000)
    monkeypatch.setattr(keeping, "PIECE_BYTES", 5_000)
    result = run(CLOSED, WritableTarget())
    agrees(result)
    assert result.written_bytes > 5_000 and result.longest_write_ns > 0
    assert written(replace(result, longest_write_ns=999_999), CLOSED) is None
    doubt = written(replace(result, longest_write_ns=20_000_000), CLOSED)
    assert doubt.code is Doubt.WRITTEN and "for up to 20 ms" in doubt.text
