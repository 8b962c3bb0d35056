from __future__ import annotations

import json
from pathlib import Path

import pytest

from qs.base.errors import Faults, UserError
from qs.config.interact import UNREADABLE, Profile, load_interact, parse_profile, read_as
from qs.interact.settling import settle

PUBLISHED = [
    {
        "name": "omp",
        "note": "Using OMP?",
        "dialog_type": "Yes/No Dialog",
        "type": "bool",
        "default": False,
        "depends": None,
    },
    {
        "name": "precision",
        "note": "Precision to compile the model",
        "dialog_type": "Radiolist Dialog",
        "options": ["FP8", "FP16"],
        "type": "str",
        "default": "FP16",
        "depends": None,
    },
    {
        "name": "batch",
        "note": "Batch Size",
        "dialog_type": "Input Dialog",
        "type": "str",
        "default": "4",
        "depends": None,
    },
    {
        "name": "bits",
        "note": "bits",
        "dialog_type": "Radiolist Dialog",
        "type": "int",
        "default": "12",
        "options": ["12", "13", "14"],
        "depends": "omp",
    },
]


def answers(asked: Profile, given: dict | None = None) -> dict:
    return settle(asked, given).answers


def answers_for(raw: object, given: dict, folder: Path = Path("X")) -> tuple[dict, list[str]]:
    asked, warnings = parse_profile(raw, f"the interact profile of {folder.name}")
    settled = settle(asked, given)
    return settled.answers, [*warnings, *settled.warnings]


def profile(*questions: dict) -> Profile:
    return parse_profile(list(questions))[0]


def test_a_published_profile_answers_with_its_defaults(tmp_path: Path) -> None:
    file = tmp_path / "GPU.json"
    file.write_text(json.dumps(PUBLISHED))
    loaded, warnings = load_interact(file)
    assert warnings == []
    assert answers(loaded) == {"omp": False, "precision": "FP16", "batch": "4"}
    assert answers(loaded, {"omp": True}) == {
        "omp": True,
        "precision": "FP16",
        "batch": "4",
        "bits": 12,
    }


@pytest.mark.parametrize("text", [None, "", " \n", "[]", "{}", "null"])
def test_no_file_an_empty_one_and_an_empty_profile_ask_nothing(
    tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "GPU.json"
    if text is not None:
        file.write_text(text)
    loaded, warnings = load_interact(file)
    assert (loaded.questions, warnings, answers(loaded)) == ((), [], {})


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("bool", True, True),
        ("bool", "yes", True),
        ("bool", "False", False),
        ("bool", 1, UNREADABLE),
        ("bool", "maybe", UNREADABLE),
        ("bool", None, UNREADABLE),
        ("int", 12, 12),
        ("int", "12", 12),
        ("int", " 12 ", 12),
        ("int", 12.0, 12),
        ("int", 12.5, UNREADABLE),
        ("int", True, UNREADABLE),
        ("int", "12.5", UNREADABLE),
        ("int", "x", UNREADABLE),
        ("int", [1], UNREADABLE),
        ("int", float("inf"), UNREADABLE),
        ("int", float("nan"), UNREADABLE),
        ("float", 1, 1.0),
        ("float", "0.5", 0.5),
        ("float", "nan", UNREADABLE),
        ("float", True, UNREADABLE),
        ("str", "a", "a"),
        ("str", 4, "4"),
        ("str", True, UNREADABLE),
        ("str", None, UNREADABLE),
    ],
)
def test_answers_are_read_strictly(kind: str, value: object, expected: object) -> None:
    read = read_as(kind, value)
    assert read is expected or (read == expected and type(read) is type(expected))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"a": False, "b": False}),
        ({"a": True}, {"a": True, "b": False}),
        ({"a": True, "b": True}, {"a": True, "b": True, "c": 1}),
        ({"a": False, "b": True}, {"a": False, "b": True}),
    ],
)
def test_a_question_is_asked_only_when_all_it_depends_on_is_truthy(
    given: dict, expected: dict
) -> None:
    yes_no = {"dialog_type": "Yes/No Dialog", "type": "bool", "default": False}
    asked = profile(
        {"name": "a", **yes_no},
        {"name": "b", **yes_no},
        {
            "name": "c",
            "dialog_type": "Input Dialog",
            "type": "int",
            "default": 1,
            "depends": "a, b",
        },
    )
    assert answers(asked, given) == expected


def test_dependence_goes_on_through_a_question_that_was_skipped() -> None:
    asked = profile(
        {"name": "a", "dialog_type": "Yes/No Dialog", "default": False},
        {"name": "b", "dialog_type": "Yes/No Dialog", "default": True, "depends": "a"},
        {"name": "c", "dialog_type": "Yes/No Dialog", "default": True, "depends": "b"},
    )
    assert answers(asked) == {"a": False}
    assert answers(asked, {"a": True}) == {"a": True, "b": True, "c": True}


def test_given_answers_that_cannot_be_are_all_named() -> None:
    asked, _ = parse_profile(PUBLISHED)
    with pytest.raises(Faults) as refused:
        answers(asked, {"opm": True, "precision": "FP32", "omp": "maybe", "batch": [4]})
    found = {
        fault.key: (fault.value, fault.nearest, fault.allowed) for fault in refused.value.faults
    }
    assert found["opm"] == (True, "omp", "the name of a question: omp, precision, batch, bits")
    assert found["precision"] == ("FP32", None, "one of FP8, FP16")
    assert found["omp"] == ("maybe", None, "true or false")
    assert found["batch"] == ([4], None, "a string")
    assert all(fault.file == "the answers" for fault in refused.value.faults)


def test_options_are_compared_by_the_questions_type() -> None:
    asked, _ = parse_profile(PUBLISHED)
    assert answers(asked, {"omp": True, "bits": 13})["bits"] == 13
    assert answers(asked, {"omp": True, "bits": "14"})["bits"] == 14
    with pytest.raises(Faults, match="bits is 15; allowed: one of 12, 13, 14"):
        answers(asked, {"omp": True, "bits": 15})


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"name": ""}, "[0].name"),
        ({"dialog_type": "Radiolist"}, "[0].dialog_type"),
        ({"type": "integer"}, "[0].type"),
        ({"type": "int", "default": "many"}, "[0].default"),
        ({"dialog_type": "Radiolist Dialog", "options": []}, "[0].options"),
        ({"dialog_type": "Radiolist Dialog"}, "[0].options"),
        (
            {"dialog_type": "Radiolist Dialog", "type": "int", "options": [1, "x"], "default": 1},
            "[0].options",
        ),
        ({"depends": 3}, "[0].depends"),
    ],
)
def test_questions_that_cannot_be_asked(change: dict, key: str) -> None:
    question = {"name": "q", "dialog_type": "Input Dialog", "type": "str", "default": "4"} | change
    with pytest.raises(Faults) as refused:
        parse_profile([question], "GPU.json")
    assert [(fault.file, fault.key) for fault in refused.value.faults] == [("GPU.json", key)]


def test_all_faults_of_a_profile_at_once() -> None:
    question = {"name": "q", "dialog_type": "Input Dialog"}
    with pytest.raises(Faults) as refused:
        parse_profile([3, question, question, {"note": "?"}])
    keys = [fault.key for fault in refused.value.faults]
    assert keys == ["[0]", "[2].name", "[3].name", "[3].dialog_type"]


@pytest.mark.parametrize("raw", ["questions", 3, True])
def test_what_is_no_profile(raw: object) -> None:
    with pytest.raises(UserError, match="allowed: a list of questions"):
        parse_profile(raw)


def test_a_profile_of_ready_answers_is_taken_and_said() -> None:
    ready = {"onnx_path": "a.onnx", "batch_size": 4}
    settled, (warning,) = answers_for(ready, {"batch_size": 8}, Path("/w/backends/SPU"))
    assert settled == {"onnx_path": "a.onnx", "batch_size": 8}
    assert "the interact profile of SPU: holds answers" in warning


@pytest.mark.parametrize(
    ("question", "given", "expected", "warning"),
    [
        (
            {"name": "q", "dialog_type": "Input Dialog", "type": "int"},
            {},
            {},
            "q has neither default nor answer",
        ),
        (
            {"name": "q", "dialog_type": "Input Dialog", "default": "x", "depends": "is_bert"},
            {},
            {},
            "q depends on 'is_bert', which is not an earlier question",
        ),
        (
            {"name": "q", "dialog_type": "Radiolist Dialog", "options": ["a"], "default": "b"},
            {},
            {"q": "b"},
            "the default of q is 'b', not one of a",
        ),
    ],
)
def test_what_is_odd_but_can_go_on_warns(
    question: dict, given: dict, expected: dict, warning: str
) -> None:
    settled, warnings = answers_for([question], given)
    assert settled == expected
    assert len(warnings) == 1
    assert warning in warnings[0]


def test_an_answer_to_a_question_that_was_not_asked_warns() -> None:
    settled, (warning,) = answers_for(PUBLISHED, {"bits": 13})
    assert "bits" not in settled
    assert "bits was not asked, as omp does not hold" in warning
