"""Which preparation of pictures scores clearly better, with scores that are made up."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from qs.contract.scoring import wilson
from qs.inside.preparing import Preparation, clearly_better, usual


def pictures(channels="RGB"):
    return SimpleNamespace(SCALE=1.0, MEAN=0.0, STD=1.0, CHANNELS=channels)


def by_top_1(dataset, right: dict):
    """Of 24 items; `right` says how many are right for which (SCALE, CHANNELS)."""

    def score():
        count = right.get((round(dataset.SCALE * 255), dataset.CHANNELS), 2)
        interval = wilson(count, 24)
        return {"Top-1": count / 24}, {"Items": 24, "Confidence Intervals": {"Top-1": interval}}

    return score


@pytest.mark.parametrize(
    ("right", "words"),
    [
        ({(255, "RGB"): 23}, "can hardly be better"),
        ({(255, "RGB"): 12}, "no other usual"),
        ({(255, "RGB"): 12, (1, "RGB"): 16}, "no other usual"),
        ({(255, "RGB"): 4, (1, "RGB"): 16}, "0.167 as stated, 0.667 with SCALE = 1 / 255"),
        ({(1, "BGR"): 16, (2, "BGR"): 24}, 'STD = 1.0, CHANNELS = "BGR"'),
    ],
)
def test_by_table(right, words):
    dataset = pictures()
    better, said = clearly_better(by_top_1(dataset, right), dataset)
    assert words in said
    assert better == ("stated" in said)
    assert vars(dataset) == vars(pictures())


def test_of_errors_less_is_better_and_without_intervals_nothing_is_clear():
    dataset = pictures("L")

    def score():
        error = dataset.SCALE
        return {"RMSE": error}, {"Confidence Intervals": {"RMSE": [error / 2, error * 2]}}

    assert clearly_better(score, dataset)[0]
    assert not clearly_better(lambda: ({"Mine": dataset.SCALE}, {}), dataset)[0]


def test_imagenets_mean_is_in_the_order_of_the_channels():
    means = {each.channels: each.mean for each in usual("BGR") if each.name == "imagenet"}
    assert means["RGB"] == means["BGR"][::-1] == (0.485, 0.456, 0.406)
    assert {each.channels for each in usual("L")} == {"L"}
    words = Preparation("x", "1 / 255", (0.5,), 1.0, "L").words()
    assert words == "SCALE = 1 / 255, MEAN = [0.5], STD = 1.0"
