"""A language model behind an API: which API, its key, and what it is asked. Lengths and files are
read where the prompts are made (docs/prompts.md).
"""

from __future__ import annotations

from qs.cli.basic_types import FilePath, OneOf, Whole
from qs.cli.grouping import LLM, together, under
from qs.cli.llm_types import BodyField, Key, Share
from qs.cli.types import Seconds
from qs.llm.asked import APIS, FORMATS, MOST_PREFIXES, MOST_PROMPTS, MOST_RETRIES, MOST_TURNS

_llm = under(LLM)

llm = together(
    _llm(
        "--api",
        type=OneOf(list(APIS)),
        help="Which of the server's APIs is asked.  [default: chat]",
    ),
    _llm("--no_stream", is_flag=True, help="Ask for whole answers, not for streams of events."),
    _llm(
        "--api_key",
        type=Key(),
        help="Where the key is read: @env:NAME or @file:PATH. It is never shown or kept.",
    ),
    _llm(
        "--body",
        type=BodyField(),
        multiple=True,
        help="A field of every request's body: temperature=0, a.b=true for a nested one. The value "
        "is JSON, or text. Repeatable.",
    ),
    _llm(
        "--prompts",
        type=FilePath(),
        help="A file of prompts, conversations or a trace: JSONL, ShareGPT, Mooncake, CSV; see "
        "docs/prompts.md.",
    ),
    _llm(
        "--prompt_format",
        type=OneOf(list(FORMATS)),
        help="What kind of file that is.  [default: auto, as its lines look]",
        rare=True,
    ),
    _llm(
        "--input_tokens",
        metavar="LENGTHS",
        help="Make prompts of so many tokens: 512, normal:512,64, lognormal:512,0.5 or "
        "histogram:FILE.",
    ),
    _llm(
        "--output_tokens",
        metavar="LENGTHS",
        help="How many tokens are asked for, at most; exactly, where the server knows how.",
    ),
    _llm(
        "--prefix_share",
        type=Share(),
        help="The share of each made prompt that it has in common with others: 0.3 or 30%.",
        rare=True,
    ),
    _llm(
        "--prefixes",
        type=Whole(1, MOST_PREFIXES),
        help="How many such prefixes there are.  [default: 1]",
        rare=True,
    ),
    _llm(
        "--prompt_count",
        type=Whole(1, MOST_PROMPTS),
        help="How many distinct prompts.  [default: all of a file, 64 that are made]",
        rare=True,
    ),
    _llm(
        "--turns",
        type=Whole(1, MOST_TURNS),
        help="Make conversations of so many turns.  [default: 1]",
        rare=True,
    ),
    _llm(
        "--history",
        type=OneOf(["served", "recorded"]),
        help="What a conversation's next turn is sent after: the answers that the server gave, or "
        "those in the file.  [default: served]",
        rare=True,
    ),
    _llm(
        "--tokenizer",
        metavar="FILE",
        help="What counts tokens where the server does not: a tokenizer.json, a folder with one, "
        "server (its endpoint) or none.",
        rare=True,
    ),
    _llm(
        "--exact_lengths",
        type=OneOf(["auto", "always", "never"]),
        help="Whether min_tokens and ignore_eos are sent, so that answers are as long as asked.  "
        "[default: auto, where the server knows them]",
        rare=True,
    ),
    _llm(
        "--retries",
        type=Whole(0, MOST_RETRIES),
        help="Obey an answer 429 or 503 with Retry-After so many times; waiting is part of the "
        "response time.  [default: 0, it has failed]",
        rare=True,
    ),
    _llm(
        "--stall_timeout",
        "stall_timeout_s",
        type=Seconds(),
        help="Longest time between two parts of a stream.",
        rare=True,
    ),
    _llm(
        "--score",
        type=OneOf(["exact", "choice"]),
        help="Score the answers by what the prompts' file says is right; see docs/llm-answers.md.",
        rare=True,
    ),
)
