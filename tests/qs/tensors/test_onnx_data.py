"""Models whose weights lie beside them: every file is found, counts, and is used."""

from __future__ import annotations

import json
import subprocess
import sys
from unittest import mock

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from qs.contract.tools import UserError
from qs.evaluate.artifacts import digest
from qs.inside.reference import open_graph
from qs.models.resolving import resolve
from qs.models.torchscript import gather
from qs.tensors.digest import digests_of, read_sha256
from qs.tensors.onnx_data import data_files
from tests.model_zoo import zoo


def model_at(path, weights, apart="all in one", location="weights.bin"):
    """y = x W1 W2, float32 [batch, 32]. apart: "", "all in one", "each"."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 32])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 32])]
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["middle"]),
        helper.make_node("MatMul", ["middle", "second"], ["y"]),
    ]
    tensors = [
        numpy_helper.from_array(value, name)
        for name, value in zip(("first", "second"), weights, strict=True)
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "twice", inputs, outputs, tensors),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    kept = {"save_as_external_data": bool(apart), "size_threshold": 0}
    if apart:
        kept |= {
            "all_tensors_to_one_file": apart == "all in one",
            "location": location if apart == "all in one" else None,
        }
    onnx.save_model(model, str(path), **kept)
    return path


@pytest.fixture
def weights():
    return [np.random.default_rng(seed).normal(size=(32, 32)).astype(np.float32) for seed in (0, 1)]


def test_weights_that_look_like_an_entry_name_no_file(tmp_path, weights):
    """The bytes that begin an entry may stand in weights by chance."""
    entry = np.frombuffer(b"\x0a\x08location\x12\x05a.bin...", np.float32)
    weights[0].flat[: entry.size] = entry
    whole = model_at(tmp_path / "whole.onnx", weights, apart="")
    assert b"location" in whole.read_bytes()
    assert data_files(whole) == []
    apart = model_at(tmp_path / "apart.onnx", weights)
    assert [path.name for path in data_files(apart)] == ["weights.bin"]


@pytest.mark.parametrize("apart", ["", "all in one"])
def test_metadata_called_location_names_no_file(tmp_path, weights, apart):
    """Of the model, a node, a tensor or the graph; without the onnx package too."""
    path = model_at(tmp_path / "model.onnx", weights, apart)
    model = onnx.load(str(path), load_external_data=False)
    tensor = model.graph.initializer[0]
    for holder in (model, model.graph, model.graph.node[0], tensor, model.graph.input[0]):
        holder.metadata_props.add(key="location", value="Kyoto")
    if not apart:  # an entry of a tensor whose values are inside all the same
        tensor.external_data.add(key="location", value="elsewhere.bin")
    path.write_bytes(model.SerializeToString())
    with mock.patch.dict(sys.modules, {"onnx": None}):
        assert [each.name for each in data_files(path)] == (["weights.bin"] if apart else [])


def test_tensors_are_found_in_subgraphs_functions_and_sparse_initializers(tmp_path):
    def outside(name):
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1])
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="offset", value="0")
        tensor.external_data.add(key="location", value=f"{name}.bin")
        (tmp_path / f"{name}.bin").write_bytes(bytes(4))
        return tensor

    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["a"], value=outside("in_then"))],
        "then",
        [],
        [],
        [outside("of_then")],
    )
    choose = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    many = helper.make_node("Many", [], ["z"])
    many.attribute.add(name="t", type=onnx.AttributeProto.TENSORS).tensors.append(outside("listed"))
    function = helper.make_function("mine", "F", [], ["b"], [many], [helper.make_opsetid("", 17)])
    graph = helper.make_graph([choose], "g", [], [])
    graph.sparse_initializer.add(values=outside("sparse"), indices=outside("indices"), dims=[1])
    model = helper.make_model(graph, functions=[function])
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    expected = ["in_then", "indices", "listed", "of_then", "sparse"]
    assert [each.stem for each in data_files(tmp_path / "m.onnx")] == expected


@pytest.mark.parametrize("cut", [1, 7, 60, 200])
def test_a_damaged_file_is_left_to_whoever_loads_it(tmp_path, weights, cut):
    content = model_at(tmp_path / "model.onnx", weights, apart="").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(content[:-cut])
    (tmp_path / "noise.onnx").write_bytes(bytes(range(cut, 256)) * 3)
    assert data_files(tmp_path / "cut.onnx") == data_files(tmp_path / "noise.onnx") == []


@pytest.mark.parametrize(
    ("apart", "names"), [("", []), ("all in one", ["weights.bin"]), ("each", ["first", "second"])]
)
def test_the_files_are_found_by_what_the_model_says(tmp_path, weights, apart, names):
    path = model_at(tmp_path / "model.onnx", weights, apart)
    (tmp_path / "model.onnx.txt").write_text("not a part of it")
    assert [each.name for each in data_files(path)] == names
    digests = digests_of(path)
    assert digests == {each: read_sha256(tmp_path / each) for each in ["model.onnx", *names]}


def test_a_long_name_is_read_whole(tmp_path, weights):
    name = "weights-" + "of-a-model-" * 20 + ".bin"
    assert [
        each.name for each in data_files(model_at(tmp_path / "m.onnx", weights, location=name))
    ] == [name]


def test_an_empty_file_names_none(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"")
    assert data_files(tmp_path / "m.onnx") == []


def test_missing_weights_are_one_message(tmp_path, weights):
    path = model_at(tmp_path / "model.onnx", weights)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(
        UserError, match=r"model.onnx keeps weights in the file weights.bin, which is not beside it"
    ):
        data_files(path)


def info(path):
    return {
        "model": "twice",
        "model_path": str(path),
        "model_format": "onnx",
        "inputs": "x",
        "outputs": "y",
        "input_shape": {"x": [1, 32]},
        "input_type": "FLOAT32",
    }


def test_a_report_names_every_file_of_the_model(tmp_path, weights):
    path = model_at(tmp_path / "model.onnx", weights)
    found = resolve(info(path), tmp_path).to_dict()
    assert (found["sha256"], found["data"]) == (
        read_sha256(path),
        {"weights.bin": read_sha256(tmp_path / "weights.bin")},
    )
    json.dumps(found)


def test_other_weights_under_the_same_graph_are_another_model(tmp_path, weights, monkeypatch):
    """Neither the cached graph nor the cached reference may be those of the old weights."""
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))
    sys.path.insert(0, str(zoo.ROOT / "backends"))
    from CPU import sessions

    path, x = tmp_path / "model.onnx", np.ones((1, 32), np.float32)
    answers = []
    for factor in (1.0, 3.0):
        model_at(path, [factor * weights[0], weights[1]])
        optimized, _ = sessions.optimized(path)
        answers.append(onnxruntime.InferenceSession(str(optimized)).run(None, {"x": x})[0])
    np.testing.assert_allclose(answers[1], 3 * answers[0], rtol=1e-3)


def test_damaged_weights_beside_the_cached_graph_are_made_anew(tmp_path, weights, monkeypatch):
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))
    sys.path.insert(0, str(zoo.ROOT / "backends"))
    from CPU import sessions

    model_at(tmp_path / "model.onnx", weights)
    copy, _ = sessions.optimized(tmp_path / "model.onnx")
    (data,) = copy.parent.glob(f"{copy.name}.data")
    before = data.read_bytes()
    for damaged in (before[:100], bytes(len(before))):
        data.write_bytes(damaged)
        assert sessions.optimized(tmp_path / "model.onnx")[0] == copy
        assert data.read_bytes() == before


def test_the_reference_gives_inner_tensors_of_such_a_model(tmp_path, weights, monkeypatch):
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))
    path = model_at(tmp_path / "model.onnx", weights)
    graph = open_graph(str(path), info(path), ["middle"])
    session, outputs, inside = graph.session, graph.outputs, graph.inside
    x = np.ones((2, 32), np.float32)
    answer, middle = session.run([outputs[0][0], *inside], {"x": x})
    np.testing.assert_allclose(middle, x @ weights[0], rtol=1e-5)
    np.testing.assert_allclose(answer, x @ weights[0] @ weights[1], rtol=1e-4)


def test_a_compile_result_is_known_by_its_weights_too(tmp_path, weights):
    path = model_at(tmp_path / "model.onnx", weights)
    size, before = digest(path)
    assert size == sum(each.stat().st_size for each in tmp_path.iterdir())
    model_at(path, [weights[1], weights[0]])
    assert digest(path)[1] != before
    (tmp_path / "weights.bin").unlink()
    assert digest(path) == (path.stat().st_size, read_sha256(path))


def test_a_load_test_names_the_missing_weights(tmp_path, weights):
    path = model_at(tmp_path / "model.onnx", weights)
    (tmp_path / "weights.bin").unlink()
    command = [
        sys.executable,
        "-m",
        "qs",
        "load",
        str(path),
        "--hardware_type",
        "CPU",
        "--out",
        str(tmp_path / "out"),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 2
    assert "keeps weights in the file weights.bin, which is not beside it" in ran.stderr.replace(
        "\n", " "
    )


def test_scattered_weights_are_gathered(tmp_path, weights):
    path = model_at(tmp_path / "model.onnx", weights, "each")
    gather(path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    x = np.ones((1, 32), np.float32)
    (answer,) = onnxruntime.InferenceSession(str(path)).run(None, {"x": x})
    np.testing.assert_allclose(answer, x @ weights[0] @ weights[1], rtol=1e-4)


def test_a_builder_writes_a_large_network_apart_and_it_is_the_same_network(tmp_path, monkeypatch):
    graphs = zoo.builder("graph")
    how = {
        "inputs": ["sample", "step", "states"],
        "outputs": ["out"],
        "side": 8,
        "widths": (32, 64),
        "attends": (True, False),
    }
    graph = zoo.builder("unet").unet_graph(**how, layers=1, heads=2, text=12, length=5)
    (tmp_path / "whole").mkdir(), (tmp_path / "apart").mkdir()
    graph.write(tmp_path / "whole" / "m.onnx", 3)
    monkeypatch.setattr(graphs, "LARGEST_FILE_BYTES", 1000)
    graph.write(tmp_path / "apart" / "m.onnx", 3)
    assert [each.name for each in data_files(tmp_path / "apart" / "m.onnx")] == ["m.onnx.data"]
    assert data_files(tmp_path / "whole" / "m.onnx") == []
    rng = np.random.default_rng(0)
    feeds = {
        "sample": rng.normal(size=(2, 4, 8, 8)).astype(np.float32),
        "step": np.array([3, 500]),
        "states": rng.normal(size=(2, 5, 12)).astype(np.float32),
    }
    one, other = (
        onnxruntime.InferenceSession(str(tmp_path / each / "m.onnx")).run(None, feeds)[0]
        for each in ("whole", "apart")
    )
    assert np.std(one) > 0.01
    np.testing.assert_array_equal(one, other)
