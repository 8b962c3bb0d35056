"""KServe v2 over HTTP against a scripted server: what is asked, how tensors travel, what lies."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.remote.asked import Asked
from qs.remote.datatypes import DATATYPES
from qs.remote.protocol import BadAnswer, NotReady, Unanswered
from qs.remote.protocols.kserve_http import MOST_UNPACKED, KserveHttp
from qs.remote.serving import Serving
from tests.servers.kserve import NUMPY, KserveServer, Model, doubling, echo

CERTIFICATES = Path(__file__).parents[2] / "engine/wire/certificates"
X = {"x": np.arange(8, dtype=np.float32).reshape(2, 4)}
ALL = [*NUMPY, "BF16", "BYTES"]
KINDS = {
    "max_batch_size": 8,
    "dynamic_batching": {"preferred_batch_size": [4, 8], "max_queue_delay_microseconds": "100"},
    "instance_group": [{"kind": "KIND_CPU", "count": 2}, {"kind": "KIND_GPU", "gpus": [0, 1]}],
    "input": [{"name": "in_INT8", "optional": True}],
    "response_cache": {"enable": True},
    "backend": "python",
}


@pytest.fixture(scope="module")
def plain():
    """Without the binary extension."""
    with KserveServer([doubling(), echo(ALL, name="a/b c")], binary=False) as server:
        yield server


@pytest.fixture(scope="module")
def binary():
    with KserveServer([doubling(), echo(ALL, name="a/b c", config=KINDS)]) as server:
        yield server


@pytest.fixture
def serving():
    """Makes one for a server and a model; all are closed."""
    made = []

    def make(server, model="double", **more):
        made.append(Serving(Asked.of({"url": server.url(model), "ready_timeout_s": 0.1, **more})))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_what_is_served(binary, serving):
    model = serving(binary, "a%2Fb%20c").describe()
    assert (model.name, model.version, model.platform) == ("a/b c", "1", "python")
    assert (model.server_name, model.server_version) == ("scripted", "1.2.3")
    assert model.max_batch_size == 8
    assert model.instance_groups == ("2 x CPU", "1 x GPU 0, 1")
    assert [each.name for each in model.inputs if each.optional] == ["in_INT8"]
    assert {each.datatype: each.dtype for each in model.inputs} == DATATYPES
    assert model.facts == {
        "tensors": "binary",
        "scheduling": "dynamic batching, preferred 4, 8, queue delay up to 100 us",
        "response cache": "on",
        "backend": "python",
        "versions": "1",
    }


@pytest.mark.parametrize("compression", ["", "gzip"])
@pytest.mark.parametrize("kind", ["plain", "binary"])
def test_every_type_travels_and_comes_back(kind, compression, request, serving):
    server = request.getfixturevalue(kind)
    served = serving(server, "a%2Fb%20c", compression=compression)
    feeds = {
        each.name: np.array([["a", "ü"]])
        if each.datatype == "BYTES"
        else np.eye(2, dtype=each.dtype)
        for each in served.describe().inputs
    }
    outputs = served.infer(feeds)
    for name, array in feeds.items():
        found = outputs[f"out_{name[3:]}"]
        assert found.dtype == (object if name == "in_BYTES" else array.dtype)
        np.testing.assert_array_equal(found, array)
    seen = server.inferences()[-1]
    assert seen.path == "/v2/models/a%2Fb%20c/infer"
    assert seen.headers.get("content-encoding") == (compression or None)
    assert seen.headers["accept-encoding"] == (compression or "identity")
    assert ("inference-header-content-length" in seen.headers) == (kind == "binary")
    assert all(("data" in each) == (kind == "plain") for each in seen.document["inputs"])


@pytest.mark.parametrize("shape", [(0, 4), (1, 4)])
def test_empty_batches_and_scalars(plain, binary, serving, shape):
    for server in (plain, binary):
        found = serving(server).infer({"x": np.ones(shape, np.float32)})["y"]
        np.testing.assert_array_equal(found, np.full(shape, 2, np.float32))
    scalar = Model("s", {"x": ("INT64", [])}, {"y": ("INT64", [])}, lambda feeds: {"y": feeds["x"]})
    for with_binary in (True, False):
        with KserveServer([scalar], binary=with_binary) as server:
            found = serving(server, "s").infer({"x": np.array(7)})["y"]
            assert (found.shape, int(found)) == ((), 7)


def test_values_that_only_bytes_have(plain, binary, serving):
    odd = {"x": np.array([[np.nan, np.inf, -np.inf, -0.0]], np.float32)}
    np.testing.assert_array_equal(serving(binary).infer(odd)["y"], odd["x"] * 2)
    with pytest.raises(UserError, match="NaN or infinite values, which JSON does not have"):
        serving(plain).infer(odd)


def test_binary_when_asked(plain, binary, serving):
    serving(binary, binary="never").infer(X)
    assert "data" in binary.inferences()[-1].document["inputs"][0]
    with pytest.raises(UserError, match="does not announce binary_tensor_data"):
        serving(plain, binary="always").describe()


def test_parameters_and_headers(plain, serving):
    serving(plain, parameters=["priority=1", "mode=fast"], headers=["X-Tenant: blue"]).infer(X)
    seen = plain.inferences()[-1]
    assert seen.document["parameters"] == {"priority": 1, "mode": "fast"}
    assert seen.headers["x-tenant"] == "blue"


def test_a_version_is_asked_for(plain, serving):
    served = serving(plain, "double/versions/1")
    assert served.describe().version == "1"
    served.infer(X)
    assert plain.inferences()[-1].path == "/v2/models/double/versions/1/infer"
    with pytest.raises(NotReady, match="no model 'double', version 7"):
        serving(plain, "double/versions/7").describe()


def test_models_that_are_not_there(plain, serving):
    with pytest.raises(NotReady) as missing:
        serving(plain, "duoble").describe()
    assert "the server is ready, and has no model 'duoble'" in str(missing.value)
    assert "its models: double, a/b c; did you mean 'double'?" in str(missing.value)
    with pytest.raises(UserError, match="no model is named; its models: double, a/b c"):
        serving(plain, "").describe()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_transaction_policy": {"decoupled": True}}, "is decoupled"),
        ({"sequence_batching": {}}, "say --sequences N"),
    ],
)
def test_models_that_cannot_be_measured_so(config, words, serving):
    with KserveServer([doubling(config=config)]) as server, pytest.raises(UserError, match=words):
        serving(server).describe()


def test_what_keeps_a_server_from_being_ready(serving):
    with KserveServer([doubling()]) as server:
        server.ready = False
        with pytest.raises(NotReady, match="HTTP 400"):
            serving(server).describe()
        server.ready, server.models["double"].ready = True, False
        with pytest.raises(NotReady, match="'double' is not ready: .* no available versions"):
            serving(server).describe()
        port = server.port
    served = Serving(Asked.of({"url": f"kserve+http://127.0.0.1:{port}/M", "ready_timeout_s": 0.1}))
    with pytest.raises(NotReady, match="refused"):
        served.describe()
    served.close()


def test_a_model_that_becomes_ready_is_waited_for(monkeypatch, serving):
    with KserveServer([doubling()]) as server:
        server.models["double"].ready = False
        looks = []

        def look(_):
            looks.append(1)
            server.models["double"].ready = len(looks) == 3

        monkeypatch.setattr("qs.remote.serving.time.sleep", look)
        served = serving(server, ready_timeout_s=60)
        assert served.describe().name == "double"
        assert len(looks) == 3


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("answer wrong type", "output 'y' is INT8; announced: FP32"),
        ("answer wrong shape", "has the shape [2, 4, 3]; announced: [-1, 4]"),
        ("answer wrong name", "output 'y' is missing; there are: other"),
        ("answer nothing", "bytes that belong to no output"),
    ],
)
def test_answers_that_lie(binary, serving, fault, words):
    served = serving(binary)
    served.describe()
    binary.faults.append(fault)
    with pytest.raises(BadAnswer) as bad:
        served.infer(X)
    assert words in str(bad.value)


def test_a_failure_says_what_the_server_said(binary, serving):
    served = serving(binary)
    served.describe()
    binary.faults.append('HTTP 503 {"error": "busy"}')
    with pytest.raises(Unanswered, match="HTTP 503: .*busy") as failed:
        served.infer(X)
    assert failed.value.failure == "HTTP 503"


def test_a_server_that_is_silent_is_not_waited_for_longer_than_asked(serving):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        asked = Asked.of({"url": f"kserve+http://127.0.0.1:{port}/m", "ready_timeout_s": 0.2})
        served = Serving(asked)
        with pytest.raises(NotReady, match="timeout|time-out|answer"):
            served.describe()
        served.close()


def test_a_server_that_was_away_is_found_again(serving):
    with KserveServer([doubling()]) as server:
        served = serving(server)
        served.infer(X)
    with pytest.raises(NotReady):
        served.ready(0.1)
    with KserveServer([doubling(versions=["2"])], port=server.port):
        assert served.ready(60).version == "2"
        np.testing.assert_array_equal(served.infer(X)["y"], X["x"] * 2)


def test_asked_from_several_threads_at_once(binary, serving):
    served = serving(binary)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: served.infer(X)["y"], range(32)):
            np.testing.assert_array_equal(found, X["x"] * 2)


def test_over_tls_with_the_right_name_and_a_known_authority(serving):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem")
    elsewhere = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    elsewhere.load_cert_chain(CERTIFICATES / "elsewhere.pem")
    known = {"ca": str(CERTIFICATES / "ca.pem")}

    def secure(server, **more):
        url = server.url("double", "kserve+https")
        return Serving(Asked.of({"url": url, "ready_timeout_s": 60, **more}))

    with KserveServer([doubling()], tls=context) as server:
        for more in (known, {"insecure": True}):
            served = secure(server, **more)
            np.testing.assert_array_equal(served.infer(X)["y"], X["x"] * 2)
            assert served.facts()["tls"].startswith("TLSv1.3")
            served.close()
        with pytest.raises(NotReady, match="certificate") as refused:
            secure(server).describe()
        assert refused.value.final
        with pytest.raises(NotReady, match="certificate|name"):
            secure(server, server_name="other.example.com", **known).describe()
    with (
        KserveServer([doubling()], tls=elsewhere) as server,
        pytest.raises(NotReady, match="certificate|name"),
    ):
        secure(server, **known).describe()


# What follows needs no server: a protocol is given what asks.

METADATA = {
    "name": "m",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}],
}
OUTPUT = {"name": "y", "datatype": "FP32", "shape": [1], "data": [1.5]}


def call(body, status=200, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    failure = None if status == 200 else f"HTTP {status}"
    return SimpleNamespace(
        body=content, status=status, failure=failure, detail="", headers=lambda: headers
    )


def protocol(replies=(), **more):
    """A described protocol; `replies` are answers by the end of a path, before the usual ones."""
    asked = Asked.of({"url": "kserve+http://h/m", **more})
    usual = {"/ready": call(b""), "/v2/models/m": call(METADATA), "/v2": call({"name": "s"})}
    known = {**dict(replies), **usual, **dict(replies)}

    def ask(request):
        path = request.split(b" ")[1].decode()
        return next(answer for end, answer in known.items() if path.endswith(end))

    made = KserveHttp(asked.address(), asked)
    made.describe(ask)
    return made


@pytest.mark.parametrize(
    ("path", "answer", "words"),
    [
        ("/v2/models/m", call(b"<html>"), "the model's metadata is no JSON"),
        ("/v2/models/m", call([1]), "is a JSON list"),
        ("/v2/models/m", call({"inputs": [1]}), "inputs that are no list of objects"),
        ("/v2/models/m", call({"inputs": {"x": 1}}), "inputs that are no list of objects"),
        ("/v2/models/m", call({"outputs": [{"name": 1}]}), "an output without a name"),
        ("/v2/models/m", call({"inputs": METADATA["inputs"] * 2}), "two inputs are named 'x'"),
        ("/v2", call(b"\0"), "the server's metadata is no JSON"),
    ],
)
def test_descriptions_that_are_none(path, answer, words):
    with pytest.raises(BadAnswer, match=words):
        protocol({path: answer})


@pytest.mark.parametrize(("status", "words"), [(401, "--header"), (403, "--header")])
def test_refusals_that_no_waiting_changes(status, words):
    with pytest.raises(NotReady, match=words) as refused:
        protocol({"/v2/health/ready": call(b"", status)})
    assert refused.value.final


def test_a_server_without_the_optional_addresses():
    model = protocol({"ready": call(b"", 404), "/v2": call(b"", 404)})._described()
    assert (model.name, model.server_name, model.extensions) == ("m", "", ())


def test_inputs_that_nobody_announced():
    made = protocol({"/v2/models/m": call({"name": "m"})})
    document = json.loads(
        made.request({"a": np.ones(2), "b": np.array(["t"])}).split(b"\r\n\r\n")[1]
    )
    kinds = {each["name"]: (each["datatype"], each["data"]) for each in document["inputs"]}
    assert kinds == {"a": ("FP64", [1.0, 1.0]), "b": ("BYTES", ["t"])}
    assert made.outputs(call({"outputs": [OUTPUT]}))["y"].tolist() == [1.5]
    with pytest.raises(UserError, match="complex128"):
        made.request({"a": np.ones(1, complex)})


PART = {"name": "y", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}}
HEAD = json.dumps({"outputs": [PART]}).encode()
LENGTH = "inference-header-content-length"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (call({}), "no list of outputs"),
        (call({"outputs": {}}), "no list of outputs"),
        (call({"outputs": [1]}), "an output is 1, not an object"),
        (call({"error": "out of\x1b memory"}), "the server says out of"),
        (call({"outputs": [OUTPUT, OUTPUT]}), "stands there twice"),
        (call({"outputs": [{**OUTPUT, "data": "x"}]}), "no list of data"),
        (call({"outputs": [PART]}), "has 4 bytes; 0 are left"),
        (call(HEAD, **{LENGTH: "9999"}), "is 9999; the answer has"),
        (call(HEAD, **{LENGTH: "-1"}), "is -1"),
        (call(HEAD, **{LENGTH: "²"}), "is ²"),
        (call(HEAD, **{LENGTH: "3"}), "is no JSON"),
        (call(HEAD + b"\0" * 5, **{LENGTH: str(len(HEAD))}), "1 bytes that belong to no output"),
        (call(HEAD + b"\0" * 3, **{LENGTH: str(len(HEAD))}), "has 4 bytes; 3 are left"),
        (call({"outputs": [{**PART, "parameters": {"binary_data_size": "4"}}]}), "size of '4'"),
        (call({"outputs": [{**PART, "parameters": {"binary_data_size": -4}}]}), "size of -4"),
        (call({"outputs": [OUTPUT]}, **{"content-encoding": "br"}), "Content-Encoding br"),
        (call({"outputs": [OUTPUT]}, **{"content-encoding": "gzip"}), "is no gzip"),
        (call(gzip.compress(HEAD)[:-9], **{"content-encoding": "gzip"}), "ends before"),
    ],
)
def test_answers_that_cannot_be_read(answer, words):
    with pytest.raises(BadAnswer) as bad:
        protocol().outputs(answer)
    assert words in str(bad.value)
    assert "\x1b" not in str(bad.value)


def test_a_compressed_answer_is_bounded():
    bomb = gzip.compress(bytes(MOST_UNPACKED + 1), 1)
    with pytest.raises(BadAnswer, match="goes on beyond"):
        protocol().outputs(call(bomb, **{"content-encoding": "gzip"}))
