"""The saved state of a sweep: what outlives a kill, what is taken up again, what is refused."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import tracemalloc
import zlib
from pathlib import Path

import pytest

from qs.base.errors import UserError
from qs.limit import Trial, TrialPlan, parse_goals
from qs.limit.trial_plan import SEARCH
from qs.result.row import Mode, Row, Verdict
from qs.settings.request import Feeding, Request
from qs.sweep.same import code_sha256, measured_options
from qs.sweep.state import State, SweepTrial
from tests.qs.limit.queues import Queue

ABOUT = {"task": "t", "hardware": "H", "axes": {"clients": [1]}, "repeats": 2}


def trial(turn: int, name: str, qps: float = 1.0) -> SweepTrial:
    row = Row(
        batch_size=1,
        items_per_s=qps,
        mean_ms=None,
        p99_ms=None,
        mode=Mode.QS,
        verdict=Verdict.VALID,
        reasons=[],
        warnings=[],
    )
    return SweepTrial(turn, name, row, 2.0)


@pytest.fixture(scope="module")
def limit_trial() -> Trial:
    plan = TrialPlan(0, SEARCH, 100.0, 1.0, 0, parse_goals(["p99=5ms"]))
    return asyncio.run(Queue(1, 0.001).trial(plan))


def test_the_state_outlives_a_line_that_was_cut_off(tmp_path, limit_trial):
    path = tmp_path / "s.jsonl"
    state = State(path, ABOUT, resume=False)
    state.add(trial(0, "a"))
    state.add(trial(0, "b"))
    state.add_limit_trial(limit_trial)
    with path.open("ab") as file:
        file.write(b'{"kind": "trial", "round": 1, "na')
    again = State(path, ABOUT, resume=True)
    assert again.resumed and again.limit_trials == [limit_trial] and again.left_out == 1
    assert again.trials == [trial(0, "a"), trial(0, "b")]
    assert (0, "b") in again and (1, "a") not in again
    again.add(trial(1, "a", 3.0))
    third = State(path, ABOUT, resume=True)
    assert third.rows() == {
        "a": [trial(0, "a").row, trial(1, "a", 3.0).row],
        "b": [trial(0, "b").row],
    }
    assert third.left_out == 0
    assert all(json.loads(each) for each in path.read_text().splitlines())


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":' * 100_000, b"\xff", b"9" * 5_000, b"5"])
def test_a_damaged_line_is_left_out_and_a_damaged_first_one_refused(tmp_path, text):
    path = tmp_path / "s.jsonl"
    State(path, ABOUT, resume=False).add(trial(0, "a"))
    first, second = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([first, text, second]))
    again = State(path, ABOUT, resume=True)
    assert again.trials == [trial(0, "a")] and again.left_out == 1
    path.write_bytes(b"\n".join([text, second]))
    before = path.read_bytes()
    with pytest.raises(UserError, match="line 1: does not say what was swept"):
        State(path, ABOUT, resume=True)
    assert path.read_bytes() == before


def test_a_deep_value_of_the_first_line_is_one_message(tmp_path):
    path = tmp_path / "s.jsonl"
    for depth in (500, 900, 5_000, 100_000):
        path.write_text(
            json.dumps({"kind": "about"})[:-1] + ', "task": ' + "[" * depth + "]" * depth + "}"
        )
        with pytest.raises(UserError, match="--resume: "):
            State(path, ABOUT, resume=True)


def test_only_a_regular_file_of_some_size_is_resumed(tmp_path, monkeypatch):
    path = tmp_path / "s.jsonl"
    os.mkfifo(path)
    with pytest.raises(UserError, match=r"s\.jsonl: is a pipe; allowed: a regular file"):
        State(path, ABOUT, resume=True)
    path.unlink()
    State(path, ABOUT, resume=False)
    monkeypatch.setattr("qs.sweep.state.MOST_BYTES", 10)
    with pytest.raises(UserError, match=r"s\.jsonl: is larger than"):
        State(path, ABOUT, resume=True)


def test_a_sweep_of_something_else_is_not_resumed(tmp_path):
    path = tmp_path / "s.jsonl"
    State(path, ABOUT, resume=False).add(trial(0, "a"))
    with pytest.raises(UserError, match="repeats is 2, now it is 3"):
        State(path, ABOUT | {"repeats": 3}, resume=True)
    assert not State(path, ABOUT, resume=False).trials
    assert not State(tmp_path / "none.jsonl", ABOUT, resume=True).resumed


@pytest.mark.parametrize(
    ("name", "now", "said"),
    [
        ("versions", {"runtime": "2.0"}, "version of the backend is {'runtime': '1.0'}"),
        ("backend_sha256", "other", "code of the backend has changed since"),
        ("artifact_sha256", "other", "content of the artifact has changed since"),
        ("options", {"shapes": {"x": [1, 8]}}, "options is {'shapes': {'x': [1, 4]}}"),
    ],
)
def test_trials_of_other_code_or_options_are_not_taken_over(tmp_path, name, now, said):
    about = {
        **ABOUT,
        "versions": {"runtime": "1.0"},
        "backend_sha256": "this",
        "artifact_sha256": "this",
        "options": {"shapes": {"x": [1, 4]}},
    }
    path = tmp_path / "s.jsonl"
    State(path, about, resume=False).add(trial(0, "a"))
    before = path.read_bytes()
    with pytest.raises(UserError) as refused:
        State(path, about | {name: now}, resume=True)
    assert said in str(refused.value)
    assert path.read_bytes() == before
    assert State(path, about, resume=True).trials


def test_the_code_of_a_backend_is_what_it_was_written_in(tmp_path):
    (tmp_path / "part").mkdir()
    for name in ("runtime_backend_X.py", "part/kernel.cpp", "requirements.txt"):
        (tmp_path / name).write_text("one")
    found = [code_sha256(tmp_path)]
    (tmp_path / "cache.json").write_text("written by the backend")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.py").write_text("made")
    assert code_sha256(tmp_path) == found[0]
    for name in ("runtime_backend_X.py", "part/kernel.cpp", "requirements.txt"):
        (tmp_path / name).write_text("two")
        found.append(code_sha256(tmp_path))
    assert len(set(found)) == 4


def test_the_options_that_count_are_those_that_change_a_trial():
    def options(**more) -> dict:
        return measured_options(Request("t", "CPU", **more))

    assert options(out=Path("elsewhere"), no_input=True, history=False) == {"fill": "random"}
    feeding = Feeding(shapes={"x": (1, 4)}, data={"y": Path("items")}, states={})
    assert options(feeding=feeding, verify="all") == {
        "fill": "random",
        "shapes": {"x": [1, 4]},
        "data": {"y": "items"},
        "verify": "all",
    }


ODD = [
    ("round", "0"),
    ("round", True),
    ("round", -1),
    ("name", None),
    ("took_s", float("nan")),
    ("took_s", "2"),
    ("row", None),
    ("row", {"QPS": "fast"}),
    ("row", []),
]


@pytest.mark.parametrize(("key", "value"), ODD)
def test_an_odd_trial_is_named_by_its_line_and_nothing_is_lost(tmp_path, key, value):
    path = tmp_path / "s.jsonl"
    state = State(path, ABOUT, resume=False)
    state.add(trial(0, "a"))
    with path.open("a") as file:
        file.write(json.dumps({**trial(0, "b").to_dict(), key: value}) + "\n")
    before = path.read_bytes()
    with pytest.raises(UserError, match="line 3: no trial of a sweep"):
        State(path, ABOUT, resume=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        {"rate_per_s": "100"},
        {"number": None},
        {"wall_s": float("inf")},
        {"tallies": []},
        {"waits": {"answered": [1]}},
        {"response": {"hdr": "not encoded"}},
        {"response": None},
        {"reasons": 5},
    ],
)
def test_an_odd_trial_of_the_limit_is_named_too(tmp_path, limit_trial, change):
    path = tmp_path / "s.jsonl"
    State(path, ABOUT, resume=False)
    odd = {**limit_trial.to_dict(), **change}
    with path.open("a") as file:
        file.write(json.dumps({"kind": "limit", "trial": odd}) + "\n")
    with pytest.raises(UserError, match="line 2: no trial of a sweep"):
        State(path, ABOUT, resume=True)


def test_a_trials_histogram_is_looked_at_before_room_is_made_for_it(tmp_path, limit_trial):
    path = tmp_path / "s.jsonl"
    response = limit_trial.to_dict()["response"]
    packed = base64.b64decode(response["hdr"])
    bomb = packed[:8] + zlib.compress(zlib.decompress(packed[8:]) + bytes(50_000_000))
    for odd in (
        {"hdr": base64.b64encode(bomb).decode()},
        {"hdr": 5},
        {"count": response["count"] + 1},
        {"min_ns": -1},
        {"max_ns": "2"},
        {"sum_ns": 1.5},
        {"out_of_range": True},
    ):
        State(path, ABOUT, resume=False)
        line = {"kind": "limit", "trial": {**limit_trial.to_dict(), "response": response | odd}}
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        tracemalloc.start()
        with pytest.raises(UserError, match="line 2: no trial of a sweep"):
            State(path, ABOUT, resume=True)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 20_000_000
