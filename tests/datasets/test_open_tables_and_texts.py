"""Criteo and CAIL2019: published layouts, metrics by hand, broken files, shares."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.inside.loading import load_dataset_classes
from tests.datasets.conftest import ROOT

WIDEDEEP = {
    "inputs": "new_categorical_placeholder:0,new_numeric_placeholder:0",
    "outputs": "import/head/predictions/probabilities:0",
    "input_shape": {"new_categorical_placeholder:0": [26, 2], "new_numeric_placeholder:0": [1, 13]},
    "input_type": "INT64,FLOAT32",
}
CATEGORIES, NUMBERS = WIDEDEEP["inputs"].split(",")


def arrays(published, labels=(1, 0, 1, 0), count=4, **changed):
    folder = published.folder("open_criteo_kaggle")
    made = {
        "numeric": np.arange(count * 13).reshape(count, 13) / 100,
        "categorical": np.arange(count * 52).reshape(count, 52),
        "label": np.array(labels).reshape(-1, 1),
    } | changed
    for name, array in made.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def test_the_published_layout(published):
    arrays(published)
    data = published.open("open_criteo_kaggle", **WIDEDEEP)
    data.rebatch(2)
    feeds, labels = data.get_samples(1)
    assert feeds[CATEGORIES].shape == (52, 2) and feeds[CATEGORIES].dtype == np.int64
    assert feeds[CATEGORIES][26].tolist() == [156, 157]  # item 3's first column
    assert feeds[NUMBERS].shape == (2, 13) and feeds[NUMBERS].dtype == np.float32
    assert labels.tolist() == [1, 0]


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("two", [True, False])
def test_auc_and_top_1_by_hand(published, batch_size, two):
    """Positives 0.9 and 0.4, negatives 0.4 and 0.6: of four pairs 0.9 wins two, 0.4 ties one and
    loses one: 2.5 / 4.
    """
    arrays(published)
    data = published.open("open_criteo_kaggle", **WIDEDEEP)
    clicked = np.array([0.9, 0.4, 0.4, 0.6])

    def predict(feeds):
        score = clicked[np.round(feeds[NUMBERS][:, 0] * 100 / 13).astype(int)]
        return [np.stack([1 - score, score], axis=1) if two else score[:, None]]

    metrics, evidence = published.score(data, predict, batch_size)
    assert metrics == {"AUC": 0.625, "Top-1": 0.5}
    assert evidence["Interval Sources"] == {"AUC": "DeLong 1988", "Top-1": "Wilson 1927"}
    # placements: positives 1 and 0.25, negatives 0.75 and 0.5; variances 0.28125 and 0.03125, each
    # over 2
    half = 1.959964 * np.sqrt(0.28125 / 2 + 0.03125 / 2)
    np.testing.assert_allclose(
        evidence["Confidence Intervals"]["AUC"], [max(0, 0.625 - half), 1.0], atol=1e-6
    )


def test_the_csv_is_read_as_published(published):
    folder = published.folder("open_criteo_kaggle")
    line = lambda label, number, first: ",".join([label, *number, first, *["68fd1e64"] * 25])  # noqa: E731
    numbers = [[str(at) for at in range(1, 14)], [""] * 13, [str(at * 2) for at in range(1, 14)]]
    rows = [
        line("1", numbers[0], "05db9164"),
        line("0", numbers[1], ""),
        line("1", numbers[2], "5a9ed9b0"),
    ]
    (folder / "eval.csv").write_text("\n".join(rows) + "\n")
    data = published.open("open_criteo_kaggle", **WIDEDEEP)
    np.testing.assert_allclose(data.numbers[:, 0], [0.5, 0, 1])
    assert data.categories[0, :, 0].tolist() == list(range(26))
    # C1 stands after C10..C19: an empty category has another bucket than a filled one, all other
    # columns are alike
    assert [len(set(data.categories[:, at, 1])) for at in range(26)] == [1] * 10 + [3] + [1] * 15


@pytest.mark.parametrize(
    ("text", "buckets", "expected"),
    [
        ("Hello", 3, 0),
        ("TensorFlow", 3, 2),
        ("2.x", 3, 2),
    ],  # from the documentation of tf.strings.to_hash_bucket_fast
)
def test_buckets_are_tensorflows(text, buckets, expected):
    loader, _ = load_dataset_classes(ROOT / "datasets" / "open_criteo_kaggle")
    module = __import__("sys").modules[loader.__module__]
    assert module.fingerprint64(text.encode()) % buckets == expected


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"numeric": np.zeros((4, 12))},
            r"numeric.npy: shape is '\[4, 12\] float64'; allowed: numbers \[n, 13\]",
        ),
        (
            {"label": np.zeros(3)},
            "label.npy: items is .*the same number of items in all three files",
        ),
        ({"label": np.array(["a"] * 4)}, "label.npy: shape is"),
    ],
)
def test_broken_arrays(published, changed, said):
    arrays(published, **changed)
    with pytest.raises(UserError, match=said):
        published.open("open_criteo_kaggle", **WIDEDEEP)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2,3\n", "eval.csv: line 1 is '3 columns'; allowed: 40"),
        (
            ",".join(["2", *["1"] * 13, *["a"] * 26]) + "\n",
            "eval.csv: line 1, column 1 is '2'; allowed: 0 or 1",
        ),
        (
            ",".join(["1", "x", *["1"] * 12, *["a"] * 26]) + "\n",
            "eval.csv: line 1, column 2 is 'x'; allowed: a number",
        ),
        ("", "eval.csv: has no lines"),
    ],
)
def test_a_broken_csv(published, text, said):
    (published.folder("open_criteo_kaggle") / "eval.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        published.open("open_criteo_kaggle", **WIDEDEEP)


def test_missing_files_of_criteo(published):
    folder = published.folder("open_criteo_kaggle")
    with pytest.raises(
        FileNotFoundError,
        match="numeric.npy, .*categorical.npy and .*label.npy are missing.*eval.csv",
    ):
        published.open("open_criteo_kaggle", **WIDEDEEP)
    arrays(published)
    (folder / "label.npy").unlink()
    with pytest.raises(
        FileNotFoundError, match="label.npy; eval.csv in the same folder would do as well"
    ):
        published.open("open_criteo_kaggle", **WIDEDEEP)


def test_one_label_only_has_no_auc(published):
    arrays(published, labels=(1, 1, 1, 1))
    data = published.open("open_criteo_kaggle", **WIDEDEEP)
    with pytest.raises(UserError, match="all 4 scored items have the label 1; AUC needs both"):
        published.score(data, lambda feeds: [feeds[NUMBERS][:, :1]])


@pytest.mark.parametrize(
    ("percent", "kind", "items"),
    [(100, "whole", 40), (50, "stratified", 20), (10, "stratified", 4)],
)
def test_a_share_keeps_the_classes_in_proportion(published, percent, kind, items):
    arrays(published, labels=[1] * 10 + [0] * 30, count=40)
    data = published.open("open_criteo_kaggle", seed=3, **WIDEDEEP)
    _, evidence = published.score(data, lambda feeds: [feeds[NUMBERS][:, :1]], 4, percent)
    assert evidence["Share"] == {
        "kind": kind,
        "percent": percent,
        "seed": None if percent == 100 else 3,
    }
    assert evidence["Items"] == items
    chosen, _, _ = data.share(percent)
    assert data.strata[chosen].mean() == pytest.approx(0.25)


ROFORMER = {
    "inputs": "input_segment:0,input_token:0",
    "outputs": "Identity:0",
    "input_shape": {"input_segment:0": [1, 16], "input_token:0": [1, 16]},
    "input_type": "FLOAT32,FLOAT32",
}
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "甲", "乙", "丙"]
TRIPLETS = [
    {"A": "甲", "B": "甲", "C": "乙", "label": "B"},
    {"A": "乙", "B": "丙", "C": "乙", "label": "C"},
    {"A": "丙", "B": "甲", "C": "丙", "label": "B"},
]


def cail(published, records=TRIPLETS, text=None):
    folder = published.folder("open_cail2019")
    lines = (
        "\n".join(json.dumps(each, ensure_ascii=False) for each in records)
        if text is None
        else text
    )
    (folder / "cail2019.jsonl").write_text(lines, encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(VOCAB), encoding="utf-8")


def same_character(feeds):
    tokens = feeds["input_token:0"]
    return {"Identity:0": (tokens[:, 1] == tokens[:, 3]).astype(np.float32)[:, None]}


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_triplets_by_hand(published, batch_size):
    """The backend likes equal characters: right for two triplets of three."""
    cail(published)
    data = published.open("open_cail2019", **ROFORMER)
    metrics, evidence = published.score(data, same_character, batch_size)
    assert metrics == {"Top-1": pytest.approx(2 / 3, abs=1e-5)}
    assert evidence["Items"] == 3 and data.get_item_count() == 6


def test_a_pair_is_tokens_and_segments(published):
    cail(published)
    feeds, labels = published.open("open_cail2019", **ROFORMER).get_samples(1)
    assert feeds["input_token:0"][0, :6].tolist() == [2, 4, 3, 5, 3, 0]
    assert feeds["input_segment:0"][0, :6].tolist() == [0, 0, 0, 1, 1, 0]
    assert labels.tolist() == [0] and feeds["input_token:0"].shape == (1, 16)


def test_long_texts_are_cut_where_they_are_longer(published):
    cail(published, [{"text1": "甲" * 20, "text2": "乙乙", "label": 1}])
    feeds, _ = published.open("open_cail2019", **ROFORMER).get_samples(0)
    assert feeds["input_token:0"][0].tolist() == [2] + [4] * 11 + [3, 5, 5, 3]


def test_pairs_by_hand(published):
    pairs = [("甲", "甲", 1), ("甲", "乙", 1), ("乙", "丙", 0), ("丙", "丙", 0)]
    cail(published, [{"text1": a, "text2": b, "label": label} for a, b, label in pairs])
    data = published.open("open_cail2019", **ROFORMER)
    assert published.score(data, same_character, 2)[0] == {"Top-1": 0.5}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"A": "x", "B": "y", "label": "B"}', "line 1, C is missing; allowed: text"),
        (
            '{"A": "x", "B": "y", "C": "z", "label": "D"}',
            "line 1, label is 'D'; allowed: 'B' or 'C'",
        ),
        ('{"text1": "x", "text2": "y", "label": 2}', "line 1, label is 2; allowed: 0 or 1"),
        ('\n{"A"', "line 2 is not JSON"),
        ("[1]", r"line 1 is \[1\]; allowed: an object"),
        ("", "has no lines"),
    ],
)
def test_a_broken_line(published, text, said):
    cail(published, text=text)
    with pytest.raises(UserError, match=said):
        published.open("open_cail2019", **ROFORMER)


def test_two_kinds_in_one_file_are_refused(published):
    cail(published, [TRIPLETS[0], {"text1": "x", "text2": "y", "label": 1}])
    with pytest.raises(UserError, match="line 2 is .*the same kind as the lines before"):
        published.open("open_cail2019", **ROFORMER)
