"""Prompts of a trace: as long as it says, due when it says, and with the same blocks in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qs.llm.asked import LlmAsked
from qs.llm.prompts.drawing import Stream
from qs.llm.prompts.prompt_set import PromptSet
from qs.llm.prompts.synthetic import TEMPLATED, Made, alike, verified
from qs.llm.prompts.texts import CommonParts, Shared, Texts, Vocabulary, vocabulary
from qs.llm.prompts.trace_files import BLOCK, Trace, read_trace
from qs.llm.tokenizing import Tokenizer


def traced(asked: LlmAsked, format: str, tokenizer: Tokenizer | None) -> PromptSet:
    """The prompts of the file `asked.prompts`. Raises UserError."""
    trace = read_trace(asked.prompts, format, asked.prompt_count)
    notes = list(trace.notes)
    words = vocabulary(tokenizer)
    shared = _blocks(trace, words, asked.seed)
    texts = Texts(words, trace.inputs, asked.seed, Stream.TEXTS, shared)
    lengths = verified(texts, tokenizer, asked.api in TEMPLATED, notes)
    if shared is None:
        notes += alike(texts, 0.0)
    about = {
        "name": Path(asked.prompts).name,
        "kind": "synthetic",
        "seed": asked.seed,
        "items": len(trace),
        "format": format,
        "lengths": lengths,
    }
    dues_s = trace.due_s.tolist()
    return PromptSet(Made(texts, trace.outputs, dues_s=dues_s), notes, about, dues_s)


def _blocks(trace: Trace, words: Vocabulary, seed: int) -> Shared | None:
    """The blocks of Mooncake's traces: of the same number, the same words. What a request has
    beyond them is its own.
    """
    if trace.blocks is None or trace.starts is None or not len(trace.blocks):
        return None
    blocks, starts = trace.blocks, trace.starts
    block = max(int(words.words_for(np.asarray([BLOCK]))[0]), 1)
    lengths = np.minimum(words.words_for(trace.inputs), np.diff(starts) * block)
    parts = CommonParts(words, seed, Stream.BLOCKS, int(blocks.max()) + 1)

    def shared(index: int) -> np.ndarray:
        ids = blocks[starts[index] : starts[index + 1]].tolist()
        found = [parts.words(number, block) for number in ids]
        return np.concatenate(found)[: lengths[index]] if found else np.zeros(0, np.int64)

    return Shared(lengths, shared)
