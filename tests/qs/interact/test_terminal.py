"""The dialogs, driven by key strokes through prompt_toolkit's own input; one run at a real
pseudo-terminal.
"""

from __future__ import annotations

import asyncio
import json
import sys
from unittest import mock

import pytest
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from qs.cli.main import run_command_line
from qs.config.interact import Question, parse_profile
from qs.interact.asking import answers_of
from qs.interact.countdown import counting_down, said
from qs.interact.settling import NOT_ANSWERED, Settled
from qs.interact.terminal import Terminal, prompt_of
from tests.qs import small_backend

# Python 3.12 and later warn of a fork beside threads; the child replaces itself at once.
pytestmark = pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")

ENTER, UP, DOWN, CTRL_C, CTRL_D = "\r", "\x1b[A", "\x1b[B", "\x03", "\x04"


class Recorded(Terminal):
    """Remembers the lines of ours that it shows."""

    def __init__(self, *streams) -> None:
        super().__init__(*streams)
        self.said: list[str] = []

    def say(self, text: str, style: str = "") -> None:
        super().say(text, style)
        self.said.append(text)


def question(dialog: str, kind: str, **more) -> Question:
    profile, _ = parse_profile(
        [{"name": "q", "dialog_type": f"{dialog} Dialog", "type": kind, **more}]
    )
    return profile.questions[0]


def ask(asked: Question, keys: str, within_s: float | None = None) -> tuple[object, list[str]]:
    async def conversation():
        with create_pipe_input() as pipe:
            pipe.send_text(keys)
            terminal = Recorded(pipe, DummyOutput())
            return await asyncio.wait_for(terminal.ask(asked, within_s), 20), terminal.said

    return asyncio.run(conversation())


@pytest.mark.parametrize(
    ("default", "keys", "answer"),
    [
        (False, ENTER, False),
        (True, ENTER, True),
        (False, "y" + ENTER, True),
        (True, "No" + ENTER, False),
        (None, "YES" + ENTER, True),
        (False, "true" + ENTER, True),
    ],
)
def test_yes_and_no(default, keys, answer):
    assert ask(question("Yes/No", "bool", default=default), keys) == (answer, [])


@pytest.mark.parametrize(
    ("kind", "default", "keys", "answer"),
    [
        ("int", 4, ENTER, 4),
        ("int", 4, "12" + ENTER, 12),
        ("float", None, "0.5" + ENTER, 0.5),
        ("str", "a b", ENTER, "a b"),
        ("str", None, "c.onnx" + ENTER, "c.onnx"),
        ("int", "4", ENTER, 4),
    ],
)
def test_input(kind, default, keys, answer):
    found, said = ask(question("Input", kind, default=default), keys)
    assert (found, type(found), said) == (answer, type(answer), [])


@pytest.mark.parametrize(
    ("asked", "keys", "answer", "refusals"),
    [
        (
            question("Input", "int", default=4),
            f"many{ENTER}4.5{ENTER}7{ENTER}",
            7,
            [
                "  'many' is not a whole number; please answer again",
                "  '4.5' is not a whole number; please answer again",
            ],
        ),
        (
            question("Yes/No", "bool"),
            f"{ENTER}perhaps{ENTER}n{ENTER}",
            False,
            ["  q has no default; enter y or n", "  'perhaps' is not y or n; please answer again"],
        ),
    ],
)
def test_what_is_no_answer_is_refused_in_words_and_asked_again(asked, keys, answer, refusals):
    assert ask(asked, keys) == (answer, refusals)


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (ENTER, 13),
        (UP + ENTER, 12),
        (DOWN + ENTER, 14),
        ("1" + ENTER, 12),
        (DOWN + UP + UP + ENTER, 12),
    ],
)
def test_a_radiolist_begins_at_its_default(keys, answer):
    bits = question("Radiolist", "int", options=["12", "13", "14"], default="13", note="Bits?")
    assert ask(bits, keys) == (answer, [f"Bits? (q): {answer}"])


@pytest.mark.parametrize(
    "dialog",
    [("Yes/No", "bool", {}), ("Input", "str", {}), ("Radiolist", "str", {"options": ["a"]})],
)
@pytest.mark.parametrize(("key", "raised"), [(CTRL_C, KeyboardInterrupt), (CTRL_D, EOFError)])
def test_the_person_may_stop(dialog, key, raised):
    with pytest.raises(raised):
        ask(question(dialog[0], dialog[1], **dialog[2]), key)


def test_the_default_and_the_type_stand_in_the_prompt():
    assert (
        prompt_of(question("Yes/No", "bool", default=True, note="Using OMP?"))
        == "Using OMP? (q) [Y/n]"
    )
    assert prompt_of(question("Yes/No", "bool")) == "q [y/n]"
    assert prompt_of(question("Input", "int", default=4)) == "q, a whole number [4]:"
    assert prompt_of(question("Input", "str")) == "q:"


EVERY_DIALOG = [
    question("Yes/No", "bool", default=True),
    question("Input", "int", default=4),
    question("Radiolist", "int", options=[1, 4], default=4),
]


@pytest.mark.parametrize("asked", EVERY_DIALOG, ids=lambda each: each.dialog_type)
def test_nobody_answers_in_time(asked):
    assert ask(asked, "", within_s=0.01) == (NOT_ANSWERED, [])


@pytest.mark.parametrize("asked", EVERY_DIALOG, ids=lambda each: each.dialog_type)
def test_an_answer_in_time_is_one(asked):
    assert ask(asked, ENTER, within_s=600.0)[0] == asked.preset


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D])
def test_the_person_may_stop_while_it_counts(key):
    with pytest.raises((KeyboardInterrupt, EOFError)):
        ask(question("Input", "int", default=4), key, within_s=600.0)


@pytest.mark.parametrize("key", ["7", ""])
def test_any_key_stops_the_clock(monkeypatch, key):
    """All its time passes after the key, or without one."""
    now, seen = [0.0], []
    clock = mock.Mock(time=lambda: now[0])

    def watched(application, seconds):
        seen.append(application)
        return counting_down(application, seconds)

    monkeypatch.setattr("qs.interact.countdown.TICK_S", 0.001)
    monkeypatch.setattr("qs.interact.countdown.asyncio.get_running_loop", lambda: clock)
    monkeypatch.setattr("qs.interact.terminal.counting_down", watched)

    async def conversation():
        with create_pipe_input() as pipe:
            terminal = Recorded(pipe, DummyOutput())
            asking = asyncio.ensure_future(terminal.ask(question("Input", "int", default=4), 60.0))
            pipe.send_text(key)
            while not (seen and seen[0].is_running and seen[0].current_buffer.text == key):
                await asyncio.sleep(0.001)
            now[0] = 61.0
            for _ in range(20):
                await asyncio.sleep(0.001)
            pipe.send_text(ENTER)
            return await asyncio.wait_for(asking, 20)

    assert asyncio.run(conversation()) == (7 if key else NOT_ANSWERED)


def test_what_is_left_stands_below_the_question():
    assert said(57) == "57 s until the default is taken; any key stops the clock"


def settle_with(answers: dict[str, object], profile: list[dict]) -> tuple[Settled, list[str], list]:
    """Settled by a person who gives these answers, and none in time to all other questions."""
    asked, lines = [], []

    async def ask(self, question: Question, within_s: float | None = None) -> object:
        asked.append((question.name, within_s))
        return answers.get(question.name, NOT_ANSWERED)

    with mock.patch.object(Terminal, "ask", ask):
        settled = asyncio.run(answers_of(parse_profile(profile)[0], {}, None, None, lines.append))
    return settled, lines, asked


def test_fifty_questions_are_one_wait_and_their_defaults_hold():
    many = [dict(PROFILE[2], name=f"q{number}", default=number) for number in range(50)]
    settled, lines, asked = settle_with({}, many)
    assert asked == [("q0", 60.0)]
    assert settled.answers == {f"q{number}": number for number in range(50)}
    assert set(settled.origins.values()) == {"default, not answered within 60 s"}
    assert lines[-1].startswith("not answered within 60 s; using the defaults: q0 = 0, q1 = 1")


def test_a_question_without_a_default_waits_and_who_answers_it_is_asked_on():
    profile = [
        dict(PROFILE[2], name="first"),
        {"name": "needed", "dialog_type": "Input Dialog", "type": "str"},
        dict(PROFILE[2], name="last"),
    ]
    settled, lines, asked = settle_with({"needed": "x", "last": 9}, profile)
    assert asked == [("first", 60.0), ("needed", None), ("last", 60.0)]
    assert settled.answers == {"first": 4, "needed": "x", "last": 9}
    assert settled.origins["last"] == settled.origins["needed"] == "terminal"
    assert "first = 4;" in lines[-1]


def test_a_question_that_nobody_is_asked():
    silent = [dict(PROFILE[0], ask=False), {**PROFILE[2], "name": "open", "default": None}]
    silent[1]["ask"] = False
    settled, lines, asked = settle_with({}, silent)
    assert (settled.answers, settled.origins) == ({"omp": False}, {"omp": "default"})
    assert asked == lines == settled.warnings == []


def test_an_endless_text_is_cut():
    endless = question("Input", "str", note="x" * 1_000_000, default="y" * 1_000_000)
    assert len(prompt_of(endless)) < 3000
    assert "(1,000,000 characters)" in prompt_of(endless)


PROFILE = [
    {
        "name": "omp",
        "note": "Using OMP?",
        "dialog_type": "Yes/No Dialog",
        "type": "bool",
        "default": False,
        "depends": None,
    },
    {
        "name": "precision",
        "note": "Precision",
        "dialog_type": "Radiolist Dialog",
        "options": ["FP8", "FP16"],
        "type": "str",
        "default": "FP16",
        "depends": "omp",
    },
    {
        "name": "streams",
        "note": "Streams",
        "dialog_type": "Input Dialog",
        "type": "int",
        "default": 4,
        "depends": None,
    },
]


@pytest.fixture
def workspace(tmp_path):
    return small_backend.write(tmp_path, profile=PROFILE)


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX's")
def test_a_run_asks_at_a_real_terminal_keeps_the_answers_and_takes_them_again(workspace):
    pexpect = pytest.importorskip("pexpect")
    program, *options = small_backend.command(workspace, "--compile_only")
    child = pexpect.spawn(
        program,
        options,
        cwd=str(workspace),
        env=small_backend.environment(),
        encoding="utf-8",
        timeout=60,
        dimensions=(40, 120),
    )
    child.expect_exact("Using OMP? (omp) [y/N]")
    child.send("y" + ENTER)
    child.expect_exact("Precision (precision)")
    child.send(UP + ENTER)
    child.expect_exact("Streams (streams), a whole number [4]:")
    child.send("many" + ENTER)
    child.expect_exact("'many' is not a whole number")
    child.expect_exact("Streams (streams)")
    child.send("2" + ENTER)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    expected = {"omp": True, "precision": "FP8", "streams": 2}
    result = small_backend.result_in(workspace)
    stored = small_backend.folder_of(workspace) / "answers-fp16.json"
    assert result["Answers"] == json.loads(stored.read_text()) == expected
    assert set(result["Answer Origins"].values()) == {"terminal"}

    kept = workspace / "mine.json"
    kept.write_text("// kept from an earlier run\n" + stored.read_text())
    status, again, said = small_backend.run(workspace, "--compile_only", "--answers", kept)
    assert (status, again["Answers"]) == (0, expected), said
    assert set(again["Answer Origins"].values()) == {"answers file"}


@pytest.mark.slow
def test_ctrl_c_at_a_question_leaves_a_report_that_says_so(workspace):
    pexpect = pytest.importorskip("pexpect")
    program, *options = small_backend.command(workspace, "--compile_only")
    child = pexpect.spawn(
        program,
        options,
        cwd=str(workspace),
        env=small_backend.environment(),
        encoding="utf-8",
        timeout=60,
    )
    child.expect_exact("Using OMP?")
    child.send(CTRL_C)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    assert small_backend.result_in(workspace)["Status"] == "interrupted"


def test_answers_outlive_a_compiler_that_fails(workspace):
    entry = workspace / "backends" / "TINY" / "compile_backend_tiny.py"
    entry.write_text(
        entry.read_text().replace('sizes = configs["workload"]["batch_sizes"]', "1 / 0")
    )
    answers = workspace / "answers.json"
    answers.write_text('{"streams": 3}')
    status, result, _ = small_backend.run(
        workspace, "--compile_only", "--no_input", "--answers", answers
    )
    assert (status, result["Status"]) == (3, "failed")
    assert result["Answers"] == {"omp": False, "streams": 3}
    assert (
        json.loads((small_backend.folder_of(workspace) / "answers-fp32.json").read_text())[
            "streams"
        ]
        == 3
    )


def test_without_a_terminal_defaults_hold_and_the_log_says_so(workspace):
    status, result, said = small_backend.run(workspace, "--compile_only")
    assert (status, result["Answers"]) == (0, {"omp": False, "streams": 4})
    assert set(result["Answer Origins"].values()) == {"default"}
    assert "standard input is not a terminal" in said or "standard error is not a terminal" in said
    assert "omp = false, streams = 4" in said


def test_answers_that_do_not_fit_stop_the_run_with_every_fault(workspace, monkeypatch, capfd):
    monkeypatch.chdir(workspace)
    file = workspace / "answers.json"
    file.write_text('{"opm": true, /* typed */ "streams": "many",}')
    arguments = small_backend.command(workspace, "--compile_only", "--answers", file)[3:]
    status = run_command_line(arguments)  # nothing is started before the answers are checked
    said = capfd.readouterr().err
    assert status == 2
    assert f"{file}: opm is True" in said and "did you mean 'omp'?" in said
    assert f"{file}: streams is 'many'; allowed: a whole number" in said


@pytest.mark.slow
def test_after_the_questions_ctrl_c_still_ends_a_run_in_order(tmp_path):
    pexpect = pytest.importorskip("pexpect")
    workspace = small_backend.write(tmp_path, profile=PROFILE, iterations=10_000_000)
    program, *options = small_backend.command(workspace)
    child = pexpect.spawn(
        program,
        options,
        cwd=str(workspace),
        env=small_backend.environment(),
        encoding="utf-8",
        timeout=60,
    )
    child.expect_exact("Using OMP?")
    child.send(ENTER)
    child.expect_exact("Streams (streams)")
    child.send(ENTER)
    child.expect("queries at .* take about")
    child.send(CTRL_C)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    (row,) = small_backend.result_in(workspace)["Performance"]
    assert row["Interrupted"] is True and row["Completed"] > 0
