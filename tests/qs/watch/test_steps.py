"""Nothing is silent for long: what is done now, its clock, and what it took the last time."""

from __future__ import annotations

import io

import pytest

from qs.watch.steps import Clock, Step
from qs.watch.terminal import Plain, Rich, open_view
from qs.watch.view import Quiet, Watchers


class Timer:
    """Goes off when a test says so."""

    def __init__(self, seconds, call):
        self.seconds, self.call, self.alive = seconds, call, False

    def start(self):
        self.alive = True
        made.append(self)

    def cancel(self):
        self.alive = False


made: list[Timer] = []


@pytest.fixture(autouse=True)
def none_made():
    made.clear()


@pytest.mark.parametrize(
    ("step", "elapsed_s", "said"),
    [
        (Step("compiling"), 12.2, "compiling: 12 s"),
        (Step("compiling", 40.0), 12.2, "compiling: 12 s, about 40 s the last time"),
        (Step("compiling", None, 3600.0), 12.2, "compiling: 12 s"),
        (Step("compiling", None, 3600.0), 31.0, "compiling: 31 s, at most 1 h 00 min"),
        (Step("compiling", None, 10.0), 6.0, "compiling: 6.0 s, at most 10 s"),
        (
            Step("compiling", 40.0, 3600.0),
            125.0,
            "compiling: 2 min 05 s, about 40 s the last time, at most 1 h 00 min",
        ),
    ],
)
def test_the_words(step, elapsed_s, said):
    assert step.going_on(elapsed_s) == said


def test_a_log_gets_one_line_of_a_step_that_takes_long_and_none_of_a_short_one():
    stream = io.StringIO()
    view = Plain(stream, timer=Timer)
    with view.step("compiling", 40.0):
        assert stream.getvalue() == ""
        (timer,) = made
        assert timer.seconds == 2.0
        timer.call()
    with view.step("short"):
        pass
    assert stream.getvalue() == "compiling ... (about 40 s the last time)\n"
    assert not any(each.alive for each in made)


def test_a_step_that_fails_ends_its_timer():
    with pytest.raises(ZeroDivisionError), Plain(io.StringIO(), timer=Timer).step("compiling"):
        raise ZeroDivisionError
    assert not made[0].alive


def test_on_a_terminal_a_long_step_leaves_a_line_and_a_short_one_nothing():
    now = [0.0]
    stream = io.StringIO()
    view = Rich(stream, clock=lambda: now[0])
    with view.step("computing the fp32 reference"):
        now[0] += 57.4
        with view.step("a step within"):
            now[0] += 0.1
    with view.step("short"):
        now[0] += 1.0
    assert [line.strip() for line in stream.getvalue().splitlines() if line.strip()] == [
        "computing the fp32 reference: 58 s"
    ]


@pytest.mark.parametrize(("encoding", "first"), [("utf-8", "⠋"), ("ascii", "-")])
def test_a_drawn_step_has_a_spinner_that_the_terminal_can_show(encoding, first):
    from rich.console import Console

    now = [0.0]
    clock = Clock(Step("compiling", limit_s=3.0), lambda: now[0])
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, width=20)
    assert list(clock.__rich_console__(console, console.options)) == []  # too short to flicker
    now[0] = 2.0
    (text,) = clock.__rich_console__(console, console.options)
    assert text.plain.endswith(" compiling: 2.0 s, at most 3.0 s")
    assert len(text.plain.split(" ")[0]) == 1
    assert (ord(text.plain[0]) > 127) is (ord(first) > 127)
    with console.capture() as shown:
        console.print(clock)
    assert len(shown.get().rstrip("\n")) <= 20  # cut, not folded


def test_all_watchers_hear_of_a_step():
    stream = io.StringIO()
    with Watchers([Quiet(), Plain(stream, timer=Timer)]).step("compiling"):
        made[0].call()
    assert stream.getvalue() == "compiling ...\n"


@pytest.mark.parametrize(("term", "kind"), [("dumb", Plain), ("", Plain), ("xterm", Rich)])
def test_a_terminal_that_cannot_redraw_gets_lines(monkeypatch, term, kind):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", term)
    assert type(open_view(False, Terminal())) is kind
