"""What a person reads while a run goes on."""

from __future__ import annotations

import io
from typing import Any

import pytest

from qs.engine import Progress
from qs.watch.progress import doing, outlook, share, state
from qs.watch.terminal import Plain, Rich, open_view
from qs.watch.view import Quiet


def progress(phase: str = "measure", planned: int | None = 300, **known: Any) -> Progress:
    return Progress(phase, planned=planned, **known)


@pytest.mark.parametrize(
    ("planned", "speed", "limit_s", "expected"),
    [
        (300, 5.0, None, "300 queries at 5 queries/s take about 1 min 00 s"),
        (
            300,
            5.0,
            20.0,
            "at 5 queries/s all 300 queries take 1 min 00 s; the limit is 20 s, about 100 of them",
        ),
        (
            300,
            0.02,
            20.0,
            "at 0.02 queries/s all 300 queries take 4 h 10 min; the limit is 20 s, "
            "hardly one of them; those begun are finished",
        ),
        (300, 500.0, 20.0, "300 queries at 500 queries/s take about 600 ms"),
        (None, 5.0, 10.0, "measuring for at most 10 s at about 5 queries/s"),
    ],
)
def test_outlook_says_how_long_the_rest_takes(planned, speed, limit_s, expected):
    assert outlook(planned, speed, limit_s) == expected


def test_state_names_errors_only_when_there_are_some():
    calm = state(progress(completed=30, queries_per_s=5.0, p50_ns=200_000_000, eta_s=54.0))
    assert calm == "30 of 300 queries, 5 queries/s, p50 200 ms, 54 s left"
    assert "2 errors" in state(progress(completed=30, errors=2, queries_per_s=5.0))


def test_the_bar_follows_what_ends_the_case_first():
    assert share(progress(completed=30, elapsed_s=10.0), 20.0) == (10.0, 20.0)
    assert share(progress(completed=290, elapsed_s=10.0), 20.0) == (290.0, 300.0)
    assert share(progress(completed=30, elapsed_s=25.0), 20.0) == (20.0, 20.0)
    assert share(progress(completed=30, planned=None), None) == (0.0, None)


@pytest.mark.parametrize("make", [Plain, Rich])
def test_a_case_says_its_outlook_once_after_the_warm_up(make):
    stream = io.StringIO()
    now = [0.0]
    with make(stream, clock=lambda: now[0]).case("batch size 4", 20.0) as update:
        update(progress("build"))
        now[0] = 0.6
        update(progress("warmup", completed=3))
        update(progress("measure", completed=1, queries_per_s=5.0, elapsed_s=0.2))
        update(progress("measure", completed=2, queries_per_s=5.0, elapsed_s=0.4))
        update(progress("drain", completed=2, queries_per_s=5.0, elapsed_s=0.4))
    assert " ".join(stream.getvalue().split()).count("the limit is 20 s, about 100 of them") == 1


@pytest.mark.parametrize("make", [Plain, Rich])
def test_an_open_loop_s_outlook_has_the_rate_that_was_asked(make):
    stream = io.StringIO()
    now = [0.0]
    opened = make(stream, clock=lambda: now[0]).case("Poisson", 10.0, asked_per_s=5.0)
    with opened as update:
        update(progress("build", planned=None))
        now[0] = 0.5
        update(progress("warmup", planned=None, completed=9_000))
        update(progress("measure", planned=None))
    assert "at about 5 queries/s" in " ".join(stream.getvalue().split())


def test_plain_lines_come_every_few_seconds():
    now = [0.0]
    stream = io.StringIO()
    with Plain(stream, clock=lambda: now[0]).case("batch size 4") as update:
        for second in range(12):
            now[0] = float(second)
            update(progress("measure", completed=second, queries_per_s=1.0))
    assert stream.getvalue().count("of 300 queries") == 2


def test_without_a_terminal_lines_are_plain_and_quiet_says_nothing():
    assert isinstance(open_view(False, io.StringIO()), Plain)
    assert isinstance(open_view(True, io.StringIO()), Quiet)
    with Quiet().case("x") as update:
        assert update(progress()) is None


@pytest.mark.parametrize("make", [Plain, Rich])
def test_brackets_in_a_text_are_not_markup(make):
    stream = io.StringIO()
    make(stream).line("output [bold]x[/bold] of a vendor")
    assert stream.getvalue() == "output [bold]x[/bold] of a vendor\n"


def test_a_case_whose_answers_are_read_says_how_many():
    assert doing(Progress("drain", 90)) == "finishing"
    assert doing(Progress("reading", 90, errors=10, read=0)) == "reading answers, 0 of 100"
    assert doing(Progress("reading", 1_990, errors=10, read=1_500)).endswith("1,500 of 2,000")
