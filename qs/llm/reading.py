"""Reads the answers of a run's requests, when nothing is measured any more, and works out all that
`qs.llm.measures` and `qs.llm.counts` name.

A request that failed has no measure: what came of its answer is in no figure. An answer that turns
out to have failed, which a judge had let pass, has the word of its failure as its outcome, and no
measure either.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from time import thread_time_ns
from typing import Any

import numpy as np

from qs.engine import NOT_MEASURED, Ended, Reading
from qs.llm import counts
from qs.llm.answer import Answer, Finish
from qs.llm.answered import Answered, count_tokens, read_call
from qs.llm.apis.api import Api
from qs.llm.asked import LlmAsked
from qs.llm.counts import ASKED_INPUT, ASKED_OUTPUT
from qs.llm.definitions import (
    Known,
    event_gaps,
    from_to,
    measured,
    normalised_ns,
    per_token_ns,
    rate,
    token_gaps,
)
from qs.llm.measures import (
    CACHED_TOKENS,
    COUNTED_TOKENS,
    DECODE,
    DECODE_RATE,
    EVENT_GAP,
    GENERATION,
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
from qs.llm.tokenizing import Tokenizer

NS_PER_MS = 1_000_000
_UNKNOWN = array("q", [-1])
# Tokens that a server adds to a prompt's text: a chat template, which may have a system message of
# its own; else marks of its beginning and its end.
_TEMPLATED = ("chat", "responses", "messages")
_MOST_ADDED, _MOST_SPECIAL = 512, 2
# Under any of these names a request may say how long its answer may be.
_LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


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
        found: list[Answered | None] = []
        for each in ended:
            made = None if each.failure is not None else read_call(each.call, api, streamed, count)
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
            count_tokens(tokenizer, [each for each in found if each is not None], generates)
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


class _Streams:
    """Events with tokens of all answers, one after the other."""

    def __init__(self) -> None:
        self._instants = array("q")
        self._tokens = array("q")  # -1: not known
        self._sizes = array("q")  # events by answer
        # What happened: tokens that came at an instant.
        self._came = array("q")
        self._amounts = array("q")

    def add(self, instants: Sequence[int], tokens: Sequence[int]) -> None:
        self._instants.extend(instants)
        self._tokens.extend(tokens or _UNKNOWN * len(instants))
        self._sizes.append(len(instants))

    def happened(self, instants: Sequence[int], amounts: Sequence[int]) -> None:
        self._came.extend(instants)
        self._amounts.extend(amounts)

    def together(self, streamed: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        """(many, happened) of a Reading."""
        happened = {OUTPUT: (_array(self._came), _array(self._amounts))}
        if not streamed:
            return {}, happened
        instants, tokens, sizes = map(_array, (self._instants, self._tokens, self._sizes))
        answers = np.repeat(np.arange(len(sizes)), sizes)
        gaps = event_gaps(instants, answers)
        known = tokens >= 0
        between = token_gaps(instants[known], answers[known], tokens[known])
        return {EVENT_GAP.name: tuple(gaps), ITL.name: tuple(between)}, happened


def _array(values: array[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def _measured(
    each: Ended, made: Answered, streams: _Streams, streamed: bool, count: Counter[str]
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
    found[GENERATION.name] = from_to(first_ns, made.finished_ns)
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


def _compare(made: Answered, values: dict[str, int], asked: LlmAsked, count: Counter[str]) -> None:
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
    added = _MOST_ADDED if asked.api in _TEMPLATED else _MOST_SPECIAL
    if wanted >= 0 and given >= 0 and not wanted <= given <= wanted + added:
        count[counts.OTHER_INPUT] += 1
    wanted = values[ASKED_OUTPUT.name]
    if wanted >= 0 and output >= 0:
        least = wanted if prompt is None or prompt.min_tokens is None else prompt.min_tokens
        count[counts.SHORTER] += output < least
        count[counts.LONGER] += output > wanted
    elif wanted < 0 and answer.finish is Finish.LENGTH:
        stated = {**asked.body, **(prompt.body if prompt else {})}
        count[counts.UNASKED_LENGTH] += not any(name in stated for name in _LENGTHS)
