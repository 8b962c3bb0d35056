"""Writes adult-widedeep-tf-fp32/: the Wide & Deep model of the Adult census beside this file as a
TensorFlow saved_model.

Run `python -m model_zoo.adult.saved_model` in the checkout (needs tensorflow; about ten seconds).
The weights are those of adult-widedeep-onnx-fp32.onnx, unchanged, as variables, so both models have
the same scores. Its signature `serving_default` takes `categorical` and `numeric` and gives
`probability`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import tensorflow as tf
from onnx import numpy_helper

from model_zoo.adult.train import CATEGORICAL, NUMERIC

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "adult-widedeep-onnx-fp32.onnx"
FOLDER = HERE / "adult-widedeep-tf-fp32"
INPUTS = [
    tf.TensorSpec([None, len(CATEGORICAL)], tf.int64, "categorical"),
    tf.TensorSpec([None, len(NUMERIC)], tf.float32, "numeric"),
]


class WideAndDeep(tf.Module):
    """`categorical` int64 [batch, 8], `numeric` float32 [batch, 5] -> `probability` float32
    [batch, 1].
    """

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.parameters = {
            name.replace(".", "_"): tf.Variable(value, trainable=False, name=name)
            for name, value in weights.items()
        }

    @tf.function(input_signature=INPUTS)
    def __call__(self, categorical: tf.Tensor, numeric: tf.Tensor) -> dict[str, tf.Tensor]:
        p = self.parameters
        embedded = tf.gather(p["embedding"], categorical)
        width = embedded.shape[1] * embedded.shape[2]
        x = tf.concat([tf.reshape(embedded, [-1, width]), numeric], axis=1)
        for layer in ("hidden1", "hidden2"):
            x = tf.nn.relu(tf.nn.bias_add(x @ p[f"{layer}_weight"], p[f"{layer}_bias"]))
        deep = tf.nn.bias_add(x @ p["out_weight"], p["out_bias"])
        wide = tf.reduce_sum(tf.gather(p["wide"], categorical), axis=1)
        return {"probability": tf.sigmoid(deep + wide)}


def module_of(source: Path = SOURCE) -> WideAndDeep:
    """The network with the weights of the ONNX file, which have the same names."""
    tensors = onnx.load(str(source)).graph.initializer
    weights = {each.name: numpy_helper.to_array(each) for each in tensors}
    return WideAndDeep({name: w for name, w in weights.items() if w.dtype == np.float32})


def write(module: WideAndDeep, folder: Path) -> None:
    tf.saved_model.save(module, str(folder), signatures=module.__call__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder to write")
    args = parser.parse_args()
    write(module_of(), args.out)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
