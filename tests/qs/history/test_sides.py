"""Every way to name a run finds the run that is meant, or says what there is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qs.base.errors import UserError
from qs.base.names import is_tag
from qs.history import record
from qs.history.meant import sides_of
from qs.history.sides import named, side_of
from qs.result.saved import typed
from tests.qs.comparison.synthetic import Drawn, write_result
from tests.qs.program import qs

SHORT = Drawn(seconds=0.5, interval_s=0.1)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return write_result(tmp_path_factory.mktemp("r"), 1, [SHORT])


@pytest.fixture(autouse=True)
def history(tmp_path, monkeypatch, path):
    """Runs 1, 2 and 4 of bert, 3 of digits, and 5, a sweep of bert; 6 has measured nothing."""
    monkeypatch.setenv("QS_DATA", str(tmp_path / "data"))
    result = json.loads(path.read_text())
    changed = {3: {"Task": "digits"}, 5: {"Kind": "sweep"}, 6: {"Kind": "numeric"}}
    for day in range(1, 7):
        more = {"Started": f"2026-11-0{day}T10:00:00+00:00", **changed.get(day, {})}
        if day == 6:
            more["Performance"] = []
        tags = {1: ("baseline", "old"), 2: ("baseline",)}.get(day, ())
        assert record(typed({**result, **more}, "made"), path, tags=tags) == day


@pytest.mark.parametrize(
    ("text", "task", "number"),
    [
        ("@last", None, 5),
        ("@-1", None, 5),
        ("@-2", None, 4),
        ("@-3", None, 3),
        ("@last", "digits", 3),
        ("@-2", "bert-torch-fp32", 4),
        ("@2", None, 2),
        ("#2", "digits", 2),
        ("@baseline", None, 2),
        ("@old", None, 1),
    ],
)
def test_entries(text, task, number):
    assert side_of(text, task).entry == number


def test_a_run_without_cases_counts_where_none_is_needed():
    assert side_of("@last", measured=False).entry == 6
    assert [named(text).entry for text in ("last", "-2", "2", "old", "@3")] == [6, 5, 2, 1, 3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("@-9", "@-9: the history has 5 runs; `qs history` lists"),
        ("@-0", "@-1 is the last one"),
        ("@baselin", "did you mean 'baseline'?"),
        ("@zzz", "its tags: baseline, old"),
        ("@99", "no entry #99"),
        ("#x", "write @last, @-2"),
        ("@6", "holds no measured case"),
        ("last", "did you mean '@last'?"),
        ("baseline", "did you mean '@baseline'?"),
        ("12", "did you mean '@12'?"),
        ("absent/result.json", "absent/result.json: no such file"),
    ],
)
def test_what_names_no_run_is_one_message(text, said):
    with pytest.raises(UserError) as refused:
        side_of(text)
    assert said in str(refused.value)


def test_no_run_of_a_task_is_said():
    with pytest.raises(UserError, match="the history has 1 run of digits on CPU"):
        side_of("@-2", "digits", "CPU")


@pytest.mark.parametrize(
    ("texts", "numbers", "noted"),
    [
        (["@-2", "@last"], [4, 5], ""),
        (["@baseline", "@last"], [2, 5], ""),
        (["@3", "@last"], [3, 3], ""),
        (["@baseline"], [2, 4], "@4 of 2026-11-04"),
        (["@4"], [2, 4], "the run before it"),
    ],
)
def test_which_runs_are_compared(texts, numbers, noted):
    sides = sides_of(texts)
    assert [each.entry for each in sides] == numbers
    assert noted in " ".join(note for each in sides for note in each.notes)


def test_without_names_the_last_two_of_the_task_are_compared(path):
    with pytest.raises(UserError, match="one sweep of bert-torch-fp32 on CPU only, #5"):
        sides_of([])
    result = json.loads(path.read_text())
    record(typed({**result, "Started": "2026-11-07T10:00:00+00:00"}, "made"), path)
    sides = sides_of([])
    assert [each.entry for each in sides] == [4, 7]
    assert "chosen as one of the last two runs of bert-torch-fp32 on CPU" in sides[0].notes[0]
    said = qs("compare")
    assert said.returncode == 0 and "A  @4 of" in said.stdout and "chosen as" in said.stdout


def test_a_result_file_is_not_compared_with_its_own_entry(path, tmp_path):
    result = json.loads(path.read_text())
    copy = tmp_path / "result-fp32.json"
    copy.write_text(json.dumps({**result, "Started": "2026-11-04T10:00:00+00:00"}))
    assert [each.entry for each in sides_of([str(copy)])] == [2, None]


def test_an_entry_is_shown_and_rendered(tmp_path):
    shown = qs("history", "show", "last")
    assert shown.returncode == 0 and shown.stdout.startswith("#6, 2026-11-06")
    assert qs("report", "@2", "--format", "md", cwd=tmp_path).stderr == "written: report-2.md\n"
    assert "bert-torch-fp32" in (tmp_path / "report-2.md").read_text()
    assert "# " in qs("report", "@old", "--format", "md", "--output", "-").stdout
    page = qs("report", "@2", "--output", tmp_path / "x.html")
    assert page.returncode == 0 and "percentile" in (tmp_path / "x.html").read_text()


@pytest.mark.parametrize(
    ("tag", "right"),
    [
        ("baseline", True),
        ("v1.2-rc", True),
        ("last", False),
        ("12", False),
        ("-2", False),
        ("", False),
        ("a b", False),
        ("@x", False),
    ],
)
def test_a_tag_is_never_taken_for_another_name(tag, right):
    assert is_tag(tag) is right


@pytest.mark.parametrize("command", ["run", "load", "sweep", "numeric"])
def test_a_wrong_tag_is_refused_before_anything_is_done(command):
    place = ["m.onnx"] if command == "load" else ["--task", "digits-cnn-onnx-fp32"]
    words = [command, *place, "--hardware_type", "CPU"]
    wrong = qs(*words, "--tag", "last")
    assert wrong.returncode == 2 and "'last' is not a valid tag" in wrong.stderr
    both = qs(*words, "--tag", "x", "--no_history")
    assert both.returncode == 2 and "--tag is 'x'; allowed: a run that the history" in both.stderr
