"""SQuAD: windows, the official metrics by hand, broken files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.contract.wordpiece import WordPiece
from qs.inside.loading import load_dataset_classes

FOLDER = Path(__file__).resolve().parents[2] / "datasets" / "open_squad"
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "who",
    "wrote",
    "it",
    "?",
    "ada",
    "##s",
    "love",
    "##lace",
    "in",
    "18",
    "##43",
]
WORDS += [".", "the", "old", "engine", "rome", ",", "where", "was"]
CONTEXT = "Ada Lovelace wrote it in 1843. The old Engine was in Rome."
INFO = {
    "inputs": "input_ids.1,attention_mask.1,token_type_ids.1",
    "outputs": "start_logits,end_logits",
    "input_shape": {
        name: [1, 32] for name in ("input_ids.1", "attention_mask.1", "token_type_ids.1")
    },
    "input_type": "LONG",
}


def article(context, *questions):
    qas = [
        {
            "id": str(number),
            "question": text,
            "answers": [{"text": each, "answer_start": 0} for each in answers],
        }
        for number, (text, answers) in enumerate(questions)
    ]
    return {
        "version": "1.1",
        "data": [{"title": "t", "paragraphs": [{"context": context, "qas": qas}]}],
    }


THREE = article(
    CONTEXT,
    ("Who wrote it?", ["Lovelace", "Ada Lovelace"]),
    ("Where was the old engine?", ["in Rome"]),
    ("Who was in Rome?", ["1843"]),
)


def write(published, content=THREE, vocab=WORDS):
    folder = published.folder("open_squad")
    (folder / "dev-v1.1.json").write_text(
        content if isinstance(content, str) else json.dumps(content)
    )
    (folder / "vocab.txt").write_text("\n".join(vocab) + "\n")
    return folder


def spans(data, *texts):
    """A backend that points at those texts, one a question, wherever a window shows them whole."""

    def predict(feeds):
        start = np.zeros((len(feeds["input_ids.1"]), 32), np.float32)
        end = np.zeros_like(start)
        for row, ids in enumerate(feeds["input_ids.1"]):
            window = next(
                each for each in data.windows if np.array_equal(each.ids, ids[: each.length])
            )
            text = texts[window.question]
            begin = data.questions[window.question].context.index(text)
            for at, piece in enumerate(window.pieces):
                start[row, window.first + at] += 5 * (piece.begin == begin)
                end[row, window.first + at] += 5 * (piece.end == begin + len(text))
        return {"start_logits": start, "end_logits": end}

    return predict


def test_an_item_is_the_question_and_the_paragraph(published):
    write(published)
    data = published.open("open_squad", **INFO)
    feeds, ids = data.get_samples(0)
    tokens = [WORDS[number] for number in feeds["input_ids.1"][0]]
    assert tokens[:12] == [
        "[CLS]",
        "who",
        "wrote",
        "it",
        "?",
        "[SEP]",
        "ada",
        "love",
        "##lace",
        "wrote",
        "it",
        "in",
    ]
    assert tokens[12:15] == ["18", "##43", "."] and tokens[21:24] == [".", "[SEP]", "[PAD]"]
    assert feeds["attention_mask.1"][0].sum() == 23
    assert feeds["token_type_ids.1"][0].tolist() == [0] * 6 + [1] * 17 + [0] * 9
    assert ids == ["0"] and feeds["input_ids.1"].dtype == np.int64
    window = data.windows[0]
    assert CONTEXT[window.pieces[1].begin : window.pieces[2].end] == "Lovelace"


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_exact_match_and_f1_by_hand(published, saved, batch_size):
    write(published)
    data = published.open("open_squad", **INFO)
    # question 0: right; 1: "The old Engine was in Rome" against "in Rome": 2 of 5 words without
    # "the", recall 1: F1 4/7; question 2: nothing in common
    predict = spans(data, "Ada Lovelace", "The old Engine was in Rome", "Engine")
    metrics, evidence = published.score(data, predict, batch_size)
    assert metrics == {
        "Exact Match": pytest.approx(100 / 3, abs=1e-4),
        "F1": pytest.approx(100 * (1 + 4 / 7) / 3, abs=1e-4),
    }
    assert (evidence["Items"], evidence["Share"]["kind"]) == (3, "whole")
    assert saved("open_squad").shape == (3, 32)
    for name, (low, high) in evidence["Confidence Intervals"].items():
        assert 0 <= low <= metrics[name] <= high <= 100


def test_one_output_with_both_logits(published):
    write(published)
    data = published.open("open_squad", **INFO)
    two = spans(data, "Ada Lovelace", "in Rome", "1843")

    def predict(feeds):
        return [np.stack(list(two(feeds).values()), axis=-1)]

    assert published.score(data, predict)[0] == {"Exact Match": 100, "F1": 100}


def test_long_paragraphs_are_read_in_windows_and_the_best_one_answers(published):
    long = " ".join(["old"] * 40) + " Ada Lovelace wrote it."
    write(published, article(long, ("Who wrote it?", ["Ada Lovelace"])))
    data = published.open("open_squad", **INFO)
    assert data.get_item_count() > 1 and set(data.groups) == {0}
    shown = sum(window.best.astype(int).sum() for window in data.windows)
    assert shown == 46  # every piece is at home in one window
    metrics, evidence = published.score(data, spans(data, "Ada Lovelace"), batch_size=4)
    assert metrics["Exact Match"] == 100 and evidence["Items"] == 1


def test_answers_shifted_by_one_request_are_noticed(published):
    write(published)
    data = published.open("open_squad", **INFO)
    right = spans(data, "Ada Lovelace", "in Rome", "1843")
    held = []

    def predict(feeds):
        held.append(right(feeds))
        return (
            held[-2]
            if len(held) > 1
            else {name: np.zeros_like(array) for name, array in held[-1].items()}
        )

    assert published.score(data, predict)[0]["Exact Match"] == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Cat, sat!", "cat sat"),
        ("An apple a day", "apple day"),
        ("theatre", "theatre"),
        ("U.S.", "us"),
    ],
)
def test_normalization_is_the_official_one(text, expected):
    _, checker = load_dataset_classes(FOLDER)
    module = __import__("sys").modules[checker.__module__]
    assert module.normalized(text) == expected


def test_f1_counts_repeated_words_as_often_as_both_have_them():
    module = __import__("sys").modules[load_dataset_classes(FOLDER)[1].__module__]
    assert module.f1_score("x x y", "x z") == pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2))
    assert module.f1_score("", "x") == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Adas", ["ada", "##s"]),
        ("Lovelace,Rome", ["love", "##lace", ",", "rome"]),
        ("Ádá", ["ada"]),
        ("xyz", ["[UNK]"]),
        ("the中old", ["the", "[UNK]", "old"]),
    ],
)
def test_word_pieces(text, expected):
    tokenizer = WordPiece({word: number for number, word in enumerate(WORDS)})
    assert [WORDS[piece.id] for piece in tokenizer(text)] == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "dev-v1.1.json: is not JSON"),
        ({"data": 3}, "dev-v1.1.json: data is 3; allowed: a list"),
        ({}, "dev-v1.1.json: data is missing"),
        ({"data": [{"title": "t"}]}, r"data\[0\].paragraphs is missing"),
        (
            {"data": [{"paragraphs": [{"qas": []}]}]},
            r"data\[0\].paragraphs\[0\].context is missing",
        ),
        (
            {
                "data": [
                    {
                        "paragraphs": [
                            {
                                "context": "c",
                                "qas": [{"id": 7, "question": "q", "answers": [{"text": "a"}]}],
                            }
                        ]
                    }
                ]
            },
            r"data\[0\].paragraphs\[0\].qas\[0\].id is 7; allowed: text",
        ),
        (article("c", ("q", [])), r"qas\[0\].answers is \[\]; allowed: at least one answer"),
        ({"data": []}, "has no questions"),
    ],
)
def test_a_broken_record_is_one_message(published, content, said):
    write(published, content)
    with pytest.raises(UserError, match=said) as told:
        published.open("open_squad", **INFO)
    assert "\n" not in str(told.value)


def test_missing_files_are_named(published):
    folder = published.folder("open_squad")
    with pytest.raises(FileNotFoundError) as told:
        published.open("open_squad", **INFO)
    assert f"{folder}/dev-v1.1.json and {folder}/vocab.txt are missing; put them there" in str(
        told.value
    )
    (folder / "vocab.txt").write_text("x")
    with pytest.raises(FileNotFoundError) as told:
        published.open("open_squad", **INFO)
    assert told.value.filename == f"{folder}/dev-v1.1.json"


def test_a_vocabulary_without_its_special_tokens(published):
    write(published, vocab=["hello"])
    with pytest.raises(
        UserError, match=r"vocab.txt: has no token \[PAD\], \[UNK\], \[CLS\], \[SEP\]"
    ):
        published.open("open_squad", **INFO)


def saved_tokenizer(kind):
    """What the library makes of a few words: RoBERTa's kind of byte-level BPE, or ALBERT's
    unigrams.
    """
    tokenizers = pytest.importorskip("tokenizers")
    from tokenizers import decoders, models, pre_tokenizers, processors, trainers

    texts = [CONTEXT, "Who wrote it?", "Where was the old engine?", "Who was in Rome?"] * 3
    if kind == "bpe":
        made = tokenizers.Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        special = ["<s>", "<pad>", "</s>", "<unk>"]
        trainer = trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
        made.train_from_iterator(texts, trainer)
        made.post_processor = processors.RobertaProcessing(
            ("</s>", 2), ("<s>", 0), trim_offsets=False
        )
    else:
        made = tokenizers.Tokenizer(models.Unigram())
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.decoder = decoders.Metaspace()
        special = ["<pad>", "<unk>", "[CLS]", "[SEP]"]
        trainer = trainers.UnigramTrainer(vocab_size=60, special_tokens=special, unk_token="<unk>")
        made.train_from_iterator(texts, trainer)
        pair = "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair=pair, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    made.enable_truncation(7)  # as published files have it; a window is ours to cut
    return made


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@pytest.mark.parametrize("beside_the_model", [True, False])
def test_other_tokenizers_as_their_library_saves_them(published, tmp_path, kind, beside_the_model):
    folder, made = published.folder("open_squad"), saved_tokenizer(kind)
    (folder / "dev-v1.1.json").write_text(json.dumps(THREE))
    place = tmp_path / "model" if beside_the_model else folder
    place.mkdir(exist_ok=True)
    made.save(str(place / "tokenizer.json"))
    wide = {name: [1, 96] for name in INFO["input_shape"]}
    data = published.open(
        "open_squad",
        **INFO
        | {
            "tokenizer": "tokenizer.json",
            "model_path": str(tmp_path / "model" / "m.pt"),
            "input_shape": wide,
        },
    )
    feeds, _ = data.get_samples(0)
    made.no_truncation()
    made.enable_padding(length=96, pad_id=1 if kind == "bpe" else 0)
    wanted = made.encode("Who wrote it?", CONTEXT)
    assert feeds["input_ids.1"][0].tolist() == wanted.ids
    assert feeds["attention_mask.1"][0].tolist() == wanted.attention_mask
    assert feeds["token_type_ids.1"][0].tolist() == wanted.type_ids
    window = data.windows[0]
    shown = "".join(CONTEXT[piece.begin : piece.end] for piece in window.pieces)
    assert (
        CONTEXT.replace(" ", "") in shown
    )  # unigrams count the first letter to the mark before it as well

    def predict(feeds):
        start, end = np.zeros((2, len(feeds["input_ids.1"]), 96), np.float32)
        for row, ids in enumerate(feeds["input_ids.1"]):
            window = next(
                each for each in data.windows if np.array_equal(each.ids, ids[: each.length])
            )
            for at, piece in enumerate(window.pieces):
                start[row, window.first + at] += 5 * (piece.begin == CONTEXT.index("Ada"))
                end[row, window.first + at] += 5 * (
                    piece.end == CONTEXT.index("Lovelace") + len("Lovelace")
                )
        return {"start_logits": start, "end_logits": end}

    metrics, _ = published.score(data, predict)
    assert metrics["Exact Match"] == pytest.approx(100 / 3, abs=1e-4)


def test_a_missing_or_broken_tokenizer_is_said(published):
    folder, info = published.folder("open_squad"), INFO | {"tokenizer": "tokenizer.json"}
    (folder / "dev-v1.1.json").write_text(json.dumps(THREE))
    with pytest.raises(FileNotFoundError, match="tokenizer.json"):
        published.open("open_squad", **info)
    pytest.importorskip("tokenizers")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="tokenizer.json: is not a tokenizer: "):
        published.open("open_squad", **info)
