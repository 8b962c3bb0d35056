"""One answer, its events and their times: what came of a call, and how many tokens each event
carries. What is measured of many is worked out by qs.llm.reading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from qs.llm import counts
from qs.llm.answer import Answer, Channel, Delta, Finish
from qs.llm.apis.api import Api
from qs.llm.apis.fields import whole_number
from qs.llm.definitions import (
    UNKNOWN,
    Carried,
    Known,
    plausible,
    shared_out,
    told,
    without_end,
)
from qs.llm.events import comments, events
from qs.llm.prompt import Prompt
from qs.llm.tokenizing import Tokenizer


@dataclass
class Answered:
    """An answer, and of each of its events with tokens: when it came, which delta is its first, and
    what the server had counted by then, if it counts with each.
    """

    answer: Answer
    prompt: Prompt | None
    instants: list[int] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)
    usages: list[int | None] = field(default_factory=list)
    listed: list[int] = field(default_factory=list)
    # when the event came that says why the answer ended; 0 if none does
    finished_ns: int = 0
    # by the tokenizer: of the whole answer, of the prompt, of the text of each event
    counted: int | None = None
    counted_input: int | None = None
    weights: list[int] | None = None

    def output_tokens(self) -> int | None:
        """By the server, wherever it says so."""
        answer = self.answer
        if answer.output_tokens is not None:
            return answer.output_tokens
        found = whole_number(answer.timings.get("predicted_n"))
        return answer.listed_tokens or None if found is None else found

    def shown_tokens(self) -> int | None:
        """Those of all tokens that the events carry."""
        total = self.output_tokens()
        if total is None:
            return self.counted
        answer = self.answer
        hidden = answer.reasoning_tokens or 0
        if hidden and not any(delta.channel is Channel.REASONING for delta in answer.deltas):
            # They were counted, and kept from us.
            total = max(total - hidden, 0)
        stopped = answer.finish in (Finish.STOP, Finish.TOOL_CALLS)
        return without_end(total, len(self.instants), self.counted, stopped)

    def text_bytes(self) -> list[int]:
        """Of each event's text."""
        return [len(text.encode("utf-8", "surrogatepass")) for text in self.texts()]

    def texts(self) -> Iterable[str]:
        """Of each event."""
        deltas = self.answer.deltas
        for first, end in zip(self.firsts, [*self.firsts[1:], len(deltas)], strict=True):
            yield "".join(delta.text for delta in deltas[first:end])

    def carried(self) -> Carried:
        """How many tokens each event carries."""
        total = self.output_tokens()
        for totals in (self.listed, self.usages):
            found = told(totals, total)
            if found is not UNKNOWN:
                return self._without_hidden(found)
        shown = self.shown_tokens()
        if shown is None or not shown:
            return UNKNOWN
        if shown == len(self.instants):
            return Carried(Known.EACH, [1] * shown)
        sizes = self.text_bytes()
        if not plausible(shown, sum(sizes), len(sizes)):
            return UNKNOWN
        if self.weights is None:
            return shared_out(shown, sizes)
        found = shared_out(shown, self.weights)
        # As the tokenizer counts them, if it agrees with the server on their sum.
        agreed = [*found.tokens] == self.weights
        return Carried(Known.EACH, found.tokens) if agreed else found

    def _without_hidden(self, found: Carried) -> Carried:
        """Tokens that were thought before the first event, and kept from us, are not its own."""
        first, *rest = found.tokens
        if first > 1 and not plausible(first, self.text_bytes()[0], 1):
            return Carried(found.known, [1, *rest])
        return found


def read_call(call: Any, api: Api, streamed: bool, count: Counter[str]) -> Answered | None:
    """None for a call that cannot be read, which a bug alone can bring about."""
    answer = Answer()
    made = Answered(answer, getattr(call.request, "prompt", None))
    body = call.body if isinstance(call.body, bytes) else bytes(call.body)
    try:
        if not streamed:
            api.read_whole(body, answer)
            return made
        deltas, read_event = answer.deltas, api.read_event
        instants, firsts = made.instants, made.firsts
        counted = False
        before = finished_ns = 0
        for event in events(body, call.marks):
            read_event(event, answer)
            if not finished_ns and answer.finish is not None:
                finished_ns = event[0]
            now = len(deltas)
            if now > before:
                if not before:
                    counted = answer.output_tokens is not None or answer.listed_tokens > 0
                instants.append(event[0])
                firsts.append(before)
                before = now
                if counted:
                    made.usages.append(answer.output_tokens)
                    made.listed.append(answer.listed_tokens)
        made.finished_ns = finished_ns
        answer.other_events += comments(body)
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError):
        count[counts.UNREADABLE] += 1
        return None
    count[counts.TOKEN_EVENTS] += len(made.instants)
    count[counts.EVENTS] += len(made.instants) + answer.other_events
    return made


def count_tokens(tokenizer: Tokenizer, found: Sequence[Answered], generates: bool) -> None:
    """Have all texts counted that need it, in two goes: whole ones, then those of events whose
    tokens are not known.
    """
    untold = [
        (each, each.prompt.text)
        for each in found
        if each.prompt is not None and each.answer.input_tokens is None
    ]
    # Prompts are used again and again.
    texts = list(dict.fromkeys(text for _, text in untold))
    inputs = dict(zip(texts, tokenizer.count(texts), strict=True))
    for each, text in untold:
        each.counted_input = inputs[text] if inputs[text] >= 0 else None
    if not generates:
        return
    parts = [(each, text) for each in found for text in _by_channel(each.answer.deltas)]
    for each in found:
        each.counted = 0
    for (each, _), tokens in zip(parts, tokenizer.count([text for _, text in parts]), strict=True):
        if tokens < 0:
            each.counted = None
        elif each.counted is not None:
            each.counted += tokens
    unknown = [each for each in found if each.instants and each.carried().known is not Known.EACH]
    pieces = [list(each.texts()) for each in unknown]
    sizes = iter(tokenizer.count([text for each in pieces for text in each]))
    for each, own in zip(unknown, pieces, strict=True):
        weights: list[int] = [next(sizes) for _ in own]
        each.weights = weights if min(weights) >= 0 and any(weights) else None


def _by_channel(deltas: Sequence[Delta]) -> list[str]:
    """The texts of an answer: of each channel, of each of several answers."""
    texts: dict[tuple[str, str], list[str]] = {}
    for delta in deltas:
        texts.setdefault((delta.channel.value, str(delta.choice)), []).append(delta.text)
    return ["".join(each) for each in texts.values()]
