"""The definitions of what is measured of an answer that comes in events, as arithmetic: how many
tokens an event carries, and what lies between. docs/llm-definitions.md states them in words.

Everything is in whole numbers: ns of one clock, and tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np

from qs.engine import NOT_MEASURED

# Larger values are nobody's measure: a server that tells them is not believed.
MOST = 1 << 53
NS_PER_S = 1_000_000_000
# So many more tokens than bytes of text are believed: ends and marks of channels have no text.
MOST_WITHOUT_TEXT = 16


class Known(Enum):
    """How it is known what the events of an answer carry."""

    EACH = "each"  # one each, or as the server or the tokenizer says
    SHARED = "shared"  # shared out by weight
    UNKNOWN = "unknown"


class Carried(NamedTuple):
    """Tokens by event, those with tokens alone."""

    known: Known
    # as many as there are events; empty where it is unknown
    tokens: Sequence[int]


UNKNOWN = Carried(Known.UNKNOWN, ())


def told(totals: Sequence[int | None], most: int | None) -> Carried:
    """Of totals that the server states with each event, as of that event: `most` is its last word
    on them, and the end of an answer may be all that they lack. UNKNOWN if they are no such totals.
    """
    before = 0
    tokens: list[int] = []
    for total in totals:
        if total is None or total < before:
            return UNKNOWN
        tokens.append(total - before)
        before = total
    if not before or not tokens[0] or (most is not None and not most - 1 <= before <= most):
        return UNKNOWN
    # The same figure with each event was not counted as they came.
    return UNKNOWN if len(tokens) > 1 and not any(tokens[1:]) else Carried(Known.EACH, tokens)


def shared_out(total: int, weights: Sequence[int]) -> Carried:
    """`total` tokens over events in proportion to their weights (tokens by the tokenizer, or bytes
    of text): at least one each, and the rest by weight; fewer tokens than events by weight alone,
    the first event having one at least. They are the weights themselves if those sum up to it.
    """
    events = len(weights)
    if not events or total < 1:
        return UNKNOWN
    if total == events:
        return Carried(Known.EACH, [1] * events)
    share = np.asarray(weights, dtype=np.float64)
    whole = int(share.sum())
    if whole == total and share.min() > 0:
        return Carried(Known.SHARED, list(weights))
    share = share / whole if whole else np.full(events, 1 / events)
    if total > events:
        # By the running sum, so that no rounding is lost.
        more = np.rint(np.cumsum(share) * (total - events)).astype(np.int64)
        more[-1] = total - events
        tokens = 1 + np.diff(more, prepend=0)
    else:
        some = np.ceil(np.cumsum(share) * total - 1e-9).astype(np.int64)
        some[-1] = total
        tokens = np.diff(np.minimum(np.maximum(some, 1), total), prepend=0)
    return Carried(Known.SHARED, tokens.tolist())


def without_end(total: int, events: int, counted: int | None, stopped: bool) -> int:
    """Of the tokens that a server counts, those that the events can carry: the one that ends an
    answer has no text, and many servers count it. It is known by the tokenizer's count of the text,
    or by the number of events.
    """
    if not stopped or total < 2:
        return total
    return total - 1 if total - 1 == (events if counted is None else counted) else total


def plausible(total: int, text_bytes: int, events: int) -> bool:
    """Whether a text can have so many tokens. A server that keeps its reasoning to itself counts
    more, and some count wrongly.
    """
    return total <= text_bytes + events + MOST_WITHOUT_TEXT


def per_token_ns(first_ns: int, last_ns: int, tokens: int) -> int:
    """TPOT: (last - first) / (tokens - 1). Of tokens that came at one instant there is none."""
    if tokens < 2 or last_ns <= first_ns:
        return NOT_MEASURED
    return round_div(last_ns - first_ns, tokens - 1)


def rate(tokens: int, over_ns: int, scale: int) -> int:
    """tokens / time, in 1/scale tokens per second."""
    if tokens < 1 or over_ns < 1:
        return NOT_MEASURED
    return measured(round_div(tokens * NS_PER_S * scale, over_ns))


def from_to(start_ns: int, end_ns: int) -> int:
    """Not measured if one of them is not known, or nothing lies between: a first token 0 ns after
    the request is none.
    """
    return end_ns - start_ns if 0 < start_ns < end_ns else NOT_MEASURED


def normalised_ns(due_ns: int, last_ns: int, tokens: int) -> int:
    """(last byte - due) / output tokens."""
    whole = from_to(due_ns, last_ns)
    return round_div(whole, tokens) if whole > 0 and tokens > 0 else NOT_MEASURED


def measured(value: float | None) -> int:
    """What a server tells, as a value: NOT_MEASURED if it tells nothing, or nothing credible."""
    if value is None or not 0 <= value < MOST:
        return NOT_MEASURED
    return round(value)


def round_div(dividend: int, divisor: int) -> int:
    """Rounded half up."""
    return (2 * dividend + divisor) // (2 * divisor)


class Gaps(NamedTuple):
    """Times between events, or between tokens, of many answers: what and when."""

    values: np.ndarray
    instants: np.ndarray


def event_gaps(instants: np.ndarray, answers: np.ndarray) -> Gaps:
    """The gap before each event but an answer's first. `answers` numbers the answer of each event,
    those of one answer stand together.
    """
    if len(instants) < 2:
        return Gaps(np.empty(0, np.int64), np.empty(0, np.int64))
    within = answers[1:] == answers[:-1]
    return Gaps(np.diff(instants)[within], instants[1:][within])


def token_gaps(instants: np.ndarray, answers: np.ndarray, tokens: np.ndarray) -> Gaps:
    """ITL: the gap before an event is divided by the tokens that it carries, and counted that many
    times. An event that carries none (parts of a token) belongs to the next one. What an answer's
    first event carries has no gap before it.
    """
    carrying = tokens > 0
    instants, answers, tokens = instants[carrying], answers[carrying], tokens[carrying]
    gaps, at = event_gaps(instants, answers)
    if not len(gaps):
        return Gaps(gaps, at)
    times = tokens[1:][answers[1:] == answers[:-1]]
    return Gaps(np.repeat((2 * gaps + times) // (2 * times), times), np.repeat(at, times))
