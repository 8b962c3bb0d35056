"""KServe v2 as MLServer speaks it, for real: HTTP with JSON, and gRPC."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from qs.remote.asked import Asked
from qs.remote.protocol import BadAnswer, NotReady, Unanswered
from qs.remote.serving import Serving
from tests.servers.mlserver import VERSION, running

X = {"x": np.arange(8, dtype=np.float32).reshape(2, 4)}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory) as found:
        yield found


@pytest.fixture(params=["kserve+http", "kserve+grpc"])
def serving(request, server):
    """Makes one for a model; all are closed."""
    made = []

    def make(model, **more):
        made.append(Serving(Asked.of({"url": server.url(model, request.param), **more})))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_what_it_serves(serving):
    model = serving("double").describe()
    assert (model.name, model.server_name, model.server_version) == ("double", "mlserver", VERSION)
    assert [(each.name, each.datatype, each.shape) for each in model.inputs] == [
        ("x", "FP32", (-1, 4))
    ]
    assert model.extensions == () and model.max_batch_size == 0
    assert serving("double/versions/v7").describe().version == "v7"


def test_numbers_and_text(serving):
    np.testing.assert_array_equal(serving("double").infer(X)["y"], X["x"] * 2)
    a, b = np.array([[1, 2**62]]), np.array([[2, -(2**40)]])
    np.testing.assert_array_equal(serving("add").infer({"a": a, "b": b})["y"], a + b)
    found = serving("shout").infer({"x": np.array(["one", "zwölf"])})["y"]
    assert found.ravel().tolist() == ["ONE", "ZWÖLF"]


def test_compressed_over_grpc_alone(server):
    # (its HTTP side does not unpack requests)
    asked = Asked.of({"url": server.url("double", "kserve+grpc"), "compression": "gzip"})
    served = Serving(asked)
    np.testing.assert_array_equal(served.infer(X)["y"], X["x"] * 2)
    served.close()


def test_what_is_not_there(serving):
    with pytest.raises(NotReady) as missing:
        serving("duoble", ready_timeout_s=0.1).describe()
    assert "has no model 'duoble'" in str(missing.value)
    assert "did you mean 'double'?" in str(missing.value)
    with pytest.raises(NotReady, match="no model 'double', version v8"):
        serving("double/versions/v8", ready_timeout_s=0.1).describe()


def test_a_model_that_lies_and_one_that_fails(serving):
    with pytest.raises(BadAnswer, match="output 'y' is FP64; announced: FP32"):
        serving("liar").infer(X)
    with pytest.raises(Unanswered, match="out of paper|Internal Server Error|ValueError") as failed:
        serving("broken").infer(X)
    assert failed.value.failure.startswith(("HTTP 500", "gRPC "))


def test_many_at_a_time_over_our_client(serving):
    served = serving("double")
    requests = [served.request({"x": np.full((1, 4), each, np.float32)}) for each in range(4)]

    async def asked():
        client = served.client()
        await client.open(4)
        try:
            calls = await asyncio.gather(*(client.call(each) for each in requests * 4))
            return calls, client.counts()
        finally:
            await client.close()

    calls, counts = asyncio.run(asked())
    assert [each.failure for each in calls] == [None] * 16
    for at, each in enumerate(calls):
        assert served.outputs(each)["y"].tolist() == [[2 * (at % 4)] * 4]
        assert each.issued_ns <= each.sent_ns < each.first_ns <= each.last_ns
    assert counts["opened while measuring"] == 0


def test_the_two_speak_different_protocols(server):
    for port, scheme in ((server.grpc_port, "kserve+http"), (server.http_port, "kserve+grpc")):
        served = Serving(Asked.of({"url": f"{scheme}://127.0.0.1:{port}/double"}))
        with pytest.raises(NotReady) as missing:
            served.ready(0.1)
        assert "is this a port for" in str(missing.value)
        served.close()
