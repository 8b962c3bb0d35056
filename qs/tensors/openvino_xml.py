"""Inputs and outputs of an OpenVINO model, from its XML, without OpenVINO.

The file is not trusted: a document type, and with it every entity, is refused, and size and depth
are bounded. Layers of bodies (If, Loop, TensorIterator) are not the model's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from qs.base.errors import UserError
from qs.tensors.onnx_io import FileTensor
from qs.tensors.openvino_types import TYPE_OF_ELEMENT

MOST_BYTES, MOST_DEPTH, MOST_LAYERS = 512 << 20, 64, 1_000_000
_LAYER = ["net", "layers", "layer"]
_PRECISIONS = {
    "f32": "FP32",
    "f64": "FP64",
    "f16": "FP16",
    "bf16": "BF16",
    "i8": "INT8",
    "u8": "INT8",
    "i4": "INT4",
    "u4": "INT4",
}


@dataclass(frozen=True)
class OpenvinoModel:
    inputs: list[FileTensor]
    outputs: list[str]
    precision: str
    """What most of the weights are stored as."""
    unranked: list[str]
    """Inputs of which not even the number of dimensions is declared; their shape is ()."""


@dataclass
class _Layer:
    name: str
    kind: str
    element: str = ""
    shape: str | None = None
    names: dict[str, list[str]] = field(default_factory=dict)
    """Output port -> the names of its tensor."""

    def tensor_name(self, port: str | None = None) -> str:
        names = self.names.get(port, []) if port else next(iter(self.names.values()), [])
        return min(names, default=self.name)


def read_xml(file: Path) -> OpenvinoModel:
    """UserError, in one sentence, for what is no OpenVINO model or cannot be read."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise UserError(f"{file} is larger than {MOST_BYTES >> 20} MB: no model's XML is")
        reader = _Reader(file)
        with file.open("rb") as stream:
            reader.parser.ParseFile(stream)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from None
    except expat.ExpatError as error:
        raise UserError(f"{file} is damaged: {error}") from None
    return reader.model()


class _Reader:
    """Keeps the layers that inputs and outputs need, and the sizes of the weights."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._path: list[str] = []
        self._layers: dict[str, _Layer] = {}
        self._sources: dict[str, tuple[str, str]] = {}
        self._weights: dict[str, int] = {}
        self._now: _Layer | None = None
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse

    def model(self) -> OpenvinoModel:
        inputs, unranked, outputs = [], [], []
        for key, layer in self._layers.items():
            if layer.kind == "Parameter":
                name, shape = layer.tensor_name(), self._shape(layer)
                if shape is None:
                    unranked.append(name)
                kind = TYPE_OF_ELEMENT.get(layer.element, f"tensor({layer.element or 'unknown'})")
                inputs.append(FileTensor(name, shape or (), kind))
            elif layer.kind == "Result":
                before, port = self._sources.get(key, ("", ""))
                source = self._layers.get(before)
                named = source is not None and source.names.get(port)
                outputs.append(source.tensor_name(port) if source and named else layer.name)
        precision = max(self._weights, key=lambda each: self._weights[each], default="FP32")
        return OpenvinoModel(inputs, outputs, precision, unranked)

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._path and tag != "net":
            raise UserError(f"{self._file} is no OpenVINO model: its XML is a <{tag}>, not a <net>")
        if len(self._path) >= MOST_DEPTH:
            raise UserError(f"{self._file} is no OpenVINO model: its XML is too deep")
        self._path.append(tag)
        if self._path == _LAYER:
            self._layer(attributes)
        elif self._path[:3] == _LAYER and self._now is not None:
            if self._path[3:] == ["data"]:
                self._now.element = attributes.get("element_type", "").lower()
                self._now.shape = attributes.get("shape")
                self._weigh(self._now.kind, attributes)
            elif self._path[3:] == ["output", "port"] and attributes.get("names"):
                names = re.split(r"(?<!\\),", attributes["names"])
                self._now.names[attributes.get("id", "")] = [
                    each.replace("\\,", ",") for each in names
                ]
        elif self._path == ["net", "edges", "edge"]:
            source = (attributes.get("from-layer", ""), attributes.get("from-port", ""))
            self._sources[attributes.get("to-layer", "")] = source

    def _end(self, tag: str) -> None:
        if self._path == _LAYER:
            self._now = None
        self._path.pop()

    def _layer(self, attributes: dict[str, str]) -> None:
        if len(self._layers) >= MOST_LAYERS:
            raise UserError(f"{self._file} has more than {MOST_LAYERS:,} layers")
        key, kind = attributes.get("id", ""), attributes.get("type", "")
        self._now = self._layers[key] = _Layer(attributes.get("name", key), kind)

    def _weigh(self, kind: str, attributes: dict[str, str]) -> None:
        name = _PRECISIONS.get(attributes.get("element_type", "").lower())
        size = attributes.get("size", "")
        if kind == "Const" and name and size.isdecimal() and len(size) < 16:
            self._weights[name] = self._weights.get(name, 0) + int(size)

    def _shape(self, layer: _Layer) -> tuple[int | str | None, ...] | None:
        """None for an unknown rank; None in it for an open dimension."""
        text = (layer.shape or "").strip()
        if text == "...":
            return None
        dimensions: list[int | str | None] = []
        for each in filter(None, (part.strip() for part in text.strip("[]").split(","))):
            if each.isdecimal() and len(each) < 16:
                dimensions.append(int(each))
            elif re.fullmatch(r"\?|-1|\d*\.\.\d*", each):
                dimensions.append(None)
            else:
                raise UserError(f"{self._file} is damaged: the shape of {layer.name} is {text!r}")
        return tuple(dimensions)

    def _refuse(self, *_: object) -> None:
        raise UserError(
            f"{self._file} is no OpenVINO model: it declares a document type or an entity, which "
            "such files do not have; nothing of it was read"
        )
