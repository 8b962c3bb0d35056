"""A worker that shows no sign of life is given up, in whatever phase it froze."""

from __future__ import annotations

import pytest

from qs.engine import (
    ClosedLoop,
    ConstantRate,
    ErrorKind,
    Factory,
    HostTimeout,
    Loss,
    Pool,
    RunPlan,
    Stop,
    run,
)
from qs.engine.conduct import pulse
from qs.engine.conduct.pulse import BETWEEN_NS, Pulse
from qs.engine.record.memory import Field, Phase, local_memory

S = 1_000_000_000
START = 1_000 * S
PLAN = RunPlan(timeout_s=2.0, build_timeout_s=60.0)
REQUEST_S = 2.5  # a little more than one may take
BETWEEN_S = REQUEST_S + BETWEEN_NS / S


class Frozen:
    """A session of two workers, of which the first is watched."""

    heard = 0

    def __init__(self, phase: Phase, other: Phase, slice_ns: int = 0):
        self.memories = local_memory(2, 16)
        self.header = self.memories[0].header
        self.header[Field.PHASE], self.header[Field.SLICE_NS] = phase, slice_ns
        self.memories[1].header[Field.PHASE] = other


def silent_after(
    session: Frozen, start_ns: int = START, move=lambda second: None, clock_s: float = 0.2
) -> float | None:
    """After how many seconds the first worker is said to be silent; None if never in 100."""
    looks = Pulse(PLAN)
    for tick in range(int(100 / clock_s)):
        move(tick * clock_s)
        now_ns = START + int(tick * clock_s * S)
        if session.memories[0] in looks.silent(session, now_ns, start_ns):
            return tick * clock_s
    return None


@pytest.mark.parametrize(
    ("phase", "other", "slice_ns", "limit_s"),
    [
        (Phase.BUILD, Phase.BUILD, 0, 60.0),
        (Phase.WARM_UP, Phase.WARM_UP, START, REQUEST_S),
        (Phase.WARM_UP, Phase.BUILD, START, REQUEST_S),
        # the phases in which no request is under way
        (Phase.READY, Phase.READY, 0, BETWEEN_S),
        (Phase.READY, Phase.MEASURE, 0, BETWEEN_S),
        (Phase.MEASURE, Phase.DONE, 0, BETWEEN_S),
        (Phase.MEASURE, Phase.MEASURE, START, REQUEST_S),
        # it waits for another to be built, or has ended
        (Phase.READY, Phase.BUILD, 0, None),
        (Phase.READY, Phase.WARM_UP, 0, None),
        (Phase.DONE, Phase.MEASURE, 0, None),
    ],
)
def test_a_worker_that_does_not_move_is_silent_after_a_request_s_time(
    phase, other, slice_ns, limit_s
):
    found = silent_after(Frozen(phase, other, slice_ns))
    assert found == (None if limit_s is None else pytest.approx(limit_s, abs=0.5))


def test_a_worker_that_moves_is_not_silent():
    for moved in (Field.SLICE_NS, Field.COMPLETED, Field.FAILED, Field.WARM_COMPLETED):
        session = Frozen(Phase.MEASURE, Phase.DONE, START)

        def move(second, session=session, moved=moved):
            session.header[moved] = START + int(second) * S

        assert silent_after(session, move=move) is None, moved


def test_rows_of_a_long_slice_are_signs_of_life():
    """A slice is as long as a thousand of the requests that were seen first: later ones may take
    longer, each within its time-out.
    """
    session = Frozen(Phase.MEASURE, Phase.DONE, START)

    def move(second):
        session.memories[0].completed[: int(second) // 2] = START

    assert silent_after(session, move=move) == pytest.approx(2 * 16 + REQUEST_S, abs=1.0)


def test_a_worker_that_waits_for_a_start_that_its_clock_never_shows_is_silent():
    session = Frozen(Phase.MEASURE, Phase.DONE, 1)

    def move(second):
        session.header[Field.SLICE_NS] += 1

    assert silent_after(session, move=move) == pytest.approx(BETWEEN_S, abs=0.5)


def test_nobody_was_silent_while_this_process_was_stopped():
    looks, session = Pulse(PLAN), Frozen(Phase.MEASURE, Phase.MEASURE, START)
    assert not looks.silent(session, START, START)
    assert not looks.silent(session, START + 1_000 * S, START)


def test_a_process_whose_workers_have_ended_has_to_report():
    looks, session = Pulse(PLAN), Frozen(Phase.DONE, Phase.DONE)

    def muted(from_s: int, until_s: int) -> list[int]:
        return [second for second in range(from_s, until_s) if looks.mute(session, second * S)]

    first = muted(0, 20)
    assert first[0] == pytest.approx(BETWEEN_S, abs=1.0)
    session.heard = 1_000  # a long report is on its way
    assert muted(20, 20 + int(BETWEEN_S)) == []


HASTY = {"timeout_s": 0.2, "calibrate": False}


@pytest.fixture
def prompt(monkeypatch):
    monkeypatch.setattr(pulse, "BETWEEN_NS", S // 5)


@pytest.mark.parametrize("hook", ["begin_measuring", "end_measuring"])
@pytest.mark.parametrize("load", [ClosedLoop(), ConstantRate(500)], ids=["closed", "open"])
def test_a_process_that_is_stopped_beside_its_requests_is_ended(prompt, hook, load):
    plan = RunPlan(load, Stop(iterations=20), Pool("process", workers=1), **HASTY)
    result = run(plan, Factory("tests.fakes:make_hooked", {"hook": hook, "what": "stop"}))
    assert result.completed == (0 if hook == "begin_measuring" else 20)
    assert Loss(ErrorKind.HUNG, process=0) in result.losses
    assert result.verdict == "INVALID"


def test_a_process_that_is_stopped_in_its_warm_up_is_ended(prompt):
    plan = RunPlan(ClosedLoop(iterations=9), pool=Pool("process"), warmup_iterations=9, **HASTY)
    with pytest.raises(HostTimeout, match="warming up"):
        run(plan, Factory("tests.fakes:make_nth", {"nth": 5, "what": "stop"}))


def test_coroutines_whose_process_is_stopped_in_their_warm_up_are_ended(prompt):
    load = ClosedLoop(clients=2, iterations=9)
    plan = RunPlan(load, pool=Pool("async", workers=2), warmup_iterations=9, **HASTY)
    with pytest.raises(HostTimeout, match="warming up"):
        run(plan, Factory("tests.fakes:make_stopping_coroutine"))
