"""Worst items, replays, and segments of a real graph in two real sessions."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from qs.evaluate.checks import segment_tensors
from qs.inside.agreement import agreement, replay, segment_hook
from qs.inside.judging import Idle, ask_before
from qs.inside.reference import ReferenceService
from qs.inside.reference_items import load_reference, save_reference
from qs.tensors.outputs import named_outputs

INFO = {
    "model": "m",
    "inputs": "x",
    "outputs": "y",
    "input_shape": {"x": [1, 4]},
    "input_type": "FLOAT32",
    "dataset_name": None,
}
WEIGHTS = np.random.default_rng(0).normal(size=(2, 4, 4)).astype(np.float32)


def graph(path, first=True, second=True, spoil=1.0):
    """x @ w0 -> relu -> h; h @ w1 -> y: both, or one half of it."""
    nodes = []
    if first:
        nodes += [
            helper.make_node("MatMul", ["x", "w0"], ["z"]),
            helper.make_node("Relu", ["z"], ["h"]),
        ]
    if second:
        nodes += [helper.make_node("MatMul", ["h", "w1"], ["y"])]
    begin, end = "x" if first else "h", "y" if second else "h"
    weights = [
        numpy_helper.from_array(each * spoil, f"w{number}") for number, each in enumerate(WEIGHTS)
    ]
    sides = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4])] for name in (begin, end)
    ]
    made = helper.make_graph(nodes, "g", *sides, weights)
    onnx.save(
        helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )
    return str(path)


class TwoSegments:
    """A backend of two sessions; `spoil` is a fault in the second."""

    def __init__(self, folder, spoil=1.0):
        paths = (
            graph(folder / "a.onnx", second=False),
            graph(folder / "b.onnx", first=False, spoil=spoil),
        )
        self.sessions = [
            onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in paths
        ]

    def segment_outputs(self, feeds):
        (h,) = self.sessions[0].run(None, {"x": feeds["x"]})
        (y,) = self.sessions[1].run(None, {"h": h})
        return {"h": h, "y": y}

    def predict(self, feeds):
        return {"y": self.segment_outputs(feeds)["y"]}


@pytest.fixture
def reference(tmp_path, monkeypatch):
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))
    model = graph(tmp_path / "whole.onnx")

    def make(items=6, tensors=("h", "no such tensor")):
        out = tmp_path / "reference.npz"
        about = ReferenceService().reference_outputs(
            model, INFO, None, False, 0, items, str(out), list(tensors)
        )
        return load_reference(out), about

    return make


def test_the_segment_where_answers_part_is_seen(reference, tmp_path):
    made, _ = reference()
    assert list(made.tensors[0]) == ["h"] and list(made.outputs[0]) == ["y"]
    for spoil, y_differs in ((1.0, False), (1.5, True)):
        backend = TwoSegments(tmp_path, spoil)
        found = agreement(made, backend.predict, 4, ["y"], segment_hook(backend, made, 4))
        assert (
            found["segments"]["h"]["Max Diff"] < 1e-5 and found["segments"]["h"]["Elements"] == 24
        )
        assert (found["outputs"]["y"]["Max Diff"] > 1e-2) == y_differs
        assert any(
            "gives y; the reference graph has no such names" in note for note in found["notes"]
        )


def test_a_backend_without_the_hook_has_no_segments(reference):
    made, _ = reference()
    predict = lambda feeds: {"y": np.maximum(feeds["x"] @ WEIGHTS[0], 0) @ WEIGHTS[1]}  # noqa: E731
    assert segment_hook(object(), made, 2) is None
    assert "segments" not in agreement(made, predict, 2, ["y"])


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ([{"output_tensor_map": {"h": [1, 4]}}, {"output_tensor_map": "y, h"}], ["h", "y"]),
        ([{"output_tensor_map": ["a"]}, {}], ["a"]),
        ([], []),
    ],
)
def test_tensors_of_segments(segments, expected):
    assert segment_tensors({"segments": segments}) == expected


@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_worst_item_can_be_replayed(reference, batch_size):
    made, _ = reference()
    right = lambda x: np.maximum(x @ WEIGHTS[0], 0) @ WEIGHTS[1]  # noqa: E731
    bad = made.feeds[5]["x"]

    def predict(feeds):
        return [right(feeds["x"]) + 3 * (feeds["x"] == bad).all(axis=1, keepdims=True)]

    found = agreement(made, predict, batch_size, ["y"])
    assert found["outputs"]["y"]["Worst Item"] == {
        "item": 5,
        "max_diff": pytest.approx(3, abs=1e-4),
    }
    rows, want, got = replay(made, predict, batch_size, ["y"], 5)
    assert rows["y"]["Max Diff"] == pytest.approx(3, abs=1e-4) and want["y"].shape == got[
        "y"
    ].shape == (1, 4)
    assert replay(made, predict, batch_size, ["y"], 4)[0]["y"]["Max Diff"] < 1e-5


def test_a_reference_is_computed_once(reference, tmp_path):
    (first, one), (second, two), (third, three) = reference(), reference(), reference(items=5)
    assert (one["cached"], two["cached"], three["cached"]) == (False, True, False)
    assert np.array_equal(first.outputs[3]["y"], second.outputs[3]["y"]) and len(third) == 5
    graph(tmp_path / "whole.onnx", spoil=2.0)  # another model at the same place
    assert reference()[1]["cached"] is False
    assert len(list((tmp_path / "cache" / "references").glob("*.npz"))) == 3


def by_content(path, kind):
    """Models whose answer's size follows the content: "found" [1, k, 1] (values above 0.5),
    "nothing" [1, 0, 1], "where" [2, k] (their indices), "rows" [k, 4] (whose first is above 0.5).
    """
    node, number = helper.make_node, numpy_helper.from_array
    bound = np.float32(9 if kind == "nothing" else 0.5)
    constants = [
        number(bound, "t"),
        number(np.array([-1]), "flat"),
        number(np.array([0, 2]), "ends"),
    ]
    above = node("Greater", ["x", "t"], ["g"])
    if kind == "where":
        nodes, kind = [above, node("NonZero", ["g"], ["y"])], TensorProto.INT64
    elif kind == "rows":
        constants += [number(np.array([at]), name) for at, name in ((0, "begin"), (1, "end"))]
        nodes = [
            node("Slice", ["x", "begin", "end", "end"], ["first"]),
            node("Greater", ["first", "t"], ["g"]),
            node("Reshape", ["g", "flat"], ["gf"]),
            node("Compress", ["x", "gf"], ["y"], axis=0),
        ]
        kind = TensorProto.FLOAT
    else:
        nodes = [
            above,
            node("Reshape", ["x", "flat"], ["xf"]),
            node("Reshape", ["g", "flat"], ["gf"]),
            node("Compress", ["xf", "gf"], ["k"], axis=0),
            node("Unsqueeze", ["k", "ends"], ["y"]),
        ]
        kind = TensorProto.FLOAT
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", kind, None)],
        constants,
    )
    onnx.save(
        helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )
    return str(path)


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("kind", ["found", "where", "rows", "nothing"])
def test_outputs_whose_size_follows_the_content(tmp_path, monkeypatch, kind, batch_size):
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))
    model, out = by_content(tmp_path / "m.onnx", kind), str(tmp_path / "r.npz")
    service = ReferenceService()
    service.reference_outputs(model, INFO, None, False, 0, 6, out, [], batch_size)
    made = load_reference(out)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    right = agreement(made, lambda feeds: session.run(None, feeds), batch_size, ["y"])
    assert right["summary"]["failed"] is None
    assert bool(right["warnings"]) == (kind == "nothing")
    more = agreement(
        made, lambda feeds: [session.run(None, feeds)[0].repeat(2, axis=-1)], batch_size, ["y"]
    )
    assert more["summary"]["failed"]
    if kind != "nothing":
        wrong = agreement(made, lambda feeds: [session.run(None, feeds)[0] * -2], batch_size, ["y"])
        assert wrong["summary"]["failed"]
    row, want, got = replay(made, lambda feeds: session.run(None, feeds), batch_size, ["y"], 5)
    assert row["y"]["failed"] is None and want["y"].shape == got["y"].shape


SHAPES = {
    # input -> shape at batch size 1, batch dimension
    "a shared vector": ({"x": ([1, 3], 0), "by": ([3], None)}, ["n", 3]),
    "a shared matrix": ({"x": ([1, 3], 0), "by": ([1, 3], None)}, ["n", 3]),
    "a scalar": ({"x": ([1, 3], 0), "by": ([], 0)}, ["n", 3]),
    "time first": ({"x": ([5, 1, 8], 1), "by": ([5, 1, 8], 1)}, [5, "n", 8]),
    "as many steps as items": ({"x": ([4, 1, 8], 1), "by": ([1, 8], 0)}, [4, "n", 8]),
    "items last": ({"x": ([3, 1], 1), "by": ([3, 1], None)}, [3, "n"]),
}


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("named", SHAPES)
def test_items_are_batched_along_their_batch_dimension(tmp_path, monkeypatch, named, batch_size):
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))
    inputs, whole = SHAPES[named]
    axis = whole.index("n")
    sides = [
        helper.make_tensor_value_info(
            name, TensorProto.FLOAT, ["n" if at == own else side for at, side in enumerate(shape)]
        )
        for name, (shape, own) in inputs.items()
    ]
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, whole)
    made = helper.make_graph([helper.make_node("Mul", ["x", "by"], ["y"])], "g", sides, [result])
    model, out = str(tmp_path / "m.onnx"), str(tmp_path / "r.npz")
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(made, opset_imports=opset, ir_version=9), model)
    info = INFO | {
        "inputs": list(inputs),
        "input_shape": {name: shape for name, (shape, _) in inputs.items()},
        "input_type": "FLOAT32",
        "input_batch_axis": {name: own for name, (_, own) in inputs.items()},
    }
    ReferenceService().reference_outputs(model, info, None, False, 0, 6, out, [], batch_size)
    reference = load_reference(out)
    assert reference.batches == {}
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    def right(feeds):
        (y,) = session.run(None, feeds)
        assert y.shape[axis] == batch_size
        return {"y": y}

    def wrong(feeds):  # in the last item of each batch
        y = right(feeds)["y"].copy()
        np.moveaxis(y, axis, 0)[-1] *= -7
        return {"y": y}

    found = agreement(reference, right, batch_size, ["y"])
    assert found["summary"]["failed"] is None and found["outputs"]["y"]["Max Diff"] == 0
    found = agreement(reference, wrong, batch_size, ["y"])
    assert found["summary"]["failed"]
    assert found["outputs"]["y"]["Worst Item"]["item"] % batch_size == batch_size - 1
    row, want, got = replay(reference, wrong, batch_size, ["y"], batch_size - 1)
    assert row["y"]["failed"] and want["y"].shape == got["y"].shape
    row, want, got = replay(reference, right, batch_size, ["y"], 5)
    np.testing.assert_array_equal(want["y"], got["y"])
    for answer, fault in ((right, None), (wrong, "y")):
        idle = Idle([{}], answer, ["y"], "FP32")
        monkeypatch.setattr(idle, "ask_first", lambda most: None)
        said = ask_before(idle, str(tmp_path), None, reference, batch_size)
        assert (said is None) == (fault is None)


def test_items_that_do_not_share_what_a_batch_shares_are_not_mixed(tmp_path, monkeypatch):
    """A data set's scalars at batch size 1, and a case at a larger one."""
    feeds = [{"x": np.full((1, 2), 3.0), "by": np.asarray(float(at))} for at in range(1, 4)]
    out = tmp_path / "r.npz"
    save_reference(out, feeds, [{"y": item["x"] * item["by"]} for item in feeds])
    reference = load_reference(out)
    assert not reference.batchable()
    idle = Idle([{}], lambda feeds: {"y": feeds["x"] * feeds["by"]}, ["y"], "FP32")
    monkeypatch.setattr(idle, "ask_first", lambda most: None)
    assert ask_before(idle, str(tmp_path), None, reference, 3) is None


SCORES = [{"cat": 0.25, "dog": 0.75}]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"label": np.array(["dog"]), "scores": SCORES}, None),
        ({"label": [b"dog"], "scores": np.array(SCORES, object)}, None),
        ({"label": ["cat"], "scores": SCORES}, "label: 3 of 3 texts differ; the first is 'cat'"),
        ({"label": [7], "scores": SCORES}, "label: numbers, but the reference has text"),
        ({"label": ["dog"], "scores": [{"cat": 0.25, "cow": 0.75}]}, "scores (keys): 3 of 6 texts"),
        ({"label": ["dog"], "scores": [{"cat": 0.75, "dog": -0.25}]}, "scores: cosine similarity"),
        ({"label": ["dog"], "scores": [{"dog": 0.75}]}, "scores: shape [3, 1]"),
        ({"label": ["dog"]}, "scores: the backend gives no such output"),
    ],
)
def test_text_and_maps_are_compared_with_the_reference(tmp_path, answer, said):
    feeds = [{"x": np.ones((1, 4), np.float32)}] * 3
    right = named_outputs({"label": np.array(["dog"], object), "scores": SCORES}, [])
    save_reference(tmp_path / "r.npz", feeds, [right] * 3)
    found = agreement(load_reference(tmp_path / "r.npz"), lambda feeds: answer, 1, [])
    assert (found["summary"]["failed"] or "").startswith(said or "")
    assert bool(found["summary"]["failed"]) == bool(said)


@pytest.mark.parametrize("damage", [b"", b"no archive", None, "flipped"])
def test_a_damaged_reference_in_the_cache_is_computed_anew(reference, tmp_path, damage):
    first, _ = reference()
    (kept,) = (tmp_path / "cache" / "references").glob("*.npz")
    content = bytearray(kept.read_bytes())
    if damage == "flipped":
        for at in range(len(content) // 3, len(content), len(content) // 3):
            content[at] ^= 255
        damage = bytes(content)
    kept.write_bytes(content[: len(content) // 2] if damage is None else damage)
    again, about = reference()
    assert about["cached"] is False and np.array_equal(first.outputs[5]["y"], again.outputs[5]["y"])
    assert reference()[1]["cached"] is True
