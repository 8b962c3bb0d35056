"""An ONNX model as TorchScript for a backend: whose torch compiles it, what is said without one,
and whole networks.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.environments import Environment
from qs.evaluate import torchscript
from qs.evaluate.torchscript import torch_for, torchscript_of
from qs.models import resolve

ROOT = Path(__file__).parents[3]
OURS = Environment(sys.executable, None, False, "")


def info_of(model):
    return json.loads((ROOT / "model_zoo" / f"{model}.json").read_text())


def test_the_backends_own_torch_comes_first(monkeypatch):
    """An older one may not read what a newer one saved."""
    own = Environment("/env/python", "k", False, "", {"torch": "2.1.0"}, {"A": "b"})
    found = torch_for(own)
    assert (found.python, found.version, found.variables) == ("/env/python", "2.1.0", {"A": "b"})
    monkeypatch.setattr(torchscript, "find_spec", lambda name: None)
    assert torch_for(Environment("/env/python", "k", False, "", {"numpy": "2"})) is None
    assert torch_for(OURS) is None


@pytest.mark.parametrize(
    ("model", "place"),
    [
        ("digits-cnn-onnx-fp32", "model_zoo/digits/digits-cnn-onnx-fp32.pt"),
        ("bert-torch-fp32", "model_zoo/regular/open_bert/bert-base-uncased-squad-v1.pt"),
    ],
)
def test_without_torch_one_message_says_what_would_help(monkeypatch, tmp_path, model, place):
    monkeypatch.setattr(torchscript, "find_spec", lambda name: None)
    made = torchscript_of(tmp_path / "m.onnx", info_of(model), OURS, tmp_path / "log", print)
    with pytest.raises(UserError) as raised:
        asyncio.run(made)
    for part in ("m.onnx is ONNX", "extra `torch`", "requirements.txt", place):
        assert part in str(raised.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's notes on the future of TorchScript
@pytest.mark.parametrize("model", ["adult-widedeep-onnx-fp32", "resnet50-torch-fp32",
                                   "bert-torch-fp32"])  # fmt: skip
def test_whole_networks(tmp_path, model):
    torch = pytest.importorskip("torch")
    info = info_of(model)
    onnx = resolve(info, ROOT).path
    said: list[str] = []

    def made():
        return asyncio.run(torchscript_of(onnx, info, OURS, tmp_path / "log", said.append))

    found = made()
    assert found.format == "pt" and found.by == f"torch {torch.__version__}"
    assert found.check["items"] == 4 and found.check["max_rel_diff"] < found.check["tolerance"]
    count = len(said)
    assert made() == found and len(said) == count  # from the cache
    loaded = torch.jit.load(str(found.path))
    shapes = info["input_shape"].values()
    types = info["input_type"].split(",")
    feeds = [
        torch.from_numpy(np.ones([3, *shape[1:]], np.float32 if kind == "FLOAT32" else np.int64))
        for shape, kind in zip(shapes, types, strict=True)
    ]
    answers = loaded(*feeds)
    answers = answers if isinstance(answers, tuple) else (answers,)
    assert len(answers) == len(info["outputs"].split(","))
    assert {len(answer) for answer in answers} == {3}


@pytest.mark.slow
def test_an_operator_that_is_not_known_is_named_before_torch_starts(tmp_path):
    pytest.importorskip("torch")
    import onnx
    from onnx import helper

    value = [helper.make_tensor_value_info(name, 1, [None, 2, 2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Det", ["x"], ["y"], name="d")], "g", value[:1],
                              [helper.make_tensor_value_info("y", 1, [None])])  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(tmp_path / "m.onnx"))
    info = {"model": "m", "model_path": "m.onnx", "inputs": "x", "outputs": "y",
            "input_shape": {"x": [1, 2, 2]}, "input_type": "FLOAT32"}  # fmt: skip
    made = torchscript_of(tmp_path / "m.onnx", info, OURS, tmp_path / "log", print)
    with pytest.raises(UserError, match=r"the node 'd' \(Det\) is not turned into TorchScript"):
        asyncio.run(made)
