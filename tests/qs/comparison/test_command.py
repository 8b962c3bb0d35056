"""`qs compare` as a person meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from qs.cli.main import run_command_line
from qs.history import record
from qs.result.saved import read_result
from tests.qs.comparison.synthetic import Drawn, write_result

SHORT = Drawn(seconds=3.0, interval_s=0.15)
SLOW = Drawn(seconds=3.0, interval_s=0.15, base_ns=2.6e6)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("results")
    return {
        "a": write_result(folder / "a", 1, [SHORT]),
        "again": write_result(folder / "again", 2, [SHORT]),
        "slow": write_result(folder / "slow", 3, [SLOW]),
        "other": write_result(folder / "other", 4, [SHORT], model="resnet50"),
    }


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("QS_DATA", str(tmp_path / "data"))


def qs(capfd, *arguments: object) -> tuple[int, str, str]:
    status = run_command_line(["compare", *map(str, arguments)])
    said = capfd.readouterr()
    return status, said.out, said.err


def test_a_comparison_fits_80_columns_and_says_its_verdict(results, capfd):
    status, out, err = qs(capfd, results["a"], results["slow"])
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "verdict: slower"
    table = [line for line in out.splitlines() if "items/s" in line or "ms " in line]
    assert len(table) == 5 and max(map(len, table)) <= 80
    assert "BS 1, closed loop, 1 client, pool thread, 1 instance" in out
    assert "p99.9: A has" in out
    assert "assumed to be 1%" in out


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("slower:5%", 3),
        ("mean.slower:20%", 3),
        ("mean.slower:60%", 0),
        ("p99.9.slower:10%", 4),
        ("p99.slower:5%,throughput.slower:10%", 3),
    ],
)
def test_a_condition_that_holds_is_status_3_and_named(results, capfd, condition, status):
    found, _, err = qs(capfd, results["a"], results["slow"], "--fail_if", condition)
    assert found == status
    assert ("--fail_if" in err) == (status != 0)


def test_a_gate_that_cannot_tell_is_status_4_and_prints_what_decides(results, capfd):
    words = (results["a"], results["again"], "--fail-if", "p99.slower:12%")
    status, _, err = qs(capfd, *words)
    assert status == 4
    assert "cannot tell" in err and "to decide, measure each for" in err and "qs run --dur" in err
    assert qs(capfd, *words, "--allow_unclear")[0] == 0
    said = json.loads(qs(capfd, *words, "--json")[1])
    assert said["conditions"][0]["state"] == "cannot tell" and said["met"] == []
    wide = (results["a"], results["again"], "--fail-if", "throughput.slower:30%")
    assert qs(capfd, *wide)[0] == 0


def test_json_is_alone_on_standard_output(results, capfd):
    status, out, err = qs(
        capfd, results["a"], results["slow"], results["again"], "--json", "--fail_if", "slower:5%"
    )
    said = json.loads(out)
    assert status == 3 and "verdict" in err
    assert len(said["comparisons"]) == 2
    assert said["met"] and said["fail_if"] == ["slower:5%"]


def test_quiet_prints_nothing(results, capfd):
    assert qs(capfd, results["a"], results["slow"], "--quiet") == (0, "", "")


def test_unlike_results_are_status_2_unless_asked_for(results, capfd):
    status, out, err = qs(capfd, results["a"], results["other"])
    assert (status, out) == (2, "")
    assert "model: BERT-TORCH-FP32 against RESNET50" in err and "Traceback" not in err
    status, out, _ = qs(capfd, results["a"], results["other"], "--anyway")
    assert status == 0 and "UNLIKE: model: BERT-TORCH-FP32 against RESNET50" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{a}"], "the history has no other run"),
        ([], "the history has no run to compare"),
        (["{a}", "absent.json"], "absent.json: no such file"),
        (["{a}", "{slow}", "--fail_if", "p98.slower:5%"], "p9"),
        (["{a}", "{slow}", "--margin", "0"], "not a percentage"),
        (["{a}", "#7"], "no entry #7"),
        (["{a}", "@baseline"], "no entry of the history has the tag 'baseline'"),
        (["{a}", "#x"], "write @last, @-2"),
    ],
)
def test_wrong_input_is_one_message(results, capfd, arguments, said):
    status, _, err = qs(capfd, *[each.format(**results) for each in arguments])
    assert status == 2
    assert said in err and "Traceback" not in err


def test_a_wider_margin_calls_more_the_same(results, capfd):
    _, out, _ = qs(capfd, results["a"], results["slow"], "--margin", "60%", "--json")
    assert json.loads(out)["verdict"] == "same"


def test_entries_of_the_history_are_compared_also_when_their_reports_are_gone(
    results, capfd, tmp_path
):
    for name in ("a", "slow"):
        copy = write_result(
            tmp_path / name, {"a": 1, "slow": 3}[name], [SHORT if name == "a" else SLOW]
        )
        assert record(read_result(copy), copy) is not None
        for file in (tmp_path / name).rglob("*.hlog"):
            file.unlink()
    status, out, _ = qs(capfd, "#1", "@2", "--json")
    said = json.loads(out)
    assert (status, said["verdict"]) == (0, "slower")
    assert said["comparisons"][0]["cases"][0]["differences"][4]["interval"] is not None


def test_help_has_examples():
    from qs.cli.compare import command

    said = CliRunner().invoke(command, ["--help"])
    assert said.exit_code == 0 and "Examples:" in said.output and "--fail_if" in said.output
