"""saved_model folders that TensorFlow wrote, as ONNX: slow, since importing TensorFlow takes ten
seconds.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.models.request import ModelRequest
from qs.models.saved_model import to_onnx
from tests.qs.program import environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # TensorFlow's and tf2onnx's own
]
tf = pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")
logging.getLogger("tensorflow").setLevel(logging.CRITICAL)

WEIGHTS = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)


def tensorflow_2(folder, shape=(None, 5)):
    class Model(tf.Module):
        def __init__(self):
            self.weights = tf.Variable(WEIGHTS)

        @tf.function(
            input_signature=[
                tf.TensorSpec(shape, tf.float32, name="values"),
                tf.TensorSpec([None, 3], tf.int32, name="added"),
            ]
        )
        def __call__(self, values, added):
            product = values @ self.weights + tf.cast(added, tf.float32)
            return {"logits": product, "probabilities": tf.nn.softmax(product)}

    model = Model()
    tf.saved_model.save(model, str(folder), signatures=model.__call__)
    return folder


def tensorflow_1(folder, weights="constant"):
    """Names of the signature in another order than those of the tensors."""
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        values = v1.placeholder(tf.float32, [None, 5], "zz_values")
        added = v1.placeholder(tf.float32, [None, 3], "aa_added")
        if weights == "constant":
            matrix = tf.constant(WEIGHTS)
        else:
            matrix = v1.get_variable(
                "matrix", initializer=WEIGHTS, use_resource=weights == "resource"
            )
        product = tf.identity(values @ matrix + added, "loss/logits")
        tf.nn.softmax(product, name="import/head/probabilities")
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            v1.saved_model.simple_save(
                session, str(folder), {"a": values, "b": added}, {"out": product}
            )
    return folder


def info(inputs, outputs, types="FLOAT32,INT32"):
    names = inputs.split(",")
    return {
        "model": "m",
        "inputs": inputs,
        "outputs": outputs,
        "input_shape": dict(zip(names, [[1, 5], [1, 3]], strict=True)),
        "input_type": types,
        "model_precision": "FP32",
    }


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))


def converted(folder, declared, say=lambda text: None):
    return to_onnx(folder, ModelRequest(declared, folder, 0, say, lambda done, total: None))


def run(path, feeds):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


VALUES = np.random.default_rng(1).standard_normal((3, 5)).astype(np.float32)
ADDED = np.arange(9).reshape(3, 3)


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_tensorflow_2(tmp_path):
    folder = tensorflow_2(tmp_path / "m")
    said = []
    # names as published; the outputs in another order than the signature's
    made = converted(folder, info("values:0,added:0", "probabilities:0,logits:0"), said.append)
    assert (made.format, made.origin) == ("onnx", {"path": str(folder), "format": "saved_model"})
    assert made.by.startswith("tf2onnx 1.") and ", tensorflow 2." in made.by
    assert made.check["batch_sizes"] == [1, 2] and made.check["max_abs_diff"] < 1e-5
    answers = run(made.path, {"values:0": VALUES, "added:0": ADDED.astype(np.int32)})
    assert list(answers) == ["probabilities:0", "logits:0"]
    np.testing.assert_allclose(answers["logits:0"], VALUES @ WEIGHTS + ADDED, atol=1e-5)
    np.testing.assert_allclose(
        answers["probabilities:0"], softmax(VALUES @ WEIGHTS + ADDED), atol=1e-5
    )
    assert len(said) == 1
    again = converted(folder, info("values:0,added:0", "probabilities:0,logits:0"), said.append)
    assert again == made and len(said) == 1  # from the cache
    variables = next((folder / "variables").glob("*.data*"))
    variables.write_bytes(variables.read_bytes()[:-4] + bytes(4))
    with pytest.raises(UserError, match="TensorFlow cannot load .*checksum|cannot"):
        converted(folder, info("values:0,added:0", "probabilities:0,logits:0"), said.append)


@pytest.mark.parametrize("weights", ["constant", "variable", "resource"])
def test_tensorflow_1(tmp_path, weights):
    folder = tensorflow_1(tmp_path / "m", weights)
    declared = info("zz_values:0,aa_added:0", "import/head/probabilities:0", "FLOAT32")
    made = converted(folder, declared)
    answers = run(made.path, {"zz_values:0": VALUES, "aa_added:0": ADDED.astype(np.float32)})
    wanted = softmax(VALUES @ WEIGHTS + ADDED)
    np.testing.assert_allclose(answers["import/head/probabilities:0"], wanted, atol=1e-5)


def test_a_batch_size_that_is_fixed(tmp_path):
    folder = tensorflow_2(tmp_path / "m", (1, 5))
    made = converted(folder, info("values,added", "logits"))
    assert made.check["batch_sizes"] == [1] and made.check["not_taken"] == [2]


def test_what_tf2onnx_does_not_know_is_named(tmp_path):
    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 5], tf.float32, name="x")])
        def __call__(self, x):
            return {"y": tf.math.bessel_i0(x)}

    model = Model()
    tf.saved_model.save(model, str(tmp_path / "m"), signatures=model.__call__)
    declared = info("x,z", "y") | {"inputs": "x", "input_shape": {"x": [1, 5]}}
    declared["input_type"] = "FLOAT32"
    with pytest.raises(UserError, match="that tf2onnx does not convert: .*BesselI0"):
        converted(tmp_path / "m", declared)


def test_a_process_of_ours_says_one_line(tmp_path):
    """TensorFlow's own lines are not the user's."""
    folder = tensorflow_1(tmp_path / "m", "variable")
    declared = json.dumps(info("a,b", "out", "FLOAT32"))
    code = (
        "import json, sys; from pathlib import Path; from qs.models.request import ModelRequest; "
        "from qs.models.saved_model import to_onnx; folder = Path(sys.argv[1]); "
        "to_onnx(folder, ModelRequest(json.loads(sys.argv[2]), folder, 0, print, None))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(folder), declared],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=280,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(ran.stdout.splitlines()) == 1
