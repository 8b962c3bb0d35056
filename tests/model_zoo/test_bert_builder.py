"""The BERT builder: the network of the paper, the size of the published one, one file for one
seed.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from tests.model_zoo import numpy_bert, zoo

bert = zoo.builder("bert")

INPUTS = ["input_ids.1", "attention_mask.1", "token_type_ids.1"]
OUTPUTS = ["start_logits", "end_logits"]
TINY = {
    "layers": 2,
    "hidden": 24,
    "heads": 3,
    "intermediate": 40,
    "vocabulary": 50,
    "positions": 12,
    "sequence": 9,
}


def tiny_graph():
    return bert.bert_qa_graph(inputs=INPUTS, outputs=OUTPUTS, **TINY)


def any_parameters(graph, seed=3):
    """Laid out as torch's. None is left at its initial value: a forgotten bias or LayerNorm weight
    must show.
    """
    rng = np.random.default_rng(seed)
    parameters = {}
    for name, described in graph.parameters.items():
        value = (described.mean + rng.normal(0, 0.3, described.shape)).astype(np.float32)
        parameters[name] = value.T if described.turned else value
    return parameters


def any_feeds(sequence, vocabulary, batch=3):
    rng = np.random.default_rng(5)
    shape = (batch, sequence)
    mask = (np.arange(sequence) < rng.integers(2, sequence, (batch, 1))).astype(np.int64)
    mask[0] = 1
    return dict(
        zip(
            INPUTS,
            [rng.integers(0, vocabulary, shape), mask, rng.integers(0, 2, shape)],
            strict=True,
        )
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """(session, parameters, feeds) of a small network."""
    path, graph = tmp_path_factory.mktemp("bert") / "tiny.onnx", tiny_graph()
    parameters = any_parameters(graph)
    graph.write(path, 0, parameters)
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session, parameters, any_feeds(9, 50)


def test_it_computes_what_bert_computes(tiny):
    session, parameters, feeds = tiny
    ids, mask, token_types = feeds.values()
    expected = numpy_bert.bert_qa(
        parameters, layers=2, heads=3, eps=1e-12, ids=ids, mask=mask, token_types=token_types
    )
    for got, wanted in zip(session.run(OUTPUTS, feeds), expected, strict=True):
        assert np.std(wanted) > 0.3  # a flat answer would hide differences
        np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-5)


@pytest.mark.parametrize("left_out", ["attention_mask.1", "token_type_ids.1", "input_ids.1"])
def test_every_input_matters(tiny, left_out):
    session, _, feeds = tiny
    changed = feeds | {left_out: np.ones_like(feeds[left_out])}
    difference = np.abs(session.run(OUTPUTS, feeds)[0] - session.run(OUTPUTS, changed)[0]).max()
    assert difference > 1e-2


def test_what_padding_holds_does_not_matter(tiny):
    session, _, feeds = tiny
    mask = feeds["attention_mask.1"]
    assert (mask == 0).any()
    other = feeds | {"input_ids.1": np.where(mask == 0, 7, feeds["input_ids.1"])}
    for got, wanted in zip(session.run(OUTPUTS, other), session.run(OUTPUTS, feeds), strict=True):
        np.testing.assert_array_equal(got[mask == 1], wanted[mask == 1])


def test_an_item_answers_alike_alone_and_in_a_batch(tiny):
    session, _, feeds = tiny
    together = session.run(OUTPUTS, feeds)
    for index in range(3):
        alone = session.run(
            OUTPUTS, {name: value[index : index + 1] for name, value in feeds.items()}
        )
        for got, wanted in zip(alone, together, strict=True):
            np.testing.assert_allclose(got[0], wanted[index], rtol=0, atol=1e-5)


def test_the_signature_is_the_published_one(tiny):
    session = tiny[0]
    inputs = [(value.name, value.type, value.shape) for value in session.get_inputs()]
    assert inputs == [(name, "tensor(int64)", ["batch", 9]) for name in INPUTS]
    outputs = [(value.name, value.type, value.shape) for value in session.get_outputs()]
    assert outputs == [(name, "tensor(float)", ["batch", 9]) for name in OUTPUTS]


def test_bert_base_has_as_many_parameters_as_the_published_model():
    # num_parameters() of transformers' BertForQuestionAnswering, bert-base-uncased, which has no
    # pooler.
    parameters = bert.bert_qa_graph(inputs=INPUTS, outputs=OUTPUTS).parameters
    assert sum(math.prod(each.shape) for each in parameters.values()) == 108_893_186
    layer = [math.prod(each.shape) for name, each in parameters.items() if ".layer.0." in name]
    assert (len(layer), sum(layer)) == (16, 7_087_872)


def test_seeded_parameters_are_drawn_as_bert_draws_them(tmp_path):
    sizes = {"layers": 1, "hidden": 64, "heads": 2, "intermediate": 256, "vocabulary": 500}
    bert.build_bert_qa(tmp_path / "m.onnx", 0, inputs=INPUTS, outputs=OUTPUTS, **sizes)
    drawn = {
        each.name: numpy_helper.to_array(each)
        for each in onnx.load(tmp_path / "m.onnx").graph.initializer
    }
    for name in bert.bert_qa_graph(inputs=INPUTS, outputs=OUTPUTS, **sizes).parameters:
        value = drawn[name]
        if name.endswith("LayerNorm.weight"):
            assert (value == 1).all()
        elif name.endswith(".bias"):
            assert (value == 0).all()
        elif value.size > 10_000:
            assert abs(value.mean()) < 1e-3 and value.std() == pytest.approx(0.02, rel=0.02), name
    query, key = (
        drawn[f"bert.encoder.layer.0.attention.self.{part}.weight"] for part in ("query", "key")
    )
    assert not np.array_equal(query, key)


def test_the_seed_alone_decides_the_file(tmp_path):
    files = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        bert.build_bert_qa(tmp_path / name, seed, inputs=INPUTS, outputs=OUTPUTS, **TINY)
        files[name] = (tmp_path / name).read_bytes()
    assert files["a"] == files["b"] != files["c"]


@pytest.mark.parametrize("how", ["missing", "misshapen"])
def test_parameters_that_do_not_fit_are_refused(tmp_path, how):
    graph = tiny_graph()
    given = any_parameters(graph)
    if how == "missing":
        del given["qa_outputs.weight"]
    else:
        given["qa_outputs.weight"] = np.ones((3, 24), np.float32)
    with pytest.raises(ValueError, match="qa_outputs.weight"):
        graph.write(tmp_path / "m.onnx", 0, given)


def test_the_encoder_takes_what_it_needs_of_trained_weights(tmp_path):
    """Names as in transformers.BertModel, which has a pooler besides."""
    graph = bert.bert_encoder_graph(inputs=INPUTS, output="states", **TINY)
    given = any_parameters(graph)
    weights = {name.removeprefix("bert."): value for name, value in given.items()} | {
        "pooler.dense.bias": np.ones(24)
    }
    bert.build_bert_encoder(
        tmp_path / "m.onnx", 0, weights=weights, inputs=INPUTS, output="states", **TINY
    )
    session = onnxruntime.InferenceSession(
        str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"]
    )
    (states,) = session.run(None, any_feeds(9, 50))
    assert states.shape == (3, 9, 24) and np.std(states[0] - states[1]) > 0.1


@pytest.mark.parametrize("sizes", [{"hidden": 100}, {"sequence": 513}])
def test_sizes_that_do_not_fit_are_refused(sizes):
    with pytest.raises(ValueError, match="must"):
        bert.bert_qa_graph(inputs=INPUTS, outputs=OUTPUTS, **sizes)


@pytest.mark.slow
def test_bert_base_is_built_and_runs(tmp_path):
    info, kwargs = zoo.info("bert-torch-fp32"), zoo.source("bert-torch-fp32")["kwargs"]
    bert.build_bert_qa(tmp_path / "base.onnx", 0, **kwargs)
    session = onnxruntime.InferenceSession(
        str(tmp_path / "base.onnx"), providers=["CPUExecutionProvider"]
    )
    (tmp_path / "base.onnx").unlink()
    feeds = any_feeds(384, 30522, batch=2)
    starts, ends = session.run(info["outputs"].split(","), feeds)
    assert starts.shape == ends.shape == (2, 384)
    assert np.isfinite(starts).all() and np.std(starts) > 0.1
    # Whoever ignores the mask is noticed, although these weights are small.
    unmasked = session.run(
        OUTPUTS, feeds | {"attention_mask.1": np.ones_like(feeds["attention_mask.1"])}
    )
    assert np.abs(unmasked[0][1] - starts[1]).max() > 1e-3
