"""A template file: one request as JSON with comments, checked whole before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qs.base import jsonc
from qs.base.errors import MISSING, Fault, Faults, UserError
from qs.base.names import nearest, type_name
from qs.remote.templates.answers import BASE64, FORMATS, JSON, Output, way
from qs.remote.templates.fields import EACH, Field, Misplaced, fields_in, parsed
from qs.remote.templates.request_file import Input, Part, RequestFile
from qs.tensors.generated import NUMPY_TYPES

METHODS = ("POST", "PUT", "PATCH", "GET", "DELETE", "HEAD")
BODIES = ("json", "text", "bytes", "multipart", "form")
KEYS = (
    *("method", "path", "query", "headers", *BODIES),
    *("inputs", "outputs", "status", "max_batch_size", "ready", "name"),
)
INPUT_KEYS = ("type", "shape")
OUTPUT_KEYS = ("at", "format", "type", "shape")
PART_KEYS = ("value", "filename", "type")
TYPES = tuple(NUMPY_TYPES)
_TYPES = f"one of {', '.join(TYPES)}"
_SHAPE = "a list of whole numbers, -1 where any size will do: [-1, 3, 224, 224]"
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
# What the client itself says of a message, and would be said twice.
OWN_HEADERS = ("host", "content-length", "transfer-encoding", "connection", "expect")


def read_template(path: str | Path, partial: bool = False) -> RequestFile:
    """The template in a file. UserError for one that cannot be read, Faults for everything that is
    wrong in it. `partial`: it may leave the body, and with it its inputs' places, to a protocol.
    """
    content = jsonc.read(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: allowed: one object {{...}}, the request")
    return _Reading(str(path), content, partial).read()


@dataclass
class _Reading:
    """One pass over the file, which gathers what is wrong."""

    file: str
    content: dict[str, Any]
    partial: bool
    faults: list[Fault] = field(default_factory=list)

    def read(self) -> RequestFile:
        content = self.content
        self._known(content, KEYS, "")
        kinds = [kind for kind in BODIES if kind in content]
        if len(kinds) > 1:
            self._fault(kinds[1], content[kinds[1]], f"one body; {kinds[0]} is one already")
        kind = kinds[0] if kinds else ""
        inputs = self._inputs(kind)
        names = [each.name for each in inputs]
        method = self._choice("method", "POST" if kind else "GET", METHODS)
        path = self._text("path", "")
        if path and not path.startswith("/"):
            self._fault("path", path, "a path that begins with /, below the address")
        query = self._texts("query")
        headers = self._headers()
        body = self._body(kind, names)
        used = self._used({"path": path, "query": query, "headers": headers, kind: body}, names)
        for name in names:
            if used is not None and name not in used and not (self.partial and not kind):
                hint = f"write {{input:{name}}} where its values go, or take it out"
                self._fault(f"inputs.{name}", "unused", "an input that the request has", hint=hint)
        ready = self._text("ready", None)
        if ready and not ready.startswith("/"):
            self._fault("ready", ready, "a path that begins with /, which answers 200 when ready")
        outputs = self._outputs()
        status = self._status()
        most = self._most()
        single = "" if used is None else self._single(kind, used, inputs)
        if most is not None and most > 1 and single:
            self._fault("max_batch_size", most, f"1: {single}")
        if self.faults:
            raise Faults(self.faults)
        name = self._text("name", None) or Path(self.file).stem
        return RequestFile(
            *(self.file, method, path, query, headers, kind, body),
            *(tuple(inputs), tuple(outputs), status, most, single, ready, name),
        )

    def _fault(
        self, key: str, value: object, allowed: str, near: str | None = None, hint: str = ""
    ) -> None:
        self.faults.append(Fault(self.file, key, value, allowed, near, hint or None))

    def _known(self, given: Mapping[str, Any], keys: Sequence[str], prefix: str) -> None:
        for key in given:
            if key not in keys and key != "$schema":
                self._fault(prefix + key, given[key], f"keys {', '.join(keys)}", nearest(key, keys))

    def _text(self, key: str, default: Any) -> Any:
        value = self.content.get(key, default)
        if value is not default and not isinstance(value, str):
            self._fault(key, value, "a text")
            return default
        return value

    def _choice(self, key: str, default: str, names: Sequence[str]) -> str:
        value = self.content.get(key, default)
        if isinstance(value, str) and value.upper() in names:
            return value.upper()
        self._fault(key, value, f"one of {', '.join(names)}", nearest(value, names))
        return default

    def _texts(self, key: str) -> dict[str, str]:
        """An object of texts; numbers are taken as they are written."""
        given = self.content.get(key, {})
        if not isinstance(given, dict):
            self._fault(key, given, "an object of texts")
            return {}
        found = {}
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                self._fault(f"{key}.{name}", value, "a text")
            else:
                found[name] = str(value)
        return found

    def _headers(self) -> dict[str, str]:
        found = self._texts("headers")
        for name in list(found):
            if not name or set(name) - _TOKEN:
                self._fault("headers", name, "names of letters, digits and '-'")
            elif name.lower() in OWN_HEADERS:
                self._fault(f"headers.{name}", found[name], "headers that the client does not set")
            elif "\r" in found[name] or "\n" in found[name]:
                self._fault(f"headers.{name}", found[name], "one line")
        return found

    def _inputs(self, kind: str) -> list[Input]:
        given = self.content.get("inputs", {})
        if not isinstance(given, dict):
            self._fault("inputs", given, 'an object: {"image": {"type": ..., "shape": ...}}')
            return []
        found = []
        for name, stated in given.items():
            key = f"inputs.{name}"
            if isinstance(stated, str):
                stated = {"type": stated}
            if not name or set(name) & set("{}"):
                self._fault("inputs", name, "names without { and }")
            elif not isinstance(stated, dict):
                self._fault(key, stated, 'an object: {"type": "FLOAT32", "shape": [-1, 3]}')
            else:
                self._known(stated, INPUT_KEYS, f"{key}.")
                of_type = self._type(f"{key}.type", stated.get("type", MISSING))
                shape: Any = (-1,)
                if "shape" in stated or of_type not in (None, "STRING"):
                    shape = self._shape(f"{key}.shape", stated.get("shape", MISSING))
                if of_type is not None and shape is not None:
                    found.append(Input(name, of_type, shape))
        return found

    def _type(self, key: str, value: object) -> str | None:
        if isinstance(value, str) and type_name(value) in TYPES:
            return type_name(value)
        self._fault(key, value, _TYPES, nearest(value, TYPES))
        return None

    def _shape(self, key: str, value: object) -> tuple[int, ...] | None:
        if isinstance(value, list) and all(type(each) is int and each >= -1 for each in value):
            return tuple(value)
        self._fault(key, value, _SHAPE)
        return None

    def _body(self, kind: str, names: Sequence[str]) -> Any:
        given = self.content.get(kind) if kind else None
        if kind in ("text", "bytes") and not isinstance(given, str):
            self._fault(kind, given, 'a text, such as "{input:image:bytes}"')
            return None
        if kind == "form":
            return self._texts("form")
        if kind == "multipart":
            return self._parts(given)
        return given

    def _parts(self, given: object) -> tuple[Part, ...]:
        if not isinstance(given, dict) or not given:
            allowed = 'an object: {"file": {"value": "{input:image:bytes}", "filename": "a.jpg"}}'
            self._fault("multipart", given, allowed)
            return ()
        found = []
        for name, stated in given.items():
            key = f"multipart.{name}"
            if isinstance(stated, (str, int, float)) and not isinstance(stated, bool):
                stated = {"value": str(stated)}
            if not isinstance(stated, dict):
                self._fault(key, stated, f"a text, or an object with {', '.join(PART_KEYS)}")
                continue
            self._known(stated, PART_KEYS, f"{key}.")
            texts: dict[str, Any] = {
                at: stated[at] for at in PART_KEYS if stated.get(at) is not None
            }
            wrong = [at for at, text in texts.items() if not isinstance(text, str)]
            for at in wrong:
                self._fault(f"{key}.{at}", texts[at], "a text")
            if "value" not in texts:
                self._fault(f"{key}.value", MISSING, 'a text, such as "{input:image:bytes}"')
            elif not wrong:
                found.append(Part(name, texts["value"], texts.get("filename"), texts.get("type")))
        return tuple(found)

    def _used(
        self, places: Mapping[str, Any], names: Sequence[str]
    ) -> dict[str, list[tuple[Field, bool, str]]] | None:
        """Input -> its fields: each with whether it stands in an {each}, and the key it is under.
        None if a field is wrong.
        """
        found: dict[str, list[tuple[Field, bool, str]]] = {}
        sound = True
        for key, value in places.items():
            for place, text in _strings(key, value):
                try:
                    fields = list(fields_in(text, names))
                except Misplaced as fault:
                    self._fault(place, text, fault.allowed, fault.nearest)
                    sound = False
                    continue
                for each, _ in fields:
                    if not self._may_stand(key, place, text, each, names):
                        sound = False
            if sound:
                for each, inside in fields_in(_plain(value), names):
                    found.setdefault(each.name, []).append((each, inside, key))
        self._check_each(places)
        return found if sound else None

    def _may_stand(
        self, key: str, place: str, text: str, each: Field, names: Sequence[str]
    ) -> bool:
        """Bytes stand where bytes can: alone in a body that is no JSON."""
        if not each.binary:
            return True
        alone = len(parsed(text, names)) == 1
        if key in ("bytes", "multipart") and alone:
            return True
        coded = each.text.replace(":bytes", "").removesuffix("}") + ":base64}"
        where = "a text that is this field alone" if key in ("bytes", "multipart") else "base64"
        self._fault(place, text, f"{where}, for bytes", None if "alone" in where else coded)
        return False

    def _check_each(self, places: Mapping[str, Any]) -> None:
        for key, value in places.items():
            if key != "json":
                continue
            for place, inner in _objects("json", value):
                if EACH in inner and len(inner) > 1:
                    self._fault(place, list(inner), f"the key {EACH} alone in its object")

    def _single(
        self,
        kind: str,
        used: Mapping[str, Sequence[tuple[Field, bool, str]]],
        inputs: Sequence[Input],
    ) -> str:
        """Why one item alone fits into a request; "" if more do."""
        by_name = {each.name: each for each in inputs}
        for name, fields in used.items():
            for each, inside, key in fields:
                texts = by_name[name].type == "STRING"
                coded = texts and each.code in ("bytes", "base64", "npy:base64")
                listed = key == "json" and each.code == ""
                if inside:
                    continue
                if each.single or coded or (texts and not listed and each.pick != "shape"):
                    return f"{each.text} takes one item"
        return ""

    def _outputs(self) -> list[Output]:
        given = self.content.get("outputs", {})
        if not isinstance(given, dict):
            self._fault("outputs", given, 'an object: {"scores": {"at": "predictions"}}')
            return []
        return [found for name, value in given.items() if (found := self._output(name, value))]

    def _output(self, name: str, stated: Any) -> Output | None:
        key = f"outputs.{name}"
        if isinstance(stated, str):
            stated = {"at": stated}
        if not isinstance(stated, dict):
            self._fault(key, stated, 'a place such as "/predictions", or an object with one as at')
            return None
        before = len(self.faults)
        self._known(stated, OUTPUT_KEYS, f"{key}.")
        form = stated.get("format", JSON)
        if form not in FORMATS:
            allowed = f"one of {', '.join(FORMATS)}"
            self._fault(f"{key}.format", form, allowed, nearest(form, FORMATS))
        at = stated.get("at", "")
        parts: tuple[str, ...] = ()
        wild = True
        if not isinstance(at, str):
            self._fault(f"{key}.at", at, 'a place: "/predictions/0", or "choices.0.score"')
        elif at and form not in (JSON, BASE64):
            self._fault(f"{key}.at", at, f"nothing: {form} is the whole answer")
        else:
            try:
                parts, wild = way(at)
            except ValueError as error:
                self._fault(f"{key}.at", at, str(error))
        dtype = shape = None
        if "type" in stated:
            of_type = self._type(f"{key}.type", stated["type"])
            dtype = None if of_type is None else np.dtype(NUMPY_TYPES[of_type])
        if "shape" in stated:
            shape = self._shape(f"{key}.shape", stated["shape"])
        if len(self.faults) > before:
            return None
        return Output(name, parts, form, dtype, shape, wild)

    def _status(self) -> tuple[int, ...]:
        given = self.content.get("status", [])
        listed = given if isinstance(given, list) else [given]
        if all(type(each) is int and 200 <= each <= 599 for each in listed):
            return tuple(listed)
        self._fault("status", given, "a whole number from 200 to 599, or a list of them")
        return ()

    def _most(self) -> int | None:
        given = self.content.get("max_batch_size")
        if given is None or (type(given) is int and given >= 1):
            return given
        self._fault("max_batch_size", given, "a whole number >= 1")
        return None


def _plain(value: Any) -> Any:
    """Parts as plain values, for those who look for fields."""
    if isinstance(value, tuple):
        return [[each.value, each.filename or ""] for each in value]
    return value


def _strings(place: str, value: Any) -> list[tuple[str, str]]:
    """Each text in a value, with its place."""
    if isinstance(value, str):
        return [(place, value)]
    if isinstance(value, tuple):
        return [
            (f"{place}.{each.name}.{key}", text)
            for each in value
            for key, text in (("value", each.value), ("filename", each.filename))
            if text
        ]
    if isinstance(value, dict):
        found = []
        for key, inner in value.items():
            if key != EACH:
                found.append((f"{place}.{key}", key))
            found += _strings(f"{place}.{key}", inner)
        return found
    if isinstance(value, list):
        return [
            each for at, inner in enumerate(value) for each in _strings(f"{place}[{at}]", inner)
        ]
    return []


def _objects(place: str, value: Any) -> list[tuple[str, dict]]:
    if isinstance(value, dict):
        inner = [each for key, one in value.items() for each in _objects(f"{place}.{key}", one)]
        return [(place, value), *inner]
    if isinstance(value, list):
        return [each for at, one in enumerate(value) for each in _objects(f"{place}[{at}]", one)]
    return []
