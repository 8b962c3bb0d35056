from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from qs.base.errors import UserError
from qs.contract import cores, own_loop
from qs.inside.samples import GeneratedDataset

X = np.arange(8, dtype=np.float32).reshape(2, 4)


def test_predict_answers_by_the_model_infos_names(make_model, loaded):
    configs, weights = make_model(
        batch_sizes=[2], outputs=("y", "z"), info={"outputs": "logits,positive"}
    )
    runtime = loaded(configs, 2)
    assert runtime.get_loaded_batch_size() == 2
    outputs = runtime.predict({"x": X - 5})
    assert list(outputs) == ["logits", "positive"]
    np.testing.assert_allclose(outputs["logits"], (X - 5) @ weights, rtol=1e-5)
    np.testing.assert_allclose(outputs["positive"], np.maximum((X - 5) @ weights, 0), rtol=1e-5)


@pytest.mark.parametrize(
    ("declared", "element", "given"),
    [
        ("LONG", TensorProto.INT64, np.int64),
        ("LONG", TensorProto.INT32, np.int64),
        ("INT32", TensorProto.INT64, np.int32),
        ("INT64", TensorProto.FLOAT, np.int64),
        ("FLOAT32", TensorProto.DOUBLE, np.float32),
        ("BOOL", TensorProto.INT64, np.bool_),
        ("FLOAT32", TensorProto.FLOAT, np.float64),
    ],
)
def test_feeds_are_cast_to_what_the_file_takes(make_model, loaded, declared, element, given):
    configs, weights = make_model(element=element, info={"input_type": declared})
    feeds = X.astype(given)
    answer = loaded(configs, 2).predict({"x": feeds})["y"]
    np.testing.assert_allclose(answer, feeds.astype(np.float32) @ weights, rtol=1e-5)


def test_fractions_do_not_become_whole_numbers(make_model, loaded):
    configs, _ = make_model(element=TensorProto.INT64, info={"input_type": "FLOAT32"})
    with pytest.raises(UserError, match="FLOAT32 cannot become"):
        loaded(configs, 2)


def test_feeds_go_by_name_not_by_order(make_model, loaded):
    info = {"inputs": "b,a", "input_shape": {"b": [1, 4], "a": [1, 4]}}
    configs, weights = make_model(inputs=("a", "b"), info=info)
    feeds = {"b": X, "a": np.zeros_like(X), "unused": X}
    np.testing.assert_allclose(loaded(configs, 2).predict(feeds)["y"], X @ weights, rtol=1e-5)


def test_a_missing_feed_names_itself(make_model, loaded):
    configs, _ = make_model()
    with pytest.raises(KeyError, match="x"):
        loaded(configs, 2).predict({"other": X})


def test_load_of_sizes_that_were_not_compiled(make_model, loaded):
    configs, _ = make_model(batch_sizes=[1, 4])
    assert loaded(configs, 3).get_loaded_batch_size() == 3, "a dynamic graph takes any"
    configs, _ = make_model(batch=4, batch_sizes=[4])
    with pytest.raises(UserError, match="batch size 3 was not compiled; compiled: 4"):
        loaded(configs, 3)
    with pytest.raises(UserError, match="names no compiled model"):
        loaded(configs, 4, segments=[])


def _threads_on(cpus):
    """Kernel threads of this process that may run on exactly those CPUs."""
    return {
        int(task.name)
        for task in Path("/proc/self/task").iterdir()
        if os.sched_getaffinity(int(task.name)) == cpus
    }


def test_intra_op_threads_are_applied_and_inherit_the_affinity(make_model, loaded, runtime_class):
    configs, _ = make_model()
    mask = os.sched_getaffinity(0)
    before = {int(task.name) for task in Path("/proc/self/task").iterdir()}
    runtime = loaded(configs, 1, intra_op_threads=3)
    new = {int(task.name) for task in Path("/proc/self/task").iterdir()} - before
    assert len(new) == 2, "three threads work on an inference, one of them the caller's"
    one = {min(mask)}
    try:
        os.sched_setaffinity(0, one)
        runtime.placement = {"intra_op_threads": 4}
        runtime.load(1)
        pinned = _threads_on(one) - {threading.get_native_id()} - before
    finally:
        os.sched_setaffinity(0, mask)
    if len(mask) > 1:
        assert len(pinned) == 3
    runtime.predict({"x": X[:1]})


def test_a_session_is_kept_while_nothing_about_it_changes(make_model, loaded):
    configs, _ = make_model()
    runtime = loaded(configs, 1)
    first = runtime._session
    runtime.load(4)
    assert runtime._session is first and runtime.get_loaded_batch_size() == 4
    runtime.placement = {"intra_op_threads": 2}
    runtime.load(4)
    assert runtime._session is not first


@pytest.mark.parametrize("planned", [True, False])
def test_large_requests_get_a_session_for_each_size_and_no_plan_of_memory(
    make_model, loaded, planned
):
    configs, _ = make_model()
    backend = loaded(configs, 1)
    backend.configs = {**backend.configs, "memory_planned": planned}
    backend.load(1)
    session = backend._session
    assert session.get_session_options().enable_mem_pattern is planned
    backend.load(1)
    assert backend._session is session
    backend.load(2)
    assert (backend._session is session) is planned


def test_qs_config_of_this_machine(make_model, loaded):
    configs, _ = make_model()
    runtime = loaded(configs, 1)
    assert runtime.is_qs_mode_supported() is True
    config = runtime.generate_qs_config()
    allowed = os.sched_getaffinity(0)
    assert (
        config["qs_version"] == 2 and config["runner"] == "backend" and config["pool"] == "thread"
    )
    assert 1 <= config["instances"] <= 3 and len(config["affinity"]) == config["instances"]
    assert all(set(cpus) <= allowed for cpus in config["affinity"])
    assert 1 <= config["instances"] * config["intra_op_threads"] <= len(allowed)


@pytest.mark.parametrize(
    ("cpus", "clients", "compiled", "instances", "threads"),
    [
        # three clients fill two cores by themselves; one alone needs the pool's help
        (2, 3, {}, 1, 1),
        (2, 2, {}, 1, 1),
        (2, 1, {}, 1, 2),
        (1, 3, {}, 1, 1),
        (16, 3, {}, 1, 14),
        (64, 8, {}, 4, 15),
        (64, 1, {}, 1, 64),
        (20, 4, {}, 2, 9),
        (21, 4, {}, 2, 9),
        # a small model is not worth a second thread; what the user asked for counts, up to the
        # cores
        (16, 1, {"intra_op_threads": 1}, 1, 1),
        (4, 3, {"intra_op_threads": 4, "intra_op_threads_asked": True}, 1, 4),
        (4, 3, {"intra_op_threads": 9, "intra_op_threads_asked": True}, 1, 4),
    ],
)
def test_qs_config_by_cores_and_clients(
    runtime_class, monkeypatch, cpus, clients, compiled, instances, threads
):
    monkeypatch.setattr(cores, "usable_cpus", lambda: list(range(cpus)))
    monkeypatch.setattr(cores, "_core", lambda cpu, root: (0, cpu))
    runtime = runtime_class()
    runtime.workload = {"clients": clients}
    runtime.configs = compiled
    config = runtime.generate_qs_config()
    assert (config["instances"], config["intra_op_threads"]) == (instances, threads)
    assert sorted(cpu for group in config["affinity"] for cpu in group) == list(range(cpus))


def test_own_benchmark_is_consistent(make_model, loaded):
    configs, _ = make_model(batch_sizes=[16])
    runtime = loaded(configs, 16)
    row = runtime.benchmark(GeneratedDataset(configs["model_info"], seed=0))
    assert row["BS"] == 16 and row["Completed"] == 150
    assert row["AVG Latency"] > 0 and row["P99 Latency"] > 0
    # Little's law: 3 clients never have more than 3 requests in flight
    in_flight = row["QPS"] / 16 * row["AVG Latency"] / 1000
    assert 0.01 < in_flight <= 3


def test_own_benchmark_without_data_set_or_enough_samples(make_model, loaded, monkeypatch):
    configs, _ = make_model(batch_sizes=[4])
    configs["workload"].update(clients=1, iterations=1)
    runtime = loaded(configs, 4)
    assert runtime.benchmark(None)["Completed"] == 100, "enough for a p99"
    monkeypatch.setattr(own_loop, "LONGEST_S", 0.0)
    with pytest.raises(RuntimeError, match="no request"):
        runtime.benchmark(None)


def test_own_benchmark_raises_what_predict_raises(make_model, loaded):
    configs, _ = make_model(batch_sizes=[4])
    runtime = loaded(configs, 4)

    def broken(feeds):
        raise ZeroDivisionError("the device is gone")

    runtime.predict = broken
    with pytest.raises(ZeroDivisionError, match="the device is gone"):
        runtime.benchmark(None)


def test_concurrent_answers_equal_serial_ones(make_model, loaded):
    configs, weights = make_model(batch_sizes=[2])
    runtime = loaded(configs, 2, intra_op_threads=2)
    wrong = []

    def client(number):
        for index in range(50):
            feeds = X + number * 100 + index
            if not np.allclose(runtime.predict({"x": feeds})["y"], feeds @ weights, rtol=1e-4):
                wrong.append((number, index))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
