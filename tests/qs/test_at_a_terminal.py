"""A run at a terminal with nobody there, or at an odd one: narrow, dumb, without colour, or gone in
the middle.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
from pathlib import Path

import pytest

from tests.pseudo_terminal import left_alone, spawned
from tests.qs import small_backend
from tests.qs.interact.test_terminal import PROFILE

# Python 3.12 and later warn of a fork beside threads; the child replaces itself at once.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning"),
]
LIMIT_S = 120.0
IMPATIENT = (
    "import sys; import qs.interact.asking as asking; asking.ANSWER_WITHIN_S = 1.0; "
    "from qs.__main__ import main; sys.exit(main())"
)


def line(root: Path, *options: object, start: str = "-m qs") -> str:
    words = small_backend.arguments(root, "run", "--no_history", *options)
    return f"{shlex.quote(sys.executable)} {start} {shlex.join(words)}"


def test_a_profile_that_nobody_answers_holds_nobody_up(tmp_path):
    root = small_backend.write(tmp_path, profile=PROFILE)
    seen = left_alone(line(root, start=f"-c {shlex.quote(IMPATIENT)}"), root, limit_s=LIMIT_S)
    assert seen.status == 0, seen.screen
    assert "Using OMP? (omp) [y/N]" in seen.screen
    assert "1 s until the default is taken; any key stops the clock" in seen.screen
    assert "using the defaults: omp = false, streams = 4" in seen.screen
    result = small_backend.result_in(root)
    assert result["Answers"] == {"omp": False, "streams": 4}
    assert set(result["Answer Origins"].values()) == {"default, not answered within 60 s"}


def test_an_option_of_a_questions_name_is_not_asked_for(tmp_path):
    profile = [dict(PROFILE[2], name="intra_op_threads")]
    root = small_backend.write(tmp_path, profile=profile)
    seen = left_alone(line(root, "--intra_op_threads", 2), root, limit_s=LIMIT_S)
    assert seen.status == 0 and "asks; Enter" not in seen.screen, seen.screen
    result = small_backend.result_in(root)
    assert result["Answers"] == {"intra_op_threads": 2}
    assert result["Answer Origins"] == {"intra_op_threads": "command line"}


def test_a_terminal_that_is_closed_at_a_question_ends_the_run_in_order(tmp_path):
    root = small_backend.write(tmp_path, profile=PROFILE)
    child = spawned(line(root), root, limit_s=LIMIT_S)
    child.expect_exact("Using OMP?")
    os.close(child.child_fd)  # a hang-up, as of a window that is closed
    limit = time.monotonic() + LIMIT_S
    while os.waitpid(child.pid, os.WNOHANG) == (0, 0):
        assert time.monotonic() < limit, small_backend.result_in(root)
        time.sleep(0.05)
    assert small_backend.result_in(root)["Status"] == "interrupted"


@pytest.mark.parametrize("columns", [20, 200])
def test_a_terminal_of_any_width(tmp_path, columns):
    root = small_backend.write(tmp_path)
    seen = left_alone(line(root), root, columns, LIMIT_S)
    assert seen.status in (0, 3) and "Traceback" not in seen.screen, seen.screen


def test_a_terminal_without_colours(tmp_path):
    root = small_backend.write(tmp_path)
    seen = left_alone(line(root), root, limit_s=LIMIT_S, NO_COLOR="1")
    assert "Traceback" not in seen.screen, seen.screen
    assert not re.search(r"\x1b\[(?:\d+;)*(?:3[0-7]|4[0-7]|9[0-7])m", seen.raw)


def test_a_dumb_terminal_gets_lines_and_no_dialogs(tmp_path):
    root = small_backend.write(tmp_path, profile=PROFILE)
    seen = left_alone(line(root), root, limit_s=LIMIT_S, TERM="dumb")
    assert "not asked (the terminal cannot show dialogs (TERM=dumb))" in seen.screen
    assert "\x1b" not in seen.raw


def test_a_compiler_that_hangs_shows_its_clock_and_when_it_is_ended(tmp_path):
    root = small_backend.write(tmp_path)
    entry = root / "backends" / "TINY" / "compile_backend_tiny.py"
    hangs = 'import time; time.sleep(600); sizes = configs["workload"]'
    entry.write_text(entry.read_text().replace('sizes = configs["workload"]', hangs))
    seen = left_alone(line(root, "--compile_timeout", "4s"), root, limit_s=LIMIT_S)
    assert seen.status == 3, seen.screen
    assert re.search(r"compiling: [\d.]+ s, at most 4.0 s", seen.screen), seen.screen
    assert "no answer within 4 s (--compile_timeout)" in seen.screen
