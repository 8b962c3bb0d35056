"""Tasks on served models as a user runs them: what is served scores and answers as the model does
here, and answers that are wrong under load are caught, by a scripted server, MLServer and Triton.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.qs.program import qs, refused
from tests.qs.results import read_result
from tests.servers.kserve import KserveServer, Model
from tests.servers.mlserver import environment as mlserver_environment
from tests.servers.mlserver import kept_folder, onnx_model, running
from tests.servers.triton import TritonServer, triton_environment
from tests.servers.triton import onnx_model as in_triton

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "model_zoo" / "digits" / "digits-cnn-onnx-fp32.onnx"
TOP_1 = 0.98667  # of the same model here, as pinned
MINILM = "minilm-onnx-fp32"
SIDE = 256  # tokens of a MiniLM item
BUSY = 3  # more connections than this at a time


def digits(wrong_if=lambda: False, **more) -> Model:
    """The digits CNN, whose answers are mixed up while that is so."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(DIGITS), options)

    def answer(feeds):
        (logits,) = session.run(None, dict(feeds))
        return {"logits": np.ascontiguousarray(logits[:, ::-1]) if wrong_if() else logits}

    image, logits = {"image": ("FP32", [-1, 1, 8, 8])}, {"logits": ("FP32", [-1, 10])}
    return Model("digits", image, logits, answer, **more)


def ran(tmp_path, url, *options, task="digits-cnn-onnx-fp32", status=0) -> dict:
    """The result of `qs run` of a task on a served model."""
    done = qs(
        *("run", "--task", task, "--url", url, "--no_input", "--no_picture", "--no_history"),
        *("--telemetry", "off", "--out", tmp_path, "--json", *options),
    )
    assert done.returncode == status, done.stderr
    (file,) = (tmp_path / "KSERVE" / task).glob("result-*.json")
    return read_result(file)


def agrees(result: dict) -> bool:
    compared = result["Accuracy"]["Numeric"]["outputs"].values()
    return all(not each["failed"] and each["Cosine Similarity"] > 0.99999 for each in compared)


@pytest.mark.slow
def test_what_is_served_scores_as_here_and_wrong_answers_under_load_are_caught(tmp_path):
    server = KserveServer([])
    server.models["digits"] = digits(wrong_if=lambda: len(server._writers) > BUSY)
    with server:
        result = ran(
            tmp_path, server.url("digits"), "-b", "1", "-c", BUSY + 1, "--iterations", "40",
            "--verify", "all", status=3,
        )  # fmt: skip
        assert server.inferences()[-1].headers["inference-header-content-length"]
    assert result["Accuracy"]["Top-1"] == pytest.approx(TOP_1, abs=1e-5) and agrees(result)
    (row,) = result["Performance"]
    assert (row["Pool"], row["Completed"], row["Errors"]) == ("async", 160, 0)
    found = row["Verification"]
    assert found["checked"] == found["wrong"] == 160 and row["Verdict"] == "INVALID"
    assert result["Runtime Version"] == "scripted 1.2.3, model digits version 1"
    assert result["Served"]["server"] == "scripted" and row["Counts"]["connections"] == BUSY + 1


def test_a_key_in_answers_is_refused_before_anything_is_kept(tmp_path):
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({"url": "openai+http://127.0.0.1:1/v1", "api_key": "sk-secret"}))
    done = qs(
        *("run", "digits", "--hardware_type", "OPENAI", "--answers", file, "--out", tmp_path / "r")
    )
    refused(done, "the answers: api_key", "@env:NAME")
    assert "sk-secret" not in done.stderr and not (tmp_path / "r" / "OPENAI").exists()


@pytest.mark.parametrize(
    ("headers", "hidden"),
    [("Authorization: secret; A: @env:A", "secret"), ({"Authorization": "secret"}, "secret")],
)
def test_a_secret_in_answers_is_refused_before_anything_is_kept(tmp_path, headers, hidden):
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({"url": "kserve+http://127.0.0.1:1/m", "headers": headers}))
    done = qs(
        *("run", "digits", "--hardware_type", "KSERVE", "--answers", file, "--out", tmp_path / "r")
    )
    refused(done, "headers", "@env:VARIABLE", "--header")
    assert hidden not in done.stderr and not (tmp_path / "r" / "KSERVE").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("digits", "--url", "kserve+http://h/m", "--hardware_type", "CPU"), ["KSERVE"]),
        (("digits", "--url", "ftp://h/m"), ["--url", "kserve+http"]),
        (("digits", "--url", "http://h/m"), ["--template"]),
        (("digits", "--url", "kserve+http://127.0.0.1:1/m", "--no_input"), ["refused"]),
    ],
)
def test_an_address_that_cannot_be_is_one_message(tmp_path, arguments, words):
    done = qs("run", *arguments, "--out", tmp_path, "--ready_timeout", "100ms", "--quiet")
    refused(done, *words)


@pytest.mark.slow
def test_check_sweep_and_load_of_a_served_model(tmp_path):
    answers = tmp_path / "answers.json"
    with KserveServer([digits(config={"max_batch_size": 32})]) as server:
        server.keep_seen = False
        url = server.url("digits")
        answers.write_text(json.dumps({"url": server.url(), "model": "digits"}))
        done = qs("check", "--hardware_type", "KSERVE", "--answers", answers, "--json")
        assert done.returncode == 0, done.stderr + done.stdout
        found = {each["name"]: each["status"] for each in json.loads(done.stdout)["checks"]}
        assert "fail" not in found.values() and found["threads"] == "pass"

        done = qs(
            *("sweep", "--task", "digits-cnn-onnx-fp32", "--url", url, "-b", "8", "-c", "2"),
            *("--slo", "p99=2s", "--budget", "8s", "--slo_budget", "4s", "--no_history"),
            *("--out", tmp_path / "sweep", "--json"),
        )
        assert done.returncode == 0, done.stderr
        assert "for limit" in done.stderr or "limit" in done.stdout

        result = ran(tmp_path / "c", url, "--compile_only")
        assert result["Status"] == "compiled"
        (compiled,) = (tmp_path / "c").rglob("compile-*.json")
        done = qs(
            *("load", compiled, "-b", "8", "--iterations", "20", "--no_history", "--json"),
            *("--out", tmp_path / "load"),
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["Performance"][0]["Completed"] == 20

        for options in (("--pool", "thread"), ("--client", "blocking"), ("--workers", "2")):
            result = ran(
                tmp_path / options[-1], url, "-b", "8", "-c", "4", "--iterations", "20",
                "--verify", "all", *options,
            )  # fmt: skip
            (row,) = result["Performance"]
            assert (row["Completed"], row["Errors"]) == (80, 0)
            assert (row["Verification"]["checked"], row["Verification"]["wrong"]) == (80, 0)
        few = ("--scenario", "multi_stream", "--iterations", "20", "--time_limit", "2s")
        (row,) = ran(tmp_path / "ms", url, "-b", "1", *few, status=3)["Performance"]
        assert row["Counts"]["connections"] == 8 and row["Errors"] == 0
        assert row["Client"]["share_of_limit"] < 0.8


def served_minilm(tmp_path) -> tuple[Path, float]:
    """The graph, as the CPU backend gets it, and the score to reach."""
    done = qs(
        *("run", "--task", MINILM, "--hardware_type", "CPU", "--compile_only", "--no_input"),
        *("--out", tmp_path / "cpu", "--no_history", "--json", "-b", "1"),
    )
    if done.returncode == 2:
        pytest.skip(done.stderr[-300:])
    pinned = json.loads((ROOT / "model_zoo" / f"{MINILM}.json").read_text())["pinned_metrics"]
    return Path(json.loads(done.stdout)["Model Source"]["path"]), pinned["Pearson"]


TOKENS = ("input_ids", "attention_mask", "token_type_ids")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["kserve+http", "kserve+grpc"])
def test_digits_by_mlserver(tmp_path, mlserver, scheme):
    result = ran(
        tmp_path, mlserver.url("digits", scheme), "-b", "1,8", "--iterations", "30",
        "--verify", "sample",
    )  # fmt: skip
    assert result["Accuracy"]["Top-1"] == pytest.approx(TOP_1, abs=1e-5) and agrees(result)
    for row in result["Performance"]:
        assert (row["Errors"], row["Verification"]["wrong"]) == (0, 0)
    assert "mlserver 1.7.1" in result["Runtime Version"]


@pytest.fixture(scope="module")
def mlserver(tmp_path_factory) -> Iterator:
    image, logits = {"image": ("FP32", [-1, 1, 8, 8])}, {"logits": ("FP32", [-1, 10])}
    mlserver_environment(tmp_path_factory)
    models = {"digits": onnx_model(tmp_path_factory, DIGITS, image, logits)}
    with running(tmp_path_factory, models) as server:
        yield server


@pytest.fixture(scope="module")
def triton(tmp_path_factory) -> Iterator[TritonServer]:
    environment = triton_environment(kept_folder(tmp_path_factory))
    image, logits = {"image": ("TYPE_FP32", [1, 8, 8])}, {"logits": ("TYPE_FP32", [10])}
    with TritonServer(
        environment, {"digits": in_triton(DIGITS, image, logits, delay_us=500)}
    ) as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_digits_by_triton_with_batching_statistics_and_metrics(tmp_path, triton, scheme):
    url = getattr(triton, scheme)("digits")
    result = ran(
        tmp_path, url, "-b", "1", "-c", "8", "--iterations", "60", "--verify", "all",
        "--metrics_url", triton.metrics,
    )  # fmt: skip
    assert result["Accuracy"]["Top-1"] == pytest.approx(TOP_1, abs=1e-5) and agrees(result)
    (row,) = result["Performance"]
    assert (row["Completed"], row["Errors"]) == (480, 0)
    assert (row["Verification"]["checked"], row["Verification"]["wrong"]) == (480, 0)
    told = row["Server"]["statistics"]
    assert told["requests"] == 480 and told["mean_batch_size"] > 1 and told["queue_ms"] >= 0
    assert row["Server"]["metrics"] and result["Served"]["server_version"] == "2.51.0"
    assert result["Served"]["instance_groups"] == ["1 x CPU"]


@pytest.mark.slow
def test_digits_by_triton_in_shared_memory(tmp_path, triton):
    result = ran(
        tmp_path, triton.http("digits"), "-b", "1", "-c", "2", "--iterations", "40",
        "--shared_memory", "--verify", "all",
    )  # fmt: skip
    assert result["Accuracy"]["Top-1"] == pytest.approx(TOP_1, abs=1e-5) and agrees(result)
    (row,) = result["Performance"]
    assert (row["Errors"], row["Verification"]["wrong"]) == (0, 0)


@pytest.mark.slow
def test_minilm_by_triton_and_mlserver(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.delenv("QS_CACHE", raising=False)  # where the model is, once it was fetched
    model, pearson = served_minilm(tmp_path)
    given = {name: ("TYPE_INT64", [SIDE]) for name in TOKENS}
    hidden = {"last_hidden_state": ("TYPE_FP32", [SIDE, 384])}
    environment = triton_environment(kept_folder(tmp_path_factory))
    how = ("-b", "1", "-c", "1", "--iterations", "3")
    with TritonServer(environment, {"minilm": in_triton(model, given, hidden, 16)}) as server:
        result = ran(tmp_path / "triton", server.grpc("minilm"), *how, task=MINILM)
    assert result["Accuracy"]["Pearson"] == pytest.approx(pearson, abs=5e-4) and agrees(result)
    tokens = {name: ("INT64", [-1, SIDE]) for name in TOKENS}
    hidden = {"last_hidden_state": ("FP32", [-1, SIDE, 384])}
    models = {"minilm": onnx_model(tmp_path_factory, model, tokens, hidden)}
    with running(tmp_path_factory, models) as server:
        result = ran(tmp_path / "mlserver", server.url("minilm", "kserve+grpc"), *how, task=MINILM)
    assert result["Accuracy"]["Pearson"] == pytest.approx(pearson, abs=5e-4) and agrees(result)
