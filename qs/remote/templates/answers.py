"""Where an answer holds its outputs, and what they have to be.

A place is a JSON pointer ("/predictions/0", RFC 6901) or a dotted path ("choices.0.score"), in
which `*` stands for each member of a list ("*.score"); "" is the whole answer. Other answers than
JSON are one output: text, raw values or a .npy file.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from qs.base import jsonc
from qs.tensors.npy import npy_in

# How an output stands in the answer.
JSON, TEXT, RAW, NPY, BASE64 = "json", "text", "raw", "npy", "base64"
FORMATS = (JSON, TEXT, RAW, NPY, BASE64)
_KINDS = {"f": "iuf", "i": "iu", "u": "iu", "b": "b", "U": "U"}


class Unfit(ValueError):
    """An answer is not what the template says; in words."""


@dataclass(frozen=True)
class Output:
    """One output of the answer."""

    name: str
    at: tuple[str, ...] = ()
    """The way to it in the answer's JSON; `*` (in a dotted path) stands for each member."""
    format: str = JSON
    dtype: np.dtype | None = None
    """None: as it comes."""
    shape: tuple[int, ...] | None = None
    """-1: any size; None: any shape."""
    wild: bool = True
    """Whether `*` is more than a key's name."""

    def read(self, body: bytes, parsed: Any) -> np.ndarray:
        """The output of an answer; `parsed` is its JSON where any output asks for it. Raises
        Unfit.
        """
        if self.format == TEXT:
            return np.array([_text(body)], object)
        if self.format == RAW:
            return self._fitted(self._raw(body))
        if self.format == NPY:
            return self._fitted(_npy(body))
        value = self._found(parsed)
        if self.format == BASE64:
            return self._fitted(self._raw(_of_base64(value, self.place)))
        return self._fitted(self._array(value))

    @property
    def place(self) -> str:
        return "".join(f"/{part}" for part in self.at) or "the answer"

    def _found(self, value: Any) -> Any:
        return _walk(value, self.at, self.wild, "")

    def _raw(self, body: bytes) -> np.ndarray:
        dtype = np.dtype(np.uint8) if self.dtype is None else self.dtype
        if len(body) % dtype.itemsize:
            raise Unfit(f"{len(body)} bytes are no whole number of {dtype} values")
        found = np.frombuffer(bytes(body), dtype.newbyteorder("<")).astype(dtype, copy=False)
        if self.shape is None:
            return found
        return found.reshape(_resolved(found.size, self.shape))

    def _array(self, value: Any) -> np.ndarray:
        kinds = {_kind(leaf) for leaf in jsonc.leaves(value)}
        if "object" in kinds:
            if self.dtype is not None and self.dtype.kind != "U":
                raise Unfit(f"{self.place} holds an object; allowed: {_word(self.dtype)}")
            return np.array([_canonical(value)], object)
        if len(kinds) > 1:
            raise Unfit(f"{self.place} mixes {', '.join(sorted(kinds))}")
        if "null" in kinds:
            raise Unfit(f"{self.place} holds null, in place of a value")
        texts = kinds == {"string"}
        try:
            found = np.array(value, object) if texts else np.array(value)
        except (ValueError, OverflowError):
            found = np.array([[]], object)
        if found.dtype == object and not (
            texts and all(isinstance(each, str) for each in found.ravel())
        ):
            raise Unfit(f"{self.place} holds lists of unequal length, or numbers beyond 64 bits")
        return found

    def _fitted(self, found: np.ndarray) -> np.ndarray:
        """The array in the stated type and shape."""
        if self.dtype is not None and found.dtype != self.dtype:
            kind = "U" if found.dtype.kind in "OU" else found.dtype.kind
            if kind not in _KINDS[self.dtype.kind] and found.size:
                words = "texts" if kind == "U" else f"{found.dtype} values"
                raise Unfit(f"{self.place} holds {words}; allowed: {_word(self.dtype)}")
            if self.dtype.kind != "U":
                with np.errstate(over="ignore"):
                    cast = found.astype(self.dtype)
                if self.dtype.kind in "iu" and found.size and not np.array_equal(cast, found):
                    raise Unfit(f"{self.place} holds values that {self.dtype} cannot hold")
                found = cast
        if self.shape is None or fits(found.shape, self.shape):
            return found
        # An answer to one item may come without its dimensions of 1.
        squeezed = [size for size in found.shape if size != 1]
        wanted = _resolved(found.size, self.shape, strict=False)
        if wanted is not None and [size for size in wanted if size != 1] == squeezed:
            return found.reshape(wanted)
        raise Unfit(f"{self.place} has shape {list(found.shape)}; allowed: {list(self.shape)}")


def fits(shape: Sequence[int], stated: Sequence[int]) -> bool:
    """Whether a shape is the stated one, in which -1 is any size."""
    return len(shape) == len(stated) and all(
        want in (-1, size) for size, want in zip(shape, stated, strict=True)
    )


def read_outputs(body: bytes, outputs: Sequence[Output]) -> dict[str, np.ndarray]:
    """The outputs of an answer, by name. Raises Unfit, which names the output."""
    of_json = any(each.format in (JSON, BASE64) for each in outputs)
    return read_parsed(json_in(body) if of_json else None, outputs, body)


def read_parsed(answer: Any, outputs: Sequence[Output], body: bytes = b"") -> dict[str, np.ndarray]:
    """The same of an answer whose JSON is read already."""
    found = {}
    for each in outputs:
        try:
            found[each.name] = each.read(body, answer)
        except Unfit as unfit:
            raise Unfit(f"output {each.name}: {unfit}") from None
    return found


def json_in(body: bytes) -> Any:
    """The JSON of an answer. Raises Unfit."""
    try:
        return orjson.loads(body)
    except ValueError as error:
        # orjson refuses NaN and Infinity, which some servers write all the same
        return _tolerant(body, error)


def way(text: str) -> tuple[tuple[str, ...], bool]:
    """A place as its parts, and whether `*` stands for each member of a list. ValueError in
    words.
    """
    if not text:
        return (), True
    if text.startswith("/"):
        parts = text[1:].split("/")
        for part in parts:
            if "~" in part.replace("~0", "").replace("~1", ""):
                raise ValueError("in a JSON pointer ~ is written ~0, and / in a key ~1")
        return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts), False
    text = text.removeprefix("$.")
    parts = text.replace("[", ".").replace("]", "").split(".")
    if any(not part for part in parts):
        raise ValueError("a dotted path has a name or number between any two dots")
    return tuple(parts), True


def _walk(value: Any, parts: Sequence[str], wild: bool, before: str) -> Any:
    for at, part in enumerate(parts):
        here = before or "the answer"
        if wild and part == "*":
            if not isinstance(value, list):
                raise Unfit(f"{here} is {_told(value)}; `*` needs a list")
            rest = parts[at + 1 :]
            return [_walk(each, rest, wild, f"{before}/{n}") for n, each in enumerate(value)]
        if isinstance(value, Mapping):
            if part not in value:
                listed = ", ".join(map(str, list(value)[:8])) or "nothing"
                raise Unfit(f"{here} has no {part!r}; it has {listed}")
            value = value[part]
        elif isinstance(value, list):
            if not part.isdecimal() or int(part) >= len(value):
                raise Unfit(f"{here} has no {part!r}; it is a list of {len(value)}")
            value = value[int(part)]
        else:
            raise Unfit(f"{here} is {_told(value)}, which has no {part!r}")
        before = f"{before}/{part}"
    return value


def _tolerant(body: bytes, error: ValueError) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        shown = body[:60]
        raise Unfit(f"the answer is not JSON ({error}): it begins {shown!r}") from None


def _kind(leaf: Any) -> str:
    if isinstance(leaf, bool):
        return "true and false"
    if isinstance(leaf, (int, float)):
        return "number"
    return {str: "string", type(None): "null"}.get(type(leaf), "object")


def _told(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", type(None): "null"}
    return names.get(type(value), f"{value!r}")


def _word(dtype: np.dtype) -> str:
    return "texts" if dtype.kind == "U" else f"{dtype} values"


def _canonical(value: Any) -> str:
    """JSON with sorted keys, so that equal answers are equal texts."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _text(body: bytes) -> str:
    return bytes(body).decode("utf-8", "backslashreplace")


def _npy(body: bytes) -> np.ndarray:
    try:
        return npy_in(bytes(body))
    except ValueError as error:
        raise Unfit(f"the answer is no .npy file: {error}") from None


def _of_base64(value: Any, place: str) -> bytes:
    if not isinstance(value, str):
        raise Unfit(f"{place} is {_told(value)}; allowed: base64 in a text")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unfit(f"{place} is not base64: {error}") from None


def _resolved(count: int, stated: Sequence[int], strict: bool = True) -> tuple[int, ...] | None:
    """The stated shape with its one -1 worked out for so many values."""
    known = int(np.prod([size for size in stated if size >= 0], dtype=object))
    free = sum(size < 0 for size in stated)
    if free == 1 and known and count % known == 0:
        return tuple(count // known if size < 0 else size for size in stated)
    if not free and known == count:
        return tuple(stated)
    if strict:
        raise Unfit(f"it holds {count} values, which do not make {list(stated)}")
    return None
