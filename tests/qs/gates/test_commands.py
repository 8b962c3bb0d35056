"""--fail_if of qs run and qs load: exit statuses, and every form of the result says it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as xml

import pytest

from qs.cli.gating import gated
from qs.result.gate import GateEntry, GateOutcome
from tests.qs.program import qs, refused
from tests.qs.results import read_result
from tests.qs.small_backend import arguments, write

ROOT = Path(__file__).parents[3]
DIGITS = ROOT / "model_zoo" / "digits" / "digits-cnn-onnx-fp32.onnx"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("gates"), iterations=20)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        pytest.param(
            ("--fail_if", "bs1.completed<1000,p99>1ms,errors>0", "--allow_unclear"),
            3,
            marks=pytest.mark.slow,
        ),
        (("--fail_if", "p99>1ms,errors>0"), 4),
    ],
)
def test_the_status_and_every_form_of_the_result(place, asked, status):
    ran = qs(*arguments(place, "run", "--clients", "1", "--no_history", *asked), cwd=place)
    assert ran.returncode == status, ran.stderr
    (file,) = place.glob("reports/TINY/*/result-*.json")
    gates = read_result(file)["Gates"]
    assert {each["Condition"] for each in gates} == set(asked[1].split(","))
    assert {3: "completed<1000 holds", 4: "p99>1ms cannot tell"}[status] in ran.stdout
    for wanted in ("md", "html", "junit"):
        made = place / f"r.{wanted}"
        assert qs("report", file, "--format", wanted, "--output", made).returncode == 0
        text = made.read_text()
        assert all(each["Outcome"] in text for each in gates)
    failed = {
        case.get("name"): case.find("failure").get("type")
        for case in xml.parse(place / "r.junit").iter("testcase")
        if case.find("failure") is not None
    }
    expected = {"holds": "FAIL_IF", "cannot tell": "UNCLEAR"}
    assert failed == {
        f"fail_if {each['Condition']}": expected[each["Outcome"]]
        for each in gates
        if each["Outcome"] in expected
    }


@pytest.mark.parametrize(
    ("outcomes", "allow", "status"),
    [
        ((), False, 0),
        ((GateOutcome.NOT,), False, 0),
        ((GateOutcome.NOT, GateOutcome.UNCLEAR), False, 4),
        ((GateOutcome.NOT, GateOutcome.UNCLEAR), True, 0),
        ((GateOutcome.UNCLEAR, GateOutcome.HOLDS), True, 3),
    ],
)
def test_the_exit_status(outcomes, allow, status):
    gates = [GateEntry(condition="p99>1ms", outcome=each) for each in outcomes]
    assert gated(gates, allow) == status


def test_a_wrong_condition_is_told_before_anything_starts(place, tmp_path):
    typed = arguments(place, "run", "--fail_if", "p98>1ms,p99>1")
    ran = qs(*[each if each != "TINY" else "TINI" for each in typed], cwd=place)
    refused(ran, "p98>1ms", "p99>1", "did you mean 'p99'?", "TINI")
    load = ("load", DIGITS, "--hardware_type", "CPU", "--out", tmp_path, "--fail_if")
    refused(qs(*load, "accuracy<1"), "no accuracy is measured here")
    compile_only = qs(*arguments(place, "run", "--compile_only", "--fail_if", "p99>1ms"))
    refused(compile_only, "no --compile_only")
