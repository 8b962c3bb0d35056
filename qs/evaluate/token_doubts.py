"""What is to be doubted of a case of a language model, and what would remove it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qs.base.words import counted, number, percent
from qs.llm.asked import LlmAsked
from qs.llm.counts import (
    DIFFERING,
    EVENTS_SHARED,
    EVENTS_UNKNOWN,
    LATE_FAILURES,
    LONGER,
    ONE_READ,
    OTHER_INPUT,
    SHORTER,
    UNASKED_LENGTH,
    UNCOUNTED,
    UNREADABLE,
)
from qs.result.row import Row
from qs.result.verdict import DoubtEntry

# Shares of the answered requests above which something is said.
FEW, MANY = 0.01, 0.1


def doubts_of(row: Row, read: Mapping[str, int], asked: LlmAsked) -> Iterator[DoubtEntry]:
    """`read`: what the reader counted over all answers."""
    answered = row.completed or 0
    if not answered:
        return

    def share(name: str) -> float:
        return read.get(name, 0) / answered

    def of_all(name: str) -> str:
        return f"{number(read.get(name, 0))} of {counted(answered, 'answer')}"

    other = share(SHORTER) + share(LONGER)
    if other > FEW:
        ways = [
            f"{number(read[name])} were {text}"
            for name, text in ((SHORTER, "shorter"), (LONGER, "longer"))
            if read.get(name)
        ]
        yield DoubtEntry(
            code="other_lengths",
            text=f"{percent(min(other, 1.0))} of the answers are not as long as was asked for: "
            f"{' and '.join(ways)}; they are another load than was meant",
            cure="--body ignore_eos=true, where the server knows it"
            if asked.exact_lengths != "always"
            else "lengths that the model gives",
        )
    if share(OTHER_INPUT) > FEW:
        yield DoubtEntry(
            code="other_prompts",
            text=f"{of_all(OTHER_INPUT)} were to prompts that the server counts otherwise than "
            "they were drawn",
            cure="--tokenizer with the tokenizer of this model",
        )
    if share(UNASKED_LENGTH) > MANY:
        yield DoubtEntry(
            code="cut_answers",
            text=f"{of_all(UNASKED_LENGTH)} ended by `length`, and no length was asked for: the "
            "server's own limit cuts them",
            cure="--output_tokens, which states a length",
        )
    if share(DIFFERING) > FEW:
        yield DoubtEntry(
            code="tokens_differ",
            text=f"the server's usage and the tokenizer differ in {of_all(DIFFERING)}; the "
            "server's count holds",
            cure="--tokenizer with the tokenizer of this model",
        )
    if share(UNCOUNTED) > FEW:
        yield DoubtEntry(
            code="tokens_uncounted",
            text=f"nobody counted the tokens of {of_all(UNCOUNTED)}: the server told no usage, and "
            "there is no tokenizer",
            cure="--tokenizer with the tokenizer of this model",
        )
    if share(ONE_READ) > MANY:
        yield DoubtEntry(
            code="buffered",
            text=f"all tokens of {of_all(ONE_READ)} came at once: something between the model and "
            "us gathers them, and no time between tokens is known",
            cure="the server itself as the address, without a proxy",
        )
    # Of answers whose tokens nobody counted it follows.
    unknown = read.get(EVENTS_UNKNOWN, 0) - read.get(UNCOUNTED, 0)
    if unknown / answered > FEW:
        yield DoubtEntry(
            code="events_uncounted",
            text=f"how many tokens an event carries is unknown in {number(unknown)} of "
            f"{counted(answered, 'answer')}: their text cannot hold what the server counts; they "
            "are in no time between tokens",
            cure="--tokenizer with the tokenizer of this model",
        )
    elif share(EVENTS_SHARED) > MANY:
        yield DoubtEntry(
            code="events_shared_out",
            text=f"events carry several tokens in {of_all(EVENTS_SHARED)}, and how many is worked "
            "out from their text: the time between tokens is spread over them",
            cure="event_gap, which is the time between events themselves",
        )
    if read.get(LATE_FAILURES):
        yield DoubtEntry(
            code="failed_when_read",
            text=f"{of_all(LATE_FAILURES)} turned out to have failed when they were read: they "
            "count as completed, and are in no measure",
        )
    if read.get(UNREADABLE):
        yield DoubtEntry(
            code="unreadable",
            text=f"{of_all(UNREADABLE)} could not be read: they are in no measure",
        )
