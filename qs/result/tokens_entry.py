"""What a case of a language model comes to, beside its measures: tokens per second, outcomes,
goodput, lengths, and single requests for a picture.
"""

from __future__ import annotations

from qs.result.part import Count, Number, Part


class GoodputEntry(Part):
    """Requests that kept every bound."""

    goals: list[str] = []
    """As they are typed: ttft=200ms."""
    good: Count = None
    good_per_s: Number = None
    half_width: Number = None
    """Of the 95 % interval of `good_per_s`."""
    batches: Count = None
    """How many batches of the run that interval is of."""


class TokenSeriesEntry(Part):
    """By windows of time from the start."""

    window_s: Number = None
    output_tokens: list[int] = []
    in_flight: list[Count] = []
    """Requests that were due and not answered at the end of each window."""
    ttft_p50_ms: list[Number] = []


class RequestEntry(Part):
    """One request, in ms from the start; null where it has no such moment."""

    due_ms: Number = None
    sent_ms: Number = None
    first_token_ms: Number = None
    last_ms: Number = None
    input_tokens: Count = None
    output_tokens: Count = None
    outcome: str = ""
    """"completed", or how it failed."""


class LengthsEntry(Part):
    """How many requests had how many tokens: [tokens, requests] pairs, by rising tokens. Of a wide
    spread, neighbours are put together under the lowest of them.
    """

    asked: list[tuple[int, int]] = []
    served: list[tuple[int, int]] = []


class TokensEntry(Part):
    """A case in tokens. Null: not measured."""

    api: str = ""
    streamed: bool | None = None
    counted_by: dict[str, Count] = {}
    """Requests by who counted their tokens: "server's usage", "tokenizer NAME"."""
    differing: Count = None
    """Requests whose tokens the server and the tokenizer count differently."""
    differing_tokens: Count = None
    """By how many tokens, all requests together."""
    events_shared: Count = None
    """Streams whose events' tokens are shared out rather than known."""
    input_tokens: Count = None
    output_tokens: Count = None
    reasoning_tokens: Count = None
    """Of the output tokens, as the server's usage names them."""
    cached_tokens: Count = None
    """Of the input tokens, those that the server had in its cache."""
    input_per_s: Number = None
    output_per_s: Number = None
    output_per_s_half_width: Number = None
    """Of its 95 % interval."""
    peak_output_per_s: Number = None
    """The most in a second."""
    output_per_s_of_user: Number = None
    """The median of the rate at which a user's own answer comes."""
    outcomes: dict[str, Count] = {}
    goodput: GoodputEntry | None = None
    events: Count = None
    """Of all answers, with tokens or without."""
    client_us_per_event: Number = None
    """CPU time of the client, over the events of the run."""
    client_us_per_stream: Number = None
    """The same over its requests."""
    reading_ms: Number = None
    """CPU time of reading the answers, after they were measured."""
    series: TokenSeriesEntry | None = None
    sample: list[RequestEntry] = []
    input_lengths: LengthsEntry | None = None
    output_lengths: LengthsEntry | None = None
    server_times: dict[str, dict[str, Number]] = {}
    """By name ("prefill", "decode"): what the server states, what the client saw, their difference,
    medians in ms."""
