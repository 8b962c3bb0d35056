"""Prompts, and their form as a line of JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.base.errors import UserError
from qs.llm.prompt import KEYS, ROLES, Message, Prompt, from_line, to_line

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
PLAIN = st.builds(Message, st.sampled_from(ROLES), TEXT)


def with_parts(role: str, texts: list[str]) -> Message:
    raw = {"role": role, "content": [{"type": "text", "text": text} for text in texts]}
    return Message(role, "\n".join(texts), raw)


PARTS = st.builds(with_parts, st.sampled_from(ROLES), st.lists(TEXT, max_size=3))
TOKENS = st.none() | st.integers(1, 10**6)
SECONDS = st.floats(0, 1e6, allow_nan=False)


@st.composite
def prompts(draw: st.DrawFn) -> Prompt:
    most = draw(TOKENS)
    return Prompt(
        tuple(draw(st.lists(PLAIN | PARTS, min_size=1, max_size=3))),
        id=draw(TEXT),
        input_tokens=draw(st.none() | st.integers(0, 10**6)),
        output_tokens=most,
        min_tokens=draw(st.none() | st.integers(0, most or 10**6)),
        body=draw(st.dictionaries(TEXT, VALUES, max_size=3)),
        answer=draw(st.none() | TEXT),
        choices=tuple(draw(st.lists(TEXT, max_size=3))),
        due_s=draw(st.none() | SECONDS),
        conversation=draw(TEXT),
        think_s=draw(SECONDS),
        recorded=draw(st.none() | TEXT),
    )


@given(prompts())
def test_everything_of_a_prompt_survives_as_a_line(prompt: Prompt) -> None:
    line = to_line(prompt)
    assert "\n" not in line
    assert from_line(line) == prompt


@given(TEXT)
def test_a_plain_text_travels_as_it_is(text: str) -> None:
    assert from_line(to_line(Prompt((Message("user", text),)))).text == text


@pytest.mark.parametrize("line", ["Hello", "", '"quoted"', "[1]", "{name} is a word", '{"a": 1}'])
def test_what_is_no_prompt_in_json_is_a_text(line: str) -> None:
    assert from_line(line) == Prompt((Message("user", line),))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"prompt": "q"}', Prompt((Message("user", "q"),))),
        (
            '{"prompt": "q", "system": "s", "id": 7}',
            Prompt((Message("system", "s"), Message("user", "q")), id="7"),
        ),
        # a bound is no length: the answer may be shorter
        (
            '{"prompt": "q", "max_tokens": 9}',
            Prompt((Message("user", "q"),), output_tokens=9, min_tokens=0),
        ),
        (
            '{"prompt": "q", "max_tokens": 9, "min_tokens": 3}',
            Prompt((Message("user", "q"),), output_tokens=9, min_tokens=3),
        ),
        ('{"prompt": "q", "output_tokens": 9}', Prompt((Message("user", "q"),), output_tokens=9)),
        ('{"prompt": "q", "answer": 4}', Prompt((Message("user", "q"),), answer="4")),
    ],
)
def test_what_a_user_writes(line: str, expected: Prompt) -> None:
    assert from_line(line) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": 3}', "prompt is 3; allowed: a text"),
        ('{"prompt": "a", "messages": []}', 'allowed: one of "prompt" and "messages"'),
        ('{"messages": []}', "a list of at least one message"),
        ('{"messages": [3]}', "messages[0] is 3"),
        ('{"messages": [{"role": "usr", "content": "x"}]}', "messages[0].role is 'usr'"),
        ('{"messages": [{"role": "user", "content": 1}]}', "messages[0].content is 1"),
        ('{"prompt": "q", "output_tokens": 0}', "output_tokens is 0"),
        ('{"prompt": "q", "output_tokens": true}', "output_tokens is True"),
        ('{"prompt": "q", "output_tokens": 2, "min_tokens": 3}', "min_tokens is 3"),
        ('{"prompt": "q", "body": []}', "body is []"),
        ('{"prompt": "q", "body": 3}', "body is 3"),
        ('{"prompt": "q", "body": {"stream": false}}', "body.stream is False; allowed: fields"),
        ('{"prompt": "q", "body": {"model": "b"}}', "--model says it"),
        ('{"prompt": "q", "choices": [1]}', "choices is [1]"),
        ('{"prompt": "q", "think_s": -1}', "think_s is -1"),
        ('{"prompt": "q", "answer": []}', "answer is []"),
        ('{"prompt": "q", "system": 3}', "system is 3"),
    ],
)
def test_what_is_wrong_is_named(line: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        from_line(line)
    assert message in str(raised.value)


def test_the_keys_of_a_line_are_those_that_are_read() -> None:
    full = Prompt((Message("user", "q"),), "i", 1, 2, 1, {"a": 1}, "x", ("x",), 0.0, "c", 1.0, "r")
    assert set(json.loads(to_line(full))) | {"messages", "system", "max_tokens"} == set(KEYS)
    assert from_line(to_line(full)) == full
