"""ONNX models as TensorFlow saved_models: slow, since importing TensorFlow takes ten seconds."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from model_zoo.builders import bert, resnet50, roformer, widedeep
from qs.base.errors import UserError
from qs.inside.saved_model.building import BuildingService, argument_name, node_name
from qs.inside.saved_model.writing import WritingService

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("declared", "node", "argument"),
    [
        ("input_ids:0", "input_ids", "input_ids"),
        (
            "import/head/predictions/probabilities:0",
            "import/head/predictions/probabilities",
            "import_head_predictions_probabilities",
        ),
        ("input_1.1", "input_1.1", "input_1_1"),
        ("_x y:1", "n_x_y", "n_x_y"),
    ],
)
def test_names(declared, node, argument):
    assert (node_name(declared), argument_name(node_name(declared))) == (node, argument)


@pytest.fixture(scope="module")
def tf():
    tensorflow = pytest.importorskip("tensorflow")
    logging.getLogger("tensorflow").setLevel(logging.CRITICAL)
    return tensorflow


TEXT = {
    "layers": 2,
    "hidden": 32,
    "heads": 4,
    "intermediate": 64,
    "vocabulary": 100,
    "positions": 40,
    "sequence": 16,
}
SMALL = {
    "bert-tf-fp32": (bert.build_bert_tf, TEXT, [1, 16]),
    "roformer-tf-fp32": (roformer.build_roformer, TEXT, [1, 16]),
    "resnet50-tf-fp32": (
        resnet50.build_resnet50,
        {"blocks": (1, 2, 1, 1), "width": 8, "image": 64, "classes": 11, "channels_last": True},
        [1, 64, 64, 3],
    ),
    "widedeep-tf-fp32": (
        widedeep.build_widedeep,
        {"hidden": (16, 8), "embedding": 4, "buckets": 10},
        None,
    ),
}
TRAINED = ["adult-widedeep-onnx-fp32", "digits-cnn-onnx-fp32", "mnist-cnn-onnx-fp32"]


def model(name, folder):
    """(a small network of the task's kind, its model info)."""
    info = json.loads((ROOT / "model_zoo" / f"{name}.json").read_text())
    if name not in SMALL:
        return ROOT / info["model_path"], info
    build, sizes, shape = SMALL[name]
    inputs, outputs = info["inputs"].split(","), info["outputs"].split(",")
    build(folder / "m.onnx", 0, inputs=inputs, outputs=outputs, **sizes)
    if shape:
        info["input_shape"] = dict.fromkeys(info["input_shape"], shape)
    info["input_range"] = {each: [0, 10] for each in info.get("input_range", {})}
    return folder / "m.onnx", info


def built(path, info, folder):
    (folder / "between").mkdir()
    WritingService().write(str(path), info, str(folder / "between"))
    return BuildingService().build(str(folder / "between"), str(folder / "out"), 1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*SMALL, *TRAINED])
def test_answers_are_onnx_runtimes_by_every_way_to_load_it(tf, tmp_path, name):
    path, info = model(name, tmp_path)
    found = built(path, info, tmp_path)
    assert found["items"] == 3 and found["max_rel_diff"] <= 1e-4
    # what the check asked: tf.saved_model.load and its signature; and TensorFlow 1's ways
    inputs, outputs = info["inputs"].split(","), info["outputs"].split(",")
    with np.load(tmp_path / "between" / "answers-2.npz") as stored:
        feeds = {name: stored[f"i{at}"] for at, name in enumerate(inputs)}
        wanted = stored["o0"]
    tensors = {name: name if ":" in name else f"{name}:0" for name in [*inputs, *outputs]}
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.saved_model.load(session, ["serve"], str(tmp_path / "out"))
        fed = {tensors[name]: array for name, array in feeds.items()}
        got = session.run(tensors[outputs[0]], fed)
    np.testing.assert_allclose(got, wanted, atol=1e-4)
    loaded = tf.saved_model.load(str(tmp_path / "out"))
    flat = tf.nest.flatten(loaded.signatures["serving_default"].structured_input_signature, True)
    assert [spec.name for spec in flat] == [name.split(":")[0] for name in sorted(inputs)]


def one_node(folder, op, shape, *constants, inputs=1, opset=17, **attributes):
    """A model of one node on x; its constants are further inputs."""
    names = [f"c{at}" for at in range(len(constants))]
    node = helper.make_node(op, ["x"] * inputs + names, ["y"], **attributes)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *shape[1:]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.asarray(c), n) for n, c in zip(names, constants)],
    )
    opsets = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / "m.onnx")
    info = {"inputs": "x", "outputs": "y", "input_shape": {"x": shape}, "input_type": "FLOAT32"}
    return folder / "m.onnx", info | {"input_range": {"x": [-2, 2]}}


F32 = np.float32
IMAGE, ROW, PAIR = [1, 3, 6, 8], [1, 4], [1, 2, 4]
RNG = np.random.default_rng(0)
KERNEL = RNG.standard_normal((5, 3, 3, 2)).astype(F32)
MATRIX = RNG.standard_normal((4, 6)).astype(F32)
ONES = {"epsilon": 1e-3}
NODES = [
    ("Abs", ROW, (), {}),
    ("AveragePool", IMAGE, (), {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("Conv", IMAGE, (KERNEL,), {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    ("Conv", IMAGE, (KERNEL, np.arange(5, dtype=F32)), {"dilations": [2, 1]}),
    ("Div", ROW, (np.array([[1, 2, 3, 4]], F32),), {}),
    ("Flatten", IMAGE, (), {}),
    ("Gather", PAIR, (np.array([[0, -1], [1, 2]]),), {"axis": 2}),
    ("Gemm", ROW, (MATRIX, np.ones(6, F32)), {"alpha": 0.5, "beta": 2.0}),
    ("Gemm", ROW, (MATRIX.T.copy(), np.ones((1, 6), F32)), {"transB": 1}),
    ("GlobalAveragePool", IMAGE, (), {}),
    ("MatMul", PAIR, (MATRIX,), {}),
    ("MaxPool", IMAGE, (), {"kernel_shape": [3, 2], "pads": [1, 1, 1, 0], "strides": [2, 2]}),
    ("Mod", ROW, (np.array([3.0], F32),), {"fmod": 1}),
    ("Pow", ROW, (np.array(2.0, F32),), {}),
    ("ReduceMean", PAIR, (), {"axes": [1, 2], "keepdims": 0}),
    ("ReduceSum", PAIR, (np.array([-1]),), {"keepdims": 1}),
    ("Reshape", PAIR, (np.array([0, -1]),), {}),
    ("Reshape", [1, 3, 4], (np.array([0, 0, 2, -1]),), {}),
    ("Slice", PAIR, (np.array([-3]), np.array([2**63 - 1]), np.array([2])), {}),
    ("Slice", PAIR, (np.array([3]), np.array([-99]), np.array([2]), np.array([-2])), {}),
    ("Softmax", PAIR, (), {"axis": 1}),
    ("Squeeze", [1, 1, 4], (np.array([1]),), {}),
    ("Sub", PAIR, (np.array([[1.0], [2.0]], F32),), {}),
    ("Transpose", PAIR, (), {"perm": [0, 2, 1]}),
    ("Unsqueeze", ROW, (np.array([-1, 1]),), {}),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("op", "shape", "constants", "attributes"),
    NODES,
    ids=[f"{n[0]}-{i}" for i, n in enumerate(NODES)],
)
def test_each_operator_answers_as_onnx_runtime_does(tf, tmp_path, op, shape, constants, attributes):
    path, info = one_node(tmp_path, op, shape, *constants, **attributes)
    assert built(path, info, tmp_path)["max_rel_diff"] <= 1e-5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("op", "shape", "constants", "attributes", "message"),
    [
        (
            "Hardmax",
            ROW,
            (),
            {},
            r"the node \(Hardmax\) is not turned .*: the operator is not known",
        ),
        ("Conv", [1, 4, 6, 8], (np.ones((4, 1, 1, 1), F32),), {"group": 4}, "it has 4 groups"),
        ("MaxPool", IMAGE, (), {"kernel_shape": [2, 2], "ceil_mode": 1}, "it rounds up"),
        ("MaxPool", [1, 3, 8], (), {"kernel_shape": [2]}, "strides are not of two|no batch of"),
    ],
)
def test_what_is_not_known_is_named(tf, tmp_path, op, shape, constants, attributes, message):
    path, info = one_node(tmp_path, op, shape, *constants, **attributes)
    with pytest.raises(UserError, match=message):
        built(path, info, tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_other_answers_are_refused(tf, tmp_path):
    path, info = model("adult-widedeep-onnx-fp32", tmp_path)
    between = tmp_path / "between"
    built(path, info, tmp_path)
    shutil.rmtree(tmp_path / "out")
    with np.load(between / "answers-1.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(between / "answers-1.npz", **arrays | {"o0": arrays["o0"] + np.float32(0.01)})
    with pytest.raises(UserError, match="does not answer what ONNX Runtime does, at batch size 1"):
        BuildingService().build(str(between), str(tmp_path / "out"), 1e-4)
