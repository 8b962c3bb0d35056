"""What a load test is told by a saved_model's folder, read without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import pytest

from qs.base.errors import UserError
from qs.evaluate.checks import given_model
from qs.inside.artifact import ArtifactService
from tests.qs import saved_models as made

ADULT = Path(__file__).parents[3] / "model_zoo" / "adult" / "adult-widedeep-tf-fp32"


def described(folder, **asked):
    return ArtifactService().describe(str(folder), asked)


def test_the_signatures_inputs_are_those_of_the_load_test():
    found = described(ADULT)
    shapes = [(each["name"], each["type"], list(each["shape"])) for each in found["inputs"]]
    assert shapes == [("categorical", "INT64", [1, 8]), ("numeric", "FLOAT32", [1, 5])]
    assert found["outputs"] == ["probability"]
    assert (found["name"], found["format"]) == ("adult-widedeep-tf-fp32", "saved_model")
    assert found["framework"] == "Tensorflow"
    record = given_model(found)
    assert (record["format"], record["note"]) == ("saved_model", "the given saved_model, 61.4 kB")
    assert "adult-widedeep-tf-fp32/saved_model.pb" in record["data"]


def test_what_is_open_is_stated_or_guessed(tmp_path):
    ids = {"ids": ("ids:0", made.INT64, [-1, -1]), "any": ("any:0", made.FLOAT, None)}
    signature = made.signature(ids, {"y": ("y:0", made.FLOAT, [-1])})
    folder = made.written(tmp_path / "m", made.meta_graph({"serving_default": signature}, {}))
    with pytest.raises(UserError, match="shape of any is missing.*how many dimensions it has"):
        described(folder)
    found = described(folder, shapes={"any": (1, 7), "ids": (1, 32)})
    assert {each["name"]: list(each["shape"]) for each in found["inputs"]} == {
        "any": [1, 7],
        "ids": [1, 32],
    }


def test_which_signature_is_not_guessed(tmp_path):
    one = made.signature({"x": ("a:0", made.FLOAT, [-1, 5])}, {"y": ("b:0", made.FLOAT, [-1])})
    folder = made.written(tmp_path / "m", made.meta_graph({"first": one, "second": one}, {}))
    with pytest.raises(UserError, match="signatures first, second, none of them called serving_"):
        described(folder)
