"""Conversations as ShareGPT's files have them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qs.base.errors import UserError
from qs.llm.asked import LlmAsked
from qs.llm.prompt import Message, Prompt
from qs.llm.prompts import reading
from qs.llm.prompts.prompt_set import PromptSet
from qs.llm.prompts.source import made_prompts
from tests.qs.llm.prompts import counting


def talk(name: object, *texts: str, first: str = "human") -> dict:
    speakers = ["human", "gpt"] if first == "human" else ["gpt", "human"]
    return {
        "id": name,
        "conversations": [
            {"from": speakers[at % 2], "value": text} for at, text in enumerate(texts)
        ],
    }


TALKS = [
    talk("a", "Hello", "Hello! How can I help?", "Thanks", "You are welcome."),
    talk("b", "I went on", "Where to?", "Home", first="gpt"),
    talk("c", "Nobody answers"),
]


def made(path: Path, content: object, tokenizer=None, **asked) -> PromptSet:
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text)
    return made_prompts(LlmAsked(prompts=str(path), **asked), lambda: tokenizer)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "talks.json"


def test_the_first_turn_of_each(file: Path) -> None:
    found = made(file, TALKS, counting.words())
    assert list(found.prompts) == [
        Prompt(
            (Message("user", "Hello"),),
            id="a",
            recorded="Hello! How can I help?",
            output_tokens=7,
        ),
        Prompt((Message("user", "Where to?"),), id="b", recorded="Home", output_tokens=1),
        Prompt((Message("user", "Nobody answers"),), id="c"),
    ]
    assert found.about["format"] == "sharegpt"
    assert found.notes == []
    assert not found.conversations


def test_without_a_tokenizer_recorded_lengths_are_unknown(file: Path) -> None:
    found = made(file, TALKS)
    assert [each.output_tokens for each in found.prompts] == [None] * 3
    assert "no tokenizer is known" in found.notes[0]
    stated = made(file, TALKS, output_tokens="20")
    assert [each.output_tokens for each in stated.prompts] == [20] * 3
    assert stated.notes == []


def test_whole_conversations(file: Path) -> None:
    found = made(file, TALKS, counting.words(), turns=100, history="recorded")
    assert found.conversations
    assert [(each.conversation, each.text, each.recorded) for each in found.prompts] == [
        ("a", "Hello", "Hello! How can I help?"),
        ("a", "Thanks", "You are welcome."),
        ("b", "Where to?", "Home"),
        ("c", "Nobody answers", None),
    ]
    assert [each.id for each in found.prompts] == ["a.0", "a.1", "b.0", "c.0"]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("lines", [False, True])
def test_lists_and_lines(file: Path, lines: bool, indent: int | None) -> None:
    text = "\n".join(map(json.dumps, TALKS)) if lines else json.dumps(TALKS, indent=indent)
    found = made(file, text)
    assert [each.id for each in found.prompts] == ["a", "b", "c"]


def test_the_other_way_to_write_them(file: Path) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hi."},
    ]
    found = made(file, [{"messages": messages}])
    assert found.prompts[0] == Prompt(
        (Message("system", "Be brief."), Message("user", "Hi")), id="1", recorded="Hi."
    )


def test_what_cannot_be_used_is_left_out_and_counted(file: Path) -> None:
    others: list = [
        {"id": "x"},
        3,
        {"conversations": "no"},
        {"conversations": [{"from": "robot", "value": "beep"}]},
        {"conversations": [{"from": "human", "value": 3}]},
        {"conversations": [3]},
        talk("d", "only I speak", first="gpt"),
        talk("e", " ", "what?"),
        {"conversations": []},
    ]
    found = made(file, [*others, *TALKS])
    assert [each.id for each in found.prompts] == ["a", "b", "c"]
    left_out = "".join(found.notes)
    assert "6 conversations were left out: not of the form" in left_out
    assert "2 conversations were left out: nobody asks anything" in left_out
    assert "1 conversations were left out: with an empty question" in left_out


def test_half_a_character_is_left_out(file: Path) -> None:
    found = made(file, [talk("x", "half \ud83d"), *TALKS])
    assert len(found.prompts) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "has no conversation that can be used"),
        ('[{"prompt": "a"}]', "has no conversation that can be used (1 not of the form"),
        ("[1, 2", "not followed by a comma"),
        ('[{"a": 1} {"b": 2}]', "element 1 is not followed by a comma"),
        ('[{"a": ', "element 1: not JSON"),
        ('[{"a": tru}]', "element 1: not JSON"),
        ("[{" * 200_000, "element 1: not JSON"),
        ('[{"a": ' + "[" * 200_000, "element 1: nested too deeply"),
    ],
)
def test_what_is_no_such_file(file: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        made(file, text, prompt_format="sharegpt")
    assert message in str(raised.value)
    assert str(file) in str(raised.value)


def test_a_draw_is_fair_and_by_the_seed(file: Path) -> None:
    talks = [talk(str(at), f"question {at}") for at in range(40)]
    file.write_text(json.dumps(talks))

    def drawn(seed: int) -> list[str]:
        asked = LlmAsked(prompts=str(file), prompt_count=10, seed=seed)
        return [each.id for each in made_prompts(asked, lambda: None).prompts]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert all(ids == sorted(ids, key=int) and len(set(ids)) == 10 for ids in map(drawn, range(9)))
    times = [0] * 40
    for seed in range(200):
        for each in drawn(seed):
            times[int(each)] += 1
    # of 200 draws each is in 50, with a standard deviation of 6
    assert all(25 <= count <= 75 for count in times)
    assert "the file has 40 prompts" not in "".join(made(file, talks, prompt_count=40).notes)


@pytest.mark.parametrize("name", [None, "", [1], {}, 1.5, "\ud800a"])
def test_a_name_that_is_none(file: Path, name: object) -> None:
    assert made(file, [talk(name, "q")]).prompts[0].id == "1"


def test_long_elements_are_read_whole(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever part of the file is read at a time."""
    monkeypatch.setattr(reading, "_PIECE", 7)
    talks = [talk(at, "é" * at, "ü" * 50) for at in range(1, 60)]
    file.write_text(json.dumps(talks, ensure_ascii=False), "utf-8")
    assert [value for _, value in reading.elements_of(file)] == talks
    file.write_text("[1, 23, 456, -7.5e3, true]")
    assert [value for _, value in reading.elements_of(file)] == [1, 23, 456, -7500.0, True]


def test_two_of_one_name_are_two_conversations(file: Path) -> None:
    found = made(file, [talk("a", "q", "r", "s"), talk("a", "t")], turns=2)
    assert [each.conversation for each in found.prompts] == ["a", "a", "a (no. 2)"]
    assert [each.conversation for each in made(file, [TALKS[0]] * 2).prompts] == ["", ""]
