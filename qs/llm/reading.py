"""Reads the answers of a run's requests, when nothing is measured any more, and works out all that
`qs.llm.measures` and `qs.llm.counts` name.

A request that failed has no measure: what came of its answer is in no figure. An answer that turns
out to have failed, which a judge had let pass, has the word of its failure as its outcome, and no
measure either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import thread_time_ns
from typing import Any

import numpy as np

from qs.engine import NOT_MEASURED, Ended, Reading
from qs.llm import counts
from qs.llm.answer import Answer, Channel, Delta, Finish
from qs.llm.apis.api import Api
from qs.llm.asked import LlmAsked
from qs.llm.counts import ASKED_INPUT, ASKED_OUTPUT
from qs.llm.definitions import (
    UNKNOWN,
    Carried,
    Known,
    event_gaps,
    from_to,
    measured,
    normalised_ns,
    per_token_ns,
    plausible,
    rate,
    shared_out,
    token_gaps,
    told,
    without_end,
)
from qs.llm.events import comments, events
from qs.llm.measures import (
    CACHED_TOKENS,
    COUNTED_TOKENS,
    DECODE,
    DECODE_RATE,
    EVENT_GAP,
    INPUT_TOKENS,
    ITL,
    NORMALISED,
    OUTPUT,
    OUTPUT_TOKENS,
    PREFILL_RATE,
    REASONING_TOKENS,
    SERVER_DECODE,
    SERVER_PREFILL,
    TPOT,
    TTFT,
    TTFT_SENT,
    measures_of,
)
from qs.llm.outcomes import verdict
from qs.llm.prompt import Prompt
from qs.llm.tokenizing import Tokenizer

NS_PER_MS = 1_000_000
# Under any of these names a request may say how long its answer may be.
_LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


@dataclass
class _Read:
    """An answer, and of each of its events with tokens: when it came, which delta is its first, and
    what the server had counted by then.
    """

    answer: Answer
    prompt: Prompt | None
    instants: list[int] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)
    usages: list[int | None] = field(default_factory=list)
    listed: list[int] = field(default_factory=list)
    # by the tokenizer: of the whole answer, of the prompt, of the text of each event
    counted: int | None = None
    counted_input: int | None = None
    weights: list[int] | None = None

    def output_tokens(self) -> int | None:
        """By the server, wherever it says so."""
        answer = self.answer
        if answer.output_tokens is not None:
            return answer.output_tokens
        predicted = answer.timings.get("predicted_n")
        if predicted is not None and 0 <= predicted < 1 << 53:
            return int(predicted)
        return answer.listed_tokens or None

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


def reader(
    api: Api, asked: LlmAsked, tokenizer: Tokenizer | None
) -> Callable[[Sequence[Ended]], Reading]:
    """What the engine reads with. A call that brings a `PromptRequest` is compared with what that
    asks for.
    """
    generates = asked.api != "embeddings"
    streamed = asked.stream and generates
    names = [
        *(each.name for each in measures_of(asked.api, streamed) if not each.many),
        *(each.name for each in (ASKED_INPUT, ASKED_OUTPUT)),
    ]

    def read(ended: Sequence[Ended]) -> Reading:
        began_ns = thread_time_ns()
        count: Counter[str] = Counter()
        outcomes: list[str] = []
        found: list[_Read | None] = []
        for each in ended:
            made = None if each.failure is not None else _read(each.call, api, streamed, count)
            word = ""
            if made is not None:
                failed = verdict(made.answer, streamed)
                if failed is not None:
                    count[counts.LATE_FAILURES] += 1
                    word, made = failed.value, None
                elif generates:
                    word = (made.answer.finish or Finish.OTHER).value
            outcomes.append(word)
            found.append(made)
        if tokenizer is not None:
            _count(tokenizer, [each for each in found if each is not None], generates)
        values = {name: np.full(len(ended), NOT_MEASURED, np.int64) for name in names}
        streams = _Streams()
        for row, (each, made) in enumerate(zip(ended, found, strict=True)):
            if made is None:
                continue
            told_of = _measured(each, made, streams, streamed, count)
            _compare(made, told_of, asked, count)
            for name, value in told_of.items():
                if name in values:
                    values[name][row] = value
        many, happened = streams.together(streamed)
        count[counts.READING_NS] += thread_time_ns() - began_ns
        return Reading(
            values=values,
            many=many,
            outcomes=outcomes,
            happened=happened if generates else {},
            counts=dict(count),
        )

    return read


def _read(call: Any, api: Api, streamed: bool, count: Counter[str]) -> _Read | None:
    """None for a call that cannot be read, which a bug alone can bring about."""
    answer = Answer()
    made = _Read(answer, getattr(call.request, "prompt", None))
    body = call.body if isinstance(call.body, bytes) else bytes(call.body)
    try:
        if not streamed:
            api.read_whole(body, answer)
            return made
        deltas, read_event = answer.deltas, api.read_event
        for event in events(body, call.marks):
            before = len(deltas)
            read_event(event, answer)
            if len(deltas) > before:
                made.instants.append(event[0])
                made.firsts.append(before)
                made.usages.append(answer.output_tokens)
                made.listed.append(answer.listed_tokens)
        answer.other_events += comments(body)
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError):
        count[counts.UNREADABLE] += 1
        return None
    count[counts.TOKEN_EVENTS] += len(made.instants)
    count[counts.EVENTS] += len(made.instants) + answer.other_events
    return made


def _count(tokenizer: Tokenizer, found: Sequence[_Read], generates: bool) -> None:
    """Have all texts counted that need it, in two goes: whole ones, then those of events whose
    tokens are not known.
    """
    asked = [each for each in found if each.prompt is not None]
    texts = [each.prompt.text for each in asked if each.prompt is not None]
    for each, tokens in zip(asked, tokenizer.count(texts), strict=True):
        each.counted_input = tokens if tokens >= 0 else None
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


class _Streams:
    """Events with tokens of all answers, one after the other."""

    def __init__(self) -> None:
        self.instants: list[int] = []
        self.answers: list[int] = []
        self.tokens: list[int] = []  # -1: not known
        # What happened: tokens that came at an instant.
        self.came: list[int] = []
        self.amounts: list[int] = []
        self._answers = 0

    def add(self, instants: Sequence[int], tokens: Sequence[int]) -> None:
        self._answers += 1
        self.instants += instants
        self.answers += [self._answers] * len(instants)
        self.tokens += tokens or [-1] * len(instants)

    def happened(self, instants: Sequence[int], amounts: Sequence[int]) -> None:
        self.came += instants
        self.amounts += amounts

    def together(self, streamed: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        """(many, happened) of a Reading."""
        happened = {OUTPUT: (_array(self.came), _array(self.amounts))}
        if not streamed:
            return {}, happened
        instants, answers, tokens = map(_array, (self.instants, self.answers, self.tokens))
        gaps = event_gaps(instants, answers)
        known = tokens >= 0
        between = token_gaps(instants[known], answers[known], tokens[known])
        return {EVENT_GAP.name: tuple(gaps), ITL.name: tuple(between)}, happened


def _array(values: Sequence[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def _measured(
    each: Ended, made: _Read, streams: _Streams, streamed: bool, count: Counter[str]
) -> dict[str, int]:
    """The values of one request by measure, and its events added to `streams`."""
    call, answer = each.call, made.answer
    output = made.output_tokens()
    if output is None:
        output = made.counted
    given = answer.input_tokens if answer.input_tokens is not None else made.counted_input
    prompt = made.prompt
    output_tokens = measured(output)
    found = {
        INPUT_TOKENS.name: measured(given),
        OUTPUT_TOKENS.name: output_tokens,
        REASONING_TOKENS.name: measured(answer.reasoning_tokens),
        CACHED_TOKENS.name: measured(answer.cached_tokens),
        COUNTED_TOKENS.name: measured(made.counted),
        NORMALISED.name: normalised_ns(each.due_ns, call.last_ns, output_tokens),
        SERVER_PREFILL.name: _stated(answer, "prompt_ms"),
        SERVER_DECODE.name: _stated(answer, "predicted_ms"),
        ASKED_INPUT.name: measured(prompt.input_tokens if prompt else None),
        ASKED_OUTPUT.name: measured(prompt.output_tokens if prompt else None),
    }
    if not streamed:
        if output_tokens > 0:
            streams.happened([call.last_ns], [output_tokens])
        return found
    instants = made.instants
    if not instants or not instants[0]:
        return found
    first_ns, last_ns = instants[0], instants[-1]
    found[TTFT.name] = from_to(each.due_ns, first_ns)
    found[TTFT_SENT.name] = sent = from_to(call.sent_ns, first_ns)
    found[PREFILL_RATE.name] = rate(found[INPUT_TOKENS.name], sent, PREFILL_RATE.scale)
    found[DECODE.name] = from_to(first_ns, last_ns)
    carried = made.carried()
    shown = sum(carried.tokens)
    found[TPOT.name] = per_token_ns(first_ns, last_ns, shown)
    found[DECODE_RATE.name] = rate(shown - 1, last_ns - first_ns, DECODE_RATE.scale)
    if first_ns == last_ns and (len(instants) > 1 or shown > 1):
        count[counts.ONE_READ] += 1
    else:
        streams.add(instants, carried.tokens)
    if carried.known is Known.UNKNOWN:
        count[counts.EVENTS_UNKNOWN] += 1
        if output_tokens > 0:
            streams.happened([last_ns], [output_tokens])
        return found
    known = carried.known is Known.EACH
    count[counts.EVENTS_KNOWN if known else counts.EVENTS_SHARED] += 1
    # What has no text came with the last of it, as far as anybody can tell.
    streams.happened([*instants, last_ns], [*carried.tokens, max(output_tokens - shown, 0)])
    return found


def _stated(answer: Answer, name: str) -> int:
    ms = answer.timings.get(name)
    return NOT_MEASURED if ms is None or ms <= 0 else measured(ms * NS_PER_MS)


def _compare(made: _Read, values: dict[str, int], asked: LlmAsked, count: Counter[str]) -> None:
    """Count who counted, and where what was asked for, told and counted differ."""
    answer, prompt = made.answer, made.prompt
    output, given = values[OUTPUT_TOKENS.name], values[INPUT_TOKENS.name]
    if made.output_tokens() is not None:
        count[counts.BY_USAGE] += 1
    elif made.counted is not None:
        count[counts.BY_TOKENIZER] += 1
    else:
        count[counts.UNCOUNTED] += 1
    usage = made.output_tokens()
    if usage is not None and made.counted is not None:
        shown = made.shown_tokens() or 0
        if shown != made.counted:
            count[counts.DIFFERING] += 1
            count[counts.DIFFERENCE] += abs(shown - made.counted)
    count[counts.REASONING] += answer.reasoning_tokens or 0
    count[counts.CACHED] += answer.cached_tokens or 0
    wanted = values[ASKED_INPUT.name]
    if wanted >= 0 and given >= 0 and wanted != given:
        count[counts.OTHER_INPUT] += 1
    wanted = values[ASKED_OUTPUT.name]
    if wanted >= 0 and output >= 0:
        count[counts.SHORTER] += output < wanted
        count[counts.LONGER] += output > wanted
    elif wanted < 0 and answer.finish is Finish.LENGTH:
        stated = {**asked.body, **(prompt.body if prompt else {})}
        count[counts.UNASKED_LENGTH] += not any(name in stated for name in _LENGTHS)
