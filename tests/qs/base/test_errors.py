from __future__ import annotations

import pickle

import pytest

from qs.base.errors import MISSING, Fault, Faults, UserError, together

FAULT = Fault("w.json", "clients", 0, "a whole number >= 1")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (FAULT, "w.json: clients is 0; allowed: a whole number >= 1"),
        (
            Fault("--clients", "clients", 0, "a whole number >= 1"),
            "--clients is 0; allowed: a whole number >= 1",
        ),
        (
            Fault("m.json", "framework", "Onyx", "Onnx", nearest="Onnx", hint="see the README"),
            "m.json: framework is 'Onyx'; allowed: Onnx; did you mean 'Onnx'?; see the README",
        ),
        (Fault("m.json", "", [1], "an object"), "m.json is [1]; allowed: an object"),
        (Fault("m.json", "inputs", MISSING, "names"), "m.json: inputs is missing; allowed: names"),
    ],
)
def test_a_fault_names_place_value_and_what_is_allowed(fault: Fault, expected: str) -> None:
    assert str(fault) == expected


@pytest.mark.parametrize("value", ["x" * 100_000, ["y"] * 100_000, "two\nlines"])
def test_a_fault_is_one_line_of_bounded_length(value: object) -> None:
    text = str(Fault("w.json", "model", value, "a name\nor two"))
    assert "\n" not in text
    assert len(text) < 400


def test_faults_says_all_of_them() -> None:
    other = Fault("w.json", "iterations", -1, "a whole number >= 1")
    faults = Faults([FAULT, other])
    assert faults.faults == (FAULT, other)
    assert str(faults).splitlines() == ["2 faults:", f"  {FAULT}", f"  {other}"]
    assert str(Faults([FAULT])) == str(FAULT)


def test_faults_without_a_fault_is_a_bug() -> None:
    with pytest.raises(ValueError, match="without a fault"):
        Faults([])


def test_faults_survive_the_way_between_processes() -> None:
    fault = Fault("m.json", "inputs", MISSING, "names")
    copy = pickle.loads(pickle.dumps(Faults([fault])))
    assert copy.faults == (fault,)
    assert copy.faults[0].value is MISSING


def test_together_keeps_faults_faults_and_mixes_the_rest() -> None:
    plain, faults = UserError("no such task"), Faults([FAULT])
    assert together([plain]) is plain
    both = together([faults, Faults([FAULT])])
    assert isinstance(both, Faults)
    assert both.faults == (FAULT, FAULT)
    mixed = together([faults, plain])
    assert not isinstance(mixed, Faults)
    assert str(mixed) == f"{FAULT}\nno such task"
