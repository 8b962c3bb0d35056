"""Conversations as ShareGPT's files have them: one list in JSON, or an object a line.

    [{"id": "a", "conversations": [{"from": "human", "value": "Hello"},
                                   {"from": "gpt", "value": "Hello! How can I help?"}]}]

or with {"messages": [{"role": "user", "content": "Hello"}, ...]}. Such files are collected from
many sources: a conversation that cannot be used is left out, and how many were is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from qs.base import jsonc
from qs.base.errors import UserError
from qs.base.names import is_unicode
from qs.llm.prompt import ROLES, Message, Prompt
from qs.llm.prompts.drawing import Stream, raw
from qs.llm.prompts.jsonl import in_turns, split_turns
from qs.llm.prompts.reading import EACH_BYTES, MOST_KEPT, beginning, elements_of, lines_of
from qs.llm.tokenizing import Tokenizer

_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "system": "system",
}
_COUNTED_AT_ONCE = 1000


def read_conversations(
    path: str, most: int | None, turns: int, seed: int
) -> tuple[list[Prompt], list[str]]:
    """Prompts and notes: the first turn of each conversation, or with `turns` above 1 up to so many
    turns of it; of `most` conversations, drawn by the seed, in the order of the file. What was
    answered is `recorded`. UserError for a file that is no such list.
    """
    left_out: Counter[str] = Counter()
    kept: list[tuple[int, list[Prompt]]] = []
    size = seen = 0
    for number, value in _objects(path):
        messages = _messages(value)
        split = split_turns(messages)[:turns] if messages else []
        why = _unusable(messages, [message for said, _ in split for message in said])
        if why:
            left_out[why] += 1
            continue
        place = seen if most is None or seen < most else _place(seen, seed)
        seen += 1
        if most is not None and place >= most:
            continue
        found = (number, _prompts(_name(value, number), split, turns))
        if place == len(kept):
            kept.append(found)
        else:
            size -= _size(kept[place][1])
            kept[place] = found
        size += _size(found[1])
        if size > MOST_KEPT:
            raise UserError(
                f"{path}: has more than {MOST_KEPT >> 30} GiB of prompts; --prompt_count draws some"
            )
    if not kept:
        reasons = ", ".join(f"{many:,} {why}" for why, many in left_out.most_common())
        raise UserError(
            f"{path}: has no conversation that can be used{reasons and f' ({reasons})'}; allowed: "
            'objects with "conversations", a list of {"from": "human" or "gpt", "value": text}'
        )
    notes = [f"{many:,} conversations were left out: {why}" for why, many in left_out.most_common()]
    names: set[str] = set()
    kept.sort(key=lambda found: found[0])
    prompts = [prompt for number, found in kept for prompt in _named(found, number, names)]
    return prompts, notes


def with_recorded_lengths(prompts: Sequence[Prompt], tokenizer: Tokenizer) -> list[Prompt]:
    """Each is to be answered with as many tokens as it was when it was recorded; one that cannot be
    counted, with any.
    """
    found = list(prompts)
    asked = [index for index, each in enumerate(found) if each.recorded]
    for first in range(0, len(asked), _COUNTED_AT_ONCE):
        some = asked[first : first + _COUNTED_AT_ONCE]
        counts = tokenizer.count([found[index].recorded or "" for index in some])
        for index, count in zip(some, counts, strict=True):
            if count > 0:
                found[index] = replace(found[index], output_tokens=count)
    return found


def _objects(path: str) -> Iterator[tuple[int, object]]:
    if beginning(path).startswith("["):
        yield from elements_of(path)
        return
    for number, line in lines_of(path):
        yield number, jsonc.line(line, f"{path}: line {number}")


def _messages(value: object) -> list[Message] | None:
    """None if it is no conversation."""
    if not isinstance(value, dict):
        return None
    listed = value.get("conversations", value.get("conversation", value.get("messages")))
    if not isinstance(listed, list):
        return None
    found = []
    for each in listed:
        if not isinstance(each, dict):
            return None
        speaker = each.get("from", each.get("role"))
        text = each.get("value", each.get("content"))
        role = _ROLES.get(speaker) if isinstance(speaker, str) else None
        if role not in ROLES or not isinstance(text, str):
            return None
        found.append(Message(role, text))
    return found


def _unusable(messages: list[Message] | None, said: list[Message]) -> str:
    """Why a conversation cannot be used; "" if it can."""
    if messages is None:
        return "not of the form, or with speakers other than human, gpt and system"
    if not said:
        return "nobody asks anything in them"
    if not all(each.content.strip() for each in said if each.role == "user"):
        return "with an empty question"
    if not all(is_unicode(each.content) for each in messages):
        return "with half of a surrogate pair, which is no character"
    return ""


def _name(value: object, number: int) -> str:
    name = value.get("id") if isinstance(value, dict) else None
    named = type(name) in (str, int) and name != "" and is_unicode(str(name))
    return str(name)[:200] if named else str(number)


def _place(seen: int, seed: int) -> int:
    """Where number `seen` of a stream goes in a fair draw of the first ones: beyond them, nowhere
    (reservoir sampling, algorithm R).
    """
    return int(raw(1, seed, Stream.CHOICE, seen)[0]) % (seen + 1)


def _prompts(name: str, split: Sequence, turns: int) -> list[Prompt]:
    said, answer = split[0]
    first = Prompt(said, id=name, recorded=answer)
    return [first] if turns == 1 else in_turns(first, split, name)


def _named(prompts: list[Prompt], number: int, names: set[str]) -> list[Prompt]:
    """With another name of the conversation where one before has the same."""
    name = prompts[0].conversation
    if name not in names:
        names.add(name)
        return prompts
    return [replace(each, conversation=name and f"{name} (no. {number})") for each in prompts]


def _size(prompts: Sequence[Prompt]) -> int:
    return sum(EACH_BYTES + len(each.text) + len(each.recorded or "") for each in prompts)
