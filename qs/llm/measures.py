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
# From first to the event that says why the answer ended: with the token that ends it and has no
# text, which servers count among those that they time.
GENERATION = Measure("generation")
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
# What a server says of itself (`timings` of llama.cpp): beside TTFT_SENT, and beside GENERATION.
SERVER_PREFILL = Measure("server_prefill")
SERVER_DECODE = Measure("server_decode")

STREAMED = (TTFT, TTFT_SENT, ITL, EVENT_GAP, TPOT, DECODE, GENERATION, PREFILL_RATE, DECODE_RATE)
GENERATED = (
    NORMALISED,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    REASONING_TOKENS,
    CACHED_TOKENS,
    COUNTED_TOKENS,
    SERVER_PREFILL,
    SERVER_DECODE,
)
EMBEDDED = (INPUT_TOKENS,)
MEASURES = (*STREAMED, *GENERATED)
BY_NAME = {measure.name: measure for measure in MEASURES}
# What happens at an instant, counted by windows of time.
OUTPUT = "output tokens"


def measures_of(api: str, stream: bool) -> tuple[Measure, ...]:
    """Those that such requests can have."""
    if api == "embeddings":
        return EMBEDDED
    return MEASURES if stream else GENERATED
