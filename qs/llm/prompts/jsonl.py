"""Prompts of the user's file: a line is a prompt in JSON, a line of OpenAI's batch files, or plain
text.

    {"prompt": "What is 2 + 2?", "answer": "4", "output_tokens": 8}
    {"messages": [{"role": "user", "content": "Hello"}], "conversation": "a", "think_s": 2}
    {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": ...}}
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from qs.base import jsonc
from qs.base.errors import UserError
from qs.base.words import counted
from qs.llm.prompt import KEYS, Message, Prompt, Say, prompt_of
from qs.llm.prompts.reading import EACH_BYTES, MOST_KEPT, Faulty, lines_of

_BATCH = ("custom_id", "method", "url", "body")
# Of a batch line's body: what is said elsewhere, and what becomes a length.
_OURS = ("model", "stream", "stream_options")
_MOST = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_TEXTS = ("messages", "prompt", "input")


@dataclass
class Lines:
    """What a file's lines are."""

    prompts: list[Prompt] = field(default_factory=list)
    plain: int = 0  # lines of text that is no JSON
    unknown: Counter[str] = field(default_factory=Counter)  # keys that say nothing here
    answered: int = 0  # lists of messages that end with an answer
    models: set[str] = field(default_factory=set)  # that batch lines name
    talks: set[str] = field(default_factory=set)  # names of lists of messages that became turns

    def notes(self) -> list[str]:
        found = []
        if self.plain and self.plain < len(self.prompts):
            found.append(
                f"no JSON, and so taken for plain text: {counted(self.plain, 'line')} of "
                f"{len(self.prompts):,}"
            )
        if self.unknown:
            keys = ", ".join(f"{key} ({many:,})" for key, many in self.unknown.most_common(8))
            found.append(
                f"keys of lines that say nothing here: {keys}; fields of a request go into body"
            )
        if self.answered:
            found.append(
                f"{counted(self.answered, 'list')} of messages ended with an answer: it is what "
                "was recorded, and is not sent"
            )
        if self.models:
            found.append("models named in the file are not asked: --model says which is")
        return found


def read_lines(path: str, most: int | None, turns: int) -> Lines:
    """The prompts of a file, at most `most` of them (conversations count once). With `turns` above
    1 a list of messages with several of the user's is a conversation of at most so many turns.

    Raises UserError: everything that is wrong, up to a bound.
    """
    faulty = Faulty(path)
    lines = Lines()
    kept = talks = 0
    named: set[str] = set()
    for number, text in lines_of(path):
        found = _line(text, number, lines, faulty, turns)
        fresh = [each for each in found if not each.conversation or each.conversation not in named]
        if fresh:
            if most is not None and talks == most:
                if named:
                    continue  # later lines may belong to a conversation that is there
                break
            talks += 1
            named.update(each.conversation for each in fresh if each.conversation)
        lines.prompts += found
        kept += len(text) + EACH_BYTES * len(found)
        if kept > MOST_KEPT:
            raise UserError(
                f"{path}: has more than {MOST_KEPT >> 30} GiB of prompts; --prompt_count takes the "
                "first ones alone"
            )
    faulty.check()
    if not lines.prompts:
        raise UserError(f"{path}: has no prompts; allowed: a line of JSON or text for each")
    lines.prompts = in_order(lines.prompts, path)
    return lines


def _line(text: str, number: int, lines: Lines, faulty: Faulty, turns: int) -> list[Prompt]:
    """The prompts of one line: none if it is wrong, several if it is a conversation."""
    say = faulty.at(number)
    if not text.lstrip().startswith("{"):
        lines.plain += 1
        return [Prompt((Message("user", text),))]
    place = f"{faulty.path}: line {number}"
    try:
        value = jsonc.line(text, place)
    except UserError as error:
        what = str(error).removeprefix(f"{place}: ")
        say("", _start(text), f"JSON, and it is {what}" if what.startswith("not") else what)
        return []
    assert isinstance(value, dict)
    prompt = _batch_line(value, lines, say) if _is_batch(value) else _own(value, lines, say, number)
    if prompt is None:
        return []
    if not prompt.text and all(each.raw is None for each in prompt.messages):
        say("prompt", "", "a text that is not empty")
        return []
    if turns > 1 and not prompt.conversation:
        split = split_turns(prompt.messages)
        if len(split) > 1:
            name = prompt.id or f"line {number}"
            name = name if name not in lines.talks else f"{name} (line {number})"
            lines.talks.add(name)
            return in_turns(prompt, split[:turns], name)
    return [_asked(prompt, lines)]


def _start(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}..."


def _is_batch(value: Mapping[str, Any]) -> bool:
    return "url" in value or "custom_id" in value


def _own(value: dict[str, Any], lines: Lines, say: Say, number: int) -> Prompt | None:
    for key in value:
        if key in KEYS:
            continue
        close = difflib.get_close_matches(key, KEYS, 1, 0.85)
        if close:
            say(key, value[key], f"another key; did you mean {close[0]!r}?")
        elif key in lines.unknown or len(lines.unknown) < 1000:
            lines.unknown[key] += 1
    return prompt_of(value, say)


def _batch_line(value: dict[str, Any], lines: Lines, say: Say) -> Prompt | None:
    """A line of a file for OpenAI's batch API."""
    body = value.get("body")
    if not isinstance(body, dict):
        say("body", body, "an object: the request's body")
        return None
    if value.get("method", "POST") != "POST":
        say("method", value["method"], "POST")
    if isinstance(body.get("model"), str):
        lines.models.add(body["model"][:80])
    text = next((body[key] for key in _TEXTS if key in body), None)
    most = next((body[key] for key in _MOST if body.get(key) is not None), None)
    rest = {key: each for key, each in body.items() if key not in (*_OURS, *_MOST, *_TEXTS)}
    least = rest.pop("min_tokens", None)
    listed = isinstance(text, list)
    return prompt_of(
        {
            "messages" if listed else "prompt": text,
            "id": value.get("custom_id"),
            "max_tokens": most,
            "min_tokens": least,
            "body": rest,
        },
        lambda key, what, allowed: say(
            key if key in ("id", "body") else f"body.{key}", what, allowed
        ),
    )


def _asked(prompt: Prompt, lines: Lines) -> Prompt:
    """Without the answer that a list of messages may end with, which is what was recorded."""
    last = prompt.messages[-1]
    goes_on = prompt.body.get("continue_final_message") or prompt.body.get("prefix")
    if last.role != "assistant" or len(prompt.messages) == 1 or goes_on:
        return prompt
    lines.answered += 1
    recorded = prompt.recorded if prompt.recorded is not None else last.content
    return replace(prompt, messages=prompt.messages[:-1], recorded=recorded)


Turn = tuple[tuple[Message, ...], str | None]


def split_turns(messages: Sequence[Message]) -> list[Turn]:
    """(what is said, the answer if there is one) of each turn. What an assistant says first is left
    out; several answers are one text.
    """
    turns: list[Turn] = []
    said: list[Message] = []
    answers: list[str] = []
    for message in messages:
        if message.role == "assistant":
            if any(each.role != "system" for each in said):
                answers.append(message.content)
            continue
        if answers:
            turns.append((tuple(said), "\n\n".join(answers)))
            said, answers = [], []
        said.append(message)
    if any(each.role != "system" for each in said):
        turns.append((tuple(said), "\n\n".join(answers) if answers else None))
    return turns


def in_turns(prompt: Prompt, turns: Sequence[Turn], name: str) -> list[Prompt]:
    """A prompt for each turn. Its answer, if it has a right one, is that of the last."""
    last = len(turns) - 1
    return [
        replace(
            prompt,
            messages=said,
            id=f"{prompt.id}.{at}" if prompt.id else "",
            conversation=name,
            think_s=prompt.think_s if at else 0.0,
            recorded=answer,
            answer=prompt.answer if at == last else None,
            choices=prompt.choices if at == last else (),
            input_tokens=None,
        )
        for at, (said, answer) in enumerate(turns)
    ]


def in_order(prompts: list[Prompt], path: str) -> list[Prompt]:
    """Turns of a conversation together, where its first stands; prompts that say when they are due
    in that order. UserError where some do and some do not, or a turn does.
    """
    due = [each for each in prompts if each.due_s is not None]
    if due and len(due) < len(prompts):
        raise UserError(
            f"{path}: {len(due):,} of {len(prompts):,} lines have due_s; allowed: all, or none"
        )
    talks = any(each.conversation for each in prompts)
    if due and talks:
        raise UserError(
            f"{path}: lines have due_s and conversation; allowed: one of them, for a turn is due "
            "after the answer to the one before"
        )
    if due:
        return sorted(prompts, key=lambda prompt: prompt.due_s or 0.0)
    if not talks:
        return prompts
    places: dict[str, int] = {}
    for index, each in enumerate(prompts):
        places.setdefault(each.conversation or f"\0{index}", len(places))
    order = [places[each.conversation or f"\0{index}"] for index, each in enumerate(prompts)]
    return [prompts[index] for index in sorted(range(len(prompts)), key=order.__getitem__)]
