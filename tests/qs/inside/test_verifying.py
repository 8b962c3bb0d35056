"""Keeping answers within bounds, and judging them against idle ones from before the load."""

from __future__ import annotations

import random

import numpy as np
import pytest

from qs.inside import judging, verifying
from qs.inside.judging import Idle, Unsteady
from qs.inside.verifying import (
    ALL,
    RESERVOIR,
    SAMPLE,
    Answer,
    Kept,
    Verifier,
    checksum,
    read,
    write,
)

FEEDS = [{"x": np.full(4, float(number), np.float32)} for number in range(5)]
NAMES = ["y"]


def right(feeds):
    return {"y": feeds["x"] * 10 + 1}


def judged(folder, mode, samples, predict, names, precision, before=None):
    """As the service does: idle answers before the load, the judgement after it; `before` is what
    the backend answered then, where it was another function.
    """
    idle = Idle(samples, before or predict, names, precision)
    assert idle.ask_first(len(samples)) is None
    idle.save(folder)
    idle = Idle(samples, predict, names, precision)
    idle.load(folder)
    return judging.judged(folder, mode, idle)


def kept_in(folder, mode, answers, instance=0):
    """A worker that made those requests: (sample, output)."""
    kept = Kept(mode, random.Random(0))
    for sample, output in answers:
        kept.take(sample, FEEDS[sample], output, NAMES)
    write(folder / f"{instance}.0.npz", kept)
    return kept


def test_a_sample_keeps_each_request_alike():
    counts = np.zeros(200)
    for seed in range(400):
        kept = Kept(SAMPLE, random.Random(seed))
        for number in range(200):
            kept.take(0, None, np.array(number), NAMES)
        assert len(kept.reservoir) == RESERVOIR and kept.requests == 200
        counts[[answer.request for answer in kept.reservoir]] += 1
    # 400 * 16 / 200 = 32 each; the four quarters have 1,600 each, give or take
    assert np.abs(counts.reshape(4, 50).sum(axis=1) - 1600).max() < 160


def test_few_requests_are_all_kept():
    kept = Kept(SAMPLE, random.Random(0))
    for number in range(5):
        kept.take(0, None, np.array(number), NAMES)
    assert [answer.request for answer in kept.reservoir] == [0, 1, 2, 3, 4]


def test_all_keeps_one_copy_of_what_is_alike(tmp_path):
    kept = kept_in(tmp_path, ALL, [(number % 3, right(FEEDS[number % 3])) for number in range(90)])
    assert len(kept.distinct) == 3 and sum(answer.count for answer in kept.answers()) == 90


def test_memory_is_bounded_and_what_was_left_out_is_counted(monkeypatch):
    monkeypatch.setattr(verifying, "MOST_DISTINCT", 10)
    kept = Kept(ALL, random.Random(0))
    for number in range(100):
        kept.take(0, None, np.array([float(number)]), NAMES)
    assert len(kept.distinct) == 10 and kept.unchecked == 90


def test_answers_are_copies():
    kept, buffer = Kept(ALL, random.Random(0)), np.zeros(3)
    kept.take(0, None, buffer, NAMES)
    buffer += 1
    assert kept.answers()[0].outputs["y"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("mode", [SAMPLE, ALL])
def test_right_answers_are_right(tmp_path, mode):
    kept_in(tmp_path, mode, [(number % 5, right(FEEDS[number % 5])) for number in range(12)])
    found = judged(str(tmp_path), mode, FEEDS, right, NAMES, "FP32")
    assert (found["checked"], found["wrong"], found["worst"], found["requests"]) == (
        12,
        0,
        None,
        12,
    )
    assert found["tolerance"] == 1e-4


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (right(FEEDS[2]), "it is the answer to sample 2"),
        (
            {"y": right(FEEDS[1])["y"] + np.float32(1)},
            "output y differs by 0.091 of its largest value; allowed: 0.0001",
        ),
        ({"y": np.full(4, np.nan, np.float32)}, "different values are not finite"),
        ({"y": right(FEEDS[1])["y"][:2]}, r"float32 [4] became float32 [2]"),
        ({"z": right(FEEDS[1])["y"]}, "outputs y became z"),
        (None, "its outputs became none"),
        ({}, "its outputs became none"),
        ({"y": right(FEEDS[1])["y"].astype(np.float64)}, "float32 [4] became float64 [4]"),
        ({"y": np.zeros(4, np.float32)}, "differs by 1 of its largest value"),
    ],
)
@pytest.mark.parametrize("mode", [SAMPLE, ALL])
def test_a_wrong_answer_is_named(tmp_path, mode, output, said):
    asked = [(0, right(FEEDS[0])), (2, right(FEEDS[2])), (1, output), (1, right(FEEDS[1]))]
    kept_in(tmp_path, mode, asked, instance=3)
    found = judged(str(tmp_path), mode, FEEDS, right, NAMES, "FP32")
    assert (found["checked"], found["wrong"]) == (4, 1)
    assert said in found["worst"]["why"]
    assert (found["worst"]["request"], found["worst"]["sample"], found["worst"]["worker"]) == (
        2,
        1,
        "3.0",
    )


def test_another_samples_answer_is_wrong_however_near(tmp_path):
    near = [{"x": np.full(4, 1 + number * 1e-6, np.float32)} for number in range(2)]
    kept = Kept(SAMPLE, random.Random(0))
    kept.take(0, near[0], right(near[1]), NAMES)
    kept.take(1, near[1], right(near[1]), NAMES)
    write(tmp_path / "0.0.npz", kept)
    assert (
        judged(str(tmp_path), SAMPLE, near, right, NAMES, "INT8")["worst"]["why"]
        == "it is the answer to sample 1"
    )


@pytest.mark.parametrize(("precision", "wrong"), [("FP32", 1), ("BF16", 0)])
def test_the_precision_says_how_near(tmp_path, precision, wrong):
    kept_in(tmp_path, ALL, [(1, {"y": right(FEEDS[1])["y"] * np.float32(1.01)})])
    assert judged(str(tmp_path), ALL, FEEDS, right, NAMES, precision)["wrong"] == wrong


def test_what_the_idle_backend_does_not_repeat_is_not_asked_of_the_busy_one(tmp_path):
    noise = np.random.default_rng(0)

    def noisy(feeds):
        return {"y": feeds["x"] * 10 + 1 + noise.normal(0, 0.01, 4).astype(np.float32)}

    kept_in(tmp_path, ALL, [(number % 5, noisy(FEEDS[number % 5])) for number in range(40)])
    found = judged(str(tmp_path), ALL, FEEDS, noisy, NAMES, "FP32")
    assert (
        found["idle_repeat"] > 1e-4
        and found["tolerance"] == 2 * found["idle_repeat"]
        and found["wrong"] == 0
    )
    kept_in(tmp_path, ALL, [(4, right(FEEDS[1]))], instance=1)
    assert judged(str(tmp_path), ALL, FEEDS, noisy, NAMES, "FP32")["wrong"] == 1


def test_batches_that_the_engine_joined_are_asked_again(tmp_path):
    verifier = Verifier(ALL, 0, str(tmp_path), 0, NAMES)
    verifier.knows(())
    predict = verifier.watched(
        lambda feeds: right(feeds) if feeds["x"][0] < 3 else {"y": feeds["x"]}
    )
    predict({"x": np.ones(4, np.float32)})  # before measuring: not looked at
    verifier.begin_measuring()
    for number in (1, 2, 3):
        predict({"x": np.full(4, float(number), np.float32)})
    verifier.end_measuring()
    found = judged(str(tmp_path), ALL, (), right, NAMES, "FP32")
    assert (found["requests"], found["checked"], found["wrong"]) == (3, 3, 1)


def test_the_file_keeps_everything_and_pickles_nothing(tmp_path):
    kept = Kept(SAMPLE, random.Random(0))
    kept.take(None, {"x": np.arange(2)}, [np.ones(2), np.zeros((0, 3))], ["a", "b"])
    write(tmp_path / "w.npz", kept)
    about, (answer,) = read(tmp_path / "w.npz")
    assert about["requests"] == 1 and isinstance(answer, Answer)
    assert answer.feeds["x"].tolist() == [0, 1] and answer.outputs["b"].shape == (0, 3)
    assert [each.name for each in tmp_path.iterdir()] == ["w.npz"]


def test_checksums_know_shape_type_and_name():
    arrays = [
        {"y": np.zeros(4, np.float32)},
        {"y": np.zeros((2, 2), np.float32)},
        {"y": np.zeros(4, np.int32)},
        {"z": np.zeros(4, np.float32)},
    ]
    assert len({checksum(each) for each in arrays}) == 4


@pytest.mark.parametrize(
    "gone_wrong",
    [
        lambda feeds: None,
        lambda feeds: {},
        lambda feeds: {"y": np.zeros(4, np.float32)},
        lambda feeds: {"y": np.full(4, np.nan, np.float32)},
        lambda feeds: {"y": np.ones(3, np.float32)},
        lambda feeds: {"y": right(feeds)["y"].astype(np.int8)},
    ],
)
@pytest.mark.parametrize("mode", [SAMPLE, ALL])
def test_a_backend_that_turned_wrong_for_good_cannot_confirm_itself(tmp_path, mode, gone_wrong):
    kept_in(tmp_path, mode, [(1, gone_wrong(FEEDS[1])), (2, gone_wrong(FEEDS[2]))])
    with pytest.raises(Unsteady, match="its answer to sample 0 has changed"):
        judged(str(tmp_path), mode, FEEDS, gone_wrong, NAMES, "FP32", before=right)
    # and in another process than the idle one, which is right all the time
    found = judged(str(tmp_path), mode, FEEDS, right, NAMES, "FP32")
    assert found["wrong"] == found["checked"] == 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "sample 0: predict returned None"),
        ({}, "sample 0: predict returned an empty dict"),
        ([], "sample 0: predict returned an empty list"),
        ([None], "sample 0: predict returned a list of None"),
        ({"y": np.full(3, np.nan)}, "sample 0: no value of output y is finite"),
    ],
)
def test_an_idle_answer_that_is_none_is_a_fault(answer, said):
    assert Idle(FEEDS, lambda feeds: answer, NAMES, "FP32").ask_first(1) == said


def test_a_backend_that_turns_wrong_while_it_is_asked_when_idle():
    calls = []

    def tiring(feeds):
        calls.append(feeds)
        return right(feeds) if len(calls) < 7 else {"y": feeds["x"] * 0}

    fault = Idle(FEEDS, tiring, NAMES, "FP32").ask_first(5)
    assert fault.startswith("its answer to sample 0 has changed")


def test_what_was_not_asked_before_is_asked_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "ASKING_S", -1.0)
    kept_in(tmp_path, ALL, [(number, right(FEEDS[number])) for number in range(5)])
    assert judged(str(tmp_path), ALL, FEEDS, right, NAMES, "FP32")["wrong"] == 0


def test_text_and_maps_are_kept_and_compared(tmp_path):
    def said(feeds, word="yes"):
        scores = {"yes": float(feeds["x"][0]), "no": 1.0}
        return {"label": np.array([word, "no"], object), "scores": [scores, scores]}

    kept_in(tmp_path, ALL, [(at, said(FEEDS[at])) for at in (1, 2, 1)])
    found = judged(str(tmp_path), ALL, FEEDS, said, NAMES, "FP32")
    assert (found["checked"], found["wrong"]) == (3, 0)
    kept_in(tmp_path, ALL, [(1, said(FEEDS[1], "maybe"))], instance=1)
    worst = judged(str(tmp_path), ALL, FEEDS, said, NAMES, "FP32")["worst"]
    assert worst["why"] == "output label: text values differ"
