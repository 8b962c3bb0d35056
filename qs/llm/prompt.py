"""One prompt: what is asked, how long the answer is to be, and what is known of it; and its form as
one line of JSON, in which it travels as a sample and stands in a user's file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from qs.base import bounds, jsonc
from qs.base.errors import Fault, Faults, UserError

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
# Fields of a body that are ours to set, and how the user says them.
OURS = {
    "model": "--model",
    "stream": "--no_stream",
    "messages": "--prompts",
    "prompt": "--prompts",
    "input": "--prompts",
}
MOST_TOKENS = 100_000_000  # of a prompt or an answer: far above what any model takes


@dataclass(frozen=True)
class Message:
    role: str  # one of ROLES
    content: str
    # the message as it was written, where it is more than role and text: pictures, tool calls
    raw: Mapping[str, Any] | None = None

    def as_sent(self) -> Mapping[str, Any]:
        """As chat APIs take it."""
        return self.raw or {"role": self.role, "content": self.content}


@dataclass(frozen=True)
class Prompt:
    """What one request asks. Lengths are in tokens; None: not stated."""

    messages: tuple[Message, ...]
    id: str = ""
    # of the messages' own text, as drawn or stated; what the server counts is in its answer
    input_tokens: int | None = None
    # how long the answer is to be: sent as the most tokens, and where the server knows it as the
    # least as well
    output_tokens: int | None = None
    # the least, where it is not output_tokens; 0: output_tokens is a bound and no more
    min_tokens: int | None = None
    # of the request's body, over everything else
    body: Mapping[str, Any] = field(default_factory=dict)
    # the right answer, and what it is to be chosen from
    answer: str | None = None
    choices: tuple[str, ...] = ()
    # when it is due, in seconds from the start of a trace
    due_s: float | None = None
    # the conversation that it is a turn of, "" if of none; the pause before it. A turn's messages
    # are those that it adds; what was said before is its history (qs.llm.prompts.conversations)
    conversation: str = ""
    think_s: float = 0.0
    # what was answered when it was recorded: the history of the next turns, where that is asked for
    recorded: str | None = None

    @property
    def text(self) -> str:
        """For an API that takes a text: the contents of its messages, a blank line between."""
        return "\n\n".join(each.content for each in self.messages)


class PromptRequest(bytes):
    """A request as it is sent, head and body, with the prompt that it was made of. Whoever reads an
    answer finds it as `call.request`.
    """

    prompt: Prompt


def to_line(prompt: Prompt) -> str:
    """The prompt as JSON on one line; `from_line` makes the same of it."""
    return json.dumps(_object_of(prompt), ensure_ascii=False, separators=(",", ":"))


def from_line(line: str) -> Prompt:
    """A prompt of a line: a JSON object with "prompt" or "messages", or else plain text, which is
    what a user says. UserError says what is wrong with such an object.
    """
    if not line.lstrip().startswith("{"):
        return Prompt((Message("user", line),))
    try:
        value = jsonc.line(line, "prompt")
    except UserError:
        return Prompt((Message("user", line),))
    if not isinstance(value, dict) or not ("prompt" in value or "messages" in value):
        return Prompt((Message("user", line),))
    faults: list[Fault] = []
    prompt = prompt_of(
        value, lambda key, what, allowed: faults.append(Fault("prompt", key, what, allowed))
    )
    if prompt is None or faults:
        raise Faults(faults)
    return prompt


# What a fault is told by: the key, its value, and what is allowed.
Say = Callable[[str, object, str], None]


def prompt_of(value: Mapping[str, Any], say: Say) -> Prompt | None:
    """The prompt of an object; None after `say` was told why it is none. Keys beyond KEYS are for
    the caller to look at.
    """
    told: list[str] = []

    def tell(key: str, what: object, allowed: str) -> None:
        told.append(key)
        say(key, what, allowed)

    messages = _messages_of(value, tell)
    most = _tokens(value, "output_tokens", 1, tell)
    least = _tokens(value, "min_tokens", 0, tell)
    if most is None and (most := _tokens(value, "max_tokens", 1, tell)) is not None:
        least = least or 0
    if most is not None and least is not None and least > most:
        tell("min_tokens", least, f"at most the {most} of the answer's length")
    choices = _or_else(value.get("choices"), ())
    if not isinstance(choices, (list, tuple)) or not all(isinstance(it, str) for it in choices):
        tell("choices", choices, "a list of texts")
        choices = ()
    body = _or_else(value.get("body"), {})
    if not isinstance(body, dict):
        tell("body", body, "an object: fields of the request's body")
        body = {}
    for name in body:
        if name in OURS:
            other = "this line" if OURS[name] == "--prompts" else OURS[name]
            tell(
                f"body.{name}", body[name], f"fields that we do not set ourselves; {other} says it"
            )
    prompt = Prompt(
        messages,
        id=_text(value, "id", tell) or "",
        input_tokens=_tokens(value, "input_tokens", 0, tell),
        output_tokens=most,
        min_tokens=least,
        body=body,
        answer=_text(value, "answer", tell),
        choices=tuple(choices),
        due_s=_seconds(value, "due_s", tell),
        conversation=_text(value, "conversation", tell) or "",
        think_s=_seconds(value, "think_s", tell) or 0.0,
        recorded=_text(value, "recorded", tell),
    )
    return None if told else prompt


KEYS = (
    *("prompt", "messages", "system", "id", "input_tokens", "output_tokens", "max_tokens"),
    *("min_tokens", "body", "answer", "choices", "due_s", "conversation", "think_s", "recorded"),
)


def messages_of(value: object, say: Say) -> tuple[Message, ...]:
    """The messages of a list of objects with "role" and "content"; those that are none are told."""
    if not isinstance(value, (list, tuple)) or not value:
        say("messages", value, "a list of at least one message")
        return ()
    return tuple(
        message
        for index, each in enumerate(value)
        if (message := _message(f"messages[{index}]", each, say)) is not None
    )


def _message(key: str, value: object, say: Say) -> Message | None:
    if not isinstance(value, dict):
        say(key, value, 'an object with "role" and "content"')
        return None
    role, content = value.get("role"), value.get("content")
    if role not in ROLES:
        say(f"{key}.role", role, f"one of {', '.join(ROLES)}")
        return None
    if isinstance(content, str):
        plain = len(value) == 2
        return Message(role, content, None if plain else value)
    if isinstance(content, list):
        return Message(role, "\n".join(_texts_of(content)), value)
    if content is None and len(value) > 1 and "tool_calls" in value:
        return Message(role, "", value)
    say(f"{key}.content", content, "a text, or a list of parts")
    return None


def _texts_of(parts: Iterable[object]) -> Iterable[str]:
    for part in parts:
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            yield text


def _messages_of(value: Mapping[str, Any], say: Say) -> tuple[Message, ...]:
    if "messages" in value:
        if "prompt" in value:
            say("prompt", value["prompt"], 'one of "prompt" and "messages"')
        messages = messages_of(value["messages"], say)
    elif isinstance(value.get("prompt"), str):
        messages = (Message("user", value["prompt"]),)
    else:
        say("prompt", value.get("prompt"), 'a text; or "messages", a list')
        messages = ()
    system = _text(value, "system", say)
    return messages if system is None else (Message("system", system), *messages)


def _or_else(found: Any, default: Any) -> Any:
    return default if found is None else found


def _text(value: Mapping[str, Any], key: str, say: Say) -> str | None:
    found = value.get(key)
    if key in ("id", "answer", "conversation") and type(found) in (int, float):
        return str(found)  # written as numbers by many
    if found is not None and not isinstance(found, str):
        say(key, found, "a text")
        return None
    return found


def _tokens(value: Mapping[str, Any], key: str, least: int, say: Say) -> int | None:
    found = value.get(key)
    if found is None:
        return None
    if type(found) is not int or not least <= found <= MOST_TOKENS:
        say(key, found, f"a whole number from {least} to {MOST_TOKENS:,}")
        return None
    return found


def _seconds(value: Mapping[str, Any], key: str, say: Say) -> float | None:
    found = value.get(key)
    if found is None:
        return None
    if type(found) not in (int, float) or not 0 <= found <= bounds.SECONDS:
        say(key, found, "seconds, at least 0")
        return None
    return float(found)


def _object_of(prompt: Prompt) -> dict[str, Any]:
    first = prompt.messages[0].content if prompt.messages else ""
    made: dict[str, Any] = (
        {"prompt": first}
        if prompt.messages == (Message("user", first),)
        else {"messages": [each.as_sent() for each in prompt.messages]}
    )
    for key, default in _DEFAULTS.items():
        value = getattr(prompt, key)
        if value != default:
            made[key] = dict(value) if key == "body" else value
    return made


_DEFAULTS: Mapping[str, object] = {
    each.name: {} if each.name == "body" else each.default
    for each in fields(Prompt)
    if each.name != "messages"
}


def is_number(value: object) -> bool:
    """Whether it is a finite number; True and False are none."""
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
