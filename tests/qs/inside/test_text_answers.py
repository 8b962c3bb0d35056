"""Texts written under load against those of the idle server."""

from __future__ import annotations

import random

import numpy as np
import pytest

from qs.inside import judging
from qs.inside.judging import Idle
from qs.inside.verifying import ALL, Kept, write
from qs.llm.prompt import Message, Prompt
from qs.llm.scoring import CHOICE, chosen, right
from qs.remote.protocol import Unanswered

NAMES = ["text"]
PROMPTS = ["tell of cats", "tell of dogs", "tell of birds", "B or A?"]
LONG = "once there were ten of them and they all lived in one house with {}"


class Server:
    """A backend whose answers are texts."""

    output, unit, pieces, score = "text", "token", None, ""

    def __init__(self, score: str = "", pieces=None):
        self.score, self.pieces = score, pieces

    def right(self, feeds, text):
        prompt = str(feeds["prompt"][0])
        if prompt != PROMPTS[3]:
            return None
        return right(
            Prompt((Message("user", prompt),), answer="B", choices=("x", "y")), text, CHOICE
        )

    def unread(self, feeds, text):
        return chosen(text, ("x", "y")) is None


def feeds(prompt: str) -> dict[str, np.ndarray]:
    return {"prompt": np.array([prompt], object)}


FEEDS = [feeds(prompt) for prompt in PROMPTS]


def answer(text: str) -> dict[str, np.ndarray]:
    return {"text": np.array([text], object)}


def idle_text(given) -> dict[str, np.ndarray]:
    prompt = str(given["prompt"][0])
    return answer("B" if prompt == PROMPTS[3] else LONG.format(prompt.split()[-1]))


def judged(folder, busy, server=None, predict=idle_text):
    """(sample, text) under load, judged after it."""
    kept = Kept(ALL, random.Random(0))
    for sample, text in busy:
        kept.take(sample, FEEDS[sample], answer(text), NAMES)
    write(folder / "0.0.npz", kept)
    server = server or Server()
    idle = Idle(FEEDS, predict, NAMES, "FP32", server)
    assert idle.ask_first(len(FEEDS)) is None
    idle.save(folder)
    idle = Idle(FEEDS, predict, NAMES, "FP32", server)
    idle.load(folder)
    return judging.judged(folder, ALL, idle)


def test_answers_that_are_the_same(tmp_path):
    found = judged(tmp_path, [(0, LONG.format("cats")), (1, LONG.format("dogs"))] * 5)
    assert (found["wrong"], found["checked"]) == (0, 10)
    texts = found["texts"]
    assert (texts["compared"], texts["same"], texts["share"]) == (10, 10, 1.0)
    assert texts["example"] is None and texts["idle_same"]


def test_an_answer_that_parts_is_told_and_not_wrong(tmp_path):
    busy = [(0, LONG.format("cats")), (1, LONG.format("wolves")), (2, "once upon")]
    found = judged(tmp_path, busy)
    assert found["wrong"] == 0
    texts = found["texts"]
    assert (texts["same"], texts["compared"], texts["unit"]) == (1, 3, "word")
    assert (texts["earliest"], texts["median"]) == (2, 2)
    assert texts["example"] == {
        "sample": 2, "piece": 2, "of": 15, "idle": " there", "busy": " upon"
    }  # fmt: skip


def test_the_answer_to_another_prompt_is_wrong(tmp_path):
    found = judged(tmp_path, [(0, LONG.format("dogs")), (1, LONG.format("dogs"))])
    assert found["wrong"] == 1
    assert found["worst"]["why"] == "it is the answer to sample 1"


def test_a_short_answer_may_be_that_of_several_prompts(tmp_path):
    def short(given):
        return answer("yes" if str(given["prompt"][0]) == PROMPTS[0] else "no")

    found = judged(tmp_path, [(0, "no"), (1, "no")], predict=short)
    assert found["wrong"] == 0
    assert (found["texts"]["same"], found["texts"]["compared"]) == (1, 2)


def test_pieces_are_the_tokenizers_where_there_is_one(tmp_path):
    found = judged(tmp_path, [(3, "A")], Server(pieces=list))
    assert (found["texts"]["unit"], found["texts"]["earliest"]) == ("token", 1)


def test_a_server_that_does_not_repeat_itself_when_idle(tmp_path):
    numbers = iter(range(1_000))

    def never_the_same(given):
        return answer(f"answer {next(numbers)}")

    found = judged(tmp_path, [(0, "answer 77")], predict=never_the_same)
    assert not found["texts"]["idle_same"]
    assert "two idle answers" in found["note"]


def test_each_prompt_is_scored_once(tmp_path):
    busy = [(3, "B"), (3, "A"), (3, "A"), (0, LONG.format("cats"))]
    found = judged(tmp_path, busy, Server(score=CHOICE))
    assert found["score"]["name"] == "Multiple-Choice Accuracy"
    assert (found["score"]["items"], found["score"]["right"], found["score"]["unread"]) == (1, 1, 0)


def test_answers_that_make_no_choice_are_wrong_and_counted(tmp_path):
    found = judged(tmp_path, [(3, "who knows")], Server(score=CHOICE))
    assert (found["score"]["right"], found["score"]["unread"]) == (0, 1)


def test_what_there_was_no_time_to_ask_for_is_not_checked(tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "ASKING_S", 0.0)
    monkeypatch.setattr(judging, "ASKING_TEXTS_S", 0.0)
    found = judged(tmp_path, [(0, LONG.format("cats")), (1, "what"), (1, "what")])
    assert (found["checked"], found["unchecked"]) == (1, 2)
    assert found["texts"]["compared"] == 1


def test_a_server_that_fails_at_times_is_compared_where_it_answers(tmp_path):
    """A prompt too long for the model, a 500 now and then: those are not checked, others are."""

    def predict(given):
        if given is FEEDS[1]:
            raise Unanswered("h: HTTP 400: too long", "HTTP 400")
        return idle_text(given)

    busy = [(at, idle_text(FEEDS[at])["text"][0]) for at in (0, 1, 2)]
    found = judged(tmp_path, busy, predict=predict)
    assert (found["checked"], found["unchecked"], found["texts"]["compared"]) == (2, 1, 2)
    with pytest.raises(Unanswered):
        Idle(FEEDS, predict, NAMES, "FP32").ask_first(None)
