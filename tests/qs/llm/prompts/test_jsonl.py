"""The user's own files of prompts, right and wrong."""

from __future__ import annotations

import gzip
import json
import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qs.base.errors import UserError
from qs.llm.asked import LlmAsked
from qs.llm.prompt import Message, Prompt
from qs.llm.prompts.jsonl import read_lines, split_turns
from qs.llm.prompts.prompt_set import PromptSet
from qs.llm.prompts.source import made_prompts

USER, ASSISTANT, SYSTEM = "user", "assistant", "system"


def said(*texts: str) -> tuple[Message, ...]:
    return tuple(Message(USER, text) for text in texts)


def made(path: Path, content: str | bytes, **asked) -> PromptSet:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return made_prompts(LlmAsked(prompts=str(path), **asked), lambda: None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "prompts.jsonl"


def test_lines_of_json_and_of_text(file: Path) -> None:
    found = made(
        file,
        '{"prompt": "What is 2 + 2?", "answer": "4", "output_tokens": 8}\n'
        "\n"
        "Tell me a story\r\n"
        '{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]}',
    )
    assert list(found.prompts) == [
        Prompt(said("What is 2 + 2?"), answer="4", output_tokens=8),
        Prompt(said("Tell me a story")),
        Prompt((Message(SYSTEM, "s"), Message(USER, "u"))),
    ]
    assert found.notes == ["no JSON, and so taken for plain text: 1 line of 3"]
    assert found.about == {
        "name": "prompts.jsonl",
        "kind": "file",
        "seed": 0,
        "items": 3,
        "format": "jsonl",
    }
    assert found.dues_s is None
    assert not found.conversations


def test_text_alone_is_no_doubt(file: Path) -> None:
    assert made(file, "one\ntwo\n").notes == []


@pytest.mark.parametrize(
    "text", ["[INST] hello [/INST]", '"quoted"', "3 + 4", "a,b,c", "1,2", "1,\r2,3"]
)
def test_texts_that_look_like_something_else(file: Path, text: str) -> None:
    assert [each.text for each in made(file, text).prompts] == [text]


def test_byte_order_mark_and_gzip(file: Path) -> None:
    line = '\ufeff{"prompt": "hé"}\n'
    assert made(file, line).prompts[0].text == "hé"
    assert made(file, gzip.compress(line.encode())).prompts[0].text == "hé"


def test_a_line_of_openais_batches(file: Path) -> None:
    lines = [
        {
            "custom_id": "a",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": "gpt-4",
                "messages": [{"role": "user", "content": "u"}],
                "max_tokens": 5,
                "temperature": 0,
                "stream": True,
            },
        },
        {"custom_id": 7, "url": "/v1/completions", "body": {"prompt": "p"}},
        {"url": "/v1/embeddings", "body": {"input": "e", "dimensions": 8}},
        {"url": "/v1/responses", "body": {"input": [{"role": "user", "content": "r"}]}},
    ]
    found = made(file, "\n".join(map(json.dumps, lines)))
    assert list(found.prompts) == [
        Prompt(said("u"), id="a", output_tokens=5, min_tokens=0, body={"temperature": 0}),
        Prompt(said("p"), id="7"),
        Prompt(said("e"), body={"dimensions": 8}),
        Prompt(said("r")),
    ]
    assert found.notes == ["models named in the file are not asked: --model says which is"]


def test_keys_that_say_nothing_are_told_once(file: Path) -> None:
    found = made(file, '{"prompt": "a", "source": 1}\n{"prompt": "b", "source": 2, "x": {}}\n')
    assert found.notes == [
        "keys of lines that say nothing here: source (2), x (1); fields of a request go into body"
    ]


def test_an_answer_at_the_end_is_not_sent(file: Path) -> None:
    messages = [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]
    found = made(file, json.dumps({"messages": messages}))
    assert list(found.prompts) == [Prompt(said("u"), recorded="a")]
    assert "1 list of messages ended with an answer" in found.notes[0]
    goes_on = {"messages": messages, "body": {"continue_final_message": True}}
    assert len(made(file, json.dumps(goes_on)).prompts[0].messages) == 2


TALK = [
    {"role": "system", "content": "s"},
    {"role": "user", "content": "u1"},
    {"role": "assistant", "content": "a1"},
    {"role": "user", "content": "u2"},
    {"role": "assistant", "content": "a2"},
    {"role": "user", "content": "u3"},
]


def test_a_list_of_messages_is_one_prompt_or_turns(file: Path) -> None:
    line = json.dumps({"messages": TALK, "id": "t", "answer": "42", "think_s": 2})
    one = made(file, line)
    assert len(one.prompts) == 1
    assert len(one.prompts[0].messages) == 6
    assert not one.conversations
    found = made(file, line, turns=9)
    assert found.conversations
    assert list(found.prompts) == [
        Prompt(
            (Message(SYSTEM, "s"), Message(USER, "u1")),
            id="t.0",
            conversation="t",
            recorded="a1",
        ),
        Prompt(said("u2"), id="t.1", conversation="t", recorded="a2", think_s=2),
        Prompt(said("u3"), id="t.2", conversation="t", answer="42", think_s=2),
    ]
    assert len(made(file, line, turns=2).prompts) == 2


def test_two_lists_of_one_name_are_two_conversations(file: Path) -> None:
    line = json.dumps({"messages": TALK, "id": "t"})
    found = made(file, f"{line}\n{line}\n", turns=3)
    assert [each.conversation for each in found.prompts] == ["t"] * 3 + ["t (line 2)"] * 3


def test_lines_of_one_conversation_come_together(file: Path) -> None:
    found = made(
        file,
        '{"prompt": "a1", "conversation": "a"}\n'
        '{"prompt": "b1", "conversation": 3}\n'
        "alone\n"
        '{"prompt": "a2", "conversation": "a", "think_s": 1.5}\n'
        '{"prompt": "b2", "conversation": 3}\n',
    )
    assert [each.text for each in found.prompts] == ["a1", "a2", "b1", "b2", "alone"]
    assert found.conversations
    assert [each.think_s for each in found.prompts] == [0, 1.5, 0, 0, 0]


def test_only_so_many(file: Path) -> None:
    lines = "".join(f'{{"prompt": "{at}", "conversation": "{at % 3}"}}\n' for at in range(9))
    found = made(file, lines, prompt_count=2)
    assert [each.text for each in found.prompts] == ["0", "3", "6", "1", "4", "7"]
    plain = "".join(f"{at}\n" for at in range(9))
    assert [each.text for each in made(file, plain, prompt_count=2).prompts] == ["0", "1"]
    assert made(file, plain, prompt_count=99).notes == ["the file has 9 prompts, 99 were asked for"]


def test_prompts_that_say_when_they_are_due(file: Path) -> None:
    found = made(file, '{"prompt": "b", "due_s": 7.5}\n{"prompt": "a", "due_s": 5}\n')
    assert [each.text for each in found.prompts] == ["a", "b"]
    assert found.dues_s == [0.0, 2.5]
    assert found.prompts[1].due_s == 2.5


def test_lengths_for_those_that_state_none(file: Path) -> None:
    found = made(
        file,
        'one\n{"prompt": "two", "output_tokens": 5}\n{"prompt": "three", "min_tokens": 50}\n',
        output_tokens="9",
    )
    assert [each.output_tokens for each in found.prompts] == [9, 5, 9]
    assert found.prompts[2].min_tokens == 9


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no prompts"),
        ("\n \n", "has no prompts"),
        ('{"prompt": "a"', 'line 1 is \'{"prompt": "a"\'; allowed: JSON, and it is not JSON'),
        ('ok\n{"prompt": 3}', "line 2, prompt is 3; allowed: a text"),
        ('{"prompt": ""}', "line 1, prompt is ''; allowed: a text that is not empty"),
        ('{"prompt": "a", "max_token": 3}', "did you mean 'max_tokens'?"),
        ('{"prompt": "a", "prompt": "b"}', "the key 'prompt' occurs twice"),
        ('{"prompt": NaN}', "NaN is not a JSON number"),
        ('{"prompt": "\\ud800"}', "half of a surrogate pair"),
        ('{"a": ' * 200 + "1" + "}" * 200, "nested too deeply"),
        ('{"a": ' * 100_000, "nested too deeply"),
        ('{"prompt": ' + "9" * 5000 + "}", "cannot be read"),
        ('{"id": "a"}', "line 1, prompt is None"),
        ('{"prompt": "a", "due_s": 1}\nb', "1 of 2 lines have due_s"),
        ('{"prompt": "a", "due_s": 1, "conversation": "c"}', "have due_s and conversation"),
        ('{"custom_id": "a", "body": 3}', "line 1, body is 3"),
        ('{"custom_id": "a", "method": "GET", "body": {"prompt": "p"}}', "method is 'GET'"),
        ('{"custom_id": "a", "body": {"prompt": 4}}', "body.prompt is 4"),
        (b"\xff\xfe{\0}\0", "line 1 is not text: it has a NUL"),
        (b"ok\n\xc3(\n", "line 2 is not UTF-8 text (byte 0)"),
        (b"\x1f\x8bnot packed", "cannot be unpacked"),
        (gzip.compress(b"a\n" * 999, mtime=0)[:20], "cannot be unpacked"),
    ],
)
def test_what_is_wrong_is_named(file: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(UserError) as raised:
        made(file, content)
    assert message in str(raised.value)
    assert str(raised.value).startswith(str(file))
    assert len(str(raised.value)) < 1000


def test_all_faults_at_once_and_no_more_than_one_reads(file: Path) -> None:
    lines = ['{"prompt": 3, "think_s": -1}', '{"messages": 4}'] * 10
    with pytest.raises(UserError) as raised:
        made(file, "\n".join(lines))
    text = str(raised.value)
    assert text.startswith("30 faults:")
    for line in range(1, 21):
        assert f"line {line}, " in text
    with pytest.raises(UserError, match=r"100 faults:(.*\n){51}.*and 50 more"):
        made(file, "\n".join(lines * 10_000))


def test_a_line_without_end(tmp_path: Path) -> None:
    """1 GB in one line is refused after the first part of it."""
    path = tmp_path / "long.jsonl"
    with open(path, "wb") as file:
        file.write(b"x" * (1 << 16))
        file.truncate(1 << 30)
    with pytest.raises(UserError, match=r"line 1 is longer than 64 MiB"):
        read_lines(str(path), None, 1)


@pytest.mark.parametrize("name", ["/dev/zero", "/tmp", "/nowhere/at/all", "a\0b", "x" * 5000])
def test_what_is_no_file(name: str) -> None:
    with pytest.raises(UserError):
        read_lines(name, None, 1)


def test_a_pipe_that_nobody_writes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="is a pipe"):
        read_lines(str(tmp_path / "pipe"), None, 1)


@pytest.mark.parametrize("seed", range(30))
def test_garbage_ends_in_prompts_or_in_a_fault(file: Path, seed: int) -> None:
    draw = random.Random(seed)
    parts = [b'{"prompt": "a"}', b"\n", b"\0", b"\xff", b"[", b"{", b'"', b"1,2,3", b"timestamp"]
    content = b"".join(draw.choice(parts) for _ in range(draw.randrange(1, 12)))
    try:
        assert made(file, content).prompts
    except UserError as error:
        assert str(file) in str(error)


def test_flags_that_a_file_says_itself(file: Path) -> None:
    with pytest.raises(UserError) as raised:
        made(file, "a", input_tokens="9", prefix_share=0.5)
    assert str(raised.value).startswith("2 faults:")


ROLE = st.sampled_from([USER, ASSISTANT, SYSTEM, "tool"])


@given(st.lists(st.builds(Message, ROLE, st.text(max_size=5)), max_size=12))
@settings(max_examples=200)
def test_turns_hold_what_was_said_in_order(messages: list[Message]) -> None:
    turns = split_turns(messages)
    heard = [each for said_, _ in turns for each in said_]
    asked = [each for each in messages if each.role != ASSISTANT]
    assert heard == asked[: len(heard)]
    assert all(any(each.role != SYSTEM for each in said_) for said_, _ in turns)
    assert all(answer is not None for _, answer in turns[:-1])
