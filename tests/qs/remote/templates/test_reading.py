"""Template files: what is taken, and what each wrong one is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qs.base.errors import UserError
from qs.remote.templates.reading import read_template

IMAGE = {"image": {"type": "FLOAT32", "shape": [-1, 2]}}
ONE = {"json": {"x": "{input:image}"}, "inputs": IMAGE}


def read(folder: Path, content: Any, **how: Any) -> Any:
    file = folder / "t.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_template(file, **how)


WRONG: list[tuple[Any, list[str]]] = [
    ([], ["one object"]),
    ({**ONE, "methd": "GET"}, ["methd", "did you mean 'method'?"]),
    ({**ONE, "method": "POTS"}, ["method is 'POTS'", "POST", "did you mean 'POST'?"]),
    ({**ONE, "path": "v1"}, ["path is 'v1'", "begins with /"]),
    ({**ONE, "text": "x"}, ["one body; json is one already"]),
    ({**ONE, "headers": {"Host": "a"}}, ["headers.Host"]),
    ({**ONE, "headers": {"a b": "c"}}, ["letters"]),
    ({**ONE, "headers": {"a": "b\nc"}}, ["headers.a", "one line"]),
    ({**ONE, "headers": {"a": True}}, ["headers.a is True"]),
    (
        {"json": 1, "inputs": IMAGE},
        ["inputs.image is 'unused'", "write {input:image} where its values go"],
    ),
    ({**ONE, "inputs": {}}, ["json.x", "a field of an input under inputs"]),
    (
        {"json": "{input:imgae}", "inputs": IMAGE},
        ["json is '{input:imgae}'", "did you mean '{input:image}'?"],
    ),
    ({"json": "{image}", "inputs": IMAGE}, ["did you mean '{input:image}'?"]),
    ({"json": "{inputs:image}", "inputs": IMAGE}, ["did you mean '{input:image}'?"]),
    ({"json": "{input:image:base46}", "inputs": IMAGE}, ["'{input:image:base64}'"]),
    ({"json": "{input:image:item:tekst}", "inputs": IMAGE}, ["'{input:image:item:text}'"]),
    ({"json": "{input:image:npy}", "inputs": IMAGE}, ["did you mean '{input:image:npy:base64}'?"]),
    ({"json": "{input:image:bytes}", "inputs": IMAGE}, ["did you mean '{input:image:base64}'?"]),
    ({"bytes": "a{input:image:bytes}", "inputs": IMAGE}, ["a text that is this field alone"]),
    ({"json": {"{each}": 1, "b": "{input:image}"}, "inputs": IMAGE}, ["{each} alone"]),
    ({"bytes": 5, "inputs": {}}, ["bytes is 5"]),
    ({"multipart": {}, "inputs": {}}, ["multipart is {}"]),
    ({"multipart": {"file": {"filename": "a"}}}, ["multipart.file.value is missing"]),
    ({"multipart": {"file": {"valeu": "a", "value": "b"}}}, ["multipart.file.valeu"]),
    ({**ONE, "inputs": {"image": {"type": "FLOAT31", "shape": [1]}}}, ["inputs.image.type"]),
    ({**ONE, "inputs": {"image": {"type": "FLOAT32"}}}, ["inputs.image.shape is missing"]),
    ({**ONE, "inputs": {"image": {"type": "FLOAT32", "shape": ["a"]}}}, ["inputs.image.shape"]),
    ({**ONE, "inputs": {"image": 5}}, ["inputs.image is 5"]),
    ({**ONE, "outputs": {"a": {"at": "/a~"}}}, ["outputs.a.at", "~0"]),
    ({**ONE, "outputs": {"a": {"at": "a..b"}}}, ["outputs.a.at", "between any two dots"]),
    ({**ONE, "outputs": {"a": {"at": "a", "format": "raw"}}}, ["raw is the whole answer"]),
    ({**ONE, "outputs": {"a": {"format": "jsn"}}}, ["did you mean 'json'?"]),
    ({**ONE, "outputs": {"a": {"tpye": "FLOAT32"}}}, ["did you mean 'type'?"]),
    ({**ONE, "status": "200"}, ["status is '200'"]),
    ({**ONE, "status": 99}, ["status is 99"]),
    ({**ONE, "max_batch_size": 0}, ["max_batch_size is 0"]),
    (
        {"json": "{input:image:item}", "inputs": IMAGE, "max_batch_size": 8},
        ["max_batch_size is 8", "{input:image:item} takes one item"],
    ),
    ({**ONE, "ready": "health"}, ["ready is 'health'"]),
    ("{", ["line 1", "not JSON"]),
]


@pytest.mark.parametrize(("content", "words"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_said(tmp_path, content, words):
    with pytest.raises(UserError) as error:
        read(tmp_path, content)
    said = str(error.value)
    assert str(tmp_path / "t.json") in said
    for word in words:
        assert word in said


def test_everything_wrong_is_said_at_once(tmp_path):
    with pytest.raises(UserError) as error:
        read(tmp_path, {"method": "X", "path": "y", "json": "{input:z}"})
    assert "3 faults" in str(error.value)


TEXT = {"text": "STRING"}
EACH = {"instances": {"{each}": {"b64": "{input:text:base64}"}}}
RIGHT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"method": "GET", "kind": "", "single": "", "max_batch_size": None, "name": "t"}),
    (ONE, {"method": "POST", "kind": "json", "single": ""}),
    (
        {"json": "{input:image:item}", "inputs": IMAGE},
        {"single": "{input:image:item} takes one item"},
    ),
    ({"bytes": "{input:image:bytes}", "inputs": IMAGE}, {"single": ""}),
    (
        {"bytes": "{input:text:bytes}", "inputs": TEXT},
        {"single": "{input:text:bytes} takes one item"},
    ),
    ({"json": {"t": "{input:text}"}, "inputs": TEXT}, {"single": ""}),
    (
        {"path": "/a/{input:text}", "inputs": TEXT},
        {"method": "GET", "single": "{input:text} takes one item"},
    ),
    ({"json": EACH, "inputs": TEXT}, {"single": ""}),
    ({**ONE, "status": [200, 404], "name": "n"}, {"status": (200, 404), "name": "n"}),
]


@pytest.mark.parametrize(("content", "wanted"), RIGHT, ids=range(len(RIGHT)))
def test_what_is_taken(tmp_path, content, wanted):
    found = read(tmp_path, content)
    assert {key: getattr(found, key) for key in wanted} == wanted


def test_comments_are_taken_and_a_protocol_may_place_the_inputs(tmp_path):
    text = '{"inputs": {"x": {"type": "FP32", "shape": []}},} // c'
    found = read(tmp_path, text, partial=True)
    assert [(each.name, each.type, each.shape) for each in found.inputs] == [("x", "FLOAT32", ())]
