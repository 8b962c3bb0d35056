"""The OPENVINO backend on small real models, in this process."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from qs.base.errors import UserError
from qs.inside.loading import load_backend_class
from tests.qs.program import qs

openvino = pytest.importorskip("openvino")
ROOT = Path(__file__).resolve().parents[2]
OPENVINO = ROOT / "backends" / "OPENVINO"


@pytest.fixture(scope="module")
def compile_class():
    return load_backend_class(OPENVINO, "OPENVINO", kind="compile")


@pytest.fixture(scope="module")
def runtime_class():
    return load_backend_class(OPENVINO, "OPENVINO", kind="runtime")


def items(size):
    return {"x": np.arange(size * 4, dtype=np.float32).reshape(size, 4)}


def test_a_whole_compile_result(compile_class, make_model):
    configs, _ = make_model(batch_sizes=[1, 4, 16])
    result = compile_class().compile(configs)
    assert result["compile_status"] == "success" and result["compile_precision"] == "FP32"
    assert result["dynamic_batch"] is True and result["batch_sizes_tried"] == [1, 4, 16]
    assert result["optimizations"]["inference_precision"] == "f32"
    assert result["warnings"] == [] and "operators" not in result
    (segment,) = result["segments"]
    assert segment["input_tensor_map"] == {"x": [1, 4]} and segment["output_tensor_map"] == ["y"]
    assert {Path(made["compiled_obj"]).name for made in segment["compiled_model"]} == {
        "linear.onnx"
    }


@pytest.mark.parametrize("batch", ["dynamic", "static"])
def test_answers_are_right_at_each_batch_size(loaded, make_model, batch):
    configs, weights = make_model(answers={"batch": batch})
    runtime = loaded(configs)
    for size in (1, 4):
        runtime.load(size)
        assert runtime.get_loaded_batch_size() == size
        feeds = items(size)
        np.testing.assert_allclose(runtime.predict(feeds)["y"], feeds["x"] @ weights, rtol=1e-5)
    if batch == "static":
        with pytest.raises(UserError, match="batch size 3 was not compiled"):
            runtime.load(3)


def test_a_later_inference_does_not_write_into_an_earlier_answer(loaded, make_model):
    configs, weights = make_model()
    runtime = loaded(configs)
    first = runtime.predict(items(1))["y"]
    before = first.copy()
    runtime.predict({"x": np.full((1, 4), 7, np.float32)})
    np.testing.assert_array_equal(first, before)
    first[:] = 0  # and it is the caller's own
    np.testing.assert_allclose(runtime.predict(items(1))["y"], before)


def test_an_array_that_was_filled_anew_is_read_anew(loaded, make_model):
    """Tensors are kept with their arrays: they are that memory, not what was in it."""
    configs, weights = make_model()
    runtime, feeds = loaded(configs), items(1)
    for value in (1, 2):
        feeds["x"][:] = value
        np.testing.assert_allclose(runtime.predict(feeds)["y"], feeds["x"] @ weights, rtol=1e-5)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(8, dtype=np.float32).reshape(4, 2)[:, :1].T,  # strided
        np.arange(4, dtype=np.float64).reshape(1, 4),
        np.arange(4, dtype=np.int32).reshape(1, 4),
        [[0.0, 1.0, 2.0, 3.0]],
        np.broadcast_to(np.float32(2), (1, 4)),  # read-only
    ],
    ids=["strided", "float64", "int32", "list", "read-only"],
)
def test_feeds_that_cannot_be_shared_are_copied(loaded, make_model, array):
    configs, weights = make_model()
    runtime = loaded(configs)
    for _ in range(2):
        answer = runtime.predict({"x": array})["y"]
        np.testing.assert_allclose(answer, np.asarray(array, np.float32) @ weights, rtol=1e-5)


def test_kept_tensors_are_bounded(loaded, make_model):
    configs, weights = make_model()
    runtime = loaded(configs)
    for value in range(600):
        array = np.full((1, 4), value, np.float32)
        np.testing.assert_allclose(runtime.predict({"x": array})["y"], array @ weights, rtol=1e-5)
    ((_, _, _, kept),) = runtime.requests._inputs
    assert len(kept) <= 256


def test_clients_do_not_get_each_others_answers(loaded, make_model):
    configs, weights = make_model(inputs=("a", "b"), outputs=("y", "z"))
    runtime, wrong = loaded(configs), []

    def client(value):
        feeds = {name: np.full((1, 4), value, np.float32) for name in "ab"}
        expected = (feeds["a"] + feeds["b"]) @ weights
        for _ in range(50):
            answer = runtime.predict(feeds)
            if not np.allclose(answer["y"], expected, rtol=1e-5) or list(answer) != ["y", "z"]:
                wrong.append(value)

    clients = [threading.Thread(target=client, args=(value,)) for value in range(1, 5)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert wrong == []


def test_outputs_go_by_the_model_infos_names_and_only_those(loaded, make_model):
    info = {"inputs": "image", "input_shape": {"image": [1, 4]}, "outputs": "z"}
    configs, weights = make_model(outputs=("y", "z"), info=info)
    answer = loaded(configs).predict({"image": items(1)["x"]})
    assert list(answer) == ["z"]
    np.testing.assert_allclose(answer["z"], items(1)["x"] @ weights, rtol=1e-5)


def test_integers_are_cast_as_the_file_takes_them(loaded, make_model):
    configs, weights = make_model(element=TensorProto.INT64, info={"input_type": "INT32"})
    answer = loaded(configs).predict({"x": np.ones((1, 4), np.int32)})
    np.testing.assert_allclose(answer["y"], np.ones((1, 4)) @ weights, rtol=1e-5)


def test_ir_is_read_with_its_weights(loaded, make_model, tmp_path):
    configs, weights = make_model()
    model = openvino.Core().read_model(configs["model_info"]["model_path"])
    openvino.save_model(model, tmp_path / "m.xml", compress_to_fp16=False)
    configs["model_info"] |= {"model_path": str(tmp_path / "m.xml"), "model_format": "openvino"}
    answer = loaded(configs).predict(items(1))
    np.testing.assert_allclose(answer["y"], items(1)["x"] @ weights, rtol=1e-5)
    (tmp_path / "m.bin").unlink()
    with pytest.raises(UserError, match=r"has no m\.bin beside it"):
        loaded(configs)


def test_a_fixed_batch_and_one_baked_into_the_graph(compile_class, make_model):
    for how in ({"batch": 1}, {"reshape": 1}):
        configs, _ = make_model(batch_sizes=[1, 4], **how)
        result = compile_class().compile(configs)
        assert result["compile_status"].startswith("failed for batch size 4"), how
        assert [made["compiled_bs"] for made in result["segments"][0]["compiled_model"]] == [1]


def test_the_qs_config(compile_class, loaded, make_model, monkeypatch):
    """Small requests: a copy of one thread for each client, as far as there are cores."""
    configs, _ = make_model()
    runtime = loaded(configs)
    assert runtime.configs["small_requests"] is True
    found = runtime.generate_qs_config()
    cores = min(3, len(runtime.load.__globals__["cores"].usable_cpus()))
    assert (found["instances"], found["intra_op_threads"]) == (cores, 1)
    assert "clients" not in found
    configs, _ = make_model(answers={"performance_hint": "latency"})
    found = loaded(configs).generate_qs_config()
    assert (found["instances"], found["clients"]) == (1, 1)
    configs, _ = make_model(answers={"inference_num_threads": 1})
    found = loaded(configs).generate_qs_config()
    assert (found["instances"], found["intra_op_threads"]) == (1, 1)


def test_copies_of_a_small_model_are_not_bound_to_one_core(loaded, make_model):
    """Two models that OpenVINO binds to cores by itself are bound to the same ones."""
    configs, _ = make_model()
    runtime = loaded(configs)
    runtime.placement = {"instance": 1, "instances": 2, "cpus": None, "intra_op_threads": 1}
    _, how = runtime._how()
    assert how == {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": 1,
        "ENABLE_CPU_PINNING": False,
    }
    runtime.placement |= {"intra_op_threads": 2}  # typed: it holds
    assert runtime._how()[1]["INFERENCE_NUM_THREADS"] == 2 * runtime._how()[1]["NUM_STREAMS"]


def test_benchmark_is_a_plain_loop(loaded, make_model):
    configs, _ = make_model()
    found = loaded(configs).benchmark(None)
    assert found["BS"] == 1 and found["Completed"] == 150 and found["QPS"] > 0


def test_operators_are_counted_only_when_asked(compile_class, make_model):
    configs, _ = make_model(answers={"operators": True})
    counted = compile_class().compile(configs)["operators"]
    assert counted["batch_size"] == 1 and counted["inferences"] >= 3
    assert counted["rows"] and set(counted["rows"][0]) == {
        "name",
        "type",
        "implementation",
        "time_us",
        "share",
    }
    times = [row["time_us"] for row in counted["rows"]]
    assert times == sorted(times, reverse=True)
    assert sum(times) == pytest.approx(counted["total_us"])


def test_best_batch_sizes_only_when_asked(compile_class, make_model):
    compiler = compile_class()
    configs, _ = make_model()
    compiler.pre_optimize(configs)
    assert compiler.get_best_batch_size() is None
    configs, _ = make_model(answers={"tune_batch_sizes": True}, batch=2, batch_sizes=[1, 2])
    compiler.pre_optimize(configs)
    assert compiler.get_best_batch_size() == [2]


def refusals(tmp_path):
    """(change of the model info, answers, what is said)"""
    for name, content in (("junk.onnx", b"no graph at all"), ("a.tflite", b"\x1c\0\0\0TFL3")):
        (tmp_path / name).write_bytes(content)
    node = helper.make_node("Wobble", ["x"], ["y"], domain="acme")
    value = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 4]) for name in ("x", "y")
    ]
    graph = helper.make_graph([node], "g", value[:1], value[1:])
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("acme", 1)]
    onnx.save(helper.make_model(graph, opset_imports=domains), tmp_path / "own.onnx")
    return [
        ({"model_path": str(tmp_path / "gone.onnx")}, {}, "gone.onnx is missing"),
        ({"model_path": str(tmp_path / "junk.onnx")}, {}, "cannot read"),
        ({"model_path": str(tmp_path / "own.onnx")}, {}, "acme.Wobble"),
        ({"model_path": str(tmp_path / "a.tflite")}, {}, "a TensorFlow Lite model"),
        ({}, {"device": "GPU.7"}, "'GPU.7' is not on this machine; OpenVINO lists CPU"),
    ]


@pytest.mark.parametrize("number", range(5))
def test_what_cannot_be_run_is_one_sentence(compile_class, make_model, tmp_path, number):
    info, answers, said = refusals(tmp_path)[number]
    configs, _ = make_model(info=info, answers=answers)
    with pytest.raises(UserError) as error:
        compile_class().compile(configs)
    assert said in str(error.value) and ".cpp" not in str(error.value)


def test_a_precision_that_the_device_lacks_is_refused(compile_class, make_model):
    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    for answer, name in (("bf16", "BF16"), ("f16", "FP16")):
        configs, _ = make_model(answers={"inference_precision": answer})
        if name in able:
            assert compile_class().compile(configs)["compile_precision"] == name
        else:
            with pytest.raises(UserError, match=f"{answer} is not computed by CPU"):
                compile_class().compile(configs)


def test_a_package_that_is_not_there_is_one_sentence(compile_class, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UserError, match="the package openvino cannot be imported"):
        compile_class().version()


def test_every_question_has_the_backends_own_default(compile_class):
    profile = {each["name"]: each["default"] for each in compile_class().get_interact_profile({})}
    module = compile_class.compile.__globals__["answers_of"]
    known = module({}).to_dict()
    assert {name: profile[name] for name in known} == known
    assert set(profile) - set(known) == {"tune_batch_sizes", "operators"}


@pytest.mark.slow
def test_minilm_is_as_accurate_as_pinned(tmp_path, monkeypatch):
    monkeypatch.delenv("QS_CACHE")  # where the model and its texts are, once they were fetched
    done = qs(
        *("run", "--task", "minilm-onnx-fp32", "--hardware_type", "OPENVINO", "--env", "current"),
        *("--iterations", "3", "--batch_sizes", "1", "--no_input", "--no_picture"),
        *("--out", tmp_path, "--json"),
    )
    assert done.returncode == 0, done.stderr
    accuracy = json.loads(done.stdout)["Accuracy"]
    pinned = json.loads((ROOT / "model_zoo" / "minilm-onnx-fp32.json").read_text())
    for name, value in pinned["pinned_metrics"].items():
        assert accuracy[name] == pytest.approx(value, abs=0.005)
