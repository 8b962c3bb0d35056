"""Texts of a stated number of tokens, and what they have in common."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qs.base.errors import UserError
from qs.llm.asked import LlmAsked
from qs.llm.prompts.drawing import Stream, raw
from qs.llm.prompts.source import made_prompts
from qs.llm.prompts.texts import CommonParts, Marks, Shared, Texts, Vocabulary, vocabulary
from qs.llm.prompts.words import WORDS
from tests.qs.llm.prompts import counting

TEMPLATE = ", without what a chat template adds"


def common(one: str, other: str) -> int:
    """With how many words both begin."""
    count = 0
    for a, b in zip(one.split(), other.split(), strict=False):
        if a != b:
            break
        count += 1
    return count


def test_our_words_are_words() -> None:
    assert len(set(WORDS)) == len(WORDS) > 900
    assert all(word.isascii() and word.isalpha() and word.islower() for word in WORDS)


@given(st.integers(0, 2**63 - 1), st.integers(0, 50), st.integers(0, 50))
def test_with_more_numbers_drawn_the_same_come_first(seed: int, few: int, more: int) -> None:
    assert (
        raw(few + more, seed, Stream.TEXTS, 3)[:few].tolist()
        == raw(few, seed, Stream.TEXTS, 3).tolist()
    )


@pytest.mark.parametrize("size", [3000, 700])
@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 300), min_size=1, max_size=20), seed=st.integers(0, 99))
def test_texts_have_exactly_the_tokens_that_were_drawn(
    size: int, lengths: list[int], seed: int
) -> None:
    """A tokenizer that knows our words, and one that breaks them."""
    tokenizer = counting.trained(size)
    words = vocabulary(tokenizer)
    assert words.single == (size == 3000)
    texts = Texts(words, np.asarray(lengths), seed, Stream.TEXTS)
    found = texts.verify(tokenizer)
    assert tokenizer.count(list(texts)) == lengths
    assert (found.counted, found.of, found.worst, found.others) == (
        len(lengths),
        len(lengths),
        0,
        0,
    )


@pytest.mark.parametrize(
    ("make", "exact"),
    [
        (counting.words, True),
        (counting.letters, True),
        (counting.pairs, True),
        (counting.begun, True),
        (counting.moody, True),
        (counting.deaf, False),
    ],
)
def test_strange_tokenizers_end_the_search(make, exact: bool) -> None:
    tokenizer = make()
    lengths = np.asarray([2, 3, 5, 8, 13, 40, 77, 200] * 4)
    texts = Texts(vocabulary(tokenizer), lengths, 1, Stream.TEXTS)
    found = texts.verify(tokenizer)
    counts = tokenizer.count(list(texts))
    assert found.worst == max(abs(int(a) - b) for a, b in zip(lengths, counts, strict=True))
    assert tokenizer.asked < 20_000
    assert (found.worst == 0) == exact


def test_without_a_tokenizer_a_word_is_a_token() -> None:
    texts = Texts(vocabulary(None), np.asarray([1, 7, 100]), 0, Stream.TEXTS)
    assert [len(text.split()) for text in texts] == [1, 7, 100]


@given(
    words=st.integers(4, 300),
    count=st.integers(1, 2000),
    seed=st.integers(0, 99),
    odd=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_marks_differ_and_common_ones_are_others(
    words: int, count: int, seed: int, odd: bool
) -> None:
    marks = Marks(words, seed, count, common=odd)
    found = [tuple(marks.of(number).tolist()) for number in range(count)]
    assert len(set(found)) == count
    assert all(0 <= word < words and word % 2 == odd for mark in found for word in mark)


@given(
    lengths=st.lists(st.integers(20, 60), min_size=2, max_size=30),
    share=st.floats(0, 1),
    prefixes=st.integers(1, 4),
    seed=st.integers(0, 2**63 - 1),
)
@settings(max_examples=60, deadline=None)
def test_texts_have_no_more_in_common_than_was_stated(
    lengths: list[int], share: float, prefixes: int, seed: int
) -> None:
    words = Vocabulary(WORDS[:100])
    parts = CommonParts(words, seed, Stream.PREFIXES, prefixes)
    shared = np.floor(np.asarray(lengths) * share).astype(np.int64)
    texts = Texts(
        words,
        np.asarray(lengths),
        seed,
        Stream.TEXTS,
        Shared(shared, lambda index: parts.words(index % prefixes, int(shared[index]))),
    )
    made = list(texts)
    assert [len(text.split()) for text in made] == lengths
    # Up to 50 texts of 100 words are told apart by their first own word.
    for i, j in combinations(range(len(made)), 2):
        stated = min(shared[i], shared[j]) if i % prefixes == j % prefixes else 0
        own = min(lengths[i] - shared[i], lengths[j] - shared[j])
        if own > 0 or i % prefixes != j % prefixes:
            assert common(made[i], made[j]) == stated
    assert texts.too_short() == sum(
        length == int(part) for length, part in zip(lengths, shared, strict=True)
    )


def test_a_text_is_made_anew_and_the_same() -> None:
    tokenizer = counting.moody()
    texts = Texts(vocabulary(tokenizer), np.asarray([30] * 50), 5, Stream.TEXTS)
    texts.verify(tokenizer)
    assert texts.changed
    assert list(texts) == [texts[index] for index in range(-50, 0)]
    assert texts[3:5] == [texts[3], texts[4]]
    with pytest.raises(IndexError):
        texts[50]


def test_a_large_set_takes_no_room_and_is_counted_in_part() -> None:
    tokenizer = counting.words()
    made = made_prompts(LlmAsked(input_tokens="2000", prompt_count=100_000), lambda: tokenizer)
    assert len(made.prompts) == 100_000
    assert tokenizer.asked < 5000
    assert made.about["lengths"] == "2,500 of 100,000 counted by words: as drawn" + TEMPLATE
    assert len(made.prompts[99_999].text.split()) == 2000
    assert made.prompts[12_345] == made.prompts[12_345]


@pytest.mark.parametrize("tokenizer", [None, counting.words()])
def test_the_same_seed_makes_the_same_prompts(tokenizer) -> None:
    asked = LlmAsked(input_tokens="normal:50,9", output_tokens="lognormal:20,0.5", prefix_share=0.3)

    def texts(seed: int) -> list:
        return list(made_prompts(replace(asked, seed=seed), lambda: tokenizer).prompts)

    assert texts(3) == texts(3)
    assert not {each.text for each in texts(3)} & {each.text for each in texts(4)}


def test_seeds_are_kept_from_version_to_version() -> None:
    """Prompts of a stated seed are the same everywhere: these must never change."""
    made = made_prompts(LlmAsked(input_tokens="uniform:4,9", prompt_count=3), lambda: None)
    assert [each.text for each in made.prompts] == [
        "neck necessary week final edge garden same post surprise",
        "almost discuss have leg subject practice each amount amount",
        "station chair during sweet pot",
    ]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (LlmAsked(input_tokens="10000000", prompt_count=101), "these have 1,010,000,000 tokens"),
        (LlmAsked(input_tokens="1", prompt_count=10**7, turns=1000), "at most 10,000,000 prompts"),
    ],
)
def test_a_set_that_no_machine_has_room_for(asked: LlmAsked, message: str) -> None:
    with pytest.raises(UserError, match=message):
        made_prompts(asked, lambda: None)


def test_prompts_may_be_looked_at_in_part() -> None:
    made = made_prompts(LlmAsked(input_tokens="5"), lambda: None)
    assert made.prompts[:2] == [made.prompts[0], made.prompts[1]]
    assert len(list(made.prompts)) == 64
