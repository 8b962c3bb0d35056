"""How the statistics extension is asked, over HTTP and over gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from qs.engine.wire.requests import http_request
from qs.remote.address import Address
from qs.remote.asked import Asked
from qs.remote.protocol import BadAnswer
from qs.remote.statistics import BadStatistics, Statistics, of_json

if TYPE_CHECKING:
    from qs.engine.wire.calls import WireCall

METHOD = "/inference.GRPCInferenceService/ModelStatistics"


def request_of(address: Address, asked: Asked) -> Any:
    """One request for the statistics of the address's model."""
    if address.transport == "grpc":
        from qs.engine.wire.grpc_requests import grpc_request
        from qs.remote.protocols.kserve_messages import messages

        message = messages().ModelRequest(name=address.model, version=address.version)
        metadata = {name.lower(): value for name, value in asked.headers_now().items()}
        return grpc_request(METHOD, address.authority, metadata, message.SerializeToString())
    target = f"{address.path}/v2/models/{address.model_path}/stats"
    return http_request("GET", target, address.authority, asked.headers_now())


def answered(call: WireCall, transport: str, model: str) -> Statistics:
    """What the answer counts. Raises BadStatistics."""
    if transport == "grpc":
        return of_message(bytes(call.body), model)
    try:
        answer = orjson.loads(call.body)
    except orjson.JSONDecodeError as error:
        raise BadStatistics(f"the statistics are not JSON: {error}") from None
    return of_json(answer, model)


def of_message(content: bytes, model: str) -> Statistics:
    """The counters in a ModelStatisticsResponse. Raises BadStatistics."""
    from google.protobuf.json_format import MessageToDict

    from qs.remote.protocols.kserve_messages import parsed

    try:
        message = parsed("ModelStatisticsResponse", content, "the statistics")
    except BadAnswer as error:
        raise BadStatistics(str(error)) from None
    return of_json(MessageToDict(message, preserving_proto_field_name=True), model)
