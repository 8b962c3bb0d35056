"""No control character but our own reaches a terminal, however it is printed."""

from __future__ import annotations

import doctest
import io
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from qs.base import visible as module
from qs.base.console import (
    as_it_is,
    console,
    open_table,
    print_json,
    visible_streams,
    write_out,
)
from qs.base.visible import one_line, typed_word, visible, visible_json

EVIL = "\x1b]0;owned\x07 \x1b[2J \x9b31m \x1b]8;;http://x\x1b\\link \x08\r\x7f \u202e\u2066\u200e"
CONTROLS = set("\x1b\x07\x9b\x08\r\x7f\u202e\u2066\u200e\x00")


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal, and keeps what it is given."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", newline="", write_through=True)

    def isatty(self) -> bool:
        return True

    def read_back(self) -> str:
        self.seek(0)
        return self.read()


@contextmanager
def at_a_terminal() -> Iterator[Terminal]:
    made = Terminal()
    with redirect_stdout(made), redirect_stderr(made):
        yield made


def test_the_examples_hold():
    assert doctest.testmod(module).failed == 0


@given(st.text())
def test_what_is_visible_stays_and_has_no_control_characters(text):
    shown = visible(text)
    assert visible(shown) == shown
    assert not CONTROLS & set(shown)
    assert text.count("\n") == shown.count("\n")
    if text.isprintable():
        assert shown == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_says_the_same(text):
    content = json.dumps([text], ensure_ascii=False).encode()
    assert json.loads(visible_json(content)) == [text]
    assert not CONTROLS & set(visible_json(content).decode())


def test_letters_of_every_script_stay():
    for text in ("größer", "日本語", "עברית", "العربية", "Ω \u00a0 \u3000", "🙂", "a\tb\n"):
        assert visible(text) == text


WORDS = ["plain", "two words", "a\nb", "it's\x1b[2J", "\\\n'", "é\r", "\udcff\n", ""]


def test_a_shell_reads_the_words_back():
    line = " ".join(map(typed_word, WORDS))
    assert "\n" not in line and not CONTROLS & set(line)
    ran = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    said = ran.stdout.decode("utf-8", "surrogateescape").split("\0")
    assert said == [*WORDS, ""]
    assert shlex.split(typed_word("two words")) == ["two words"]


@pytest.mark.parametrize(
    "say",
    [
        lambda: print(EVIL),
        lambda: print(EVIL, file=sys.stderr, flush=True),
        lambda: click.echo(EVIL),
        lambda: click.echo(EVIL, err=True),
        lambda: click.ClickException(EVIL).show(),
        lambda: sys.stderr.writelines([EVIL, EVIL]),
        lambda: print_json({EVIL: [EVIL]}),
        lambda: write_out(EVIL.encode()),
    ],
)
def test_nothing_printed_commands_the_terminal(say):
    with at_a_terminal() as terminal, visible_streams():
        say()
    assert "owned" in terminal.read_back()
    assert not CONTROLS & set(terminal.read_back())


def test_a_console_has_colours_of_its_own_alone():
    terminal = Terminal()
    made = console(terminal)
    table = open_table(EVIL)
    table.add_column(EVIL)
    table.add_row(Text(EVIL))
    for each in (Text(EVIL, style="red"), table):
        made.print(each)
    made.print(EVIL, markup=False, soft_wrap=True, style="yellow")
    with made.status(EVIL):
        pass
    said = terminal.read_back()
    assert "\x1b[31m" in said  # our red
    assert not {"\x07", "\x9b", "\x08", "\x7f", "\u202e"} & set(said)
    assert "\x1b]" not in said and "\x1b[2J" not in said


def test_streams_are_as_before_afterwards():
    with at_a_terminal() as terminal:
        with visible_streams():
            wrapped = sys.stdout
            with visible_streams():
                assert sys.stdout is wrapped
            assert as_it_is(sys.stdout) is terminal
            assert sys.stdout.isatty() and sys.stdout.encoding == "utf-8"
        assert sys.stdout is terminal is as_it_is(terminal)


def test_a_stream_that_is_not_there_is_no_fault(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with visible_streams():
        assert sys.stderr is None


def test_a_pipe_gets_every_byte(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(out), visible_streams():
        write_out(b"%PDF\xff\x1b")
    assert out.buffer.getvalue() == b"%PDF\xff\x1b"


def test_one_line():
    assert one_line(" a\r\n b\u2028\x1bc\x0b") == r"a b \x1bc"
