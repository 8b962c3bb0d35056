"""How the statistics extension is asked, over HTTP and over gRPC.

Over gRPC the answer is a message of Triton's grpc_service.proto. The few fields of it that are used
are read here by their numbers, into the form that it has as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from qs.engine.wire.requests import http_request
from qs.remote.address import Address
from qs.remote.asked import Asked
from qs.remote.statistics import MOST_SIZES, MOST_VERSIONS, BadStatistics, Statistics, of_json

if TYPE_CHECKING:
    from qs.engine.wire.calls import WireCall

METHOD = "/inference.GRPCInferenceService/ModelStatistics"
_DURATION = {1: "count", 2: "ns"}
_INFERENCE = {
    1: "success",
    2: "fail",
    3: "queue",
    4: "compute_input",
    5: "compute_infer",
    6: "compute_output",
    7: "cache_hit",
    8: "cache_miss",
}
_BATCH = {2: "compute_input", 3: "compute_infer", 4: "compute_output"}


def request_of(address: Address, asked: Asked) -> Any:
    """One request for the statistics of the address's model."""
    if address.transport == "grpc":
        from qs.engine.wire.grpc_requests import grpc_request

        message = b"".join(
            bytes((number << 3 | 2,)) + _varint(len(text.encode())) + text.encode()
            for number, text in ((1, address.model), (2, address.version))
            if text
        )
        metadata = {name.lower(): value for name, value in asked.headers_now().items()}
        return grpc_request(METHOD, address.authority, metadata, message)
    target = f"{address.path}/v2/models/{address.model_path}/stats"
    return http_request("GET", target, address.authority, asked.headers_now())


def answered(call: WireCall, transport: str, model: str) -> Statistics:
    """What the answer counts. Raises BadStatistics."""
    if transport == "grpc":
        return of_json(of_message(bytes(call.body)), model)
    try:
        answer = orjson.loads(call.body)
    except orjson.JSONDecodeError as error:
        raise BadStatistics(f"the statistics are not JSON: {error}") from None
    return of_json(answer, model)


def of_message(message: bytes) -> dict[str, Any]:
    """A ModelStatisticsResponse as it is in JSON. Raises BadStatistics."""
    found = [_model(each) for number, each in _fields(message, MOST_VERSIONS) if number == 1]
    return {"model_stats": found}


def _model(message: int | bytes) -> dict[str, Any]:
    model: dict[str, Any] = {"batch_stats": []}
    for number, value in _fields(message, MOST_SIZES):
        if number in (1, 2) and isinstance(value, bytes):
            model["name" if number == 1 else "version"] = value.decode("utf-8", "replace")
        elif number in (4, 5):
            model["inference_count" if number == 4 else "execution_count"] = value
        elif number == 6:
            model["inference_stats"] = _durations(value, _INFERENCE)
        elif number == 7:
            size = [each for at, each in _fields(value, 100) if at == 1]
            batch = {"batch_size": size[-1] if size else 0, **_durations(value, _BATCH)}
            model["batch_stats"].append(batch)
    return model


def _durations(message: int | bytes, names: Mapping[int, str]) -> dict[str, dict[str, Any]]:
    return {
        names[number]: {"count": 0, "ns": 0}
        | {_DURATION[at]: each for at, each in _fields(value, 100) if at in _DURATION}
        for number, value in _fields(message, 100)
        if number in names
    }


def _fields(message: int | bytes, most: int) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of a protobuf message; fixed-width fields are passed over."""
    if isinstance(message, int):
        raise BadStatistics("the statistics have a number where a message should be")
    at = count = 0
    while at < len(message):
        count += 1
        if count > most + 100:
            raise BadStatistics("the statistics have too many fields")
        key, at = _read_varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _read_varint(message, at)
            yield key >> 3, value
            continue
        size = {1: 8, 5: 4}.get(kind, -1)
        if kind == 2:
            size, at = _read_varint(message, at)
        if size < 0 or at + size > len(message):
            raise BadStatistics("the statistics are no message of the protocol, or are cut off")
        if kind == 2:
            yield key >> 3, message[at : at + size]
        at += size


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise BadStatistics("the statistics are no message of the protocol, or are cut off")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
