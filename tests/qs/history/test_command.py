"""`qs history` as a person meets it."""

from __future__ import annotations

import json
import os
import sqlite3
import zlib

import pytest

from qs.cli.main import run_command_line
from qs.history import record
from qs.result.saved import typed
from tests.qs.comparison.synthetic import Drawn, write_result

SHORT = Drawn(seconds=0.5, interval_s=0.1)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_result(tmp_path_factory.mktemp("r"), 1, [SHORT])


@pytest.fixture(autouse=True)
def history(tmp_path, monkeypatch, path):
    monkeypatch.setenv("QS_DATA", str(tmp_path / "data"))
    result = json.loads(path.read_text())
    for day in (1, 2):
        record(typed({**result, "Started": f"2026-11-0{day}T10:00:00+00:00"}, "made"), path)
    sweep = {
        **result,
        "Started": "2026-11-03T10:00:00+00:00",
        "Task": "digits",
        "Verdict": "INVALID",
        "Kind": "sweep",
    }
    record(typed(sweep, "made"), path)


def qs(capfd, *arguments: object) -> tuple[int, str, str]:
    status = run_command_line(["history", *map(str, arguments)])
    said = capfd.readouterr()
    return status, said.out, said.err


def ids(capfd, *arguments: object) -> list[int]:
    return [each["id"] for each in json.loads(qs(capfd, *arguments, "--json")[1])]


def test_without_a_command_it_lists(capfd):
    status, out, err = qs(capfd)
    assert (status, err) == (0, "")
    assert out == qs(capfd, "list")[1]
    lines = [line.strip() for line in out.splitlines() if line.strip().startswith("#")]
    assert [line.split()[0] for line in lines] == ["#3", "#2", "#1"]
    assert max(map(len, out.splitlines())) <= 80


def test_filters(capfd):
    assert ids(capfd, "--task", "digits") == [3]
    assert ids(capfd, "list", "--hardware-type", "cpu", "--limit", "2") == [3, 2]
    assert ids(capfd, "--kind", "run", "--verdict", "valid") == [2, 1]
    assert ids(capfd, "--since", "2026-11-02") == [3, 2]
    assert ids(capfd, "--model", "absent") == []
    assert qs(capfd, "--model", "absent")[2] == "the history has no such entry\n"


def test_the_beginning_of_a_tasks_name_is_enough_if_no_other_begins_so(capfd):
    assert ids(capfd, "--task", "Digits") == [3]
    (whole,) = {each["task"] for each in json.loads(qs(capfd, "--limit", 9, "--json")[1])[1:]}
    assert ids(capfd, "--task", whole[:-2].upper()) == [2, 1]
    assert ids(capfd, "--task", "none-begins-so") == []


def test_several_tasks_that_begin_so_are_named(capfd, path):
    other = json.loads(path.read_text()) | {"Task": "digits-cnn", "Kind": "load"}
    record(typed(other | {"Started": "2026-11-04T10:00:00+00:00"}, "made"), path)
    status, _, err = qs(capfd, "--task", "dig")
    assert status == 2 and "2 tasks of the history begin so: digits, digits-cnn" in err
    assert ids(capfd, "--task", "digits") == [3]


def test_a_history_without_an_entry(capfd, monkeypatch, tmp_path):
    monkeypatch.setenv("QS_DATA", str(tmp_path / "new"))
    assert qs(capfd)[2] == qs(capfd, "--model", "absent")[2] == "the history is empty\n"


def test_tagging_and_finding(capfd):
    assert qs(capfd, "tag", "#2", "baseline") == (0, "", "")
    assert "already" in qs(capfd, "tag", "2", "baseline")[2]
    assert ids(capfd, "--tag", "baseline") == [2]
    assert "baseline" in qs(capfd, "list")[1]
    assert "tags: baseline" in qs(capfd, "show", "2")[1]
    assert qs(capfd, "tag", "2", "baseline", "--remove")[0] == 0
    assert ids(capfd, "--tag", "baseline") == []


def test_show_prints_what_was_printed_then(capfd, path):
    status, out, _ = qs(capfd, "show", "1")
    assert (
        status == 0
        and "bert-torch-fp32 on CPU" in out
        and "verdict: VALID" in out
        and str(path) in out
    )
    shown = json.loads(qs(capfd, "show", "1", "--json")[1])
    assert shown["Performance"] == json.loads(path.read_text())["Performance"]


def test_a_trend(capfd):
    status, out, _ = qs(
        capfd, "trend", "--task", "bert-torch-fp32", "--hardware_type", "CPU", "--metric", "p50"
    )
    assert status == 0 and "▄▄" in out and "P50 Latency" in out and "+0.0 %" in out
    said = json.loads(
        qs(capfd, "trend", "--task", "bert-torch-fp32", "--hardware_type", "CPU", "--json")[1]
    )
    assert said["metric"] == "QPS" and [point["id"] for point in said["cases"][0]["points"]] == [
        1,
        2,
    ]
    assert "no such measurement" in qs(capfd, "trend", "--task", "x", "--hardware_type", "CPU")[2]


def test_export(capfd, tmp_path):
    status, _, err = qs(capfd, "export", tmp_path / "h.csv", "--task", "digits")
    assert (status, err) == (0, f"1 case written to {tmp_path / 'h.csv'}\n")
    assert len((tmp_path / "h.csv").read_text().splitlines()) == 2


def test_delete(capfd):
    assert qs(capfd, "delete", "#3", "1") == (0, "", "2 entries removed\n")
    assert qs(capfd, "delete", "--before", "2026-11-30")[2] == "1 entry removed\n"
    assert ids(capfd) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["shwo", "1"], "did you mean show?"),
        (["show", "9"], "no entry #9"),
        (["show", "x"], "no entry of the history has the tag 'x'"),
        (["tag", "1", "12"], "is not a valid tag"),
        (["tag", "1", "two words"], "is not a valid tag"),
        (["--since", "yesterday"], "not a point in time"),
        (["--kind", "walk"], "walk"),
        (
            [
                "trend",
                "--task",
                "bert-torch-fp32",
                "--hardware_type",
                "CPU",
                "--metric",
                "P50 Latncy",
            ],
            "did you mean 'P50 Latency'",
        ),
        (["trend", "--task", "x"], "--hardware_type"),
        (["delete"], "name entries"),
        (["delete", "77"], "no entry #77"),
        (["export", "h.xlsx"], ".csv or .parquet"),
    ],
)
def test_wrong_input_is_one_message(capfd, arguments, said):
    status, _, err = qs(capfd, *arguments)
    assert status == 2
    assert said in err and "Traceback" not in err


@pytest.mark.parametrize(
    "command", [[], ["list"], ["show"], ["tag"], ["trend"], ["export"], ["delete"]]
)
def test_help_has_examples(capfd, command):
    status, out, _ = qs(capfd, *command, "--help")
    assert status == 0 and "Examples:" in out


@pytest.mark.parametrize("number", ["0", "9223372036854775808", "9" * 40, "9" * 5_000, "²", "٣"])
def test_a_number_that_no_entry_can_have_is_refused(capfd, number):
    for words in (("show",), ("tag", "x"), ("delete",)):
        command, *more = words
        assert qs(capfd, command, "--", number, *more)[0] == 2
    if not number.isdecimal() or number.isascii():
        assert qs(capfd, "--limit", number)[0] == 2
    assert run_command_line(["compare", f"@{number}", "@1"]) == 2


@pytest.mark.parametrize(
    "when", ["0001-01-01", "9999-12-31T23:59:59-23:00", f"{'9' * 30}d", "²d", "x"]
)
def test_a_time_that_is_none_is_refused(capfd, when):
    status, _, err = qs(capfd, "--since", when)
    assert status in (0, 2) and "Traceback" not in err
    if when[:4] not in ("0001",):
        assert status == 2


@pytest.mark.parametrize("option", ["--task", "--hardware_type", "--model", "--tag"])
def test_a_name_that_is_not_utf_8_is_one_message(capfd, option):
    status, out, err = qs(capfd, option, os.fsdecode(b"\xff"))
    assert (status, out) == (2, "") and "not UTF-8" in err


def broken(tmp_path, blob: object) -> None:
    with sqlite3.connect(tmp_path / "data" / "history.db") as connection:
        connection.execute("UPDATE entries SET result = ? WHERE id = 2", (blob,))
    connection.close()


@pytest.mark.parametrize(
    "blob",
    [b"", b"garbage", zlib.compress(b"[]"), zlib.compress(b"{" * 50)[:20], "text", 5],
    ids=["empty", "garbage", "no result", "cut off", "text", "number"],
)
def test_a_broken_entry_is_named(capfd, tmp_path, blob):
    broken(tmp_path, blob)
    trend = ("trend", "--task", "bert-torch-fp32", "--hardware_type", "CPU")
    for words in (("show", 2), ("export", tmp_path / "x.csv"), trend):
        status, _, err = qs(capfd, *words)
        assert status == 2 and "#2" in err, words
    assert qs(capfd, "list")[0] == 0
    assert qs(capfd, "delete", 2)[0] == 0
    assert qs(capfd, "export", tmp_path / "x.csv")[0] == 0


def test_a_start_that_is_no_time_is_shown_as_it_is(capfd, tmp_path):
    with sqlite3.connect(tmp_path / "data" / "history.db") as connection:
        connection.execute("UPDATE entries SET started = 'yesterday' WHERE id = 2")
    connection.close()
    assert "yesterday" in qs(capfd)[1]
