"""TorchServe's inference interface (pytorch/serve, docs/inference_api.md).

A request is one item; TorchServe batches by itself. It does not tell a model's inputs: one input of
texts or files is sent as it is, numbers as JSON, several inputs as an object of them, as its base
handler takes them. A template file states inputs, and may state the body and the outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import numpy as np

from qs.base.errors import Fault, Faults, UserError
from qs.base.names import nearest
from qs.engine.wire.requests import http_request
from qs.remote.address import Address
from qs.remote.protocol import Ask, BadAnswer, NotReady, ServedModel, ServedTensor
from qs.remote.templates.answers import Output, Unfit, json_in, read_outputs
from qs.remote.templates.bodies import body_of
from qs.remote.templates.reading import read_template
from qs.remote.templates.request_file import Input, RequestFile
from qs.remote.waiting import check_answered

if TYPE_CHECKING:
    from qs.engine.wire.calls import WireCall
    from qs.remote.asked import Asked

DATA = Input("data")
ANSWER = "answer"
_PARAMETERS = ("management_url",)


class TorchServe:
    """One model, or one version of it."""

    transport = "http"

    def __init__(self, address: Address, asked: Asked) -> None:
        self._address, self._asked = address, asked
        self._management = _management(asked.parameters)
        self._template = RequestFile("", "POST", "", {}, {}, inputs=(DATA,))
        if asked.template:
            stated = read_template(asked.template, partial=True)
            own = {
                name: text
                for name, text in stated.headers.items()
                if name.lower() not in {each.lower() for each in asked.headers}
            }
            self._template = replace(stated, inputs=stated.inputs or (DATA,))
            self._asked = replace(asked, headers={**own, **asked.headers})
        version = f"/{quote(address.version, safe='')}" if address.version else ""
        self._path = f"{address.path}/predictions/{quote(address.model, safe='')}{version}"

    def describe(self, ask: Ask) -> ServedModel:
        """Whether it is healthy; what its management says where that is given. NotReady."""
        self._check_healthy(ask(self._made("GET", f"{self._address.path}/ping")))
        facts: dict[str, str] = {}
        groups: tuple[str, ...] = ()
        version = self._address.version
        if self._management:
            told = self._managed()
            version = version or str(told.get("modelVersion", ""))
            groups = _workers(told.get("workers"))
            for key in ("runtime", "batchSize", "maxBatchDelay", "minWorkers", "maxWorkers"):
                if key in told:
                    facts[key] = str(told[key])
        stated = self._template.outputs
        return ServedModel(
            name=self._address.model,
            version=version,
            platform="TorchServe",
            inputs=tuple(
                ServedTensor(each.name, each.type, each.dtype, each.shape, each is DATA)
                for each in self._template.inputs
            ),
            outputs=tuple(
                ServedTensor(
                    each.name, each.format, each.dtype or np.dtype(np.str_), each.shape or ()
                )
                for each in stated
            ),
            max_batch_size=1,
            server_name="TorchServe",
            instance_groups=groups,
            facts=facts,
        )

    def request(self, feeds: Mapping[str, np.ndarray]) -> bytes:
        """One item as the template, or the base handler, has it. UserError for more than one."""
        template = self._template
        if not template.kind:
            template = replace(template, **_usual(feeds))
        body, kind = body_of(template, feeds)
        headers = self._asked.headers_now()
        if kind and "content-type" not in {name.lower() for name in headers}:
            headers["Content-Type"] = kind
        return self._made("POST", self._path, body, headers)

    def outputs(self, call: WireCall) -> dict[str, np.ndarray]:
        """Those of the template; else the answer with a first dimension of 1 if it is numbers, or
        as text. BadAnswer.
        """
        body = bytes(call.body)
        try:
            if self._template.outputs:
                return read_outputs(body, self._template.outputs)
            try:
                found = Output(ANSWER).read(body, json_in(body))
            except Unfit:
                found = Output(ANSWER, format="text").read(body, None)
            return {ANSWER: found if found.dtype == object else found[None]}
        except Unfit as unfit:
            raise BadAnswer(str(unfit)) from None

    def _check_healthy(self, call: WireCall) -> None:
        check_answered(self._address, call, "/ping")
        try:
            said = json_in(bytes(call.body))
        except Unfit:
            return  # a gateway's own
        status = str(said.get("status", "")) if isinstance(said, dict) else ""
        if status and status.lower() not in ("healthy", "partial healthy"):
            raise NotReady(f"{self._address}: /ping says {status}")

    def _managed(self) -> dict[str, Any]:
        """What the management interface says of the model; {} if it does not answer."""
        from qs.engine.wire.blocking import BlockingHttp
        from qs.engine.wire.settings import ClientSettings

        place = urlsplit(self._management)
        assert place.hostname is not None
        asker = BlockingHttp(ClientSettings(place.hostname, place.port or 80, timeout_s=10.0))
        path = f"{place.path.rstrip('/')}/models/{quote(self._address.model, safe='')}"
        call = asker.ask(http_request("GET", path, place.netloc, self._asked.headers_now()))
        if call.failure is not None:
            detail = f" ({call.detail})" if call.detail else ""
            raise UserError(f"{self._management}{path}: {call.failure}{detail}")
        try:
            listed = json_in(bytes(call.body))
        except Unfit as unfit:
            raise BadAnswer(f"{path}: {unfit}") from None
        first = listed[0] if isinstance(listed, list) and listed else listed
        return first if isinstance(first, dict) else {}

    def _made(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> bytes:
        sent = self._asked.headers_now() if headers is None else headers
        try:
            return http_request(method, path, self._address.authority, sent, body)
        except ValueError as error:
            raise UserError(str(error)) from None


def _management(given: Mapping[str, str]) -> str:
    faults = [
        Fault("--parameter", "", name, "management_url", nearest(name, _PARAMETERS))
        for name in given
        if name not in _PARAMETERS
    ]
    address = given.get("management_url", "")
    try:
        parts = urlsplit(address)
        right = not address or (parts.scheme == "http" and bool(parts.hostname) and parts.port != 0)
    except ValueError:
        right = False
    if not right:
        allowed = "an address such as http://127.0.0.1:8081"
        faults.append(Fault("--parameter management_url", "", address, allowed))
    if faults:
        raise Faults(faults)
    return address.rstrip("/")


def _usual(feeds: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The body that the base handler takes."""
    if len(feeds) == 1:
        ((name, array),) = feeds.items()
        if np.asarray(array).dtype.kind in "UO":
            return {"kind": "bytes", "body": f"{{input:{name}:bytes}}"}
        return {"kind": "json", "body": f"{{input:{name}:item}}"}
    return {"kind": "json", "body": {name: f"{{input:{name}:item}}" for name in feeds}}


def _workers(given: Any) -> tuple[str, ...]:
    """ "2 x CPU", "1 x GPU 0"."""
    found: dict[str, int] = {}
    for each in given if isinstance(given, list) else ():
        if not isinstance(each, dict) or each.get("status") not in (None, "READY"):
            continue
        place = "CPU"
        if each.get("gpu") and each.get("gpuUsage") not in (None, "", "N/A"):
            place = "GPU"
        found[place] = found.get(place, 0) + 1
    return tuple(f"{count} x {place}" for place, count in found.items())
