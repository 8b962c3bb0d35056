"""The ResNet-50 builder: the size and the work of torchvision's network, and answers that tell
images apart.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.model_zoo import zoo

TINY = {"blocks": (1, 2), "width": 8, "classes": 10, "image": 32}
resnet50 = zoo.builder("resnet50")
INFO, KWARGS = zoo.info("resnet50-torch-fp32"), zoo.source("resnet50-torch-fp32")["kwargs"]
INPUT, OUTPUT = INFO["inputs"], INFO["outputs"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("resnet50") / "resnet50.onnx"
    resnet50.build_resnet50(path, 0, **KWARGS)
    yield path
    path.unlink()  # 102 MB


@pytest.fixture(scope="module")
def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(5).standard_normal((3, 3, 224, 224), dtype=np.float32)


@pytest.fixture(scope="module")
def answers(session, images):
    return session.run([OUTPUT], {INPUT: images})[0]


def test_it_has_the_parameters_and_the_work_of_torchvisions(path):
    """25,557,032 parameters and 4.09 billion multiply-adds are what torchvision states for
    resnet50; with the stride in the first 1x1 (v1) it would be 3.8 billion.
    """
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    trained = [
        each
        for each in model.graph.initializer
        if not each.name.endswith((".running_mean", ".running_var"))
    ]
    assert (
        sum(math.prod(each.dims) for each in trained if each.data_type == onnx.TensorProto.FLOAT)
        == 25_557_032
    )
    inferred = onnx.shape_inference.infer_shapes(model).graph
    pixels = {
        value.name: math.prod(side.dim_value for side in value.type.tensor_type.shape.dim[2:])
        for value in inferred.value_info
    }
    sizes = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    work = (
        sum(pixels[node.output[0]] * sizes[node.input[1]] for node in convolutions)
        + sizes["fc.weight"]
    )
    assert len(convolutions) == 53
    assert round(work / 1e9, 2) == 4.09


def test_the_signature_is_the_published_one(session):
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == (
        "input_1.1",
        "tensor(float)",
        ["batch", 3, 224, 224],
    )
    assert (made.name, made.type, made.shape) == (
        "softmax_tensor:0",
        "tensor(float)",
        ["batch", 1000],
    )


def test_answers_are_probabilities_that_tell_images_apart(answers):
    assert answers.shape == (3, 1000) and np.isfinite(answers).all() and (answers >= 0).all()
    np.testing.assert_allclose(answers.sum(axis=1), 1.0, atol=1e-5)
    assert (answers.max(axis=1) > 5 / 1000).all()  # not flat
    assert (answers.max(axis=1) < 0.5).all()  # not saturated
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert np.abs(answers[one] - answers[other]).sum() > 0.2


def test_an_image_answers_alike_alone_and_in_a_batch(session, images, answers):
    alone = session.run([OUTPUT], {INPUT: images[1:2]})[0]
    np.testing.assert_allclose(alone[0], answers[1], rtol=1e-3, atol=1e-6)


def test_the_seed_alone_decides_the_file(tmp_path):
    files = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        resnet50.build_resnet50(tmp_path / name, seed, **KWARGS, **TINY)
        files[name] = (tmp_path / name).read_bytes()
    assert files["a"] == files["b"] != files["c"]


def test_weights_are_drawn_as_stated(path):
    weights = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in onnx.load(path).graph.initializer
    }
    first = weights["layer1.0.conv2.weight"]
    assert first.std() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.02)
    assert np.abs(first.mean(axis=(1, 2, 3))).max() < 1e-6
    assert not np.array_equal(first, weights["layer1.1.conv2.weight"])
