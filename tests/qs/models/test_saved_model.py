"""Names of a saved_model, and everything that is said of one before TensorFlow is imported; the
conversion itself is in test_saved_model_converted.
"""

from __future__ import annotations

import pytest

from qs.base.errors import UserError
from qs.models import saved_model
from qs.models.request import ModelRequest
from qs.models.signatures import match
from qs.tensors.saved_model import read
from tests.qs import saved_models as made


def info(inputs, outputs, shape=(1, 5), kind="FLOAT32"):
    names = inputs.split(",")
    shapes = {name: list(shape) for name in names}
    return {
        "model": "m",
        "inputs": inputs,
        "outputs": outputs,
        "input_shape": shapes,
        "input_type": kind,
    }


def keys(asked):
    return [place.key for place in asked.inputs], [place.key for place in asked.outputs]


def two_sided(folder, inputs, outputs, name="serving_default", objects=False, nodes=None):
    """Inputs and outputs by key -> name in the graph."""

    def side(names):
        return {key: (tensor, made.FLOAT, [-1, 5]) for key, tensor in names.items()}

    signature = made.signature(side(inputs), side(outputs))
    graph = made.meta_graph({name: signature}, nodes or {}, objects=objects)
    return made.written(folder, graph)


@pytest.mark.parametrize(
    ("inputs", "outputs", "declared", "found"),
    [
        # the names of tensors, as published
        ({"input_ids": "input_ids:0"}, {"logits": "logits:0"}, ("input_ids:0", "logits:0"), 0),
        ({"a": "input_ids:0"}, {"b": "loss/logits:0"}, ("input_ids:0", "loss/logits:0"), 0),
        # as tf.saved_model.save names them
        ({"x": "serving_default_x:0"}, {"y": "Call:0"}, ("x:0", "y"), 0),
        ({"x": "serving_default_x:0"}, {"y": "Call:0"}, ("serving_default_x:0", "Call:0"), 0),
        ({"X": "a:0"}, {"probabilities": "b:0"}, ("x.1", "import/head/probabilities:0"), 0),
        # by place, as published backends feed them
        ({"x": "a:0"}, {"y": "b:0"}, ("else", "other"), 2),
    ],
)
def test_names_are_matched(tmp_path, inputs, outputs, declared, found):
    folder = two_sided(tmp_path / "m", inputs, outputs)
    asked = match(read(folder), info(*declared), folder)
    assert keys(asked) == (list(inputs), list(outputs))
    assert len(asked.notes) == found


def test_each_name_gets_its_own(tmp_path):
    names = {"mask": "b:0", "ids": "c:0", "types": "a:0"}
    folder = two_sided(tmp_path / "m", names, {"y": "y:0"})
    asked = match(read(folder), info("ids:0,mask:0,types:0", "y"), folder)
    assert keys(asked) == (["ids", "mask", "types"], ["y"])
    # what no name tells apart goes in alphabetical order of the signature's
    asked = match(read(folder), info("first,mask,third", "y"), folder)
    assert keys(asked)[0] == ["ids", "mask", "types"]
    assert [str(note) for note in asked.notes] == [
        "input first feeds the signature's ids (by position)",
        "input third feeds the signature's types (by position)",
    ]


def test_a_tensor_inside_of_tensorflow_1s_graph(tmp_path):
    nodes = {"x": "Placeholder", "head/p": "Softmax"}
    folder = two_sided(tmp_path / "m", {"x": "x:0"}, {"classes": "c:0"}, nodes=nodes)
    asked = match(read(folder), info("x:0", "head/p:0"), folder)
    assert (asked.outputs[0].key, asked.outputs[0].tensor.name) == (None, "head/p:0")
    assert asked.notes == ()
    with_functions = two_sided(tmp_path / "n", {"x": "x:0"}, {"c": "c:0"}, "s", True, nodes)
    asked = match(read(with_functions), info("x:0", "head/p:0"), with_functions)
    assert asked.outputs[0].key == "c"


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (info("x,z", "y"), r"takes 1 inputs \(x\), but the model info names 2: x, z; correct"),
        (info("x", "yy,y"), r"has no output 'yy', only y"),
        (info("x", "y", (1, 6)), r"an input 'x' that cannot .* x: its dimension 1 is 5, not 6"),
        (info("x", "y", (1, 5, 1)), "it has 2 dimensions, not 3"),
        (info("xx", "y", kind="INT64"), "no input 'xx', only x, .* float32, not int64; did you"),
        (info("x", "y", kind="STRING"), "it is float32, not str"),
    ],
)
def test_what_the_model_info_says_must_fit(tmp_path, declared, message):
    folder = made.small(tmp_path / "m")
    with pytest.raises(UserError, match=f"the signature 'serving_default' of .*m .*{message}"):
        match(read(folder), declared, folder)


def test_which_signature_is_meant(tmp_path):
    one = made.signature({"x": ("a:0", made.FLOAT, [-1, 5])}, {"y": ("b:0", made.FLOAT, [-1])})
    other = made.signature({"x": ("a:0", made.FLOAT, [-1, 5])}, {"z": ("b:0", made.FLOAT, [-1])})

    def asked(outputs, **signatures):
        folder = made.written(tmp_path / "m", made.meta_graph(signatures, {}))
        return match(read(folder), info("x", outputs), folder).signature

    assert asked("z", serving_default=one, other=other) == "serving_default"
    assert asked("z", predict=one) == "predict"
    assert asked("z", first=one, second=other) == "second"
    with pytest.raises(UserError, match="signatures first, second, none .* fit none of them"):
        asked("q", first=one, second=other)
    with pytest.raises(UserError, match="fit several of them"):
        asked("y", first=one, second=one)
    with pytest.raises(UserError, match="has no signature, so that nothing of it can be called"):
        asked("y")


def converted(folder, declared):
    request = ModelRequest(declared, folder, 0, lambda text: None, lambda done, total: None)
    return saved_model.to_onnx(folder, request)


@pytest.mark.parametrize("operator", ["PyFunc", "EagerPyFunc", "PyFuncStateless", "WriteFile"])
def test_code_of_others_is_refused_by_name(tmp_path, operator):
    folder = made.small(tmp_path / "m", in_functions=["Identity", operator])
    with pytest.raises(UserError, match=f"has the operator {operator}, which (calls|writes)"):
        converted(folder, info("x", "y"))


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        ((), "tensorflow and tf2onnx, which convert it, are not installed"),
        (("tensorflow",), "tf2onnx, which converts it, is not installed"),
    ],
)
def test_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch, there, missing):
    monkeypatch.setattr(saved_model, "find_spec", lambda name: object() if name in there else None)
    folder = made.small(tmp_path / "m")
    with pytest.raises(UserError, match=f"{missing}: install the extra `tensorflow`") as raised:
        converted(folder, info("x", "y"))
    assert str(raised.value).endswith(f"put an ONNX export of the model at {tmp_path}/m.onnx")
