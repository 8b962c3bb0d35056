"""Texts of a stated number of tokens, made of common words and counted by the tokenizer.

Texts, never token ids: ids that are decoded and encoded again may become others in another number
(vllm#44708). A text is made anew each time it is looked at, from the seed and a few numbers, so
that a large set of them takes no room.

What texts share and what they do not: every text begins with the words it has in common with
others, if any. The next tell it from all others (its number, in digits that are words), so that no
prefix cache knows more of it than was stated. The words that common parts begin with and those of
such numbers are different ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from qs.llm.prompts.drawing import Stream, raw
from qs.llm.prompts.words import WORDS
from qs.llm.tokenizing import ServerTokenizer, Tokenizer

# A tokenizer that takes so many of our words for one token each is used with them alone.
ENOUGH = 64
# How much is counted to prove a set: beyond it, texts evenly spread over the set.
MOST_COUNTED_TOKENS = 5_000_000
MOST_COUNTED_TEXTS = 10_000
_CHUNK_TOKENS = 200_000  # that are counted in one call
_KEPT_PARTS = 256  # that are not made anew each time
_UNKNOWN = 1 << 62  # how far a text is off that could not be counted
_LEAST_EACH = 0.1  # tokens of a word, whatever a tokenizer says
_STEPS = 8  # of the search for one text's number of words
# What may end a text whose length words alone do not meet: short ones first.
_ENDS = tuple(
    "".join(parts) + end
    for parts in ([" a"] * many for many in range(9))
    for end in ("", ".", "!", "?", " I", ".)")
    if parts or end
)


@dataclass(frozen=True)
class Vocabulary:
    """Words, and how many tokens a text of them has: `fixed` and `each` for each word."""

    words: tuple[str, ...]
    each: float = 1.0
    fixed: float = 0.0
    # each word is one token wherever it stands
    single: bool = True

    def words_for(self, tokens: np.ndarray) -> np.ndarray:
        """int64: how many words have so many tokens, as far as one can say beforehand."""
        if self.single:
            return np.asarray(tokens, np.int64)
        return np.maximum(np.rint((tokens - self.fixed) / self.each), 0).astype(np.int64)


def vocabulary(tokenizer: Tokenizer | None) -> Vocabulary:
    """The words that are one token each, at the beginning of a text and after a blank; or all, with
    the number of tokens that they have on average. Without a tokenizer a word counts as a token.
    """
    if tokenizer is None:
        return Vocabulary(WORDS)
    # A server is asked for one text at a time, and may be far away.
    some = WORDS[::2] if isinstance(tokenizer, ServerTokenizer) else WORDS
    counts = tokenizer.count([f"{word} {word}" for word in some])
    singles = tuple(word for word, count in zip(some, counts, strict=True) if count == 2)
    if len(singles) >= ENOUGH:
        return Vocabulary(singles)
    many_words = [WORDS[at] for at in raw(512, 0, Stream.TEXTS) % np.uint64(len(WORDS))]
    few, many = tokenizer.count([" ".join(many_words[:64]), " ".join(many_words)])
    each = max((many - few) / (len(many_words) - 64), _LEAST_EACH)
    return Vocabulary(WORDS, each, few - 64 * each, single=False)


@dataclass(frozen=True)
class Verified:
    """What counting has shown: of how many texts, and how far the worst is from what was drawn."""

    counted: int
    of: int
    worst: int = 0
    others: int = 0  # texts that have another number of tokens than was drawn
    uncounted: int = 0  # texts that could not be counted


@dataclass(frozen=True)
class Shared:
    """The words that texts begin with and have in common with others: how many of text i, and which
    they are, by their numbers.
    """

    lengths: np.ndarray
    words: Callable[[int], np.ndarray]


@dataclass
class Texts(Sequence[str]):
    """Texts of `tokens[i]` tokens each, all different from the first word on that they do not
    share. int64[n].
    """

    words: Vocabulary
    tokens: np.ndarray
    seed: int
    stream: Stream
    shared: Shared | None = None
    # where a text is not as many words long as its tokens say: (words more or fewer, its end)
    changed: dict[int, tuple[int, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lengths = self.words.words_for(self.tokens)
        self._marks = Marks(len(self.words.words), self.seed, len(self.tokens))

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[each] for each in range(len(self))[index]]
        index = range(len(self))[index]
        return self._text(index, *self.changed.get(index, (0, "")))

    def _text(self, index: int, more: int, tail: str) -> str:
        count = max(int(self._lengths[index]) + more, 0)
        found = np.zeros(0, np.int64) if self.shared is None else self.shared.words(index)[:count]
        if (own := count - len(found)) > 0:
            found = np.concatenate([found, self._own(index, own)])
        words = self.words.words
        text = " ".join([words[at] for at in found.tolist()])
        return text + tail if text else tail.lstrip()

    def _own(self, index: int, count: int) -> np.ndarray:
        """The words that are its own, with what tells it from all others at their beginning."""
        found = (
            raw(count, self.seed, self.stream, index) % np.uint64(len(self.words.words))
        ).astype(np.int64)
        mark = self._marks.of(index)[:count]
        found[: len(mark)] = mark
        return found

    def too_short(self) -> int:
        """How many have not words enough of their own to differ from all others."""
        own = self._lengths - (0 if self.shared is None else self.shared.lengths)
        return int(np.count_nonzero(own < self._marks.length))

    def verify(self, tokenizer: Tokenizer) -> Verified:
        """Have the texts counted, and changed until they have the tokens that were drawn, or as
        near as can be. A set beyond MOST_COUNTED_TOKENS is counted in part.
        """
        size = len(self)
        total = int(self.tokens.sum())
        some = min(size, MOST_COUNTED_TEXTS, size * MOST_COUNTED_TOKENS // max(total, 1))
        chosen = np.unique(np.linspace(0, size - 1, max(some, 1)).astype(np.int64)).tolist()
        ends = Ends(tokenizer)
        worst = others = uncounted = 0
        left = MOST_COUNTED_TEXTS
        for chunk in self._chunks(chosen):
            counts = tokenizer.count([self[index] for index in chunk])
            for index, count in zip(chunk, counts, strict=True):
                if count < 0:
                    uncounted += 1
                    continue
                off = count - int(self.tokens[index])
                if off and left > 0:
                    off, asked = self._fit(index, off, ends)
                    left -= asked
                worst, others = max(worst, abs(off)), others + bool(off)
        return Verified(len(chosen) - uncounted, size, worst, others, uncounted)

    def _chunks(self, indices: Iterable[int]) -> Iterable[list[int]]:
        chunk: list[int] = []
        tokens = 0
        for index in indices:
            chunk.append(index)
            tokens += int(self.tokens[index])
            if tokens >= _CHUNK_TOKENS or len(chunk) == 1000:
                yield chunk
                chunk, tokens = [], 0
        if chunk:
            yield chunk

    def _fit(self, index: int, off: int, ends: Ends) -> tuple[int, int]:
        """Change one text that is `off` tokens too long. Returns how far it is off now, and how
        many texts were counted for it.
        """
        before = ends.asked
        shortest = -int(self._lengths[index])

        def tried(options: Sequence[tuple[int, str]]) -> list[int]:
            texts = [self._text(index, *option) for option in options]
            target = int(self.tokens[index])
            return [count - target if count >= 0 else _UNKNOWN for count in ends.count(texts)]

        found = {(0, ""): off}
        more = 0
        for _ in range(_STEPS):  # more words, or fewer
            step = -round(off / self.words.each) or (-1 if off > 0 else 1)
            more = max(more + step, shortest)
            if not off or (more, "") in found:
                break
            [off] = tried([(more, "")])
            found[more, ""] = off
            if off == _UNKNOWN:
                break
        if 0 not in found.values():  # words alone jump over it: an end makes up for the rest
            short = sorted((option for option, off in found.items() if off < 0), reverse=True)
            likely = [(more, end) for more, _ in short[:2] for end in ends.of(-found[more, ""])[:3]]
            found.update(zip(likely, tried(likely), strict=True))
        if 0 not in found.values():
            nearest = min(found, key=lambda option: abs(found[option]))[0]
            fewer = range(max(nearest - 2, shortest), nearest + 1)
            options = [(more, end) for more in fewer for end in _ENDS[::4]]
            if shortest >= -3:  # a word may be too long already
                options += [(shortest, end) for end in _ENDS]
            found.update(zip(options, tried(options), strict=True))
        best = min(found, key=lambda option: (abs(found[option]), option != (0, ""), option))
        if best != (0, ""):
            self.changed[index] = best
        return found[best], ends.asked - before


class Ends:
    """What a text may end with so that it has more tokens, by how many; and counting, counted."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._by_tokens: dict[int, list[str]] | None = None
        self.asked = 0

    def count(self, texts: Sequence[str]) -> list[int]:
        self.asked += len(texts)
        return self._tokenizer.count(texts)

    def of(self, tokens: int) -> list[str]:
        """Those that most likely add so many."""
        if self._by_tokens is None:
            plain, *counts = self.count([f"time time{end}" for end in ("", *_ENDS)])
            self._by_tokens = {}
            for end, count in zip(_ENDS, counts, strict=True):
                self._by_tokens.setdefault(count - plain, []).append(end)
        return self._by_tokens.get(tokens, [])


class Marks:
    """Words that tell texts apart: each of `count` numbers is written in digits which are words, in
    an order of the seed's, the last digit first.

    `common`: of parts that texts share. These take words that no text has at the beginning of what
    is its own.
    """

    def __init__(self, words: int, seed: int, count: int, common: bool = False):
        self._half = words // 2
        self._common = common
        order = np.argsort(raw(self._half, seed, Stream.MARKS, int(common)), kind="stable")
        self._digits = (2 * order + common).astype(np.int64)
        self.length = 1
        while self._half**self.length < count:
            self.length += 1

    def of(self, number: int) -> np.ndarray:
        """int64[length]: the words of one number."""
        found = np.empty(self.length, np.int64)
        for at in range(self.length):
            number, digit = divmod(number, self._half)
            found[at] = self._digits[digit]
        return found


class CommonParts:
    """Parts that texts share, by number: as many words as are asked for, always the same."""

    def __init__(self, words: Vocabulary, seed: int, stream: Stream, count: int):
        self._half = len(words.words) // 2
        self._seed, self._stream = seed, stream
        self._marks = Marks(len(words.words), seed, count, common=True)
        self._kept: dict[int, np.ndarray] = {}

    def words(self, number: int, count: int) -> np.ndarray:
        """int64[count]; with a smaller count its beginning."""
        found = self._kept.get(number)
        if found is None or len(found) < count:
            found = (raw(count, self._seed, self._stream, number) % np.uint64(self._half)) * 2 + 1
            found = found.astype(np.int64)
            mark = self._marks.of(number)[:count]
            found[: len(mark)] = mark
            while len(self._kept) >= _KEPT_PARTS:
                del self._kept[next(iter(self._kept))]
            self._kept[number] = found
        return found[:count]
