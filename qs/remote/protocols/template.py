"""Any server over HTTP, by a template file that says what a request looks like and where the answer
holds the outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qs.base.errors import Fault, Faults, UserError
from qs.engine.wire.requests import http_request
from qs.remote.address import Address
from qs.remote.protocol import Ask, BadAnswer, ServedModel, ServedTensor
from qs.remote.templates.answers import Output, Unfit, read_outputs
from qs.remote.templates.bodies import body_of, headers_of, target_of
from qs.remote.templates.reading import read_template
from qs.remote.templates.request_file import Input
from qs.remote.waiting import check_answered

if TYPE_CHECKING:
    from qs.engine.wire.calls import WireCall
    from qs.remote.asked import Asked

# Where the template states none: the answer as it is.
WHOLE = Output("answer", format="raw")
# For a request that is always the same, since samples need something to be made of.
CONSTANT = Input("request", "INT64", (1,))


class Template:
    """Requests by a template file."""

    transport = "http"

    def __init__(self, address: Address, asked: Asked) -> None:
        if not asked.template:
            allowed = "a file that describes the request (docs/templates.md)"
            raise Faults([Fault("--template", "", "missing", allowed)])
        if asked.parameters:
            raise Faults(
                [
                    Fault(
                        "--parameter",
                        "",
                        ", ".join(asked.parameters),
                        "nothing, with a template: write them into it",
                    )
                ]
            )
        self._address = address
        self.template = read_template(asked.template)
        self._outputs = self.template.outputs or (WHOLE,)
        # The command line's over the file's.
        named = {name.lower() for name in asked.headers}
        own = {
            name: text for name, text in self.template.headers.items() if name.lower() not in named
        }
        self._asked = replace(asked, headers={**own, **asked.headers})

    def describe(self, ask: Ask) -> ServedModel:
        """What the template states. The server is asked only whether it is ready. NotReady."""
        template = self.template
        call = ask(self._bare("HEAD" if template.ready is None else "GET"))
        if not call.status or template.ready is not None:  # else any answer says that it is there
            check_answered(self._address, call, template.ready or "")
        inputs = template.inputs or (CONSTANT,)
        most = template.max_batch_size or (1 if template.single else 0)
        facts = {"request": f"{template.method} {self._address.path}{template.path}"}
        if template.single:
            facts["items"] = f"one a request: {template.single}"
        if not template.inputs:
            facts["samples"] = "the same request each time: it has no {input:NAME}"
        return ServedModel(
            name=template.name,
            platform="HTTP",
            inputs=tuple(
                ServedTensor(each.name, each.type, each.dtype, each.shape) for each in inputs
            ),
            outputs=tuple(_tensor(each) for each in self._outputs),
            max_batch_size=most,
            facts=facts,
        )

    def request(self, feeds: Mapping[str, np.ndarray]) -> bytes:
        """The template filled with one batch. UserError if a value has no place in it."""
        template = self.template
        lacking = [name for name in template.names if name not in feeds]
        if lacking:
            raise UserError(
                f"{template.file}: inputs.{lacking[0]} is not among the samples' inputs: "
                f"{', '.join(feeds)}"
            )
        body, kind = body_of(template, feeds)
        target = target_of(template, feeds, self._address.path, self._address.query)
        headers = headers_of(template, feeds, self._asked.headers_now(), kind)
        try:
            return http_request(template.method, target, self._address.authority, headers, body)
        except ValueError as error:
            raise UserError(f"{template.file}: {error}") from None

    def outputs(self, call: WireCall) -> dict[str, np.ndarray]:
        """The outputs at their places in the answer. BadAnswer."""
        try:
            return read_outputs(bytes(call.body), self._outputs)
        except Unfit as unfit:
            raise BadAnswer(str(unfit)) from None

    @property
    def judge(self) -> Callable[[WireCall], None] | None:
        """See qs.remote.protocol; None where any status of 2xx is an answer."""
        return self._judged if self.template.status else None

    def _judged(self, call: WireCall) -> None:
        if call.status in self.template.status:
            if call.failure == f"HTTP {call.status}":
                call.failure, call.detail = None, ""
        elif call.failure is None:
            call.failure = f"HTTP {call.status}"
            call.detail = f"allowed: {', '.join(map(str, self.template.status))}"

    def _bare(self, method: str) -> bytes:
        path = (self._address.path + (self.template.ready or "")) or "/"
        return http_request(method, path, self._address.authority, self._asked.headers_now())


def _tensor(output: Output) -> ServedTensor:
    dtype = np.dtype(np.uint8) if output.dtype is None else output.dtype
    return ServedTensor(output.name, output.format, dtype, output.shape or (-1,))
