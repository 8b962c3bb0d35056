"""Trains the digits CNN beside this file, and writes the held-out images to check it with.

Run `python -m model_zoo.digits.train` in the checkout (needs scikit-learn, for its images; about
five seconds). Seeded throughout, on one BLAS thread: the same machine gives the same file, one
whose BLAS rounds differently a model of about the same score. It needs numpy alone, so that nothing
else affects the committed model. Not a training library.

The network: conv 3x3 (8) - ReLU - conv 3x3 (16) - ReLU - max pool 2x2 - dense (10); 3,818
parameters.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, helper

from model_zoo.training import Parameters, cross_entropy_slope, fit, he, onnx_model

SEED = 0
HELD_OUT = 450
EPOCHS = 25
BATCH = 32
PEAK_RATE = 4e-3
PIXEL_MAX = 16.0  # the images' grey values are 0..16

HERE = Path(__file__).resolve().parent
MODEL = HERE / "digits-cnn-onnx-fp32.onnx"
HELD_OUT_FILE = HERE.parent.parent / "datasets" / "digits" / "held_out.npz"


def split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(train images, train labels, held-out images, held-out labels); images uint8 [n, 8, 8],
    labels uint8 [n].
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(SEED).permutation(len(data.images))
    images, labels = data.images[order].astype(np.uint8), data.target[order].astype(np.uint8)
    return images[HELD_OUT:], labels[HELD_OUT:], images[:HELD_OUT], labels[:HELD_OUT]


def initial(rng: np.random.Generator) -> Parameters:
    return {
        "conv1.weight": he(rng, 8, 1, 3, 3),
        "conv1.bias": np.zeros(8, np.float32),
        "conv2.weight": he(rng, 16, 8, 3, 3),
        "conv2.bias": np.zeros(16, np.float32),
        "dense.weight": he(rng, 10, 256),
        "dense.bias": np.zeros(10, np.float32),
    }


def patches(x: np.ndarray) -> np.ndarray:
    """[n, channels, 8, 8], padded by one -> [n * 64, channels * 9]: the input of each output pixel
    of a 3x3 convolution.
    """
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = sliding_window_view(padded, (3, 3), axis=(2, 3))
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, x.shape[1] * 9)


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(output [n, out, 8, 8], the patches it was computed from)."""
    seen = patches(x)
    out = seen @ weight.reshape(len(weight), -1).T + bias
    return out.reshape(-1, 8, 8, len(weight)).transpose(0, 3, 1, 2), seen


def gradients(p: Parameters, x: np.ndarray, labels: np.ndarray) -> Parameters:
    """The gradient of the mean cross entropy, by hand, from the last layer to the first."""
    n = len(x)
    first, seen1 = convolve(x, p["conv1.weight"], p["conv1.bias"])
    active1 = np.maximum(first, 0)
    second, seen2 = convolve(active1, p["conv2.weight"], p["conv2.bias"])
    cells = np.maximum(second, 0).reshape(n, 16, 4, 2, 4, 2)
    pooled = cells.max(axis=(3, 5))
    flat = pooled.reshape(n, -1)
    logits = flat @ p["dense.weight"].T + p["dense.bias"]

    back = cross_entropy_slope(logits, labels)
    grad = {"dense.weight": back.T @ flat, "dense.bias": back.sum(axis=0)}

    pool_back = (back @ p["dense.weight"]).reshape(n, 16, 4, 1, 4, 1)
    winners = cells == pooled[:, :, :, None, :, None]
    back2 = (winners * pool_back).reshape(n, 16, 8, 8) * (second > 0)
    rows2 = back2.transpose(0, 2, 3, 1).reshape(-1, 16)
    grad["conv2.weight"] = (rows2.T @ seen2).reshape(p["conv2.weight"].shape)
    grad["conv2.bias"] = rows2.sum(axis=0)

    # The gradient of a convolution is one with the kernel turned over and its channels swapped.
    turned = p["conv2.weight"][:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    back1, _ = convolve(back2, turned, np.zeros(8, np.float32))
    rows1 = (back1 * (first > 0)).transpose(0, 2, 3, 1).reshape(-1, 8)
    grad["conv1.weight"] = (rows1.T @ seen1).reshape(p["conv1.weight"].shape)
    grad["conv1.bias"] = rows1.sum(axis=0)
    return grad


def train(images: np.ndarray, labels: np.ndarray, *, epochs: int = EPOCHS) -> Parameters:
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    rng = np.random.default_rng(SEED)
    x = (images[:, None] / PIXEL_MAX).astype(np.float32)

    def slopes(p: Parameters, chosen: np.ndarray) -> Parameters:
        return gradients(p, x[chosen], labels[chosen])

    # More threads add up in another order, and would save no time on arrays this small.
    with threadpool_limits(1):
        return fit(
            initial(rng), slopes, rng, len(x), epochs=epochs, batch=BATCH, peak_rate=PEAK_RATE
        )


def model_of(p: Parameters) -> onnx.ModelProto:
    """ONNX, dynamic batch: `image` float32 [batch, 1, 8, 8] in 0..1 -> `logits` float32 [batch,
    10].
    """
    nodes = [
        helper.make_node(
            "Conv", ["image", "conv1.weight", "conv1.bias"], ["c1"], "conv1", pads=[1, 1, 1, 1]
        ),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node(
            "Conv", ["r1", "conv2.weight", "conv2.bias"], ["c2"], "conv2", pads=[1, 1, 1, 1]
        ),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node(
            "MaxPool", ["r2"], ["pooled"], "pool", kernel_shape=[2, 2], strides=[2, 2]
        ),
        helper.make_node("Flatten", ["pooled"], ["flat"], "flatten"),
        helper.make_node(
            "Gemm", ["flat", "dense.weight", "dense.bias"], ["logits"], "dense", transB=1
        ),
    ]
    image = {"image": (TensorProto.FLOAT, ["batch", 1, 8, 8])}
    return onnx_model("digits_cnn", nodes, image, ("logits", ["batch", 10]), p)


def logits_of(p: Parameters, images: np.ndarray) -> np.ndarray:
    """The network's answers for uint8 images [n, 8, 8], computed here and not by a runtime."""
    x = (images[:, None] / PIXEL_MAX).astype(np.float32)
    active, _ = convolve(x, p["conv1.weight"], p["conv1.bias"])
    second, _ = convolve(np.maximum(active, 0), p["conv2.weight"], p["conv2.bias"])
    pooled = np.maximum(second, 0).reshape(len(x), 16, 4, 2, 4, 2).max(axis=(3, 5))
    return pooled.reshape(len(x), -1) @ p["dense.weight"].T + p["dense.bias"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=MODEL, help="the ONNX file to write")
    parser.add_argument(
        "--held_out", type=Path, default=HELD_OUT_FILE, help="the held-out images to write"
    )
    args = parser.parse_args()
    train_images, train_labels, images, labels = split()
    np.savez_compressed(args.held_out, images=images, labels=labels)
    parameters = train(train_images, train_labels)
    onnx.save_model(model_of(parameters), str(args.out))
    right = int((logits_of(parameters, images).argmax(axis=1) == labels).sum())
    print(f"top-1 on {len(labels)} held-out images: {right / len(labels):.4f} ({right} right)")
    print(f"wrote {args.out} and {args.held_out}")


if __name__ == "__main__":
    main()
