"""`{input:NAME}` in a text: the places where a sample's values go, and in what form.

    {input:image}              the array as nested lists, as it is fed
    {input:image:item}         the one item of the batch, without the first dimension
    {input:image:flat}         all of its values in one list
    {input:image:shape}        its dimensions, a list of whole numbers
    {input:text:text}          one value as text
    {input:request:json}       one text that is JSON, put in place as what it says
    {input:image:bytes}        values in C order, little-endian; of a text its UTF-8, of a file its
                               content
    {input:image:npy}          the same as a .npy file holds it
    {input:image:base64}       those bytes in base64; also npy:base64

`item` and `flat` may precede another form: {input:image:item:base64}. In JSON, a string that is one
field alone becomes what the field says (a list, a number); within a longer string it is text. An
object with the one key "{each}" becomes a list: its value once for each item of the batch.
`{{input:NAME}}` is the text {input:NAME} itself.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from qs.base.errors import UserError
from qs.base.names import nearest
from qs.tensors.contents import content_of

EACH = "{each}"
PICKS = ("item", "flat", "shape")
CODES = ("text", "json", "bytes", "npy", "base64", "npy:base64")
FORMS = (*PICKS, *CODES)
_FIELD = re.compile(r"\{\{input:[^{}]*\}\}|\{input:[^{}]*\}")
_NEARLY = re.compile(r"\{\s*([A-Za-z_][\w.-]*)\s*(?::[^{}\"]*)?\}")

Feeds = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Field:
    """One `{input:NAME:FORM}`."""

    name: str
    pick: str = ""
    code: str = ""
    text: str = ""
    """As it was written."""

    @property
    def binary(self) -> bool:
        return self.code in ("bytes", "npy")

    @property
    def single(self) -> bool:
        """Whether it takes one item alone, whatever the input is."""
        return self.pick == "item" or self.code in ("text", "json")


class Misplaced(ValueError):
    """What a text says is no field; in words, with the nearest right one."""

    def __init__(self, allowed: str, near: str | None = None) -> None:
        super().__init__(allowed)
        self.allowed, self.nearest = allowed, near


def parsed(text: str, names: Collection[str]) -> list[str | Field]:
    """A text as what is literal and what is a field. Raises Misplaced for an unknown input or form.

    names   the inputs that are stated; a name may itself hold colons ("x:0")
    """
    pieces: list[str | Field] = []
    at = 0
    for found in _FIELD.finditer(text):
        pieces.append(_literal(text[at : found.start()], names))
        at = found.end()
        if found[0].startswith("{{"):
            pieces.append(found[0][1:-1])
        else:
            pieces.append(_field(found[0], names))
    pieces.append(_literal(text[at:], names))
    return [each for each in pieces if each != ""]


def _literal(text: str, names: Collection[str]) -> str:
    for found in _NEARLY.finditer(text):
        word = found[1]
        if word in names:
            raise Misplaced("a field is written {input:NAME}", f"{{input:{word}}}")
        if ":" in found[0] and nearest(word, ["input"], cutoff=0.7):
            right = found[0].replace(word, "input", 1)
            raise Misplaced("a field is written {input:NAME}", right)
    return text


def _field(text: str, names: Collection[str]) -> Field:
    inside = text[len("{input:") : -1]
    for name in sorted(names, key=len, reverse=True):
        if inside == name:
            return Field(name, text=text)
        if inside.startswith(f"{name}:"):
            return _formed(name, inside[len(name) + 1 :], text)
    head, _, form = inside.partition(":")
    near = nearest(head, names)
    listed = ", ".join(names) or "none is stated"
    meant = None if near is None else f"{{input:{near}{':' if form else ''}{form}}}"
    raise Misplaced(f"a field of an input under inputs ({listed})", meant)


def _formed(name: str, form: str, text: str) -> Field:
    pick, code = "", form
    head, _, rest = form.partition(":")
    if head in PICKS:
        pick, code = head, rest
    if code and (code not in CODES or pick == "shape"):
        near = nearest(code, CODES) if pick else nearest(form, FORMS)
        meant = None if near is None or pick == "shape" else f"{pick}:{near}" if pick else near
        raise Misplaced(
            f"one of the forms {', '.join(FORMS)}, or item: or flat: before one of the others",
            meant and f"{{input:{name}:{meant}}}",
        )
    return Field(name, pick, code, text)


def fields_in(value: Any, names: Collection[str]) -> Iterator[tuple[Field, bool]]:
    """Each field of a JSON value or text, and whether it stands inside of an {each}."""
    if isinstance(value, str):
        yield from ((each, False) for each in parsed(value, names) if isinstance(each, Field))
    elif isinstance(value, dict) and list(value) == [EACH]:
        yield from ((each, True) for each, _ in fields_in(value[EACH], names))
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from fields_in(key, names)
            yield from fields_in(inner, names)
    elif isinstance(value, list):
        for inner in value:
            yield from fields_in(inner, names)


def filled_json(value: Any, feeds: Feeds) -> bytes:
    """The JSON value with the feeds' values in place of its fields. UserError for values that JSON
    has no form for.
    """
    try:
        return orjson.dumps(
            _filled(value, feeds), option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
        )
    except TypeError as error:
        raise UserError(f"a sample cannot be sent as JSON: {error}") from None


def filled_text(text: str, feeds: Feeds) -> str:
    """The text with each field as text."""
    pieces = parsed(text, feeds)
    return "".join(each if isinstance(each, str) else _as_text(each, feeds) for each in pieces)


def filled_bytes(text: str, feeds: Feeds) -> bytes:
    """A text that is one field alone as bytes, any other as UTF-8."""
    pieces = parsed(text, feeds)
    if len(pieces) == 1 and isinstance(pieces[0], Field):
        made = value_of(pieces[0], feeds)
        if isinstance(made, bytes):
            return made
        return bytes_of(made) if isinstance(made, np.ndarray) else _compact(made).encode()
    return filled_text(text, feeds).encode()


def _filled(value: Any, feeds: Feeds) -> Any:
    if isinstance(value, str):
        pieces = parsed(value, feeds)
        if len(pieces) == 1 and isinstance(pieces[0], Field):
            return as_json(value_of(pieces[0], feeds), pieces[0].name)
        return "".join(each if isinstance(each, str) else _as_text(each, feeds) for each in pieces)
    if isinstance(value, dict) and list(value) == [EACH]:
        return [_filled(value[EACH], item) for item in _items(feeds)]
    if isinstance(value, dict):
        return {filled_text(key, feeds): _filled(inner, feeds) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, feeds) for inner in value]
    return value


def _items(feeds: Feeds) -> list[dict[str, np.ndarray]]:
    """The batch's items, without the first dimension. Inputs without one go with each of them."""
    counts = {len(array) for array in feeds.values() if array.ndim}
    if len(counts - {1}) > 1:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in feeds.items())
        raise UserError(f"{EACH} needs inputs with as many items each; they are {shapes}")
    return [
        {
            name: array if not array.ndim else array[at if len(array) > 1 else 0]
            for name, array in feeds.items()
        }
        for at in range(max(counts, default=1))
    ]


def value_of(field: Field, feeds: Feeds) -> Any:
    """What a field stands for: an array, a text, bytes, or a JSON value."""
    array = np.asarray(feeds[field.name])
    if field.pick == "shape":
        return list(array.shape)
    if field.pick == "item" and array.ndim:
        if len(array) != 1:
            raise _several(field, len(array))
        array = array[0]
    elif field.pick == "flat":
        array = array.reshape(-1)
    array = np.asarray(array)
    if field.code == "":
        return array
    if field.code in ("text", "json"):
        text = _single_text(field, array)
        return text if field.code == "text" else _read_json(field, text)
    made = npy_of(array) if field.code.startswith("npy") else bytes_of(_one(field, array))
    return base64.b64encode(made).decode() if field.code.endswith("base64") else made


def _one(field: Field, array: np.ndarray) -> np.ndarray:
    """Texts have bytes one by one; numbers go end to end."""
    if array.dtype.kind in "UO" and array.size != 1:
        raise _several(field, array.size)
    return array


def _single_text(field: Field, array: np.ndarray) -> str:
    if array.size != 1:
        raise _several(field, array.size)
    value = array.reshape(-1)[0]
    # a float16 or float32 in as many digits as it needs
    return str(value) if array.dtype.kind in "UOf" else _compact(value.item())


def _several(field: Field, count: int) -> UserError:
    return UserError(
        f"{field.text} takes one item, and the batch holds {count}; allowed: batch size 1, or a "
        f'field inside of {{"{EACH}": ...}}'
    )


def _read_json(field: Field, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UserError(f"{field.text}: {text[:60]!r} is not JSON: {error}") from None


def _as_text(field: Field, feeds: Feeds) -> str:
    value = value_of(field, feeds)
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "strict")
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "UO":
        return str(value.reshape(-1)[0])
    if isinstance(value, np.ndarray):
        return orjson.dumps(as_json(value, field.name), option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return _compact(value)


def _compact(value: Any) -> str:
    return orjson.dumps(value).decode()


def as_json(value: Any, name: str) -> Any:
    """A value as orjson takes it. UserError for NaN and infinities, which JSON has no form for."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind in "UO":
        return value.tolist()
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise UserError(f"input {name} holds NaN or an infinity, which JSON has no form for")
    if not value.ndim:
        # a float32 in as many digits as it needs
        return float(str(value)) if value.dtype.kind == "f" else value.item()
    return np.ascontiguousarray(value.astype(value.dtype.newbyteorder("="), copy=False))


def bytes_of(array: np.ndarray) -> bytes:
    """Numbers in C order, little-endian; one text as UTF-8, or the content of the file it names."""
    if array.dtype.kind in "UO":
        return content_of(str(array.reshape(-1)[0]))
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def npy_of(array: np.ndarray) -> bytes:
    """What numpy.save writes."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()
