"""Readers of the formats that the user's own items come in, one file at a time.

.npy and .npz; .raw and .bin; .json, a plain list or perf_analyzer's input data; .jsonl, an item a
line; .txt, strings, one a line; .pb, an ONNX TensorProto as in `test_data_set_0/input_0.pb`;
pictures. A reader returns values as they are stored: qs.artifact.user_data gives them the input's
shape and type. For an input of strings, a picture, a sound or a document is one item, its content.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qs.base import jsonc
from qs.base.errors import Fault, Faults, UserError
from qs.base.files import read_text
from qs.tensors.contents import named
from qs.tensors.generated import InputSpec
from qs.tensors.npy import npz_names, read_npy, read_npz

FLAG = "--data"
MOST_TEXT = 256 << 20  # bytes of a .json or .txt file, which take up to 20 times that in memory


@dataclass(frozen=True)
class Raw:
    """The values of one file."""

    array: np.ndarray
    stacked: bool = False
    """Whether the first dimension surely counts items, and the others may be flat."""
    files: bool = False
    """Whether the items name files."""


def data_fault(name: str, path: object, allowed: str, hint: str | None = None) -> Faults:
    return Faults([Fault(f"{FLAG} {name}", "", str(path), allowed, hint=hint)])


def _npy(spec: InputSpec, file: Path) -> Raw:
    return Raw(read_npy(file))


def _npz(spec: InputSpec, file: Path) -> Raw:
    names = npz_names(file)
    name = spec.name if spec.name in names else names[0] if len(names) == 1 else None
    if name is None:
        allowed = f"an archive with one array, or one named {spec.name}"
        raise data_fault(spec.name, file, allowed, f"it has {', '.join(names) or 'no arrays'}")
    return Raw(read_npz(file, name)[name])


def _raw(spec: InputSpec, file: Path) -> Raw:
    if spec.dtype.kind == "U":
        return _content(spec, file)
    bytes_of_one = int(np.prod(spec.shape, dtype=np.int64)) * spec.dtype.itemsize
    size = file.stat().st_size
    if not size or not bytes_of_one or size % bytes_of_one:
        allowed = f"a multiple of {bytes_of_one} bytes: {list(spec.shape)} of {spec.type}"
        raise data_fault(spec.name, file, allowed, f"it has {size} bytes")
    return Raw(_of_bytes(spec, np.fromfile(file, np.uint8)).reshape(-1, *spec.shape), stacked=True)


def _of_bytes(spec: InputSpec, values: np.ndarray) -> np.ndarray:
    """Stored bytes as the input's values. A byte of BOOL has to be 0 or 1."""
    return values if spec.dtype.kind == "b" else values.view(spec.dtype)


def _json(spec: InputSpec, file: Path) -> Raw:
    content = json.loads(read_text(file, MOST_TEXT))
    if isinstance(content, Mapping) and spec.name not in content and _is_analyzer(content):
        return _of_analyzer(spec, file, content["data"])
    if isinstance(content, Mapping):
        if spec.name not in content:
            allowed = f"a list, or an object with the key {spec.name}"
            raise data_fault(spec.name, file, allowed, f"it has {', '.join(content)}")
        content = content[spec.name]
    return Raw(_values(spec, file, content))


def _jsonl(spec: InputSpec, file: Path) -> Raw:
    """An item a line: what an object says of the input; for strings, else the whole line."""
    lines, steps = [], []
    for number, line in enumerate(read_text(file, MOST_TEXT).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            steps.append(json.loads(line))
        except ValueError as error:
            allowed = f"JSON in line {number}"
            raise data_fault(spec.name, file, allowed, str(error)) from None
        lines.append(line.strip())
    if spec.dtype.kind != "U":
        return _of_analyzer(spec, file, steps)
    if steps and all(isinstance(each, Mapping) and spec.name in each for each in steps):
        lines = [_as_text(each[spec.name]) for each in steps]
    return Raw(_one_each(spec, file, lines), stacked=True)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_analyzer(content: Mapping[str, Any]) -> bool:
    """perf_analyzer's input data: {"data": [{input: values}, ...]}, or a list of such lists, its
    streams (docs/input_data.md of triton-inference-server/perf_analyzer).
    """
    data = content.get("data")
    return isinstance(data, list) and all(isinstance(each, (list, dict)) for each in data)


def _of_analyzer(spec: InputSpec, file: Path, data: Sequence[Any]) -> Raw:
    """Items in their order; streams one after the other."""
    steps = [step for each in data for step in (each if isinstance(each, list) else [each])]
    found = []
    for number, step in enumerate(steps):
        place = f"step {number} of its data"
        if not isinstance(step, Mapping) or spec.name not in step:
            names = ", ".join(step) if isinstance(step, Mapping) else type(step).__name__
            allowed = f"an object with the key {spec.name} as {place}"
            raise data_fault(spec.name, file, allowed, f"it has {names}")
        found.append(_of_step(spec, file, step[spec.name], place))
    if not found:
        raise data_fault(spec.name, file, "at least one item")
    if len({each.shape for each in found}) > 1:
        shapes = sorted({str(list(each.shape)) for each in found})
        allowed = "items of one shape, for a run at fixed shapes"
        raise data_fault(spec.name, file, allowed, f"it has {', '.join(shapes[:5])}")
    return Raw(np.stack(found), stacked=True)


def _of_step(spec: InputSpec, file: Path, given: Any, place: str) -> np.ndarray:
    shape = None
    if isinstance(given, Mapping) and "b64" in given:
        values = _of_base64(spec, file, given["b64"], place)
        shape = given.get("shape")
    elif isinstance(given, Mapping):
        if "content" not in given:
            allowed = f"values, or an object with content or b64, as {spec.name} in {place}"
            raise data_fault(spec.name, file, allowed, f"it has {', '.join(given)}")
        values, shape = _values(spec, file, given["content"]), given.get("shape")
    else:
        values = _values(spec, file, given)
    if shape is None:
        return values
    whole = isinstance(shape, list) and all(type(side) is int and side >= 0 for side in shape)
    if not whole or int(np.prod(shape, dtype=object)) != values.size:
        allowed = f"a shape of {values.size} values in {place}"
        raise data_fault(spec.name, file, allowed, f"it has {shape!r}")
    return values.reshape(shape)


def _of_base64(spec: InputSpec, file: Path, text: Any, place: str) -> np.ndarray:
    if spec.dtype.kind == "U":
        raise data_fault(spec.name, file, f"content, for the strings in {place}", "it has b64")
    try:
        held = base64.b64decode(text, validate=True)
        return _of_bytes(spec, np.frombuffer(held, np.uint8))
    except (binascii.Error, TypeError, ValueError) as error:
        allowed = f"base64 of values of {spec.type} in {place}"
        raise data_fault(spec.name, file, allowed, str(error)) from None


def _values(spec: InputSpec, file: Path, content: Any) -> np.ndarray:
    """A JSON value as an array. Strings stay strings and numbers numbers: [1, "2"] is neither."""
    kinds = set(map(type, jsonc.leaves(content)))
    wanted = {str} if spec.dtype.kind == "U" else {int, float, bool}
    if kinds - wanted:
        words = {str: "strings", type(None): "null", dict: "objects"}
        odd = sorted(words.get(kind, "numbers") for kind in kinds - wanted)
        allowed = "strings" if spec.dtype.kind == "U" else f"numbers, for {spec.type}"
        raise data_fault(spec.name, file, allowed, f"it has {', '.join(odd)}")
    if spec.dtype.kind in "iu" and kinds == {int, float}:
        content = _whole(content)  # numpy would make floats of the integers
    try:
        array = np.array(content)
    except ValueError:
        array = None
    if array is None or array.dtype == object:
        raise data_fault(spec.name, file, "lists of one length, of numbers up to 64 bits")
    return array


def _whole(content: Any) -> Any:
    if isinstance(content, list):
        return [_whole(each) for each in content]
    return int(content) if isinstance(content, float) and content.is_integer() else content


def _text(spec: InputSpec, file: Path) -> Raw:
    lines = [line for line in read_text(file, MOST_TEXT).splitlines() if line]
    return Raw(_one_each(spec, file, lines), stacked=True)


def _content(spec: InputSpec, file: Path) -> Raw:
    """The file as one item, whose content is read when a request is made of it."""
    return Raw(_one_each(spec, file, [named(file)]), stacked=True, files=True)


def _one_each(spec: InputSpec, file: Path, texts: Sequence[str]) -> np.ndarray:
    """Strings, an item each."""
    if spec.dtype.kind != "U" or int(np.prod(spec.shape)) != 1:
        allowed = f"a file of numbers, for {list(spec.shape)} of {spec.type}"
        raise data_fault(spec.name, file, allowed)
    return np.array(texts, np.str_).reshape(-1, *spec.shape)


def _proto(spec: InputSpec, file: Path) -> Raw:
    """An ONNX TensorProto: one item, or several along the batch dimension."""
    import onnx

    content, tensor = file.read_bytes(), onnx.TensorProto()
    try:
        tensor.ParseFromString(content)
        outside = tensor.data_location == onnx.TensorProto.EXTERNAL
        array = None if outside else onnx.numpy_helper.to_array(tensor)
    except Exception as error:  # protobuf and onnx raise what they like on other contents
        kind = _container(onnx, content)
        hint = f"it holds {kind}" if kind else f"it is no whole TensorProto: {error}"[:200]
        raise data_fault(spec.name, file, "one ONNX TensorProto", hint) from None
    if array is None:
        raise data_fault(spec.name, file, "a TensorProto with its values inside", "they are not")
    if tensor.data_type == onnx.TensorProto.STRING:
        array = np.array([bytes(each).decode() for each in tensor.string_data], np.str_)
        array = array.reshape(tuple(tensor.dims))
    return Raw(array)


def _container(onnx: Any, content: bytes) -> str | None:
    """What else the files of an ONNX test set may hold. They do not say it, and their first fields
    are alike.
    """
    for kind, fields in (
        ("Sequence", ("tensor_values", "sequence_values", "map_values", "sparse_tensor_values")),
        ("Map", ("keys", "string_keys")),
        ("Optional", ("tensor_value", "sequence_value", "map_value")),
    ):
        made = getattr(onnx, f"{kind}Proto")()
        try:
            made.ParseFromString(content)
        except Exception:  # protobuf's own DecodeError
            continue
        if {field.name for field, _ in made.ListFields()} & set(fields):
            return "a sequence, a map or an optional"
    return None


def _image(spec: InputSpec, file: Path) -> Raw:
    if spec.dtype.kind == "U":
        return _content(spec, file)
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise UserError(
            f"{file}: reading images needs Pillow: pip install 'quicksilver-perf[images]'"
        ) from None

    height, width, channels, first = _layout(spec, file)
    try:
        with Image.open(file) as opened:
            picture = opened.convert("L" if channels == 1 else "RGB").resize(
                (width, height), Image.Resampling.BILINEAR
            )
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise data_fault(spec.name, file, "an image") from None
    pixels = np.asarray(picture).reshape(height, width, channels)
    if first:
        pixels = pixels.transpose(2, 0, 1)
    if spec.dtype.kind == "f":
        pixels = pixels.astype(spec.dtype) / spec.dtype.type(255)
    return Raw(pixels.reshape(spec.shape))


def _layout(spec: InputSpec, file: Path) -> tuple[int, int, int, bool]:
    """Height, width, channels, and whether the channels come first."""
    shape: Sequence[int] = (
        spec.shape[1:] if len(spec.shape) == 4 and spec.shape[0] == 1 else spec.shape
    )
    if len(shape) == 3 and shape[0] in (1, 3):
        return shape[1], shape[2], shape[0], True
    if len(shape) == 3 and shape[2] in (1, 3):
        return shape[0], shape[1], shape[2], False
    allowed = f"for an input of [1, 3, H, W] or [1, H, W, 3]; {spec.name} is {list(spec.shape)}"
    raise data_fault(spec.name, file, allowed)


READERS: dict[str, Callable[[InputSpec, Path], Raw]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".raw": _raw,
    ".bin": _raw,
    ".json": _json,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".txt": _text,
    ".pb": _proto,
    ".png": _image,
    ".jpg": _image,
    ".jpeg": _image,
    ".bmp": _image,
    ".webp": _image,
}
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
# What only an input of strings takes, as it is.
CONTENTS = (
    *(".gif", ".tif", ".tiff", ".avif", ".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a"),
    *(".mp4", ".webm", ".pdf", ".html", ".xml"),
)
READERS |= dict.fromkeys(CONTENTS, _content)
NUMBERS = tuple(suffix for suffix in READERS if suffix not in CONTENTS)
