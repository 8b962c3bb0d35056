"""The Open Inference Protocol (KServe v2) over gRPC: Triton, MLServer, KServe, OpenVINO's server.

Tensors are sent as `raw_input_contents`; answers may have theirs raw or typed. The model's
configuration is read where the server has one (Triton).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qs.base.errors import UserError
from qs.base.visible import one_line
from qs.engine.wire.grpc_calls import message_of
from qs.engine.wire.grpc_requests import GrpcRequest, grpc_request
from qs.remote.address import Address
from qs.remote.asked import Asked
from qs.remote.datatypes import (
    DATATYPES,
    as_text,
    check_names,
    check_output,
    from_bytes,
    tensors_of,
    text_array,
    to_bytes,
    values_of,
)
from qs.remote.protocol import Ask, BadAnswer, NotReady, ServedModel, ServedTensor
from qs.remote.protocols.kserve_messages import messages, parsed, sequence_marks
from qs.remote.protocols.kserve_model import (
    CONFIGURATION,
    check_asked,
    in_region,
    model_list,
    served,
    unannounced,
)
from qs.remote.sequences import Sequenced
from qs.remote.shared_memory import Regions
from qs.remote.waiting import refused_at_once, why_failed
from qs.tensors.casting import Bent, cast

if TYPE_CHECKING:
    from qs.engine.wire.calls import WireCall

SERVICE = "/inference.GRPCInferenceService/"
KINDS = ("AUTO", "GPU", "CPU", "MODEL")  # of instance groups, by number
_TYPED = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
PREFIX = 5  # bytes before a message
NOT_FOUND, UNIMPLEMENTED = "gRPC NOT_FOUND", "gRPC UNIMPLEMENTED"


class KserveGrpc:
    """See `qs.remote.protocol.Protocol`."""

    transport: Literal["grpc"] = "grpc"

    def __init__(self, address: Address, asked: Asked) -> None:
        self.address = address
        self.asked = asked
        self._metadata = {name.lower(): value for name, value in asked.headers_now().items()}
        self._parameters = asked.parameters_now()
        self._outputs: dict[str, ServedTensor] = {}
        self._model: ServedModel | None = None
        self._regions: Regions | None = None

    def describe(self, ask: Ask) -> ServedModel:
        """Ready? Then the server's metadata, the model's, and its configuration."""
        self._ready(ask)
        server = self._read(ask, "ServerMetadata", "ServerMetadataResponse", optional=True)
        if not self.address.model:
            raise UserError(f"{self.address}: no model is named; {self._models(ask)}")
        metadata = self._read(ask, "ModelMetadata", "ModelMetadataResponse")
        extensions = tuple(server.extensions)
        config: dict[str, Any] = {}
        if CONFIGURATION in extensions:
            answer = self._read(ask, "ModelConfig", "ModelConfigResponse", optional=True)
            config = _plain(answer.config)
        model = served(
            self.address,
            server=(server.name, server.version, extensions),
            metadata=(metadata.name, metadata.platform, list(metadata.versions)),
            inputs=_tensors(metadata.inputs, "input"),
            outputs=_tensors(metadata.outputs, "output"),
            config=config,
            binary=True,
        )
        check_asked(self.address, self.asked, model, config)
        if self.asked.shared_memory and self._regions is None:
            self._regions = self._shared(ask)
        self._model = model
        self._outputs = {each.name: each for each in model.outputs}
        return model

    def request(self, feeds: Mapping[str, np.ndarray]) -> GrpcRequest | Sequenced:
        """An inference, ready to be sent."""
        announced = {each.name: each for each in self._described().inputs}
        message = messages().ModelInferRequest(
            model_name=self.address.model, model_version=self.address.version
        )
        parts: list[bytes] = []
        for name, array in feeds.items():
            tensor = announced.get(name) or unannounced(name, array)
            values = values_of(tensor, array)
            message.inputs.add(name=name, datatype=tensor.datatype, shape=values.shape)
            parts.append(to_bytes(tensor.datatype, values))
        if self._regions is not None and all(parts):
            region, offsets = self._regions.put(parts)
            for stated, part, offset in zip(message.inputs, parts, offsets):
                for name, place in in_region(region, offset, len(part)).items():
                    _put(stated.parameters.add(key=name).value, place)
        else:
            message.raw_input_contents.extend(parts)
        for name, value in self._parameters.items():
            _put(message.parameters.add(key=name).value, value)
        if self.asked.sequences:
            return self._sequenced(message.SerializeToString())
        return self._request("ModelInfer", message, bool(self.asked.compression))

    def _sequenced(self, rest: bytes) -> Sequenced:
        """With an id and two marks in front, of constant length: only the message changes."""
        whole = self._sent("ModelInfer", sequence_marks(0, False, False) + rest)

        def of(number: int, first: bool, last: bool) -> GrpcRequest:
            made = copy.copy(whole)
            data = whole.data[:PREFIX] + sequence_marks(number, first, last) + rest
            object.__setattr__(made, "data", data)
            return made

        return Sequenced(of)

    def outputs(self, call: WireCall) -> dict[str, np.ndarray]:
        """The arrays of an answered inference."""
        try:
            content = message_of(call)
        except ValueError as fault:
            raise BadAnswer(str(fault)) from None
        answer = parsed("ModelInferResponse", content, "the answer")
        raw = list(answer.raw_output_contents)
        if raw and len(raw) != len(answer.outputs):
            raise BadAnswer(f"{len(answer.outputs)} outputs, and raw contents of {len(raw)}")
        found: dict[str, np.ndarray] = {}
        for at, each in enumerate(answer.outputs):
            name, datatype, shape = check_output(
                self._outputs, each.name, each.datatype, list(each.shape)
            )
            if name in found:
                raise BadAnswer(f"output {one_line(name, 60)!r} stands there twice")
            if raw:
                found[name] = from_bytes(name, datatype, shape, raw[at])
            else:
                found[name] = _typed(name, datatype, shape, each.contents)
        check_names(self._described(), found)
        return found

    def _described(self) -> ServedModel:
        if self._model is None:
            raise RuntimeError("describe has not been called")
        return self._model

    def close(self) -> None:
        """Have the server let go of shared memory."""
        if self._regions is not None:
            self._regions.close()

    def _shared(self, ask: Ask) -> Regions:
        def said(method: str, message: Any) -> WireCall:
            call = ask(self._request(f"SystemSharedMemory{method}", message))
            if call.failure is not None:
                words = why_failed(self.address, call)
                raise UserError(f"{self.address}: --shared_memory: {words}")
            return call

        def register(name: str, size: int) -> None:
            kind = messages().RegionRegisterRequest
            said("Register", kind(name=name, key=f"/{name}", byte_size=size))

        def unregister(name: str) -> None:
            said("Unregister", messages().RegionUnregisterRequest(name=name))

        def registered() -> list[str]:
            call = said("Status", messages().RegionUnregisterRequest())
            status = parsed("RegionStatusResponse", call.body, "the list of regions")
            return [each.key for each in status.regions]

        return Regions(self.address, register, unregister, registered)

    def _request(self, method: str, message: Any, compressed: bool = False) -> GrpcRequest:
        return self._sent(method, message.SerializeToString(), compressed)

    def _sent(self, method: str, message: bytes, compressed: bool = False) -> GrpcRequest:
        try:
            return grpc_request(
                SERVICE + method,
                self.address.authority,
                self._metadata,
                message,
                compressed=compressed,
            )
        except ValueError as error:
            raise UserError(f"{self.address}: {error}") from None

    def _named(self, method: str) -> GrpcRequest:
        """A request about the model; one about the server has the same bytes, of no name."""
        message = messages().ModelRequest()
        if method.startswith("Model"):
            message.name, message.version = self.address.model, self.address.version
        return self._request(method, message)

    def _ready(self, ask: Ask) -> None:
        """NotReady, with what is missing. A server without these methods is taken to be ready."""
        call = ask(self._named("ServerReady"))
        if call.failure is None:
            if not parsed("ServerReadyResponse", call.body, "the server's readiness").ready:
                raise NotReady(f"{self.address}: the server is not ready")
        elif call.failure != UNIMPLEMENTED:
            refused_at_once(self.address, call)
            raise NotReady(f"{self.address}: {why_failed(self.address, call)}")
        if not self.address.model:
            return
        call = ask(self._named("ModelReady"))
        if call.failure is None:
            if parsed("ModelReadyResponse", call.body, "the model's readiness").ready:
                return
            said = ask(self._named("ModelMetadata"))
        elif call.failure == UNIMPLEMENTED:
            return
        else:
            said = call
        refused_at_once(self.address, said)
        version = f", version {self.address.version}" if self.address.version else ""
        if said.failure == NOT_FOUND or "not found" in said.detail.lower():
            raise NotReady(
                f"{self.address}: the server is ready, and has no model "
                f"{self.address.model!r}{version}: {one_line(said.detail, 200)}; "
                f"{self._models(ask)}",
                unknown=True,
            )
        why = f": {why_failed(self.address, said)}" if said.failure is not None else ""
        raise NotReady(
            f"{self.address}: the model {self.address.model!r}{version} is not ready{why}"
        )

    def _read(self, ask: Ask, method: str, answer: str, optional: bool = False) -> Any:
        call = ask(self._named(method))
        if call.failure is not None:
            if optional and call.failure == UNIMPLEMENTED:
                return getattr(messages(), answer)()
            refused_at_once(self.address, call)
            raise NotReady(f"{self.address}: {method}: {why_failed(self.address, call)}")
        return parsed(answer, call.body, method)

    def _models(self, ask: Ask) -> str:
        call = ask(self._request("RepositoryIndex", messages().RepositoryIndexRequest()))
        if call.failure is not None:
            return model_list([], self.address)
        try:
            index = parsed("RepositoryIndexResponse", call.body, "the list of models")
        except BadAnswer:
            return model_list([], self.address)
        return model_list([each.name for each in index.models], self.address)


def _tensors(stated: Any, what: str) -> tuple[ServedTensor, ...]:
    return tensors_of(((each.name, each.datatype, list(each.shape)) for each in stated), what)


def _put(target: Any, value: bool | int | float | str) -> None:
    """A parameter as the protocol has it."""
    if isinstance(value, bool):
        target.bool_param = value
    elif isinstance(value, int):
        if -(2**63) <= value < 2**63:
            target.int64_param = value
        elif 0 <= value < 2**64:
            target.uint64_param = value
        else:
            raise UserError(f"--parameter: {value} is more than 64 bits hold")
    elif isinstance(value, float):
        target.double_param = value
    else:
        target.string_param = value


def _typed(name: str, datatype: str, shape: tuple[int, ...], contents: Any) -> np.ndarray:
    """A tensor whose values stand in fields of their type."""
    shown = one_line(name, 60)
    field = _TYPED.get(datatype)
    if field is None:
        raise BadAnswer(f"output {shown!r} is {datatype}, and has no raw contents")
    stated = [other.name for other, _ in contents.ListFields() if other.name != field]
    if stated:
        raise BadAnswer(f"output {shown!r} is {datatype}, and its values are {stated[0]}")
    members = getattr(contents, field)
    if datatype == "BYTES":
        return text_array(name, shape, [as_text(each) for each in members])
    if len(members) != math.prod(shape):
        raise BadAnswer(
            f"output {shown!r} has {len(members)} values; shape {list(shape)} has "
            f"{math.prod(shape)}"
        )
    found: np.ndarray = np.array(members, WIDE[field])
    try:
        return cast(found, DATATYPES[datatype], datatype).reshape(shape)
    except Bent as bent:
        raise BadAnswer(f"output {shown!r}: {bent.allowed}; {bent.found}") from None


# what the fields of typed contents hold
WIDE = {
    "bool_contents": np.bool_,
    "int_contents": np.int32,
    "int64_contents": np.int64,
    "uint_contents": np.uint32,
    "uint64_contents": np.uint64,
    "fp32_contents": np.float32,
    "fp64_contents": np.float64,
}


def _plain(config: Any) -> dict[str, Any]:
    """Triton's configuration as its JSON has it, as far as it is read here."""
    plain: dict[str, Any] = {
        "max_batch_size": config.max_batch_size,
        "backend": config.backend,
        "input": [{"name": each.name, "optional": each.optional} for each in config.input],
        "instance_group": [
            {
                "count": each.count,
                "kind": KINDS[each.kind] if 0 <= each.kind < len(KINDS) else str(each.kind),
                "gpus": list(each.gpus),
            }
            for each in config.instance_group
        ],
        "model_transaction_policy": {"decoupled": config.model_transaction_policy.decoupled},
        "response_cache": {"enable": config.response_cache.enable},
    }
    if config.HasField("dynamic_batching"):
        batching = config.dynamic_batching
        plain["dynamic_batching"] = {
            "preferred_batch_size": list(batching.preferred_batch_size),
            "max_queue_delay_microseconds": batching.max_queue_delay_microseconds,
        }
    for name in ("sequence_batching", "ensemble_scheduling"):
        if config.HasField(name):
            plain[name] = {}
    return plain
