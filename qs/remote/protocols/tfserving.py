"""TensorFlow Serving's REST interface, version 1; KServe's v1 and TorchServe's KServe endpoint
speak it too (tensorflow/serving, g3doc/api_rest.md).

Inputs travel by row (`instances`) where all have as many items, else by column (`inputs`);
`--parameter format=column` and `--parameter signature_name=NAME` state others. A server without
/metadata is told its inputs and outputs by a template file.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from qs.base.errors import Fault, Faults, UserError
from qs.base.names import nearest
from qs.engine.wire.requests import http_request
from qs.remote.address import Address
from qs.remote.protocol import Ask, BadAnswer, NotReady, ServedModel, ServedTensor
from qs.remote.templates.answers import JSON, Output, Unfit, json_in, read_parsed
from qs.remote.templates.fields import as_json
from qs.remote.templates.reading import read_template
from qs.remote.templates.request_file import RequestFile
from qs.remote.waiting import check_answered
from qs.tensors.contents import content_of, path_in

if TYPE_CHECKING:
    from qs.engine.wire.calls import WireCall
    from qs.remote.asked import Asked

DEFAULT_SIGNATURE = "serving_default"
ROW, COLUMN = "row", "column"
_PARAMETERS = ("format", "signature_name")
_TYPES: Mapping[str, Any] = {
    "DT_FLOAT": np.float32,
    "DT_DOUBLE": np.float64,
    "DT_HALF": np.float16,
    "DT_BFLOAT16": np.float32,
    "DT_INT8": np.int8,
    "DT_INT16": np.int16,
    "DT_INT32": np.int32,
    "DT_INT64": np.int64,
    "DT_UINT8": np.uint8,
    "DT_UINT16": np.uint16,
    "DT_UINT32": np.uint32,
    "DT_UINT64": np.uint64,
    "DT_BOOL": np.bool_,
    "DT_STRING": np.str_,
}


class TfServing:
    """One signature of a model."""

    transport = "http"

    def __init__(self, address: Address, asked: Asked) -> None:
        self._address, self._asked = address, asked
        self._format, self._signature = _parameters(asked.parameters)
        self._template: RequestFile | None = None
        if asked.template:
            self._template = read_template(asked.template, partial=True)
        self._at = f"{address.path}/v1/models/{address.model_path}"
        self._inputs: tuple[ServedTensor, ...] = ()
        self._outputs: tuple[ServedTensor, ...] = ()

    def describe(self, ask: Ask) -> ServedModel:
        """The model's state and its signature. NotReady while no version is available; UserError if
        the server does not tell the signature and no template does.
        """
        try:
            version = _available(self._get(ask, self._at))
        except _Unavailable as missing:
            raise NotReady(f"{self._address}: {missing}") from None
        facts = {"format": self._format or f"{ROW}, where all inputs have as many items"}
        if self._template is not None and self._template.inputs:
            self._of_template(self._template)
        else:
            facts["signature"] = self._of_metadata(self._get(ask, f"{self._at}/metadata"))
        return ServedModel(
            name=self._address.model,
            version=version or self._address.version,
            platform="TensorFlow Serving, REST v1",
            inputs=self._inputs,
            outputs=self._outputs,
            max_batch_size=0,
            facts=facts,
        )

    def request(self, feeds: Mapping[str, np.ndarray]) -> bytes:
        """All inputs of one batch. UserError if rows are asked for and cannot be made."""
        content: dict[str, Any] = {}
        if self._signature:
            content["signature_name"] = self._signature
        arrays = {name: np.asarray(array) for name, array in feeds.items()}
        counts = {len(array) if array.ndim else None for array in arrays.values()}
        rows = len(counts) == 1 and None not in counts
        if self._format == ROW and not rows:
            shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
            raise UserError(
                f"--parameter format=row needs inputs with as many items each; they are {shapes}; "
                "allowed: format=column"
            )
        if rows and self._format != COLUMN:
            content["instances"] = _rows(arrays)
        else:
            content["inputs"] = {name: _value(name, array) for name, array in arrays.items()}
        return self._made("POST", f"{self._at}:predict", _dumped(content))

    def outputs(self, call: WireCall) -> dict[str, np.ndarray]:
        """By name: as the signature has them, or `predictions` where the server names none."""
        try:
            answer = json_in(bytes(call.body))
            return read_parsed(answer, self._places(answer))
        except Unfit as unfit:
            raise BadAnswer(str(unfit)) from None

    def _places(self, answer: Any) -> list[Output]:
        """Where the outputs stand: without names if there is one, else in each row's object."""
        key = next((key for key in ("predictions", "outputs") if key in _keys(answer)), None)
        if key is None:
            listed = ", ".join(_keys(answer)) or "something else"
            raise Unfit(f"the answer has no predictions and no outputs; it has {listed}")
        found = answer[key] = _texts(answer[key])
        first = found[0] if isinstance(found, list) and found else found
        names = list(first) if isinstance(first, dict) else None
        known = {each.name: each for each in self._outputs}
        if names is None:
            if len(known) > 1:
                raise Unfit(f"{key} has one output without a name; allowed: {', '.join(known)}")
            tensor = next(iter(known.values()), None)
            return [_output(tensor.name if tensor else key, (key,), tensor)]
        rows = isinstance(found, list)
        return [
            _output(name, (key, "*", name) if rows else (key, name), known.get(name))
            for name in (known or names)
        ]

    def _of_template(self, template: RequestFile) -> None:
        self._inputs = tuple(
            ServedTensor(each.name, each.type, each.dtype, each.shape) for each in template.inputs
        )
        self._outputs = tuple(
            ServedTensor(
                each.name,
                JSON,
                np.dtype(np.float32) if each.dtype is None else each.dtype,
                each.shape or (-1,),
            )
            for each in template.outputs
        )

    def _of_metadata(self, answer: Any) -> str:
        """The signature's inputs and outputs, in the order of their names. Returns its name."""
        found = answer
        for key in ("metadata", "signature_def", "signature_def"):
            found = found.get(key) if isinstance(found, dict) else None
        if not isinstance(found, dict) or not found:
            raise UserError(
                f"{self._address.shown}: the server does not tell the model's signature "
                f"({self._at}/metadata); state its inputs in a file: --template FILE with "
                '{"inputs": {"NAME": {"type": "FLOAT32", "shape": [-1, 3]}}}'
            )
        usable = [
            name for name, each in found.items() if isinstance(each, dict) and each.get("inputs")
        ]
        wanted = self._signature or (
            DEFAULT_SIGNATURE if DEFAULT_SIGNATURE in usable or not usable else usable[0]
        )
        if wanted not in usable:
            near = nearest(wanted, usable)
            allowed = f"a signature of the model: {', '.join(usable) or 'none has inputs'}"
            raise Faults([Fault("--parameter signature_name", "", wanted, allowed, near)])
        signature = found[wanted]
        self._inputs = _tensors(signature.get("inputs"))
        self._outputs = _tensors(signature.get("outputs"))
        return wanted

    def _get(self, ask: Ask, path: str) -> Any:
        call = ask(self._made("GET", path))
        if call.status and call.failure is not None and path.endswith("/metadata"):
            return None
        if call.status == 404:
            said = f": {call.detail}" if call.detail else ""
            raise NotReady(f"{self._address}: {path} answers HTTP 404{said}", unknown=True)
        check_answered(self._address, call, path)
        try:
            return json_in(bytes(call.body))
        except Unfit as unfit:
            raise BadAnswer(f"{path}: {unfit}") from None

    def _made(self, method: str, path: str, body: bytes = b"") -> bytes:
        headers = self._asked.headers_now()
        if body:
            headers = {"Content-Type": "application/json", **headers}
        return http_request(method, path, self._address.authority, headers, body)


class _Unavailable(Exception):
    pass


def _parameters(given: Mapping[str, str]) -> tuple[str, str]:
    """(format or "", signature or "")."""
    faults = [
        Fault(
            "--parameter", "", name, f"one of {', '.join(_PARAMETERS)}", nearest(name, _PARAMETERS)
        )
        for name in given
        if name not in _PARAMETERS
    ]
    form = given.get("format", "")
    if form not in ("", ROW, COLUMN):
        allowed = f"{ROW} or {COLUMN}"
        faults.append(Fault("--parameter format", "", form, allowed, nearest(form, (ROW, COLUMN))))
    if faults:
        raise Faults(faults)
    return form, given.get("signature_name", "")


def _keys(answer: Any) -> Sequence[str]:
    return list(answer) if isinstance(answer, dict) else ()


def _available(answer: Any) -> str:
    """The newest version that is available. _Unavailable if none is."""
    if isinstance(answer, dict) and answer.get("ready") is False:  # KServe's v1
        raise _Unavailable("the server says that the model is not ready")
    states = answer.get("model_version_status") if isinstance(answer, dict) else None
    if not isinstance(states, list):
        return ""
    stated = [each for each in states if isinstance(each, dict)]
    versions = [str(each.get("version")) for each in stated if each.get("state") == "AVAILABLE"]
    if not versions:
        said = ", ".join(f"version {each.get('version')}: {each.get('state')}" for each in stated)
        raise _Unavailable(f"no version of the model is available ({said or 'there is none'})")
    return max(versions, key=lambda text: (len(text), text))


def _tensors(given: Any) -> tuple[ServedTensor, ...]:
    """From a signature's inputs or outputs; those of an unknown rank are taken as one dimension."""
    found = []
    for name, each in sorted((given or {}).items()) if isinstance(given, dict) else ():
        datatype = str(each.get("dtype")) if isinstance(each, dict) else ""
        if datatype not in _TYPES:
            raise UserError(f"{name} is of type {datatype}, which does not travel as JSON")
        shape = each.get("tensor_shape") or {}
        sizes = [] if not isinstance(shape, dict) else shape.get("dim") or []
        try:
            dims = tuple(max(-1, int(size.get("size", -1))) for size in sizes)
        except (AttributeError, TypeError, ValueError):
            raise BadAnswer(f"the metadata's shape of {name} is {shape!r:.80}") from None
        if isinstance(shape, dict) and shape.get("unknown_rank") is True:
            dims = (-1,)
        found.append(ServedTensor(name, datatype, np.dtype(_TYPES[datatype]), dims))
    return tuple(found)


def _output(name: str, at: tuple[str, ...], tensor: ServedTensor | None) -> Output:
    if tensor is None:
        return Output(name, at)
    return Output(name, at, JSON, tensor.dtype, tensor.shape)


def _rows(arrays: Mapping[str, np.ndarray]) -> Any:
    """The one input's values as they are, several as an object an item."""
    if len(arrays) == 1:
        ((name, array),) = arrays.items()
        return _value(name, array)
    columns = {name: _value(name, array) for name, array in arrays.items()}
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


def _value(name: str, array: np.ndarray) -> Any:
    """An array as JSON has it; binary strings as {"b64": ...}."""
    if array.dtype.kind in "UO":
        return _coded(array.tolist(), name.endswith("_bytes"))
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return array.tolist()  # this interface alone takes NaN and Infinity
    return as_json(array, name)


def _coded(value: Any, binary: bool) -> Any:
    if isinstance(value, list):
        return [_coded(each, binary) for each in value]
    text = str(value)
    if binary or path_in(text) is not None:
        return {"b64": base64.b64encode(content_of(text)).decode()}
    return text


def _dumped(content: Any) -> bytes:
    """JSON, with NaN and Infinity where values are: orjson would write null for them."""
    if _has_nan(content):
        return json.dumps(content, default=lambda array: array.tolist()).encode()
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def _has_nan(value: Any) -> bool:
    if isinstance(value, float):
        return not np.isfinite(value)
    if isinstance(value, dict):
        return any(map(_has_nan, value.values()))
    return isinstance(value, list) and any(map(_has_nan, value))


def _texts(value: Any) -> Any:
    """The same with texts in place of {"b64": ...}."""
    if isinstance(value, list):
        return [_texts(each) for each in value]
    if isinstance(value, dict):
        if list(value) == ["b64"]:
            try:
                return base64.b64decode(value["b64"]).decode("utf-8", "backslashreplace")
            except (TypeError, ValueError) as error:
                raise Unfit(f"a value of b64 is not base64: {error}") from None
        return {key: _texts(each) for key, each in value.items()}
    return value
