"""The model's path in interact_info: there for who asks, and no answer."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from qs.inside.interact_info import InteractInfo, with_path
from qs.inside.plain import plain, restored

INFO = {"model_path": "/w/m.pt"}


def configs(**answers: object) -> dict:
    return {"workload": {}, "model_info": INFO, "interact_info": answers}


@pytest.mark.parametrize(
    "copied", [lambda x: x, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_it_is_found_and_is_no_answer(copied):
    found = copied(with_path(configs(precision="FP16")))["interact_info"]
    assert found["model_path"] == found.get("model_path") == "/w/m.pt"
    assert "model_path" in found and "other" not in found
    assert (found["precision"], found.get("other"), found.get("other", 3)) == ("FP16", None, 3)
    with pytest.raises(KeyError, match="other"):
        found["other"]
    assert dict(**found) == json.loads(json.dumps(found)) == plain(found) == {"precision": "FP16"}


def test_no_answers_are_none():
    found = with_path(configs())["interact_info"]
    assert not found and len(found) == 0
    assert found["model_path"] == "/w/m.pt"


def test_an_answer_of_that_name_wins():
    found = with_path(configs(model_path="/own.zip"))["interact_info"]
    assert found["model_path"] == "/own.zip" and plain(found) == {"model_path": "/own.zip"}


def test_it_stays_what_it_was_when_the_model_info_is_changed():
    own = with_path(configs(precision="FP16"))
    own["model_info"] = {"model_path": "/w/m.onnx"}
    back = with_path(restored(plain(own), own))
    assert back["interact_info"]["model_path"] == "/w/m.pt"
    assert isinstance(back["interact_info"], InteractInfo)


@pytest.mark.parametrize("given", [{}, {"model_info": INFO, "interact_info": ["odd"]}])
def test_odd_configs_are_left_alone(given):
    assert with_path(given) == given
