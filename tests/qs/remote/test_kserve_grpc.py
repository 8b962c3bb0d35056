"""KServe v2 over gRPC: messages as servers send them, raw and typed, and what lies.

No server here: a protocol is given what asks. Real ones answer in test_mlserver.py.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.remote.asked import Asked
from qs.remote.datatypes import DATATYPES
from qs.remote.protocol import BadAnswer, NotReady
from qs.remote.protocols.kserve_grpc import KserveGrpc
from qs.remote.protocols.kserve_messages import messages


def call(message=None, failure=None, detail=""):
    body = message if isinstance(message, bytes) else b""
    if message is not None and not isinstance(message, bytes):
        body = message.SerializeToString()
    return SimpleNamespace(body=body, failure=failure, detail=detail, status=0)


def metadata(datatype="FP32", shape=(-1,), **more):
    message = messages().ModelMetadataResponse(name="m", versions=["3"], platform="p", **more)
    message.inputs.add(name="x", datatype=datatype, shape=shape)
    message.outputs.add(name="y", datatype=datatype, shape=shape)
    return message


def described(replies=None, **more):
    """(protocol, model, methods asked); `replies` are answers by method, before the usual ones."""
    asked = Asked.of({"url": "kserve+grpc://h:1/m", **more})
    kinds = messages()
    known = {
        "ServerReady": call(kinds.ServerReadyResponse(ready=True)),
        "ModelReady": call(kinds.ModelReadyResponse(ready=True)),
        "ServerMetadata": call(kinds.ServerMetadataResponse(name="s", version="1")),
        "ModelMetadata": call(metadata()),
        "RepositoryIndex": call(failure="gRPC UNIMPLEMENTED"),
        **(replies or {}),
    }
    methods = []

    def ask(request):
        methods.append(request.path.rpartition("/")[2])
        return known[methods[-1]]

    protocol = KserveGrpc(asked.address(), asked)
    return protocol, protocol.describe(ask), methods


def test_what_is_served():
    kinds = messages()
    config = kinds.ModelConfig(max_batch_size=8, backend="python")
    config.dynamic_batching.preferred_batch_size.append(4)
    config.dynamic_batching.max_queue_delay_microseconds = 100
    config.instance_group.add(kind=2, count=2)
    config.instance_group.add(kind=1, count=1, gpus=[0])
    config.instance_group.add(kind=99, count=1)
    config.input.add(name="x", optional=True)
    server = kinds.ServerMetadataResponse(name="t", version="2", extensions=["model_configuration"])
    _, model, methods = described(
        {
            "ServerMetadata": call(server),
            "ModelConfig": call(kinds.ModelConfigResponse(config=config)),
        }
    )
    assert methods == [
        "ServerReady",
        "ModelReady",
        "ServerMetadata",
        "ModelMetadata",
        "ModelConfig",
    ]
    assert (model.name, model.version, model.platform, model.max_batch_size) == ("m", "3", "p", 8)
    assert (model.server_name, model.server_version) == ("t", "2")
    assert model.instance_groups == ("2 x CPU", "1 x GPU 0", "1 x 99")
    assert model.inputs[0].optional
    assert model.facts["scheduling"] == "dynamic batching, preferred 4, queue delay up to 100 us"


@pytest.mark.parametrize("field", ["model_transaction_policy", "sequence_batching"])
def test_models_that_cannot_be_measured_so(field):
    kinds = messages()
    config = kinds.ModelConfig()
    if field == "sequence_batching":
        config.sequence_batching.SetInParent()
    else:
        config.model_transaction_policy.decoupled = True
    server = kinds.ServerMetadataResponse(extensions=["model_configuration"])
    replies = {
        "ServerMetadata": call(server),
        "ModelConfig": call(kinds.ModelConfigResponse(config=config)),
    }
    with pytest.raises(UserError, match="decoupled|--sequences N"):
        described(replies)


def test_a_request_has_raw_tensors_and_parameters():
    protocol, _, _ = described(
        parameters={"i": "-1", "u": str(2**64 - 1), "b": "false", "d": "0.5", "s": "x"},
        headers={"X-Tenant": "blue"},
    )
    request = protocol.request({"x": np.ones(2, np.float32)})
    assert request.path == "/inference.GRPCInferenceService/ModelInfer"
    assert request.authority == "h:1"
    assert request.metadata == (("x-tenant", "blue"),)
    message = messages().ModelInferRequest.FromString(bytes(request.message))
    assert (message.model_name, message.inputs[0].datatype) == ("m", "FP32")
    assert list(message.inputs[0].shape) == [2]
    assert message.raw_input_contents == [np.ones(2, "<f4").tobytes()]
    sent = {each.key: each.value.WhichOneof("choice") for each in message.parameters}
    assert sent == {
        "i": "int64_param", "u": "uint64_param", "b": "bool_param", "d": "double_param",
        "s": "string_param",
    }  # fmt: skip
    protocol, _, _ = described(parameters={"i": str(2**64)})
    with pytest.raises(UserError, match="more than 64 bits"):
        protocol.request({})


def answer(datatype="FP32", shape=(2,), raw=None, name="y", **typed):
    message = messages().ModelInferResponse(model_name="m")
    output = message.outputs.add(name=name, datatype=datatype, shape=shape)
    for field, values in typed.items():
        getattr(output.contents, field).extend(values)
    message.raw_output_contents.extend(raw or [])
    return call(message)


TYPED = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents",
    "INT32": "int_contents", "INT64": "int64_contents", "UINT8": "uint_contents",
    "UINT16": "uint_contents", "UINT32": "uint_contents", "UINT64": "uint64_contents",
    "FP32": "fp32_contents", "FP64": "fp64_contents",
}  # fmt: skip


@pytest.mark.parametrize("datatype", TYPED)
def test_typed_contents(datatype):
    protocol, _, _ = described({"ModelMetadata": call(metadata(datatype))})
    found = protocol.outputs(answer(datatype, **{TYPED[datatype]: [0, 1]}))["y"]
    assert found.dtype == DATATYPES[datatype]
    assert found.tolist() == [0, 1]


def test_text_and_raw_contents():
    protocol, _, _ = described({"ModelMetadata": call(metadata("BYTES"))})
    found = protocol.outputs(answer("BYTES", bytes_contents=["ü".encode(), b"\xff"]))["y"]
    assert found.tolist() == ["ü", b"\xff"]
    raw = [b"\x01\0\0\0a\0\0\0\0"]
    assert protocol.outputs(answer("BYTES", raw=raw))["y"].tolist() == ["a", ""]
    protocol, _, _ = described({"ModelMetadata": call(metadata("FP16", ()))})
    assert protocol.outputs(answer("FP16", (), [b"\0\x3c"]))["y"].tolist() == 1.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (call(b"\xff\xff"), "the answer is no ModelInferResponse"),
        (call(b""), "output 'y' is missing; there are: none"),
        (answer(raw=[b"\0" * 8, b""]), "1 outputs, and raw contents of 2"),
        (answer(raw=[b"\0" * 7]), "has 7 bytes"),
        (answer("FP64", raw=[b"\0" * 16]), "is FP64; announced: FP32"),
        (answer(shape=(2, 1), raw=[b"\0" * 8]), "has the shape [2, 1]"),
        (answer(shape=(-2,), raw=[b""]), "has the shape [-2]"),
        (answer(fp32_contents=[1]), "has 1 values; shape [2] has 2"),
        (answer(), "has 0 values"),
        (answer(int_contents=[1, 2]), "is FP32, and its values are int_contents"),
        (answer("FLOAT", raw=[b""]), "the datatype 'FLOAT'"),
        (answer(name="z", raw=[b"\0" * 8]), "output 'y' is missing; there are: z"),
        (answer(name="", raw=[b"\0" * 8]), "without a name"),
    ],
)
def test_answers_that_lie(given, words):
    protocol, _, _ = described()
    with pytest.raises(BadAnswer) as bad:
        protocol.outputs(given)
    assert words in str(bad.value)


def test_values_beyond_their_type():
    protocol, _, _ = described({"ModelMetadata": call(metadata("INT8"))})
    with pytest.raises(BadAnswer, match="from -128 to 127"):
        protocol.outputs(answer("INT8", int_contents=[1, 200]))
    protocol, _, _ = described({"ModelMetadata": call(metadata("BF16"))})
    with pytest.raises(BadAnswer, match="is BF16, and has no raw contents"):
        protocol.outputs(answer("BF16", fp32_contents=[1, 2]))


@pytest.mark.parametrize(
    ("replies", "words", "final"),
    [
        ({"ServerReady": call(messages().ServerReadyResponse())}, "server is not ready", False),
        ({"ServerReady": call(failure="refused", detail="no connection")}, "no connection", False),
        ({"ServerReady": call(failure="gRPC UNAVAILABLE", detail="up")}, "UNAVAILABLE: up", False),
        ({"ServerReady": call(failure="gRPC UNAUTHENTICATED")}, "--header", True),
        ({"ServerReady": call(failure="bad answer", detail="HTTP/1.1")}, "not for HTTP?", True),
        ({"ModelReady": call(messages().ModelReadyResponse())}, "'m' is not ready", False),
        ({"ModelMetadata": call(failure="gRPC INTERNAL")}, "ModelMetadata: gRPC INTERNAL", False),
    ],
)
def test_what_keeps_it_from_being_ready(replies, words, final):
    with pytest.raises(NotReady) as missing:
        described(replies)
    assert words in str(missing.value)
    assert missing.value.final == final


def test_a_model_that_is_not_there():
    kinds = messages()
    index = kinds.RepositoryIndexResponse()
    index.models.add(name="mm")
    not_found = call(failure="gRPC NOT_FOUND", detail="Model m not found")
    with pytest.raises(NotReady, match="no model 'm': .*its models: mm; did you mean") as missing:
        described({"ModelReady": not_found, "RepositoryIndex": call(index)})
    assert missing.value.unknown


def test_a_server_with_the_least_of_methods():
    lacking = call(failure="gRPC UNIMPLEMENTED")
    least = {"ServerReady": lacking, "ModelReady": lacking, "ServerMetadata": lacking}
    assert described(least)[1].name == "m"
    with pytest.raises(NotReady, match="is it a server of KServe v2") as missing:
        described({**least, "ModelMetadata": lacking})
    assert missing.value.final


@pytest.mark.parametrize(
    ("replies", "words"),
    [
        ({"ModelMetadata": call(b"\xff")}, "ModelMetadata is no ModelMetadataResponse"),
        ({"ModelMetadata": call(metadata("FLOAT"))}, "input 'x' has the datatype 'FLOAT'"),
        ({"ModelMetadata": call(metadata(shape=[-2]))}, "input 'x' has the shape"),
        ({"ServerReady": call(b"\x08")}, "no ServerReadyResponse"),
    ],
)
def test_descriptions_that_are_none(replies, words):
    with pytest.raises(BadAnswer, match=words):
        described(replies)
