"""The CUDA backend without a GPU: what is said where something is missing, and the way of a request
through a session of ONNX Runtime's own, whose provider and memory are made to look like a GPU's.
"""

from __future__ import annotations

import json
import threading
import types
from importlib import import_module
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from qs.base.errors import UserError
from qs.inside.loading import load_backend_class

FOLDER = Path(__file__).parents[2] / "backends" / "CUDA"
ROOT = FOLDER.parents[1]
MODEL = ROOT / "model_zoo/digits/digits-cnn-onnx-fp32.onnx"
INFO = json.loads((ROOT / "model_zoo/digits-cnn-onnx-fp32.json").read_text())
INFO["model_path"] = str(MODEL)
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
NAME = INFO["inputs"]


@pytest.fixture(scope="module")
def compile_class():
    return load_backend_class(FOLDER, "CUDA", kind="compile")


@pytest.fixture(scope="module")
def runtime_class():
    return load_backend_class(FOLDER, "CUDA", kind="runtime")


def part(runtime_class, name):
    """A module of the backend."""
    return import_module(f"{runtime_class.__module__.rpartition('.')[0]}.{name}")


class Session:
    """A real session that says it is another's, and whose tensors "on the GPU" are on the host."""

    opened: list = []  # noqa: RUF012

    def __init__(self, fake, path, settings, providers, enable_fallback):
        assert enable_fallback == 0
        if fake.refuses:
            raise RuntimeError(fake.refuses)
        self.fake, self.asked = fake, providers
        self.real = onnxruntime.InferenceSession(str(path), settings, providers=[CPU])
        fake.sessions.append(self)

    def __getattr__(self, name):
        return getattr(self.real, name)

    def get_providers(self):
        return self.fake.uses

    def end_profiling(self):
        path = Path(self.real.end_profiling())
        events = json.loads(path.read_text())
        placed = [each for each in events if "provider" in (each.get("args") or {})]
        for event in placed[self.fake.left :]:
            event["args"]["provider"] = self.fake.uses[0]
        path.write_text(json.dumps(events))
        return str(path)

    def io_binding(self):
        return Binding(self.real.io_binding())

    def run_with_iobinding(self, binding):
        self.real.run_with_iobinding(binding.real)


class Binding:
    def __init__(self, real):
        self.real, self.asked = real, []

    def __getattr__(self, name):
        return getattr(self.real, name)

    def bind_output(self, name, device_type="cpu", device_id=0):
        self.asked.append((name, device_type, device_id))
        self.real.bind_output(name, "cpu")


@pytest.fixture
def fake(monkeypatch, tmp_path, runtime_class):
    made = types.SimpleNamespace(
        __version__="1.31.1",
        __file__=str(tmp_path / "onnxruntime" / "__init__.py"),
        uses=[CUDA, CPU],
        sessions=[],
        refuses="",
        left=0,
        get_available_providers=lambda: ["TensorrtExecutionProvider", CUDA, CPU],
        SessionOptions=onnxruntime.SessionOptions,
        allocated=[],
    )

    def allocate(shape, dtype, device, number):
        made.allocated.append((shape, device, number))
        return onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, dtype)

    made.OrtValue = types.SimpleNamespace(ortvalue_from_shape_and_type=allocate)
    made.InferenceSession = lambda *args, **more: Session(made, *args, **more)
    monkeypatch.setattr(part(runtime_class, "sessions"), "runtime", lambda: made)
    return made


def configs(**given):
    workload = {"batch_sizes": [1, 4], "clients": 1, "iterations": 3}
    return {"model_info": INFO, "workload": workload, "interact_info": given}


def made(compile_class, runtime_class, instance=0, **given):
    compiler = compile_class()
    result = compiler.compile(compiler.pre_optimize(configs(**given)))
    runtime = runtime_class()
    runtime.configs, runtime.model_info, runtime.workload = result, INFO, configs()["workload"]
    runtime.placement = {"instance": instance}
    runtime.load(4)
    return result, runtime


PICTURES = np.random.default_rng(0).random((4, *INFO["input_shape"][NAME][1:]), np.float32)


@pytest.mark.parametrize("given", [{}, {"io_binding": False}, {"keep_outputs": True}])
def test_it_answers_what_the_model_answers(compile_class, runtime_class, fake, given):
    result, runtime = made(compile_class, runtime_class, **given)
    assert result["compile_status"] == "success" and result["sg_percent"] == 100
    assert result["compile_precision"] == "FP32"  # and so TF32 is off, which it is not by default
    assert fake.sessions[0].asked == [(CUDA, {"device_id": "0", "use_tf32": "0"})]
    session = onnxruntime.InferenceSession(str(MODEL), providers=[CPU])
    first = runtime.predict({NAME: PICTURES})
    kept = {name: np.array(value) for name, value in first.items()}
    second = runtime.predict({NAME: PICTURES[::-1].copy()})
    for pictures, answer in ((PICTURES, first), (PICTURES[::-1], second)):
        (wanted,) = session.run(None, {NAME: np.ascontiguousarray(pictures)})
        (got,) = answer.values()
        np.testing.assert_allclose(np.asarray(got), wanted, atol=1e-5)
    for name, value in first.items():  # an earlier answer stays as it was
        np.testing.assert_array_equal(np.asarray(value), kept[name])
    assert len(fake.allocated) == (1 if given.get("io_binding", True) else 0)
    runtime.predict({NAME: PICTURES[:1]})  # another size: other tensors
    assert len(fake.allocated) == (2 if given.get("io_binding", True) else 0)
    assert ("stay" in result["optimizations"]["outputs"]) == bool(given.get("keep_outputs"))
    assert runtime.benchmark(None)["BS"] == 4


def test_each_client_has_tensors_of_its_own(compile_class, runtime_class, fake):
    _, runtime = made(compile_class, runtime_class)
    threads = [threading.Thread(target=runtime.predict, args=({NAME: PICTURES},)) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(fake.allocated) == 3


def test_instances_are_the_numbers_of_device_ids(compile_class, runtime_class, fake):
    for instance, number in ((0, "1"), (1, "3"), (2, "1")):
        result, runtime = made(compile_class, runtime_class, instance, device_ids="1, 3,1")
        assert fake.sessions[-1].asked[0][1]["device_id"] == number
    assert result["device_count"] == 2
    config = runtime.generate_qs_config()
    assert (config["instances"], config["clients"]) == (3, 3)


def test_a_session_on_the_cpu_is_an_error_and_names_what_is_missing(compile_class, fake):
    fake.uses = [CPU]
    compiler = compile_class()
    with pytest.raises(UserError) as raised:
        compiler.pre_optimize(configs())
    for words in ("would compute on CPU", "libonnxruntime_providers_cuda.so is missing",
                  "onnxruntime-gpu[cuda,cudnn]"):  # fmt: skip
        assert words in str(raised.value)
    library = Path(fake.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"no library")
    with pytest.raises(UserError, match=r"cuda\.so needs what is not found .*LD_LIBRARY_PATH"):
        compiler.pre_optimize(configs())


def test_nodes_on_the_cpu_are_counted_and_all_of_them_are_an_error(compile_class, fake):
    fake.left = 2
    result = compile_class().compile(configs())
    total = sum(result["nodes_by_provider"].values())
    assert result["sg_percent"] == pytest.approx(100 * (total - 2) / total)
    assert result["warnings"] == [f"2 of {total} nodes run on the CPU, not on the GPU"]
    fake.left = 10_000
    with pytest.raises(UserError, match=rf"no node of .* ran on the GPU .*: {total} on {CPU}"):
        compile_class().compile(configs())


def test_a_gpu_that_is_not_there(compile_class, fake):
    fake.refuses = "CUDA failure 101: invalid device ordinal ; GPU=7"
    with pytest.raises(UserError, match="on GPU 7 with CUDAExecutionProvider: CUDA failure 101"):
        compile_class().pre_optimize(configs(device_ids="7"))


def test_tensorrt_has_its_precision_said(compile_class, runtime_class, fake):
    fake.uses = ["TensorrtExecutionProvider", CUDA, CPU]
    result, _ = made(compile_class, runtime_class, provider="TENSORRT")
    assert result["compile_precision"] == "TF32" and not result["dynamic_batch"]
    result, _ = made(compile_class, runtime_class, provider="TENSORRT", tensorrt_fp16=True)
    assert result["compile_precision"] == "FP16"
    assert fake.sessions[-1].asked[0][1]["trt_fp16_enable"] == "True"
    assert fake.sessions[-1].asked[1][0] == CUDA


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"device_ids": "gpu0"}, "'gpu0' is no list of numbers"),
        ({"device_ids": ""}, "is no list of numbers"),
        ({"device_ids": "-1"}, "'-1' is no list of numbers"),
        ({"provider": "ROCM"}, "'ROCM' is not known; allowed: CUDA, TENSORRT"),
        ({"tensorrt_fp16": True}, "needs provider TENSORRT"),
        ({"keep_outputs": True, "io_binding": False}, "needs io_binding"),
    ],
)
def test_answers_that_there_cannot_be(compile_class, fake, given, said):
    with pytest.raises(UserError, match=said):
        compile_class().pre_optimize(configs(**given))


def test_the_onnx_runtime_for_cpus_is_not_taken(compile_class):
    """What this test runs with."""
    if CUDA in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime-gpu is installed here")
    with pytest.raises(UserError, match=r"has no CUDAExecutionProvider .*onnxruntime-gpu"):
        compile_class().version()


def test_memory_is_pinned_where_cudas_runtime_does_it(runtime_class):
    pinned_class = part(runtime_class, "binding").Pinned
    calls = []

    class Library:
        def cudaHostRegister(self, address, size, flags):  # noqa: N802
            calls.append(("register", address.value, size.value))
            return 0

        def cudaHostUnregister(self, address):  # noqa: N802
            calls.append(("unregister", address.value))

    pinned = pinned_class(Library())
    array = pinned.array((2, 3), np.dtype(np.float32))
    pinned.free(array)
    address = array.ctypes.data
    assert calls == [("register", address, 24), ("unregister", address)] and not pinned.why
    Library.cudaHostRegister = lambda *args: 2
    refused = pinned_class(Library())
    refused.array((2,), np.dtype(np.float32))
    assert refused.why == "cudaHostRegister said 2"
