"""What is measured of a request to a language model, by name. docs/llm-definitions.md has the
definitions.
"""

from __future__ import annotations

from qs.engine import Measure

# Times in ns: from due is from when the request was due, from sent from its first byte's sending.
TTFT = Measure("ttft")  # to the first byte of the first event with a token, from due
TTFT_SENT = Measure("ttft_sent")  # the same, from sent
ITL = Measure("itl", many=True)  # between tokens: an event's gap spread over its tokens
EVENT_GAP = Measure("event_gap", many=True)  # between events with tokens
TPOT = Measure("tpot")  # (last - first) / (tokens - 1)
DECODE = Measure("decode")  # last - first: from the first event with a token to the last one
NORMALISED = Measure("normalised")  # (last byte - due) / output tokens
PREFILL_RATE = Measure("prefill_rate", "tokens/s", 1000, more_is_better=True)
DECODE_RATE = Measure("decode_rate", "tokens/s", 1000, more_is_better=True)  # of one user
INPUT_TOKENS = Measure("input_tokens", "tokens")
OUTPUT_TOKENS = Measure("output_tokens", "tokens")
# Of the output tokens, by the server's usage.
REASONING_TOKENS = Measure("reasoning_tokens", "tokens")
# Of the input tokens, those that the server had in its cache, by its usage.
CACHED_TOKENS = Measure("cached_tokens", "tokens")
# By the tokenizer, where the server's usage says it as well: OUTPUT_TOKENS are the server's then.
COUNTED_TOKENS = Measure("counted_tokens", "tokens")
# As the prompt states them.
INPUT_ASKED = Measure("input_asked", "tokens")
OUTPUT_ASKED = Measure("output_asked", "tokens")
# What a server says of itself (`timings` of llama.cpp): beside TTFT_SENT, and beside DECODE.
SERVER_PREFILL = Measure("server_prefill")
SERVER_DECODE = Measure("server_decode")

STREAMED = (TTFT, TTFT_SENT, ITL, EVENT_GAP, TPOT, DECODE, PREFILL_RATE, DECODE_RATE)
GENERATED = (
    NORMALISED,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    REASONING_TOKENS,
    CACHED_TOKENS,
    COUNTED_TOKENS,
    INPUT_ASKED,
    OUTPUT_ASKED,
    SERVER_PREFILL,
    SERVER_DECODE,
)
EMBEDDED = (INPUT_TOKENS, INPUT_ASKED)
MEASURES = (*STREAMED, *GENERATED)
BY_NAME = {measure.name: measure for measure in MEASURES}
# What happens at an instant, counted by windows of time.
OUTPUT = "output tokens"


class Counted:
    """The names of `Reading.counts`, which are sums over all requests that have not failed."""

    REQUESTS = "requests read"
    # events with a token; all others (role only, empty, usage, comments)
    EVENTS = "events"
    OTHER_EVENTS = "other events"
    INPUT = "input tokens"
    OUTPUT = "output tokens"
    REASONING = "reasoning tokens"
    CACHED = "cached tokens"
    # Requests by what counted their output tokens.
    BY_USAGE = "by the server's usage"
    BY_TOKENIZER = "by the tokenizer"
    BY_NOBODY = "by nobody"
    # Requests whose output tokens the server and the tokenizer count differently, and by how many
    # tokens in all. A last token that ends the answer and has no text is no difference.
    DIFFERING = "differing requests"
    DIFFERING_TOKENS = "differing tokens"
    # Requests that stated a length and were counted, and those of them that came out otherwise.
    INPUT_ASKED = "input lengths asked"
    INPUT_OTHERWISE = "input lengths otherwise"
    OUTPUT_ASKED = "output lengths asked"
    OUTPUT_OTHERWISE = "output lengths otherwise"
    # Streams whose tokens all came in one read: no time between them was measured.
    IN_ONE_READ = "streams in one read"
    # Requests whose events' tokens are known (one each, or told by the server), and those where
    # they are shared out by the tokenizer or by the length of the text.
    TOKENS_KNOWN = "events' tokens known"
    TOKENS_SHARED_OUT = "events' tokens shared out"


def measures_of(api: str, stream: bool) -> tuple[Measure, ...]:
    """Those that such requests can have."""
    if api == "embeddings":
        return EMBEDDED
    return MEASURES if stream else GENERATED
