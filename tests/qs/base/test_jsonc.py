from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.base import jsonc
from qs.base.errors import UserError

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ('{"a": [1, 2,], // the sizes\n "b": null,}', {"a": [1, 2], "b": None}),
        ("/* a\n b */ [1]", [1]),
        (
            '{"u": "http://x//y", "c": "/* no comment */",}',
            {"u": "http://x//y", "c": "/* no comment */"},
        ),
        ('\ufeff{"a": 1}', {"a": 1}),
        ('{"a": "ü"}\r\n', {"a": "ü"}),
    ],
)
def test_reads(tmp_path: Path, text: str, expected: object) -> None:
    file = tmp_path / "w.json"
    file.write_bytes(text.encode())
    assert jsonc.read(file) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        (" \n", "the file is empty"),
        ("// nothing else", "not JSON"),
        ('{\n "a": 1\n "b": 2\n}', "line 3: not JSON"),
        ('{"a": 1', "line 1: not JSON"),
        ('{"a": 1,, "b": 2}', "not JSON"),
        ('{"a": 1, "a": 2}', "the key 'a' occurs twice"),
        ('{"a": 1, "a": 2,}', "the key 'a' occurs twice"),
        ('{"a": {"b": 1, "b": 1}}', "the key 'b' occurs twice"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ('{"a": -Infinity,}', "Infinity is not a JSON number"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 100_000 + "// x", "nested too deeply"),
        ("9" * 10_000, "cannot be read"),
    ],
)
def test_refuses_with_the_file_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "w.json"
    file.write_text(text)
    with pytest.raises(UserError) as refused:
        jsonc.read(file)
    assert str(refused.value).startswith(str(file))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    latin = tmp_path / "latin.json"
    latin.write_bytes(b'{"a": "\xe4"}')
    for path, message in [
        (tmp_path / "no.json", "no such file"),
        (tmp_path, "Is a directory"),
        (latin, "not UTF-8"),
        ("a\0b", "cannot be read"),
    ]:
        with pytest.raises(UserError, match=message):
            jsonc.read(path)


@given(JSON_VALUES)
def test_plain_json_reads_as_json_does(value: object) -> None:
    assert jsonc.loads(json.dumps(value), "x") == value


@given(JSON_VALUES)
def test_a_comment_and_a_trailing_comma_change_nothing(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert jsonc.loads(f"[{text}, // so\n]", "x") == [value]
