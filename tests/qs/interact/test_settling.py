"""The walk over a profile's questions: who is asked what, in which order, and what becomes of the
answers.
"""

from __future__ import annotations

import asyncio

import pytest

from qs.base.errors import Faults
from qs.config.interact import parse_profile
from qs.interact.asking import answers_of, silence
from qs.interact.settling import ANSWERS, BACKEND, DEFAULT, TERMINAL, settle, settle_asking

YES_NO = {"dialog_type": "Yes/No Dialog", "type": "bool", "default": False}
PROFILE, _ = parse_profile(
    [
        {"name": "tune", "note": "Tune?", **YES_NO},
        {
            "name": "bits",
            "dialog_type": "Radiolist Dialog",
            "type": "int",
            "default": 8,
            "options": [4, 8],
            "depends": "tune",
        },
        {"name": "threads", "dialog_type": "Input Dialog", "type": "int", "default": 0},
    ]
)


def asked(replies: dict, given: dict | None = None):
    seen = []

    async def ask(question):
        seen.append(question.name)
        return replies[question.name]

    return asyncio.run(settle_asking(PROFILE, given, "a.json", ask)), seen


def test_a_yes_opens_the_questions_that_depend_on_it():
    settled, seen = asked({"tune": True, "bits": 4, "threads": 2})
    assert seen == ["tune", "bits", "threads"]
    assert settled.answers == {"tune": True, "bits": 4, "threads": 2}
    assert set(settled.origins.values()) == {TERMINAL}


def test_a_no_closes_them():
    settled, seen = asked({"tune": False, "threads": 2})
    assert seen == ["tune", "threads"]
    assert settled.answers == {"tune": False, "threads": 2}


def test_only_what_the_file_leaves_open_is_asked():
    settled, seen = asked({"threads": 3}, {"tune": True, "bits": "4"})
    assert seen == ["threads"]
    assert settled.answers == {"tune": True, "bits": 4, "threads": 3}
    assert settled.origins == {"tune": ANSWERS, "bits": ANSWERS, "threads": TERMINAL}


def test_answers_that_do_not_fit_are_refused_before_anything_is_asked():
    with pytest.raises(Faults) as refused:
        asked({}, {"tunes": True, "bits": 5, "threads": "many"})
    found = {
        fault.key: (fault.file, fault.nearest, fault.allowed) for fault in refused.value.faults
    }
    assert found == {
        "tunes": ("a.json", "tune", "the name of a question: tune, bits, threads"),
        "bits": ("a.json", None, "one of 4, 8"),
        "threads": ("a.json", None, "a whole number"),
    }


def test_a_misspelt_choice_names_the_nearest():
    profile, _ = parse_profile(
        [{"name": "p", "dialog_type": "Radiolist Dialog", "options": ["FP16", "INT8"]}]
    )
    with pytest.raises(Faults, match="did you mean 'FP16'"):
        settle(profile, {"p": "fp-16"})


def test_stored_answers_settle_to_themselves_again():
    first, _ = asked({"tune": True, "bits": 4, "threads": 2})
    assert settle(PROFILE, first.answers).answers == first.answers


def test_answers_of_the_backend_keep_their_origin():
    ready, _ = parse_profile({"onnx": "a.onnx", "opt": 1})
    assert settle(ready, {"opt": 2}).origins == {"onnx": BACKEND, "opt": ANSWERS}


def test_where_nobody_can_be_asked_the_defaults_hold_and_the_log_says_so():
    said: list[str] = []
    settled = asyncio.run(answers_of(PROFILE, {"threads": 1}, "a.json", "--no_input", said.append))
    assert settled.answers == {"tune": False, "threads": 1}
    assert settled.origins == {"tune": DEFAULT, "threads": ANSWERS}
    assert said == [
        "not asked (--no_input); using the defaults: tune = false; "
        "to change them, use --answers FILE"
    ]


def test_a_profile_without_questions_asks_and_says_nothing():
    said: list[str] = []
    for raw in (None, [], {}):
        for why in (None, "--no_input"):
            settled = asyncio.run(answers_of(parse_profile(raw)[0], None, None, why, said.append))
            assert (settled.answers, said) == ({}, [])


def test_why_nobody_is_asked(monkeypatch):
    class Stream:
        closed = False

        def __init__(self, terminal):
            self.terminal = terminal

        def isatty(self):
            return self.terminal

    def at(stdin: bool, stderr: bool):
        monkeypatch.setattr("sys.stdin", Stream(stdin))
        monkeypatch.setattr("sys.stderr", Stream(stderr))

    at(True, True)
    assert silence(False, {"TERM": "xterm"}) is None
    assert silence(True, {"TERM": "xterm"}) == "--no_input"
    assert silence(False, {"TERM": "dumb"}) == "the terminal cannot show dialogs (TERM=dumb)"
    at(False, True)
    assert silence(False, {"TERM": "xterm"}) == "standard input is not a terminal"
    at(True, False)
    assert silence(False, {"TERM": "xterm"}) == "standard error is not a terminal"
