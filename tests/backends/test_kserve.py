"""The backend KSERVE against a scripted server: what it makes of what is served, what it refuses,
and how its requests are driven.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.contract.server_backend import is_started
from qs.engine import ClosedLoop, Pool, RunPlan, run
from qs.inside.loading import load_backend_class
from qs.inside.service import VendorService
from qs.remote.protocol import BadAnswer, Unanswered
from tests.servers.kserve import KserveServer, Model, doubling

FOLDER = Path(__file__).resolve().parents[2] / "backends" / "KSERVE"
INFO = {
    "model": "double",
    "inputs": "x",
    "outputs": "y",
    "input_shape": {"x": [1, 4]},
    "input_type": "FLOAT32",
    "max_batch_size": 64,
    "model_precision": "FP32",
}
X = np.arange(8, dtype=np.float32).reshape(2, 4)


@pytest.fixture(scope="module")
def classes():
    return tuple(load_backend_class(FOLDER, "KSERVE", kind) for kind in ("compile", "runtime"))


@pytest.fixture
def server():
    with KserveServer([doubling()]) as server:
        yield server


def configs(url, info=INFO, sizes=(1, 2), remote=None, **answers):
    return {
        "workload": {"batch_sizes": list(sizes)},
        "model_info": info,
        "interact_info": {"url": url, **answers},
        "qs": {"remote": remote or {}},
    }


def compiled(classes, *args, **more):
    given = configs(*args, **more)
    compiler = classes[0]()
    return compiler, compiler.compile(compiler.pre_optimize(given))


def loaded(classes, result, size=2, info=INFO):
    runtime = classes[1]()
    runtime.configs, runtime.model_info, runtime.workload = result, info, {}
    runtime.load(size)
    return runtime


async def started(runtime, requests, clients=2):
    """Each one's call, over the client of one case."""
    await runtime.open(clients)
    runtime.begin_measuring()
    ended, all_ended = [], asyncio.Event()

    def done(call):
        call.body = bytes(call.body)
        ended.append(call)
        if len(ended) == len(requests):
            all_ended.set()

    for request in requests:
        runtime.start(request, done)
    await asyncio.wait_for(all_ended.wait(), 60)
    runtime.end_measuring()
    await runtime.close()
    return ended


def test_compiling_looks_at_the_server_and_names_it_without_secrets(classes, server):
    remote = {"headers": {"Authorization": "@env:QS_TEST_TOKEN"}, "connections": 5}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QS_TEST_TOKEN", "hidden")
        compiler, result = compiled(
            classes, server.url(), model="double", precision="fp16", remote=remote
        )
        runtime = loaded(classes, result)
        assert runtime.version() == "scripted 1.2.3, model double version 1"
    assert result["url"] == server.url("double") and result["compile_status"] == "success"
    assert result["compile_precision"] == "FP16"
    assert result["served"]["server"] == "scripted" and result["served"]["platform"] == "python"
    assert result["segments"][0]["compiled_model"][1]["compiled_obj"] == server.url("double")
    assert result["asked"]["connections"] == 5
    assert "hidden" not in str(result) and server.seen[-1].headers["authorization"] == "hidden"
    assert compiler.get_best_batch_size() is None and result["warnings"] == []


def test_answers_of_all_three_ways_are_the_same_and_the_connections_are_counted(classes, server):
    runtime = loaded(classes, compiled(classes, server.url("double"))[1])
    assert is_started(runtime) and runtime.generate_qs_config()["runner"] == "async"
    assert (runtime.predict({"x": X})["y"] == 2 * X).all()
    request = runtime.request_of({"x": X})
    assert (runtime.outputs_of(runtime.ask(request))["y"] == 2 * X).all()
    for _ in range(2):  # another case, on another loop
        calls = asyncio.run(started(runtime, [request] * 5))
        assert all((runtime.outputs_of(call)["y"] == 2 * X).all() for call in calls)
        counts = runtime.counts()
        assert counts["connections"] == 2 and counts["opened while measuring"] == 0


def test_the_servers_names_by_place_and_what_it_keeps_to_itself(classes):
    named = Model(
        "double",
        {"INPUT__0": ("FP64", [-1, 4])},
        {"OUTPUT__0": ("FP64", [-1, 4])},
        lambda feeds: {"OUTPUT__0": feeds["INPUT__0"] * 2},
    )
    with KserveServer([named]) as server:
        _, result = compiled(classes, server.url("double"))
        said = " ".join(result["warnings"])
        assert "input x feeds the server's INPUT__0 (by position)" in said
        assert "the server's output OUTPUT__0 is y (by position)" in said
        assert "cast from float32 to float64" in said
        assert (loaded(classes, result).predict({"x": X})["y"] == 2 * X).all()
    silent = Model("double", {}, doubling().outputs, lambda feeds: {"y": feeds["x"] * 2})
    with KserveServer([silent]) as server:
        _, result = compiled(classes, server.url("double"))
        assert "does not say what it takes" in result["warnings"][0]
        assert (loaded(classes, result).predict({"x": X})["y"] == 2 * X).all()


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        ({"x": ("FP32", [-1, 4]), "z": ("FP32", [-1, 4])}, None, ["takes 2 inputs", "names 1: x"]),
        ({"x": ("FP32", [-1, 5])}, None, ["shape [1, 4] against [None, 5]", "the server takes x"]),
        ({"x": ("FP32", [-1, 2, 2])}, None, ["shape [1, 4] against [None, 2, 2]"]),
        ({"x": ("INT64", [-1, 4])}, None, ["FLOAT32 cannot become tensor(int64) without loss"]),
        ({"x": ("BYTES", [-1, 4])}, None, ["FLOAT32 cannot become tensor(string) without loss"]),
        (None, {"a": ("FP32", [-1, 4]), "b": ("FP32", [-1, 4])},
         ["gives a [-1, 4] FP32, b [-1, 4] FP32", "the model info names y", "another model"]),
    ],
)  # fmt: skip
def test_a_model_that_is_not_the_tasks_is_refused_with_both_sides(classes, inputs, outputs, words):
    model = doubling()
    model.inputs, model.outputs = inputs or model.inputs, outputs or model.outputs
    with KserveServer([model]) as server, pytest.raises(UserError) as caught:
        compiled(classes, server.url("double"))
    for word in [*words, f"the model double at {server.url('double')}"]:
        assert word in str(caught.value)


def test_batch_sizes_are_those_that_the_server_takes(classes):
    with KserveServer([doubling(config={"max_batch_size": 2})]) as server:
        compiler = classes[0]()
        given = configs(server.url("double"), sizes=(1, 2, 8))
        compiler.pre_optimize(given)
        assert compiler.get_best_batch_size() == [1, 2]
        result = compiler.compile(given)
        assert "batch size 8: the server takes batches of at most 2" in result["compile_status"]
        assert result["max_batch_size"] == 2
        with pytest.raises(UserError, match="at most 2"):
            loaded(classes, result, size=8)
        with pytest.raises(UserError, match="none of the batch sizes: batch size 8"):
            compiled(classes, server.url("double"), sizes=(8,))
        given["qs"]["analyse_batch_sizes"] = True
        assert max(compiler.get_best_batch_size()) <= 2


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"url": ""}, ["url", "kserve+http://127.0.0.1:8000/MODEL"]),
        ({"url": "torchserve+http://h/m"}, ["a scheme that KSERVE speaks", "--hardware_type HTTP"]),
        ({"url": "kserve+http://h/m", "model": "n"}, ["model", "n"]),
        ({"headers": "Authorization: hidden; B: @env:B"}, ["headers: Authorization", "@env:NAME"]),
        ({"ca": "/no/such.pem", "url": "kserve+https://h/m"}, ["ca", "/no/such.pem"]),
    ],
)
def test_answers_that_cannot_be_are_refused(classes, answers, words):
    with pytest.raises(UserError) as caught:
        compiled(classes, **{"url": "kserve+http://127.0.0.1:1/m", **answers})
    assert "hidden" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda server: setattr(server, "ready", False), ["not ready"]),
        (lambda server: setattr(server.models["double"], "ready", False), ["not ready"]),
        (lambda server: setattr(server.models["double"], "known", False), ["double"]),
    ],
)
def test_a_server_that_is_not_ready_in_time_is_one_message(classes, server, change, words):
    change(server)
    with pytest.raises(UserError) as caught:
        compiled(classes, server.url("double"), ready_timeout_s=0.3)
    for word in [*words, server.url("double")]:
        assert word in str(caught.value)


def test_a_server_that_is_not_there_is_one_message(classes):
    with pytest.raises(UserError, match="kserve\\+http://127.0.0.1:1/m: .*refused"):
        compiled(classes, "kserve+http://127.0.0.1:1/m", ready_timeout_s=0.1)


def test_every_second_request_that_fails_is_counted_as_what_it_is(classes, server):
    runtime = loaded(classes, compiled(classes, server.url("double"))[1])
    server.faults.extend(["HTTP 503 busy", "answer nothing", "HTTP 503 busy", "answer wrong type"])
    request = runtime.request_of({"x": X})
    calls = asyncio.run(started(runtime, [request] * 6, clients=1))
    assert [call.failure for call in calls] == ["HTTP 503", None, "HTTP 503", None, None, None]
    assert "busy" in calls[0].detail
    for call in (calls[1], calls[3]):
        with pytest.raises(BadAnswer):
            runtime.outputs_of(call)
    server.faults.append("HTTP 503 busy")
    with pytest.raises(Unanswered, match="HTTP 503: .*busy"):
        runtime.predict({"x": X})


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("answer wrong type", "y"),
        ("answer wrong shape", "y"),
        ("answer wrong name", "missing"),
        ("answer nothing", "y"),
    ],
)
def test_answers_that_are_not_as_announced_raise(classes, server, fault, said):
    runtime = loaded(classes, compiled(classes, server.url("double"))[1])
    server.fault = fault
    with pytest.raises(BadAnswer, match=said):
        runtime.predict({"x": X})


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"versions": ("2",)}, "version was 1, and is 2"),
        ({"inputs": {"x": ("FP16", [-1, 4])}}, "inputs was x FP32 [-1, 4], and is x FP16"),
        ({"outputs": {"y": ("FP64", [-1, 4])}}, "outputs was y FP32"),
    ],
)
def test_a_model_that_changes_while_it_is_measured_is_refused(classes, server, change, what):
    runtime = loaded(classes, compiled(classes, server.url("double"))[1])
    for name, value in change.items():
        setattr(server.models["double"], name, value)
    with pytest.raises(UserError) as caught:
        runtime.load(1)
    assert what in str(caught.value) and "has changed since" in str(caught.value)


def test_processes_share_the_connections(classes, server):
    _, result = compiled(classes, server.url("double"), remote={"connections": 5})
    runtime = loaded(classes, result)
    runtime.placement = {"instance": 1, "instances": 2, "cpus": None, "intra_op_threads": None}
    shared = classes[1]()
    shared.configs, shared.model_info, shared.placement = result, INFO, runtime.placement
    shared.load(1)

    async def opened(each, clients):
        await each.open(clients)
        count = each.counts()["connections"]
        await each.close()
        return count

    counts = [asyncio.run(opened(each, n)) for each in (runtime, shared) for n in (0, 2, 99)]
    assert counts == [5, 2, 5, 3, 2, 3]


def test_wrong_answers_under_load_are_told_from_idle_ones(tmp_path, server):
    """As a run does, in this process: idle answers, the load, and the judgement after it."""
    service = VendorService([str(FOLDER.parents[1])], str(FOLDER), "KSERVE")
    given = configs(server.url("double"), sizes=(2,))
    given = service.pre_optimize(given)
    service.set_dataset(given, None, fake=True, seed=0)
    service.configure_runtime(service.compile(given), given["workload"], given["model_info"])
    config = service.qs_mode()["config"]
    assert config["runner"] == "async"
    service.use_runner("async", "async", config)
    kept = {"folder": str(tmp_path), "batch_size": 2, "samples": 5}
    assert service.idle_answers(mode="all", reference_npz=None, **kept) is None
    target = service.load_target(
        **kept, verify={"mode": "all", "seed": 0, "folder": str(tmp_path)}, instance=0
    )
    assert len(target.samples) == 5 and target.loaded_batch_size == 2
    model, right = server.models["double"], server.models["double"].function
    wrong = iter(range(1000))
    model.function = lambda feeds: {"y": feeds["x"] * (3 if next(wrong) % 4 == 3 else 2)}
    plan = RunPlan(load=ClosedLoop(clients=2, iterations=20), pool=Pool("async"), calibrate=False)
    result = run(plan, target)
    model.function = right
    assert (result.completed, result.errors) == (40, 0)
    assert result.counts["connections"] == 2
    found = service.verification(mode="all", **kept)
    assert found["changed"] is None and found["found"]["checked"] == 40
    assert found["found"]["wrong"] == 10
    service.close()
