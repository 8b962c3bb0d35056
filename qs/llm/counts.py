"""What a reader counts over all answers beside its measures: the names in `Reading.counts`, which a
run sums up in `RunResult.read`; and the lengths that were asked for, measures of their own, so that
lengths as drawn stand beside lengths as served. qs.evaluate.tokens makes a report of them.
"""

from __future__ import annotations

from qs.engine import Measure

# Of each request that was answered, as its prompt states it.
ASKED_INPUT = Measure("asked_input_tokens", "tokens")
ASKED_OUTPUT = Measure("asked_output_tokens", "tokens")
ASKED = (ASKED_INPUT, ASKED_OUTPUT)

# Requests by who counted their output tokens; each request is in one of them.
BY_USAGE = "counted by usage"
BY_TOKENIZER = "counted by tokenizer"
UNCOUNTED = "counted by nobody"
# Requests whose output tokens the server and the tokenizer count differently.
DIFFERING = "counted differently"
# Requests whose lengths are not those that were asked for. Of input: fewer tokens than were drawn,
# or more by more than a server adds to a text.
OTHER_INPUT = "other input length"
SHORTER = "shorter than asked"
LONGER = "longer than asked"
# Requests that ended by `length` though no length was asked for.
UNASKED_LENGTH = "ended by length unasked"
# Events of all answers, and those of them that carry tokens.
EVENTS = "events"
TOKEN_EVENTS = "events with tokens"
# CPU time of reading, in ns, and requests that could not be read.
READING_NS = "reading ns"
UNREADABLE = "unreadable"
# Tokens that the server's usage names apart: of the output, and of the input.
REASONING = "reasoning tokens"
CACHED = "cached tokens"
# By how many tokens the server and the tokenizer differ, all requests together.
DIFFERENCE = "tokens of difference"
# Streams by how it is known how many tokens each event carries: one each, or told by the server; or
# shared out by the tokenizer or the length of the text; or unknown, since nobody counts them, or
# the server counts more tokens than the text could have.
EVENTS_KNOWN = "tokens of events known"
EVENTS_SHARED = "tokens of events shared out"
EVENTS_UNKNOWN = "tokens of events unknown"
# Streams whose tokens all came in one read: there is no time between them.
ONE_READ = "tokens in one read"
# Streams whose answer was found to have failed when it was read, and not before.
LATE_FAILURES = "failed when read"
