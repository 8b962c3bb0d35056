"""Where the prompts of a run come from: a file of the user's, in one of six formats, or texts of
our own.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from qs.base.errors import Fault, Faults
from qs.llm.asked import LlmAsked
from qs.llm.prompt import Message, Prompt
from qs.llm.prompts.drawing import Stream
from qs.llm.prompts.jsonl import read_lines
from qs.llm.prompts.lengths import read_lengths
from qs.llm.prompts.prompt_set import PromptSet
from qs.llm.prompts.reading import beginning
from qs.llm.prompts.sharegpt import read_conversations, with_recorded_lengths
from qs.llm.prompts.synthetic import COUNT, synthetic
from qs.llm.prompts.texts import Marks
from qs.llm.prompts.trace_files import kind_of
from qs.llm.prompts.traced import traced
from qs.llm.prompts.words import WORDS
from qs.llm.tokenizing import Ask, Tokenizer, tokenizer_of

TRACES = ("mooncake", "burstgpt", "azure", "csv")


def prompts_of(asked: LlmAsked, ask: Ask | None = None, model: str = "") -> PromptSet:
    """The prompts that were asked for. Raises UserError: what is wrong with a file or a flag.

    ask     what asks the server, for its tokenizer's endpoint; None: it is not to be asked
    model   as the server calls it
    """
    return made_prompts(asked, lambda: tokenizer_of(asked.tokenizer, ask, model))


def made_prompts(asked: LlmAsked, counting: Callable[[], Tokenizer | None]) -> PromptSet:
    """The same; `counting` gives what counts tokens, None where nothing does, and is called where
    tokens have to be counted.
    """
    if not asked.prompts:
        return synthetic(asked, counting()) if asked.input_tokens else _short(asked)
    _check(asked)
    format = asked.prompt_format
    if format == "auto":
        format = detected(asked.prompts)  # type: ignore[assignment]
    if format in TRACES:
        _check_trace(asked)
        return traced(asked, format, counting())
    notes: list[str] = []
    if format == "sharegpt":
        prompts, notes = read_conversations(
            asked.prompts, asked.prompt_count, asked.turns, asked.seed
        )
        recorded = not asked.output_tokens and any(each.recorded for each in prompts)
        tokenizer = counting() if recorded else None
        if tokenizer is not None:
            prompts = with_recorded_lengths(prompts, tokenizer)
        elif recorded:
            notes.append(
                "no tokenizer is known: the lengths of the recorded answers are not, and answers "
                "end where the model ends them (--tokenizer, or --output_tokens)"
            )
    else:
        lines = read_lines(asked.prompts, asked.prompt_count, asked.turns)
        prompts, notes = lines.prompts, lines.notes()
    prompts = _with_lengths(prompts, asked)
    return _of_file(asked, format, prompts, notes)


def detected(path: str) -> str:
    """The format of a file, by its beginning."""
    text = beginning(path)
    if text.startswith("[") and text[1:].lstrip()[:1] in ("{", "]", ""):
        return "sharegpt"
    line = text.split("\n", 1)[0]
    if not line.startswith("{"):
        try:
            return kind_of(next(csv.reader([line.strip()]), [])) or "jsonl"
        except csv.Error:
            return "jsonl"
    try:
        keys = set(json.loads(line))
    except (ValueError, RecursionError):  # cut off, or wrong, of which read_lines tells
        keys = {key for key in _TELLING if f'"{key}"' in line}
    if {"timestamp", "input_length"} <= keys:
        return "mooncake"
    return "sharegpt" if "conversations" in keys else "jsonl"


_TELLING = ("conversations", "timestamp", "input_length")


def _check(asked: LlmAsked) -> None:
    """Raises Faults for flags that say what a file says itself."""
    faults = []
    if asked.input_tokens:
        allowed = "nothing, with --prompts: they have their own lengths"
        faults.append(Fault("--input_tokens", "", asked.input_tokens, allowed))
    if asked.prefix_share:
        allowed = "0, with --prompts: it is of synthetic prompts (--input_tokens)"
        faults.append(Fault("--prefix_share", "", asked.prefix_share, allowed))
    if faults:
        raise Faults(faults)


def _check_trace(asked: LlmAsked) -> None:
    allowed = "nothing, with a trace: it says how long answers are"
    if asked.output_tokens:
        raise Faults([Fault("--output_tokens", "", asked.output_tokens, allowed)])
    if asked.turns > 1:
        allowed = "1, with a trace: its requests come when it says"
        raise Faults([Fault("--turns", "", asked.turns, allowed)])


def _with_lengths(prompts: list[Prompt], asked: LlmAsked) -> list[Prompt]:
    """With --output_tokens, those that say no length of their answer have one drawn."""
    if not asked.output_tokens:
        return prompts
    lengths = read_lengths(asked.output_tokens, "--output_tokens")
    drawn, _ = lengths.drawn(len(prompts), asked.seed, Stream.OUTPUT_LENGTHS)
    return [
        each if each.output_tokens is not None else _answered_with(each, length)
        for each, length in zip(prompts, drawn.tolist(), strict=True)
    ]


def _answered_with(prompt: Prompt, tokens: int) -> Prompt:
    least = None if prompt.min_tokens is None else min(prompt.min_tokens, tokens)
    return replace(prompt, output_tokens=tokens, min_tokens=least)


def _of_file(
    asked: LlmAsked, format: str, prompts: Sequence[Prompt], notes: list[str]
) -> PromptSet:
    talks = len({each.conversation for each in prompts if each.conversation})
    single = sum(not each.conversation for each in prompts)
    if asked.prompt_count is not None and talks + single < asked.prompt_count:
        what = "conversations" if talks else "prompts"
        notes.append(
            f"the file has {talks + single:,} {what}, {asked.prompt_count:,} were asked for"
        )
    if talks and asked.history == "recorded" and not any(each.recorded for each in prompts):
        notes.append("no answer is recorded: the history of a turn is what was served")
    dues_s = None
    if prompts[0].due_s is not None:
        first_s = prompts[0].due_s
        prompts = [replace(each, due_s=(each.due_s or 0.0) - first_s) for each in prompts]
        dues_s = [each.due_s or 0.0 for each in prompts]
    about = {
        "name": Path(asked.prompts).name,
        "kind": "file",
        "seed": asked.seed,
        "items": len(prompts),
        "format": format,
    }
    return PromptSet(prompts, notes, about, dues_s, conversations=talks > 0)


def _short(asked: LlmAsked) -> PromptSet:
    """Short requests, for where nothing is said; no two are the same."""
    count = asked.prompt_count or COUNT
    marks = Marks(len(WORDS), asked.seed, count)
    prompts = []
    for index in range(count):
        topics = " and ".join(WORDS[at] for at in marks.of(index).tolist())
        text = f"Write a few sentences about: {topics}."
        prompts.append(Prompt((Message("user", text),), id=str(index)))
    prompts = _with_lengths(prompts, asked)
    about = {"name": "short requests", "kind": "synthetic", "seed": asked.seed, "items": count}
    return PromptSet(prompts, (), about)
