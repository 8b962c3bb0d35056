"""Small networks of the zoo against what numpy computes from their weights, written from the papers
and sharing no line with a builder.
"""

from __future__ import annotations

import math

import numpy as np
import onnxruntime

from tests.model_zoo import numpy_bert, zoo


def drawn(graph):
    """Every parameter, laid out as torch's, none at its initial value."""
    rng = np.random.default_rng(0)
    made = {
        name: rng.normal(0, 0.2, each.shape).astype(np.float32)
        for name, each in graph.parameters.items()
    }
    return {
        name: value.T if graph.parameters[name].turned else value for name, value in made.items()
    }


def computed(graph, given, feeds, folder):
    graph.write(folder / "small.onnx", 0, given)
    session = onnxruntime.InferenceSession(
        str(folder / "small.onnx"), providers=["CPUExecutionProvider"]
    )
    return session.run([value.name for value in graph.outputs], feeds)


def test_wide_and_deep(tmp_path):
    sizes = {"categories": 3, "buckets": 10, "embedding": 4, "numbers": 2, "hidden": (8, 5)}
    graph = zoo.builder("widedeep").widedeep_graph(
        inputs=["rows", "numbers"], outputs=["odds"], **sizes
    )
    p, rng = drawn(graph), np.random.default_rng(1)
    rows = np.stack([np.tile(np.arange(3), 4), rng.integers(0, 1000, 12)], axis=1)
    numbers = rng.normal(size=(4, 2)).astype(np.float32)
    (odds,) = computed(graph, p, {"rows": rows, "numbers": numbers}, tmp_path)
    for item in range(4):
        places = [category * 10 + value % 10 for category, value in rows[3 * item : 3 * item + 3]]
        x = np.concatenate([numbers[item], *(p["deep.embeddings"][place] for place in places)])
        for layer in range(2):
            x = np.maximum(p[f"deep.{layer}.weight"] @ x + p[f"deep.{layer}.bias"], 0)
        deep = p["deep.logits.weight"] @ x + p["deep.logits.bias"]
        wide = sum(p["wide.weights"][place] for place in places) + p["wide.bias"]
        click = 1 / (1 + math.exp(-(deep + wide).item()))
        np.testing.assert_allclose(odds[item], [1 - click, click], atol=1e-6)
    assert np.std(odds) > 0.01


def test_berts_tensorflow_form(tmp_path):
    sizes = {
        "layers": 2,
        "hidden": 24,
        "heads": 3,
        "intermediate": 40,
        "vocabulary": 50,
        "positions": 14,
        "sequence": 9,
    }
    graph = zoo.builder("bert").bert_tf_graph(
        inputs=["ids", "mask", "types"], outputs=["logits"], **sizes
    )
    p, rng = drawn(graph), np.random.default_rng(1)
    ids, types, mask = (
        rng.integers(1, 50, (2, 9)),
        rng.integers(0, 2, (2, 9)),
        np.ones((2, 9), np.int64),
    )
    mask[1, 6:] = 0
    feeds = {
        name: value.astype(np.int32)
        for name, value in (("ids", ids), ("mask", mask), ("types", types))
    }
    (logits,) = computed(graph, p, feeds, tmp_path)
    wanted = numpy_bert.bert_qa(
        p, layers=2, heads=3, eps=1e-12, ids=ids, mask=mask, token_types=types
    )
    np.testing.assert_allclose(
        logits[mask == 1], np.stack(wanted, axis=-1)[mask == 1], rtol=0, atol=1e-4
    )
    assert np.std(logits) > 0.1


def test_resnets_tensorflow_form_is_the_other_one_turned(tmp_path):
    sizes = {"blocks": (1, 1), "width": 8, "classes": 5, "image": 32}
    graphs = [
        zoo.builder("resnet50").resnet_graph(
            inputs=["x"], outputs=["y"], channels_last=last, **sizes
        )
        for last in (False, True)
    ]
    p, images = (
        drawn(graphs[0]),
        np.random.default_rng(0).normal(0, 10, (2, 3, 32, 32)).astype(np.float32),
    )
    p |= {name: np.abs(value) + 0.5 for name, value in p.items() if name.endswith("running_var")}
    (wanted,) = computed(graphs[0], p, {"x": images}, tmp_path)
    (got,) = computed(graphs[1], p, {"x": images.transpose(0, 2, 3, 1)}, tmp_path)
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    assert np.std(got[0] - got[1]) > 1e-3


def test_a_detectors_boxes_are_its_grids_decoded(tmp_path):
    """As ultralytics states it: x, y = (2 s - 0.5 + cell) stride; w, h = (2 s)^2 anchor."""
    anchors = {
        8: ((10, 13), (16, 30), (33, 23)),
        16: ((30, 61), (62, 45), (59, 119)),
        32: ((116, 90), (156, 198), (373, 326)),
    }
    builder = zoo.builder("yolov5")
    graph = builder.yolov5_graph(
        inputs=["images"], outputs=["all", "8", "16", "32"], image=64, width=8, classes=2
    )
    images = np.random.default_rng(0).random((2, 3, 64, 64), np.float32)
    graph.write(tmp_path / "small.onnx", 0)
    session = onnxruntime.InferenceSession(
        str(tmp_path / "small.onnx"), providers=["CPUExecutionProvider"]
    )
    boxes, *grids = session.run(["all", "8", "16", "32"], {"images": images})
    at = 0
    for (stride, sizes), raw in zip(anchors.items(), grids, strict=True):
        side = 64 // stride
        assert raw.shape == (2, 3, side, side, 7)
        for anchor, row, column in np.ndindex(3, side, side):
            s = 1 / (1 + np.exp(-raw[:, anchor, row, column].astype(np.float64)))
            place = (2 * s[:, :2] - 0.5 + [column, row]) * stride
            size = (2 * s[:, 2:4]) ** 2 * sizes[anchor]
            np.testing.assert_allclose(
                boxes[:, at], np.concatenate([place, size, s[:, 4:]], axis=1), rtol=1e-4, atol=1e-4
            )
            at += 1
    assert at == boxes.shape[1] and np.std(boxes[0] - boxes[1]) > 0.01
