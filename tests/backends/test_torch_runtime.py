from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.contract import cores
from qs.inside.samples import GeneratedDataset

torch = pytest.importorskip("torch")

from tests.backends import torch_models as made  # noqa: E402
from tests.backends.torch_models import configs_of, loaded, part, scripted  # noqa: E402

X = np.arange(8, dtype=np.float32).reshape(2, 4)
WEIGHTS = np.arange(12, dtype=np.float32).reshape(3, 4) / 10


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    return scripted(made.Linear(), tmp_path_factory.mktemp("torch") / "linear.pt")


@pytest.fixture(scope="module")
def embedding(tmp_path_factory):
    return scripted(made.Embedding(), tmp_path_factory.mktemp("torch") / "embedding.pt")


def test_predict_answers_by_the_model_infos_names(linear):
    runtime = loaded(configs_of(linear, [2], outputs="logits"), 2)
    assert runtime.get_loaded_batch_size() == 2
    (answer,) = runtime.predict({"x": X, "unused": X}).items()
    assert answer[0] == "logits" and isinstance(answer[1], np.ndarray)
    np.testing.assert_allclose(answer[1], X @ WEIGHTS.T, rtol=1e-5)
    with pytest.raises(KeyError, match="x"):
        runtime.predict({"other": X})


def test_inputs_go_by_the_model_infos_order_in_its_types(embedding):
    info = {
        "inputs": "input_ids.1,attention_mask.1",
        "input_shape": {"attention_mask.1": [1, 3], "input_ids.1": [1, 3]},
        "input_type": "LONG,BOOL",
        "input_range": {"input_ids.1": [0, 8]},
    }
    runtime = loaded(configs_of(embedding, [1], **info), 1)
    ids, mask = np.array([[1, 7, 3]]), np.array([[True, False, True]])
    answer = runtime.predict({"attention_mask.1": mask, "input_ids.1": ids})["y"]
    assert not answer[0, 1].any() and answer[0, 0].any()
    for kind in (np.int32, np.uint8, np.float32):
        given = {"input_ids.1": ids.astype(kind), "attention_mask.1": mask.astype(kind)}
        np.testing.assert_array_equal(runtime.predict(given)["y"], answer)
    said = runtime.notes
    assert said == [
        "input input_ids.1 is the file's ids (TorchScript takes places)",
        "input attention_mask.1 is the file's mask (TorchScript takes places)",
    ]


def test_an_input_with_a_default_may_be_left_out(embedding):
    info = {"inputs": "ids", "input_shape": {"ids": [1, 3]}, "input_type": "INT32"}
    runtime = loaded(configs_of(embedding, [1], **info, input_range={"ids": [0, 8]}), 1)
    assert runtime.predict({"ids": np.array([[1, 2, 3]], np.int32)})["y"].shape == (1, 3, 2)


@pytest.mark.parametrize(
    "given",
    [
        X[::-1],
        np.asfortranarray(X),
        X.astype(">f4"),
        X.astype(np.float64),
        X.tolist(),
        np.repeat(X, 2, axis=1)[:, ::2],
    ],
    ids=["reversed", "fortran", "big endian", "double", "list", "every other"],
)
def test_feeds_of_any_layout_are_taken(linear, given):
    runtime = loaded(configs_of(linear, [2]), 2)
    expected = np.asarray(given, np.float32) @ WEIGHTS.T
    np.testing.assert_allclose(runtime.predict({"x": given})["y"], expected, rtol=1e-5)


def test_read_only_feeds_are_taken_without_a_copy_or_a_warning(linear):
    runtime = loaded(configs_of(linear, [2]), 2)
    feeds = X.copy()
    feeds.setflags(write=False)
    np.testing.assert_allclose(runtime.predict({"x": feeds})["y"], X @ WEIGHTS.T, rtol=1e-5)


def test_a_scalar_stays_one(tmp_path):
    class Shifted(torch.nn.Module):
        def forward(self, x: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
            return x + by

    info = {
        "inputs": "x,by",
        "input_shape": {"x": [1, 4], "by": []},
        "input_type": "FLOAT32,FLOAT32",
    }
    runtime = loaded(configs_of(scripted(Shifted(), tmp_path / "s.pt"), [2], **info), 2)
    np.testing.assert_allclose(runtime.predict({"x": X, "by": np.float32(2)})["y"], X + 2)


def test_a_model_that_writes_into_its_inputs_is_given_copies(tmp_path):
    runtime = loaded(configs_of(scripted(made.InPlace(), tmp_path / "i.pt"), [2]), 2)
    feeds = X.copy()
    np.testing.assert_allclose(runtime.predict({"x": feeds})["y"], (X + 1) * 2)
    np.testing.assert_array_equal(feeds, X)
    assert runtime.configs["warnings"] == [
        "the model writes into its inputs (x): it is given copies"
    ]


@dataclass
class Scores:
    loss: object
    logits: object
    hidden: tuple


def tensor(value):
    return torch.full((2,), float(value))


@pytest.mark.parametrize(
    ("raw", "outputs", "picked"),
    [
        (tensor(0), "y", {"y": 0}),
        ((tensor(0), tensor(1)), "a,b", {"a": 0, "b": 1}),
        ([tensor(0), (tensor(1), tensor(2))], "a,b,c", {"a": 0, "b": 1, "c": 2}),
        (made.Pair(tensor(0), tensor(1)), "high,low", {"high": 1, "low": 0}),
        ({"b": tensor(0), "a": tensor(1)}, "a", {"a": 1}),
        (OrderedDict(logits=tensor(0), hidden=None), "logits", {"logits": 0}),
        (Scores(None, tensor(0), (tensor(1), tensor(2))), "logits", {"logits": 0}),
        ({"x": {"y": tensor(0)}}, "x.y", {"x.y": 0}),
        ((tensor(0), tensor(1)), "", {"output_0": 0, "output_1": 1}),
    ],
)
def test_outputs_of_every_kind(raw, outputs, picked):
    pairs, _ = part("outputs").picked({"outputs": outputs}, raw)
    tensors = part("outputs").flat(raw)
    assert {name: int(tensors[at][0]) for at, name in pairs} == picked


def test_outputs_that_are_not_those_of_the_model_info_are_a_warning():
    pairs, notes = part("outputs").picked({"outputs": "a"}, (tensor(0), tensor(1)))
    assert pairs == [(0, "a")] and "returns 2 tensors without names" in notes[0]
    with pytest.raises(UserError, match="returns a str as a"):
        part("outputs").flat({"a": "text"})
    with pytest.raises(UserError, match="returns no tensor"):
        part("outputs").picked({}, None)


def test_what_is_loaded_is_kept_while_nothing_about_it_changes(linear):
    runtime = loaded(configs_of(linear, [1, 4]), 1)
    first = runtime._ready
    runtime.load(4)
    assert runtime._ready is first and runtime.get_loaded_batch_size() == 4
    runtime.placement = {"instance": 1, "intra_op_threads": 1}
    runtime.load(4)
    assert runtime._ready is not first


def test_every_calling_thread_has_the_threads_of_its_instance(linear):
    """The number is the calling thread's own: a new one would compute on all cores."""
    runtime = loaded(configs_of(linear, [2]), 2)
    runtime.placement = {"intra_op_threads": 3}
    runtime.load(2)
    torch.set_num_threads(1)
    seen = []

    def client():
        runtime.predict({"x": X})
        seen.append(torch.get_num_threads())

    thread = threading.Thread(target=client)
    thread.start()
    thread.join()
    torch.set_num_threads(1)
    assert seen == [3]


@pytest.mark.parametrize(
    ("cpus", "clients", "compiled", "instances", "threads"),
    [
        # each client computes with threads of its own: together they match the cores
        (2, 3, {}, 1, 1),
        (2, 1, {}, 1, 2),
        (16, 3, {}, 1, 5),
        (16, 40, {}, 1, 1),
        (64, 8, {}, 4, 8),
        (64, 1, {}, 1, 64),
        (16, 1, {"intra_op_threads": 1}, 1, 1),
        (4, 3, {"intra_op_threads": 4, "intra_op_threads_asked": True}, 1, 4),
        (4, 3, {"intra_op_threads": 9, "intra_op_threads_asked": True}, 1, 4),
        (64, 8, {"torch_answers": {"device": "cuda"}}, 1, 8),
    ],
)
def test_qs_config_by_cores_and_clients(monkeypatch, cpus, clients, compiled, instances, threads):
    monkeypatch.setattr(cores, "usable_cpus", lambda: list(range(cpus)))
    monkeypatch.setattr(cores, "_core", lambda cpu, root: (0, cpu))
    runtime = made.runtime()
    runtime.workload, runtime.configs = {"clients": clients}, compiled
    config = runtime.generate_qs_config()
    assert (config["instances"], config["intra_op_threads"]) == (instances, threads)
    assert (config["qs_version"], config["pool"]) == (2, "thread")
    assert sorted(cpu for group in config["affinity"] for cpu in group) == list(range(cpus))


def test_own_benchmark_is_consistent(linear):
    configs = configs_of(linear, [16])
    row = loaded(configs, 16).benchmark(GeneratedDataset(configs["model_info"], seed=0))
    assert row["BS"] == 16 and row["Completed"] == 150 and row["AVG Latency"] > 0


class FakeCuda:
    """What torch.cuda has that the backend uses, over the memory of the CPU: it keeps the order of
    events.
    """

    def __init__(self):
        self.log = []

    def Stream(self, device):  # noqa: N802
        self.log.append(f"stream on {device}")
        return f"stream {len(self.log)}"

    def Event(self):  # noqa: N802
        fake = self

        class Event:
            def record(self, stream):
                fake.log.append(f"record on {stream}")

            def synchronize(self):
                fake.log.append("wait")

        return Event()

    def stream(self, stream):
        fake = self

        class Entered:
            def __enter__(self):
                fake.log.append(f"enter {stream}")

            def __exit__(self, *_):
                fake.log.append("leave")

        return Entered()

    def synchronize(self):
        fake_all = "wait for the device"
        self.log.append(fake_all)


class Sent:
    """A tensor whose moves are noted."""

    def __init__(self, log, what):
        self.log, self.what = log, what

    def pin_memory(self):
        self.log.append(f"pin {self.what}")
        return self

    def to(self, place, non_blocking=False):
        self.log.append(f"{self.what} to {place}{', queued' if non_blocking else ''}")
        return self


def accelerator(fake, keep, monkeypatch):
    device = part("devices").Accelerator("cuda:1", keep, fake)

    class Torch:
        @staticmethod
        def from_numpy(array):
            return Sent(fake.log, "input")

    device._torch = Torch
    return device


@pytest.mark.parametrize("keep", [False, True])
def test_an_accelerators_answer_is_complete_when_it_is_given(monkeypatch, keep):
    fake = FakeCuda()
    device = accelerator(fake, keep, monkeypatch)
    outputs = device.run(lambda x: [fake.log.append("run"), Sent(fake.log, "output")][1:], [X])
    assert len(outputs) == 1
    down = [] if keep else ["output to cpu, queued"]
    assert fake.log == [
        "stream on cuda:1",
        "enter stream 1",
        "pin input",
        "input to cuda:1, queued",
        "run",
        *down,
        "record on stream 1",
        "leave",
        "wait",
    ]


def test_weights_are_on_the_device_before_the_first_request(monkeypatch):
    fake = FakeCuda()
    device = accelerator(fake, False, monkeypatch)
    assert device.place(Sent(fake.log, "weights")).what == "weights"
    assert fake.log[1:] == ["weights to cuda:1", "wait for the device"]


def test_a_device_without_streams_is_waited_for_as_a_whole(monkeypatch):
    class Mps:
        def __init__(self):
            self.log = []

        def synchronize(self):
            self.log.append("wait")

    fake = Mps()
    device = accelerator(fake, False, monkeypatch)
    device.run(lambda x: [Sent(fake.log, "output")], [X])
    assert fake.log == ["input to cuda:1", "output to cpu, queued", "wait"]


def test_instances_take_turns_on_the_devices_of_a_kind(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.accelerator, "current_accelerator", lambda: type("D", (), {"type": "cuda"})()
    )
    monkeypatch.setattr(torch, "get_device_module", lambda kind: FakeCuda())
    names = [part("devices").device_for("cuda", False, each).name for each in range(3)]
    assert names == ["cuda:0", "cuda:1", "cuda:0"]
    assert part("devices").device_for("cuda:1", False, 4).name == "cuda:1"
    assert part("answers").devices() == ["cpu", "cuda:0", "cuda:1"]
    with pytest.raises(UserError, match=r"'cuda:2' is not there; there is cpu, cuda:0, cuda:1"):
        part("answers").check_device("cuda:2")
    part("answers").check_device("cuda")
