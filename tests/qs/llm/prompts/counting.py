"""Tokenizers for tests: a real one of the library's, and strange ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from qs.llm.prompts.words import WORDS


class Counting:
    """Counts by a function of one text."""

    def __init__(self, name: str, tokens: Callable[[str], int]) -> None:
        self.name, self._tokens = name, tokens
        self.asked = 0

    def count(self, texts: Sequence[str]) -> list[int]:
        self.asked += len(texts)
        return [self._tokens(text) for text in texts]


class Library:
    """A tokenizer of the library tokenizers."""

    def __init__(self, tokenizer) -> None:
        self.name, self._tokenizer = "tokenizer.json", tokenizer

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(each.ids) for each in self._tokenizer.encode_batch(list(texts))]


@lru_cache
def trained(size: int = 3000) -> Library:
    """Byte-pair encoding as GPT-2 has it, trained on words; a small one breaks most of them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator([f"{word} {word} {word}" for word in WORDS], trainer)
    return Library(tokenizer)


def words() -> Counting:
    return Counting("words", lambda text: len(re.findall(r"\w+|[^\w\s]", text)))


def letters() -> Counting:
    return Counting("letters", len)


def pairs() -> Counting:
    """Takes two words for one token, as tokenizers do that merge across blanks."""
    return Counting("pairs", lambda text: -(-len(text.split()) // 2))


def begun() -> Counting:
    """Adds a token to each text, as one does that marks where it begins."""
    return Counting("begun", lambda text: len(text.split()) + 1)


def deaf() -> Counting:
    """Says the same of every text."""
    return Counting("deaf", lambda text: 7)


def moody() -> Counting:
    """Counts now and then more, by what the text is."""
    return Counting("moody", lambda text: len(text.split()) + (hash_of(text) % 5 == 0))


def hash_of(text: str) -> int:
    return sum(map(ord, text)) * 2654435761 % 2**32 >> 7
