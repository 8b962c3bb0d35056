"""Texts as tokens: what the library tokenizers makes of them, from either kind of file."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from qs.base.errors import UserError
from qs.contract import TextItems
from qs.contract.text_items import cut

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "##ly", "film", ",", "bad", "!"]
LENGTH = 9
INFO = {
    "inputs": "input_ids,attention_mask,token_type_ids,position_ids",
    "input_shape": {
        name: [1, LENGTH]
        for name in ("input_ids", "attention_mask", "token_type_ids", "position_ids")
    },
    "input_type": "INT64,INT64,INT32,INT64",
}
TEXTS = [
    ("A goodly film!", None),
    ("", None),
    ("bad bad bad, a bad film and more of it", None),
    ("Good", "a bad, bad, bad film"),
    ("a good, goodly film!", "bad"),
    ("a a a a a a a a", "bad bad bad bad bad bad bad"),
    ("a a a a a a a", "bad bad bad bad bad bad bad bad"),
    ("a film", "bad film"),
]


@pytest.fixture
def library() -> Tokenizer:
    made = Tokenizer(WordPiece({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = BertNormalizer(), BertPreTokenizer()
    made.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return made


def items(folder, tokenizer, texts, **stated):
    lines = [{"text": first, "pair": second, "label": 0} for first, second in texts]
    (folder / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    roles = zip(INFO["input_shape"], ("ids", "mask", "segments", "positions"))
    keys = {"PAIR": "pair", "INPUTS": dict(roles), "TOKENIZER": tokenizer, **stated}
    made = type("DataLoader", (TextItems,), {**keys, "FOLDER": folder})(INFO)
    made.preprocess()
    return made


@pytest.mark.parametrize("file", ["vocab.txt", "tokenizer.json"])
def test_tokens_are_those_of_the_library(tmp_path, library, file):
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    library.save(str(tmp_path / "tokenizer.json"))
    feeds = items(tmp_path, file, TEXTS).feeds(range(len(TEXTS)))
    library.enable_truncation(LENGTH)
    library.enable_padding(length=LENGTH)
    for row, (first, second) in enumerate(TEXTS):
        right = library.encode(first, second)
        found = {name: array[row].tolist() for name, array in feeds.items()}
        assert found == {
            "input_ids": right.ids,
            "attention_mask": right.attention_mask,
            "token_type_ids": right.type_ids,
            "position_ids": list(range(LENGTH)),
        }
    assert feeds["token_type_ids"].dtype == np.int32


def test_a_pair_is_cut_at_the_end_of_the_longer_text():
    for ones in range(12):
        for twos in range(12):
            first, second = cut([1] * ones, [2] * twos, 7)
            assert len(first) + len(second) == min(7, ones + twos)
            if ones + twos > 7:
                assert abs(len(first) - len(second)) <= 1 or min(ones, twos) < 3


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"INPUTS": {"input_ids": "ids"}}, "for each of input_ids, attention_mask"),
        ({"INPUTS": dict.fromkeys(INFO["input_shape"], "tokens")}, "ids, mask, segments"),
        ({"TOKENIZER": None}, "a vocab.txt or tokenizer.json"),
        ({"TOKENIZER": "none.json"}, "none.json is missing (TOKENIZER in"),
        ({"DATA": "none.jsonl"}, "none.jsonl is missing (DATA in"),
        ({"LABEL": "lable"}, "did you mean 'label'"),
    ],
)
def test_keys_that_do_not_fit(tmp_path, stated, words):
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    with pytest.raises(UserError) as raised:
        items(tmp_path, "vocab.txt", TEXTS[:2], **stated)
    assert words in str(raised.value)


def test_models_that_take_the_text_itself(tmp_path):
    info = {"inputs": "words", "input_shape": {"words": [1]}, "input_type": "STRING"}
    (tmp_path / "items.jsonl").write_text('{"text": "Łódź"}\n\n{"text": "two"}\n')
    keys = {"TOKENIZER": None, "INPUTS": {"words": "text"}, "LABEL": None, "FOLDER": tmp_path}
    made = type("DataLoader", (TextItems,), keys)(info)
    made.preprocess()
    made.rebatch(2)
    feeds = made.get_samples(0)  # without labels the feeds alone
    assert feeds["words"].tolist() == ["Łódź", "two"]
    assert made.get_item_count() == 2
