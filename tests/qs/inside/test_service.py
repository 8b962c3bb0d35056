from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.inside.reference_items import save_reference
from qs.inside.service import VendorService


def test_an_upstream_backend_from_folder_to_accuracy(workspace, tmp_path):
    service, result = workspace.ready(
        workspace.backend(), workspace.dataset(items=10), batch_sizes=[2]
    )
    assert service.versions() == {"compile": "compiler 1.0", "runtime": "not stated"}
    assert service.interact_profile({}) == []
    assert service.best_batch_sizes({}) is None
    assert result["vendor's own"]["items"] == 10, "keys of the vendor's own come through"
    assert service.load(2)["loaded_batch_size"] == 2
    assert service.qs_mode() == {"supported": False, "config": None}
    assert service.accuracy(100, str(tmp_path / "out" / "deep")) == {"Right": 1.0, "Count": 10}
    assert np.load(tmp_path / "out" / "deep" / "numbers.npy").shape == (10, 2)
    assert service.accuracy(50, str(tmp_path / "out"))["Count"] == 4


def test_what_leaves_the_service_is_plain_data(workspace, tmp_path):
    """The conductor may have another numpy, and has none of the vendor's classes."""
    service, result = workspace.ready(workspace.backend(), workspace.dataset())
    assert "Engine object" in result["segments"][0]["compiled_model"][0]["compiled_obj"]
    service.load(1)
    for value in (result, service.accuracy(100, str(tmp_path)), service.describe_samples(1)):
        assert b"numpy" not in pickle.dumps(value)


def test_the_vendors_objects_stay_in_the_compile_result(workspace):
    """The conductor sends back the plain copy; the runtime must get the engine object, not its
    text.
    """
    service, _ = workspace.ready(workspace.backend(), workspace.dataset())
    target = service.load_target(batch_size=1)
    assert target({"x": np.ones((1, 4), np.float32)})["y"].tolist() == [[4, 1]]


def test_what_pre_optimize_leaves_in_the_configs_reaches_compile(workspace, model_info):
    """The conductor may change a batch size in between; objects beside it must survive that."""
    folder = workspace.backend()
    file = folder / "compile_backend_acme.py"
    file.write_text(
        file.read_text()
        + """
    def pre_optimize(self, configs):
        configs["graph"] = shared.Engine()
        return configs

    def segment(self, configs):
        assert isinstance(configs["graph"], shared.Engine), configs["graph"]
        assert configs["workload"]["batch_sizes"] == [7]
"""
    )
    service = workspace.service(folder)
    data = workspace.dataset()
    configs = service.pre_optimize({"workload": {"batch_sizes": [1]}, "model_info": model_info})
    assert isinstance(configs["graph"], str)
    service.set_dataset(configs, data, False, 0)
    configs["workload"]["batch_sizes"] = [7]
    service.compile(configs)


def test_a_compile_result_from_elsewhere_is_used_as_it_is(workspace, model_info):
    folder, data = workspace.backend(), workspace.dataset()
    _, result = workspace.ready(folder, data)
    service = workspace.service(folder)
    service.set_dataset({"model_info": model_info}, data, False, 0)
    service.configure_runtime(result, {}, {})
    with pytest.raises(TypeError, match="'str' object is not callable"):
        service.load_target(batch_size=1)({"x": np.ones((1, 4))})


def test_the_loaded_batch_size_rules_not_the_asked(workspace, tmp_path, truth):
    folder = workspace.backend(loaded="4 if asked < 4 else asked")
    service, _ = workspace.ready(folder, workspace.dataset(items=10))
    assert service.load(1)["loaded_batch_size"] == 4
    target = service.load_target(batch_size=1)
    assert target.loaded_batch_size == 4 and len(target.samples) == 2
    np.testing.assert_array_equal(
        target(target.samples[1])["y"], truth(np.arange(16, 32).reshape(4, 4))
    )
    assert service.accuracy(100, str(tmp_path))["Count"] == 8
    feeds = [{"x": np.full((1, 4), float(index), np.float32)} for index in range(6)]
    save_reference(tmp_path / "r.npz", feeds, [{"y": truth(feed["x"])} for feed in feeds])
    assert service.numeric(str(tmp_path / "r.npz"), 1, 6)["summary"]["Max Diff"] == 0


def test_a_vendor_without_get_loaded_batch_size(workspace):
    more = "    def get_loaded_batch_size(self):\n        raise NotImplementedError\n"
    service, _ = workspace.ready(workspace.backend(more=more), workspace.dataset())
    assert service.load(3)["loaded_batch_size"] == 3


@pytest.mark.parametrize(
    "answer",
    [
        '{"y": y}',
        "[y]",
        "(y,)",
        '{"y": Tensor(y)}',
        "[Tensor(y)]",
        "y",
        '{"other": y}',
        "[y[:, :, None]]",
    ],
)
def test_numeric_whatever_predict_returns(workspace, tmp_path, truth, answer):
    service, _ = workspace.ready(workspace.backend(answer=answer), workspace.dataset())
    feeds = [
        {"x": np.random.default_rng(index).normal(size=(1, 4)).astype(np.float32)}
        for index in range(7)
    ]
    save_reference(tmp_path / "r.npz", feeds, [{"y": truth(feed["x"])} for feed in feeds])
    found = service.numeric(str(tmp_path / "r.npz"), 3, 7)
    assert found["summary"]["failed"] is None and found["summary"]["Max Diff"] == 0
    assert found["items"] == 7 and found["batch_size"] == 3
    assert bool(found["notes"]) is ("other" in answer)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ('{"y": y * np.nan}', "14 NaN of 14 values"),
        ("[y, y]", "the backend gives no such output; it gives output_0, output_1"),
        ('{"y": y[:, :1]}', "shape [7, 1], but the reference has [7, 2]"),
        (
            "[y[::-1]]",
            "cosine similarity 0.257 with the reference, below 0.95: "
            "other answers, not other rounding",
        ),
        ("[y * 1.01]", None),
    ],
)
def test_numeric_notices(workspace, tmp_path, truth, answer, reason):
    service, _ = workspace.ready(workspace.backend(answer=answer), workspace.dataset())
    feeds = [
        {"x": np.random.default_rng(index).normal(size=(1, 4)).astype(np.float32)}
        for index in range(7)
    ]
    save_reference(tmp_path / "r.npz", feeds, [{"y": truth(feed["x"])} for feed in feeds])
    found = service.numeric(str(tmp_path / "r.npz"), 3, 7)
    assert found["outputs"]["y"]["failed"] == reason


def test_predict_that_returns_nothing_is_an_error(workspace, tmp_path, truth):
    service, _ = workspace.ready(workspace.backend(answer="None"), workspace.dataset())
    feeds = [{"x": np.ones((1, 4), np.float32)}]
    save_reference(tmp_path / "r.npz", feeds, [{"y": truth(feeds[0]["x"])}])
    with pytest.raises(TypeError, match="predict returned None"):
        service.numeric(str(tmp_path / "r.npz"), 1, 1)


def test_samples_are_the_data_sets_own_and_bounded(workspace, truth):
    service, _ = workspace.ready(workspace.backend(), workspace.dataset(items=1000))
    assert service.describe_samples(2) == {
        "name": "numbers",
        "items": 1000,
        "kind": "dataset",
        "why": "",
        "seed": 0,
        "distinct_batches": 64,
        "items_per_batch": 2,
        "bytes": 64 * 2 * 4 * 4,
        "shapes": {"x": [2, 4]},
    }
    target = service.load_target(batch_size=2)
    assert len(target.samples) == 64
    np.testing.assert_array_equal(target.samples[63]["x"], np.arange(504, 512).reshape(2, 4))
    assert len(service.load_target(batch_size=2, samples={"count": 3}).samples) == 3


def test_a_batch_larger_than_the_data_set_begins_again(workspace):
    service, _ = workspace.ready(workspace.backend(), workspace.dataset(items=3))
    (only,) = service.load_target(batch_size=5).samples
    np.testing.assert_array_equal(only["x"][:, 0], [0, 4, 8, 0, 4])
    service.load(5)
    assert "fewer than the loaded batch of 5" in service.accuracy(100, "unused")["not_measured"]
    assert not Path("unused").exists()


@pytest.mark.parametrize(
    ("dataset", "fake", "info", "why"),
    [
        ({}, True, {}, "fake_data is true"),
        (None, False, {"dataset_name": None}, "names no data set"),
        (None, False, {}, "no data set numbers on this machine; put its folder"),
        (
            {"preprocess": "open('/nowhere/train.bin')"},
            False,
            {},
            "/nowhere/train.bin is missing; put it there",
        ),
    ],
)
def test_generated_data_says_why(workspace, dataset, fake, info, why):
    folder = workspace.dataset(**dataset) if dataset is not None else None
    service, _ = workspace.ready(workspace.backend(), folder, fake=fake, info=info)
    about = service.describe_samples(4)
    assert about["kind"] == "generated" and why in about["why"] and about["items"] is None
    service.load(4)
    assert why in service.accuracy(100, "unused")["not_measured"]
    samples = service.load_target(batch_size=4).samples
    assert len(samples) == 64 and samples[0]["x"].shape == (4, 4)
    assert len(np.unique(np.concatenate([feeds["x"] for feeds in samples]))) == 64 * 16, (
        "all distinct"
    )


def test_a_fault_in_the_data_set_is_not_missing_data(workspace):
    with pytest.raises(ZeroDivisionError):
        workspace.ready(workspace.backend(), workspace.dataset(preprocess="1 / 0"))


def test_a_data_set_without_checker(workspace):
    service, _ = workspace.ready(workspace.backend(), workspace.dataset(checker=False))
    service.load(1)
    assert "no test_accuracy.py" in service.accuracy(100, "unused")["not_measured"]


def test_unseeded_data_records_the_seed_it_drew(workspace, model_info):
    service = workspace.service(workspace.backend())
    seeds = {
        service.set_dataset({"model_info": model_info}, None, True, None)["seed"] for _ in range(3)
    }
    assert len(seeds) == 3


def test_vendors_own_benchmark(workspace):
    more = """
    def benchmark(self, dataloader):
        dataloader.rebatch(self.batch_size)
        feeds, labels = dataloader.get_samples(0)
        shapes = self.configs["segments"][0]["input_tensor_map"]
        fake = dataloader.get_fake_samples(self.batch_size, shapes, self.configs["input_type"])
        assert fake["x"].shape == feeds["x"].shape == (self.batch_size, 4)
        latencies = {"AVG_Latency": 80, "P99_Latency": 90}
        return [{"BS": self.batch_size, "QPS": np.float64(12.5), **latencies}]
"""
    service, _ = workspace.ready(workspace.backend(more=more), workspace.dataset())
    assert service.benchmark(2) == [{"BS": 2, "QPS": 12.5, "AVG_Latency": 80, "P99_Latency": 90}]


def test_qs_mode_gives_the_config(workspace):
    more = """
    def is_qs_mode_supported(self):
        return True

    def generate_qs_config(self):
        return {"qs_version": np.int64(2), "instances": 2, "affinity": ((0,), (1,))}
"""
    service, _ = workspace.ready(workspace.backend(more=more), workspace.dataset())
    config = {"qs_version": 2, "instances": 2, "affinity": [[0], [1]]}
    assert service.qs_mode() == {"supported": True, "config": config}


def test_every_instance_is_a_copy_of_its_own_and_spare_ones_go(workspace):
    service, _ = workspace.ready(workspace.backend(), workspace.dataset())
    for instance in range(3):
        service.load_target(instance=instance, batch_size=1, instances=3)
    backends = [copy.backend for copy in service.copies]
    assert len(set(map(id, backends))) == 3 and all(backend.loads == 1 for backend in backends)
    service.load_target(instance=0, batch_size=1, instances=1)
    (left,) = service.copies
    assert left.backend is backends[0] and backends[0].loads == 1, "already loaded that way"
    service.load(2)
    assert backends[0].loads == 2


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_a_copy_is_loaded_on_its_own_cpus(workspace):
    more = """
    def load(self, batch_size):
        import os
        self.batch_size = batch_size
        self.cpus = os.sched_getaffinity(0)
        self.engine = shared.Engine()
"""
    service, _ = workspace.ready(workspace.backend(more=more), workspace.dataset())
    mask = os.sched_getaffinity(0)
    one, other, *_ = sorted(mask)
    for instance, cpu in enumerate((one, other)):
        service.load_target(instance=instance, batch_size=1, instances=2, affinity=[[one], [other]])
        assert service.copies[instance].backend.cpus == {cpu}
    assert os.sched_getaffinity(0) == mask, "put back"
    seen = []

    def pinned_worker():
        os.sched_setaffinity(0, {other})
        service.load_target(instance=0, batch_size=1, instances=1)
        seen.append(service.copies[0].backend.cpus)

    thread = threading.Thread(target=pinned_worker)
    thread.start()
    thread.join()
    assert seen == [{other}], "without affinity the calling thread's own CPUs count"
    with pytest.raises(UserError, match="affinity"):
        service.load_target(instance=0, batch_size=1, affinity=[[4095]])


def test_calls_out_of_order_say_so(workspace):
    service = workspace.service(workspace.backend())
    with pytest.raises(RuntimeError, match="configure_runtime"):
        service.load(1)
    service.configure_runtime({}, {}, {})
    with pytest.raises(RuntimeError, match="set_dataset"):
        service.accuracy(100, "unused")


def test_a_compile_that_returns_nothing(workspace):
    folder = workspace.backend()
    file = folder / "compile_backend_acme.py"
    file.write_text(
        file.read_text()
        .replace("        return {{", "        return {")
        .replace("return {", "return None and {")
    )
    with pytest.raises(UserError, match="compile returned NoneType"):
        workspace.ready(folder, workspace.dataset())


def test_two_vendors_do_not_meet_and_nothing_stays_behind(workspace):
    before = set(sys.modules)
    for name in ("ACME", "OTHER"):
        folder = workspace.backend(name=name, answer=f'{{"y": y + {int(name == "OTHER")}}}')
        service = VendorService([str(workspace.root)], str(folder), name)
        assert service.versions()["compile"] == "compiler 1.0"
        service.close()
    left = {name.partition(".")[0] for name in set(sys.modules) - before}
    assert not left & {"general_perf", "byte_mlperf", "backends", "datasets", "shared"}


def test_a_vendors_environment_needs_nothing_but_numpy():
    """Its interpreter may be another one, with none of our libraries in it."""
    ours = (
        "pydantic",
        "click",
        "rich",
        "onnx",
        "onnxruntime",
        "filelock",
        "platformdirs",
        "orjson",
        "hdrh",
        "uvloop",
    )
    code = (
        f"import sys, qs.inside.service; print([name for name in {ours!r} if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[3]
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert found.stdout.strip() == "[]"


def test_a_service_that_is_let_go_of_gives_up_its_import_paths(workspace):
    """At once, not at some later collection of garbage: with --in_process others follow here."""
    before = list(sys.meta_path)
    service, _ = workspace.ready(workspace.backend(), workspace.dataset())
    service.load_target(batch_size=1)
    assert sys.meta_path != before
    workspace.services.clear()
    del service
    assert sys.meta_path == before


FEEDS = [
    {"x": np.random.default_rng(index).normal(size=(1, 4)).astype(np.float32)} for index in range(4)
]
# Right for as many calls, then another answer for good.
TIRED = "y if (answer.__dict__.setdefault('n', []).append(1) or len(answer.n)) < {} else {}"


@pytest.mark.parametrize(
    ("answer", "mode", "said"),
    [
        ("[y]", "all", None),
        # right for the check and the first idle answers, wrong when the last of them are asked for
        (TIRED.format(7, "y * 0"), "all", "its answer to sample 0 has changed"),
        (TIRED.format(5, "None"), "sample", "sample 2: predict returned None"),
        # wrong once all were asked for: only the reference can tell
        (TIRED.format(8, "-y"), "all", "not the reference's: y: cosine similarity -1"),
        ("[-y]", None, "not the reference's: y: cosine similarity -1"),
        ("{}", None, "sample 0: predict returned an empty dict"),
    ],
)
def test_idle_answers_before_a_case_are_the_references(
    workspace, tmp_path, truth, answer, mode, said
):
    service, _ = workspace.ready(workspace.backend(answer=answer), workspace.dataset())
    save_reference(tmp_path / "r.npz", FEEDS, [{"y": truth(feed["x"])} for feed in FEEDS])
    fault = service.idle_answers(str(tmp_path), mode, str(tmp_path / "r.npz"), batch_size=3)
    assert (fault or "").startswith(said or "") and bool(fault) == bool(said)


def test_a_backend_that_has_changed_is_seen_without_verify(workspace, tmp_path):
    backend = workspace.backend(answer=TIRED.format(4, "y * 0"))
    service, _ = workspace.ready(backend, workspace.dataset())
    assert service.idle_answers(str(tmp_path), None, None, batch_size=3) is None
    first, second = (service.verification(str(tmp_path), None, batch_size=3) for _ in range(2))
    assert first == second | {"changed": first["changed"]} and "has changed" in first["changed"]


def test_a_pool_of_the_other_kind_is_refused_before_anything_is_checked(workspace):
    folder = workspace.backend(more="    async def predict(self, feeds):\n        return feeds\n")
    service, _ = workspace.ready(folder, workspace.dataset())
    service.use_runner("async", "async", {})
    with pytest.raises(UserError, match="which pool 'thread' cannot drive"):
        service.use_runner("backend", "thread", {})
