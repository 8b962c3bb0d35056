"""Prompts of stated lengths, with parts in common if wanted, and conversations of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qs.base.errors import Fault, Faults
from qs.llm.asked import LlmAsked
from qs.llm.prompt import Message, Prompt
from qs.llm.prompts.drawing import Stream
from qs.llm.prompts.lengths import Lengths, read_lengths
from qs.llm.prompts.prompt_set import PromptSet
from qs.llm.prompts.texts import CommonParts, Shared, Texts, Verified, Vocabulary, vocabulary
from qs.llm.tokenizing import Tokenizer

MOST_MADE = 10_000_000
MOST_MADE_TOKENS = 1_000_000_000  # of all prompts: some 6 GB of text
COUNT = 64  # of prompts, where nothing is said
TEMPLATED = ("chat", "responses", "messages")


@dataclass(frozen=True)
class Made(Sequence[Prompt]):
    """Prompts of texts that are made when one looks at them."""

    texts: Texts
    outputs: np.ndarray | None = None
    # of each conversation; 1: there are none
    turns: int = 1
    # what was answered, in conversations whose history is recorded
    answers: Texts | None = None
    dues_s: Sequence[float] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[each] for each in range(len(self))[index]]
        index = range(len(self))[index]
        talk, turn = divmod(index, self.turns)
        return Prompt(
            (Message("user", self.texts[index]),),
            id=f"{talk}.{turn}" if self.turns > 1 else str(index),
            input_tokens=int(self.texts.tokens[index]),
            output_tokens=None if self.outputs is None else int(self.outputs[index]),
            conversation=str(talk) if self.turns > 1 else "",
            recorded=None if self.answers is None else self.answers[index],
            due_s=None if self.dues_s is None else self.dues_s[index],
        )


def synthetic(asked: LlmAsked, tokenizer: Tokenizer | None) -> PromptSet:
    """Prompts as `input_tokens` and its companions say. Raises UserError."""
    inputs = read_lengths(asked.input_tokens, "--input_tokens")
    outputs = None
    if asked.output_tokens:
        outputs = read_lengths(asked.output_tokens, "--output_tokens")
    count = (asked.prompt_count or COUNT) * asked.turns
    if count > MOST_MADE:
        raise Faults([Fault("--prompt_count", "", count, f"at most {MOST_MADE:,} prompts in all")])
    notes: list[str] = []
    tokens = _drawn(inputs, count, asked.seed, Stream.INPUT_LENGTHS, notes)
    asked_for = None
    if outputs is not None:
        asked_for = _drawn(outputs, count, asked.seed, Stream.OUTPUT_LENGTHS, notes)
    words = vocabulary(tokenizer)
    texts = Texts(words, tokens, asked.seed, Stream.TEXTS, _prefixes(asked, words, tokens))
    found = verified(texts, tokenizer, asked.api in TEMPLATED, notes)
    answers = None
    if asked.turns > 1 and asked.history == "recorded" and asked_for is not None:
        answers = Texts(words, asked_for, asked.seed, Stream.ANSWERS)
        if tokenizer is not None:
            answers.verify(tokenizer)
    if asked.turns > 1 and asked.history == "recorded" and asked_for is None:
        notes.append(
            "without --output_tokens nothing is recorded: the history of a turn is what was served"
        )
    notes += alike(texts, asked.prefix_share)
    lengths = f"{asked.input_tokens} in" + (
        f", {asked.output_tokens} out" if asked.output_tokens else ""
    )
    about = {
        "name": f"synthetic prompts ({lengths})",
        "kind": "synthetic",
        "seed": asked.seed,
        "items": count,
        "lengths": found,
    }
    return PromptSet(
        Made(texts, asked_for, asked.turns, answers), notes, about, conversations=asked.turns > 1
    )


def _drawn(lengths: Lengths, count: int, seed: int, stream: Stream, notes: list[str]) -> np.ndarray:
    found, bounded = lengths.drawn(count, seed, stream)
    if bounded:
        what = "input" if stream == Stream.INPUT_LENGTHS else "output"
        notes.append(
            f"{bounded:,} of {count:,} {what} lengths were drawn outside "
            f"{lengths.least:,} to {lengths.most:,} tokens and set to the bound"
        )
    return found


def _prefixes(asked: LlmAsked, words: Vocabulary, tokens: np.ndarray) -> Shared | None:
    """What texts begin with in common: in a conversation the first turn does. Never more than the
    share that was stated.
    """
    if not asked.prefix_share:
        return None
    parts = CommonParts(words, asked.seed, Stream.PREFIXES, asked.prefixes)
    lengths = words.words_for(np.floor(tokens * asked.prefix_share + 1e-9))
    lengths[np.arange(len(tokens)) % asked.turns != 0] = 0
    return Shared(
        lengths,
        lambda index: parts.words(index // asked.turns % asked.prefixes, int(lengths[index])),
    )


def verified(texts: Texts, tokenizer: Tokenizer | None, templated: bool, notes: list[str]) -> str:
    """Has the texts counted; in words, how their lengths are known. Doubts go into the notes.
    Faults for a set whose text no machine has room for.
    """
    total = int(texts.tokens.sum())
    if total > MOST_MADE_TOKENS:
        allowed = (
            f"fewer prompts: these have {total:,} tokens, and {MOST_MADE_TOKENS:,} are the most"
        )
        raise Faults([Fault("--prompt_count", "", len(texts), allowed)])
    if tokenizer is None:
        notes.append(
            "no tokenizer is known, and a common word was taken for a token: input lengths are an "
            "estimate, and the server's count of each is in the report (--tokenizer counts before)"
        )
        return "estimated: a word is taken for a token"
    found = texts.verify(tokenizer)
    if found.others:
        notes.append(
            f"{found.others:,} of {found.counted:,} prompts could not be made as long as drawn: "
            f"the worst is {found.worst:,} tokens off, counted by {tokenizer.name}"
        )
    if found.uncounted:
        notes.append(f"{found.uncounted:,} prompts could not be counted by {tokenizer.name}")
    if texts.changed and found.counted + found.uncounted < found.of:
        notes.append(
            f"{len(texts.changed):,} of {found.counted:,} prompts that were counted had to be "
            "changed to be as long as drawn; the others were not counted, and may be off"
        )
    return _in_words(found, tokenizer, templated)


def _in_words(found: Verified, tokenizer: Tokenizer, templated: bool) -> str:
    of = "all" if found.counted == found.of else f"{found.counted:,} of {found.of:,}"
    exact = "as drawn" if not found.others else f"up to {found.worst:,} tokens off"
    without = ", without what a chat template adds" if templated else ""
    return f"{of} counted by {tokenizer.name}: {exact}{without}"


def alike(texts: Texts, share: float) -> list[str]:
    """A note if some texts are too short to be all different."""
    alike = texts.too_short()
    if not alike or share == 1:
        return []
    return [
        f"{alike:,} of {len(texts):,} prompts are too short to differ from all others: a prefix "
        "cache may know more of them than was stated"
    ]
