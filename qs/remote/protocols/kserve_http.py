"""The Open Inference Protocol (KServe v2) over HTTP: Triton, MLServer, KServe, OpenVINO's server.

Tensors travel in binary where the server announces the extension `binary_tensor_data`, else as
JSON. The model's configuration is read where the server has one (Triton).
Sources: the protocol's REST specification, and Triton's extensions of it.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import orjson

from qs.base.errors import UserError
from qs.base.visible import one_line
from qs.engine.wire.requests import http_request
from qs.remote.address import Address
from qs.remote.asked import Asked
from qs.remote.datatypes import (
    check_names,
    check_output,
    from_bytes,
    tensors_of,
    to_bytes,
    values_of,
)
from qs.remote.json_tensors import from_json, json_data, read_json, read_object
from qs.remote.protocol import Ask, BadAnswer, NotReady, ServedModel, ServedTensor
from qs.remote.protocols.kserve_model import (
    BINARY,
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

if TYPE_CHECKING:
    from qs.engine.wire.calls import WireCall

HEADER_LENGTH = "Inference-Header-Content-Length"
MOST_UNPACKED = 64 << 20  # bytes of a compressed answer


class KserveHttp:
    """See `qs.remote.protocol.Protocol`."""

    transport: Literal["http"] = "http"

    def __init__(self, address: Address, asked: Asked) -> None:
        self.address = address
        self.asked = asked
        self._headers = asked.headers_now()
        self._parameters = asked.parameters_now()
        self._binary = asked.binary == "always"
        self._outputs: dict[str, ServedTensor] = {}
        self._model: ServedModel | None = None
        self._regions: Regions | None = None

    def describe(self, ask: Ask) -> ServedModel:
        """Ready? Then the server's metadata, the model's, and its configuration."""
        self._ready(ask)
        server = self._read(ask, "", "the server's metadata", optional=True)
        if not self.address.model:
            raise UserError(f"{self.address}: no model is named; {self._models(ask)}")
        name = f"models/{self.address.model_path}"
        metadata = self._read(ask, name, "the model's metadata")
        extensions = _texts(server.get("extensions"))
        config: dict[str, Any] = {}
        if CONFIGURATION in extensions:
            config = self._read(ask, f"{name}/config", "the model's configuration", optional=True)
        if self.asked.binary == "auto":
            self._binary = BINARY in extensions
        model = served(
            self.address,
            server=(server.get("name"), server.get("version"), extensions),
            metadata=(metadata.get("name"), metadata.get("platform"), metadata.get("versions")),
            inputs=_tensors(metadata.get("inputs"), "input"),
            outputs=_tensors(metadata.get("outputs"), "output"),
            config=config,
            binary=self._binary,
        )
        check_asked(self.address, self.asked, model, config)
        if self.asked.shared_memory and self._regions is None:
            self._regions = self._shared(ask)
        self._model = model
        self._outputs = {each.name: each for each in model.outputs}
        return model

    def request(self, feeds: Mapping[str, np.ndarray]) -> bytes | Sequenced:
        """An inference, as bytes to send."""
        announced = {each.name: each for each in self._described().inputs}
        inputs: list[dict[str, Any]] = []
        parts: list[bytes] = []
        for name, array in feeds.items():
            tensor = announced.get(name) or unannounced(name, array)
            values = values_of(tensor, array)
            stated: dict[str, Any] = {"name": name, "shape": values.shape}
            stated["datatype"] = tensor.datatype
            if self._binary or self._regions is not None:
                parts.append(to_bytes(tensor.datatype, values))
                stated["parameters"] = {"binary_data_size": len(parts[-1])}
            else:
                stated["data"] = json_data(name, tensor.datatype, values)
            inputs.append(stated)
        if self._regions is not None and any(parts):
            region, offsets = self._regions.put(parts)
            for stated, part, offset in zip(inputs, parts, offsets):
                if part:
                    stated["parameters"] = in_region(region, offset, len(part))
            parts = []
        parameters = dict(self._parameters)
        if self._binary:
            parameters["binary_data_output"] = True
        document: dict[str, Any] = {"inputs": inputs}
        if self.asked.sequences:
            return self._sequenced(document, parameters, parts)
        if parameters:
            document["parameters"] = parameters
        return self._post(_json(document), parts)

    def _sequenced(
        self, document: dict[str, Any], parameters: dict[str, Any], parts: Sequence[bytes]
    ) -> Sequenced:
        """With room for an id and two marks, each of constant length, as JSON's blanks allow."""
        more = b"," + _json(parameters)[1:-1] if parameters else b""
        rest = more + b"}," + _json(document)[1:]
        unmarked = _MARKS % (0, b"false", b"false")
        before, _, after = self._post(unmarked + rest, parts).partition(unmarked)

        def of(number: int, first: bool, last: bool) -> bytes:
            return before + _MARKS % (number, _BOOL[first], _BOOL[last]) + after

        return Sequenced(of)

    def outputs(self, call: WireCall) -> dict[str, np.ndarray]:
        """The arrays of an answered inference."""
        headers = call.headers()
        body = _unpacked(bytes(call.body), headers.get("content-encoding", "identity"))
        length = headers.get(HEADER_LENGTH.lower())
        if length is None:
            document, rest = read_object(body), b""
        else:
            if not (length.isascii() and length.isdigit()) or int(length) > len(body):
                shown = one_line(length, 40)
                raise BadAnswer(f"{HEADER_LENGTH} is {shown}; the answer has {len(body)} bytes")
            document, rest = read_object(body[: int(length)]), body[int(length) :]
        if "error" in document and "outputs" not in document:
            raise BadAnswer(f"the server says {one_line(document['error'], 200)}")
        stated = document.get("outputs")
        if not isinstance(stated, list):
            raise BadAnswer("the answer has no list of outputs")
        found: dict[str, np.ndarray] = {}
        at = 0
        for each in stated:
            if not isinstance(each, dict):
                raise BadAnswer(f"an output is {one_line(repr(each), 40)}, not an object")
            name, datatype, shape = check_output(
                self._outputs, each.get("name"), each.get("datatype"), each.get("shape")
            )
            if name in found:
                raise BadAnswer(f"output {one_line(name, 60)!r} stands there twice")
            size = _binary_size(each)
            if size is None:
                found[name] = from_json(name, datatype, shape, each.get("data"))
                continue
            if at + size > len(rest):
                raise BadAnswer(
                    f"output {one_line(name, 60)!r} has {size} bytes; {len(rest) - at} are left"
                )
            found[name] = from_bytes(name, datatype, shape, rest[at : at + size])
            at += size
        if at != len(rest):
            raise BadAnswer(f"the answer has {len(rest) - at} bytes that belong to no output")
        check_names(self._described(), found)
        return found

    def close(self) -> None:
        """Have the server let go of shared memory."""
        if self._regions is not None:
            self._regions.close()

    def _shared(self, ask: Ask) -> Regions:
        region = "systemsharedmemory/region/"

        def post(path: str, document: dict[str, Any]) -> None:
            headers = {**self._headers, "Content-Type": "application/json"}
            target, host = self._target(path), self.address.authority
            call = ask(http_request("POST", target, host, headers, _json(document)))
            if call.failure is not None:
                words = _error(call) or why_failed(self.address, call)
                raise UserError(f"{self.address}: --shared_memory: {words}")

        def register(name: str, size: int) -> None:
            post(f"{region}{name}/register", {"key": f"/{name}", "offset": 0, "byte_size": size})

        def registered() -> list[str]:
            call = ask(self._get("systemsharedmemory/status"))
            return _listed(call) if call.failure is None else []

        return Regions(
            self.address, register, lambda name: post(f"{region}{name}/unregister", {}), registered
        )

    def _described(self) -> ServedModel:
        if self._model is None:
            raise RuntimeError("describe has not been called")
        return self._model

    def _target(self, path: str) -> str:
        return f"{self.address.path}/v2/{path}" if path else f"{self.address.path}/v2"

    def _get(self, path: str) -> bytes:
        return http_request("GET", self._target(path), self.address.authority, self._headers)

    def _post(self, head: bytes, parts: Sequence[bytes]) -> bytes:
        headers = dict(self._headers)
        headers["Content-Type"] = "application/octet-stream" if parts else "application/json"
        if parts:
            headers[HEADER_LENGTH] = str(len(head))
        body = b"".join((head, *parts))
        if self.asked.compression:
            packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
            body = packer.compress(body) + packer.flush()
            headers["Content-Encoding"] = headers["Accept-Encoding"] = "gzip"
        target = self._target(f"models/{self.address.model_path}/infer")
        return http_request("POST", target, self.address.authority, headers, body)

    def _ready(self, ask: Ask) -> None:
        """NotReady, with what is missing. A server without these addresses is taken to be ready."""
        call = ask(self._get("health/ready"))
        if call.failure is not None and call.status != 404:
            refused_at_once(self.address, call)
            answered = "the server is not ready: " if call.status else ""
            raise NotReady(f"{self.address}: {answered}{why_failed(self.address, call)}")
        if not self.address.model:
            return
        call = ask(self._get(f"models/{self.address.model_path}/ready"))
        if call.failure is None:
            return
        refused_at_once(self.address, call)
        metadata = ask(self._get(f"models/{self.address.model_path}"))
        if metadata.failure is None and call.status == 404:
            return
        said = _error(metadata) or _error(call)
        if call.status in (400, 404) and "not found" in said.lower():
            raise NotReady(
                f"{self.address}: the server is ready, and has no model "
                f"{self.address.model!r}{self._version_words()}: {said}; {self._models(ask)}",
                unknown=True,
            )
        raise NotReady(
            f"{self.address}: the model {self.address.model!r}{self._version_words()} is not "
            f"ready: {said or why_failed(self.address, call)}"
        )

    def _version_words(self) -> str:
        return f", version {self.address.version}" if self.address.version else ""

    def _read(self, ask: Ask, path: str, what: str, optional: bool = False) -> dict[str, Any]:
        call = ask(self._get(path))
        if call.failure is not None:
            if optional and call.status in (400, 404, 405, 501):
                return {}
            refused_at_once(self.address, call)
            raise NotReady(f"{self.address}: {what}: {why_failed(self.address, call)}")
        return read_object(call.body, what)

    def _models(self, ask: Ask) -> str:
        """Which models there are, where the server lists them."""
        target = self._target("repository/index")
        headers = {**self._headers, "Content-Type": "application/json"}
        call = ask(http_request("POST", target, self.address.authority, headers, b"{}"))
        return model_list(_listed(call) if call.failure is None else [], self.address)


# Blanks behind a number mean nothing in JSON, so its length can be constant.
_MARKS = b'{"parameters":{"sequence_id":%-19d,"sequence_start":%s,"sequence_end":%s'
_BOOL = {True: b"true ", False: b"false"}


def _json(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def _listed(call: WireCall) -> list[str]:
    try:
        entries = read_json(call.body)
    except BadAnswer:
        return []
    if not isinstance(entries, list):
        return []
    names = [each.get("name") for each in entries if isinstance(each, dict)]
    return [each for each in names if isinstance(each, str)]


def _error(call: WireCall) -> str:
    """The server's own words about a request that failed."""
    try:
        said = read_object(call.body).get("error", "")
    except BadAnswer:
        return ""
    return one_line(said, 200) if isinstance(said, str) else ""


def _tensors(stated: object, what: str) -> tuple[ServedTensor, ...]:
    if stated is None:
        return ()
    if not isinstance(stated, list) or not all(isinstance(each, dict) for each in stated):
        raise BadAnswer(f"the model's metadata has {what}s that are no list of objects")
    parts = ((each.get("name"), each.get("datatype"), each.get("shape")) for each in stated)
    return tensors_of(parts, what)


def _texts(stated: object) -> tuple[str, ...]:
    if not isinstance(stated, list):
        return ()
    return tuple(each for each in stated if isinstance(each, str))


def _binary_size(stated: dict[str, Any]) -> int | None:
    parameters = stated.get("parameters")
    if not isinstance(parameters, dict) or "binary_data_size" not in parameters:
        return None
    size = parameters["binary_data_size"]
    if type(size) is not int or size < 0:
        raise BadAnswer(f"an output has a binary_data_size of {one_line(repr(size), 40)}")
    return size


def _unpacked(body: bytes, encoding: str) -> bytes:
    """What a compressed answer holds, up to MOST_UNPACKED; BadAnswer."""
    if encoding in ("identity", ""):
        return body
    if encoding not in ("gzip", "deflate", "x-gzip"):
        raise BadAnswer(f"the answer has the Content-Encoding {one_line(encoding, 40)}")
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        content = unpacker.decompress(body, MOST_UNPACKED)
    except zlib.error as error:
        raise BadAnswer(f"the answer is no {encoding}: {error}") from None
    if not unpacker.eof:
        words = "goes on beyond" if len(content) == MOST_UNPACKED else "ends before"
        raise BadAnswer(f"the {encoding} of the answer {words} {len(content):,} bytes")
    return content
