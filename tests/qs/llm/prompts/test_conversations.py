"""Turns, and what was said before them."""

from __future__ import annotations

from qs.llm.asked import LlmAsked
from qs.llm.prompt import Message, Prompt
from qs.llm.prompts.conversations import conversations_of, with_history
from qs.llm.prompts.source import made_prompts
from tests.qs.llm.prompts import counting


def turn(text: str, conversation: str = "", **more) -> Prompt:
    return Prompt((Message("user", text),), conversation=conversation, **more)


def test_prompts_stand_together_by_conversation() -> None:
    prompts = [turn("a", "1"), turn("b", "1"), turn("c"), turn("d"), turn("e", "2")]
    found = [[each.text for each in talk] for talk in conversations_of(prompts)]
    assert found == [["a", "b"], ["c"], ["d"], ["e"]]


def test_a_turn_is_sent_after_what_was_said() -> None:
    turns = [
        Prompt((Message("system", "s"), Message("user", "u1")), recorded="r1"),
        turn("u2"),
        turn("u3", think_s=1.0),
    ]
    served = with_history(turns, 2, ["a1", "a2"])
    assert [(each.role, each.content) for each in served.messages] == [
        ("system", "s"),
        ("user", "u1"),
        ("assistant", "a1"),
        ("user", "u2"),
        ("assistant", "a2"),
        ("user", "u3"),
    ]
    assert served.think_s == 1.0
    recorded = with_history(turns, 2, ["a1", "a2"], "recorded")
    assert [each.content for each in recorded.messages] == ["s", "u1", "r1", "u2", "a2", "u3"]
    assert with_history(turns, 0, []) == turns[0]


def test_the_length_of_a_history_is_known_where_it_was_recorded() -> None:
    turns = [
        turn("u1", input_tokens=5, output_tokens=7, recorded="r1"),
        turn("u2", input_tokens=3, output_tokens=2, recorded="r2"),
    ]
    assert with_history(turns, 1, ["x"], "recorded").input_tokens == 15
    assert with_history(turns, 1, ["x"]).input_tokens is None
    assert with_history(turns, 0, []).input_tokens == 5


def test_synthetic_conversations() -> None:
    tokenizer = counting.words()
    asked = LlmAsked(
        input_tokens="uniform:20,40",
        output_tokens="10",
        turns=3,
        prompt_count=4,
        prefix_share=0.5,
        history="recorded",
    )
    found = made_prompts(asked, lambda: tokenizer)
    assert found.conversations
    assert [each.conversation for each in found.prompts] == [
        name for name in "0123" for _ in range(3)
    ]
    assert len({each.text for each in found.prompts}) == 12
    for each in found.prompts:
        assert tokenizer.count([each.text, each.recorded or ""]) == [each.input_tokens, 10]
    first, second, other = (found.prompts[at].text.split() for at in (0, 1, 3))
    assert (
        first[:10] == other[:10]
    )  # what conversations have in common, their first turns begin with
    assert first[0] != second[0]
    served = made_prompts(LlmAsked(input_tokens="9", turns=2, history="recorded"), lambda: None)
    assert served.prompts[0].recorded is None
    assert "without --output_tokens nothing is recorded" in "".join(served.notes)
