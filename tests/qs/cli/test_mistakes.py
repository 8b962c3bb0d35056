"""A mistyped command line is one message, in one style, with exit status 2."""

from __future__ import annotations

import re

import pytest

from tests.qs.program import qs, refused

LOAD = ("load", "model.onnx")
RUN = ("run", "digits", "-H", "CPU")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rn",), ["unknown command 'rn'", "did you mean run?"]),
        (("",), ["unknown command ''"]),
        (("zzz",), ["unknown command 'zzz'", "known: run"]),
        (("--verson",), ["unknown option --verson", "did you mean --version?"]),
        (("history", "tredn"), ["did you mean trend?"]),
        ((*RUN, "--client", "2"), ["2 is no kind of client; did you mean --clients?"]),
        ((*RUN, "--bach_sizes", "2"), ["did you mean --batch_sizes?"]),
        ((*RUN, "-x"), ["unknown option -x"]),
        ((*RUN, "-task", "digits"), ["write --task"]),
        ((*RUN, "--zzz"), ["unknown option --zzz (qs run --help"]),
        ((*RUN, "--task"), ["--task needs a value"]),
        ((*RUN, "--out", "--json"), ["--out needs a value", "--json is an option"]),
        ((*RUN, "-r", "-d", "5s"), ["--rate needs a value", "-d is an option"]),
        ((*RUN, "--json=3"), ["--json takes no value"]),
        ((*RUN, "--hardware_type", "CPU"), ["--hardware_type is given 2 times"]),
        ((*RUN, "-c", "2", "--concurrency", "3"), ["--clients is given 2 times"]),
        ((*RUN, "again"), ["'again' is one word too many"]),
        ((*RUN, "--rate", "0"), ["--rate: '0' is not a number above 0"]),
        ((*RUN, "--rate", "-5"), ["--rate: '-5' is not a number above 0"]),
        ((*RUN, "--rate", "abc"), ["--rate: 'abc' is not a number above 0"]),
        ((*RUN, "--rate", "nan"), ["--rate: 'nan'"]),
        ((*RUN, "--rate", ""), ["--rate: ''"]),
        ((*RUN, "-c", "1.5"), ["--clients: '1.5' is not a whole number from 1 to 100,000"]),
        ((*RUN, "-c", "９"), ["--clients", "is not a whole number"]),
        ((*RUN, "-b", "1,,2"), ["--batch_sizes: '' in '1,,2'"]),
        ((*RUN, "-d", "5 parsecs"), ["--duration: '5 parsecs' is not a time"]),
        ((*RUN, "-d=5"), ["--duration: '=5' is not a time"]),
        ((*RUN, "-d", "-5"), ["--duration: '-5' is not above zero"]),
        ((*RUN, "--out", ""), ["--out: '' names no folder"]),
        ((*RUN, "--pool", "thred"), ["--pool: 'thred'", "did you mean thread?"]),
        ((*RUN, "--scenario", "sever"), ["--scenario: 'sever'", "did you mean server?"]),
        ((*RUN, "--until_stable", "200%"), ["--until_stable: '200%'"]),
        ((*LOAD, "--shape", "x"), ["--shape: 'x' is not name=value"]),
        (("history", "list", "--limit", "x"), ["--limit: 'x' is not a whole number"]),
        (("completion",), ["SHELL is missing: one of bash, zsh, fish"]),
        (("completion", "zhs"), ["SHELL: 'zhs'", "did you mean zsh?"]),
        (("list", "task"), ["did you mean tasks?"]),
        (("fetch",), ["TASK is missing"]),
    ],
)
def test_one_message(arguments: tuple[str, ...], words: list[str]) -> None:
    ran = qs(*arguments)
    refused(ran, *words)
    assert ran.stderr.startswith("error: ") and ran.stderr.count("\n") == 1
    assert "Usage" not in ran.stderr and not ran.stderr.rstrip().endswith(".")


def test_a_default_that_is_refused_says_where_it_is() -> None:
    refused(qs(*RUN, QS_RUN_CLIENTS="x"), "error: QS_RUN_CLIENTS: --clients: 'x'")


@pytest.mark.parametrize(
    "arguments",
    [("--duration=5",), ("-d", "5"), ("-d5",), ("--duration", "5s"), ("--duration", "5000ms")],
)
def test_ways_to_write_five_seconds(arguments: tuple[str, ...]) -> None:
    ran = qs("load", "digits", "--dry_run", *arguments)
    assert ran.returncode == 0 and re.search(r", for 5(\.0)? s;", ran.stdout)


def test_a_flag_twice_says_no_more_than_once() -> None:
    assert qs("load", "digits", "--dry_run", "-q", "-q").returncode == 0
