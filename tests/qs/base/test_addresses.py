from __future__ import annotations

import pytest

from qs.base.addresses import public, public_in
from qs.base.errors import Fault, UserError
from qs.config.model_info import check_model_info


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://example.org/m.onnx", "https://example.org/m.onnx"),
        ("https://me:pw@example.org/m.onnx", "https://****@example.org/m.onnx"),
        ("https://token@example.org/m", "https://****@example.org/m"),
        ("https://me:p/w?x@example.org/m", "https://****@example.org/m"),
        ("https://example.org/m?token=pw#part", "https://example.org/m?****#part"),
        ("git+ssh://me:pw@example.org/m", "git+ssh://****@example.org/m"),
        ("-i https://a:b@x/s --extra-index-url https://c:d@y/s", None),
        ('"https://a:b@x/s", (https://c:d@y/s)', None),
        ("a mail@example.org and 3 > 2 ? yes", "a mail@example.org and 3 > 2 ? yes"),
    ],
)
def test_public(text: str, shown: str | None) -> None:
    found = public(text)
    assert found == shown if shown is not None else not any(part in found for part in ("a:", "c:"))


def test_plain_data() -> None:
    value = {"a": ["https://u:p@h/x", 1], "b": {"c": "https://h/x?k=v"}}
    assert public_in(value) == {"a": ["https://****@h/x", 1], "b": {"c": "https://h/x?****"}}


def test_no_message_shows_them() -> None:
    assert str(UserError("no https://u:p@h/x")) == "no https://****@h/x"
    long = "ftp://" + "u" * 100 + ":p4ss@h/x"
    assert "p4ss" not in str(Fault("f", "url", long, "http")) + str(Fault("f", "k", [long], "http"))


def test_a_model_info_hands_them_on_to_whoever_fetches_alone() -> None:
    source = {"kind": "url", "url": "https://u:p4ss@h/x.onnx?key=p4ss", "sha256": "0" * 64}
    deeper = {"kind": "build", "builder": "b.py:f", "files": {"weights": [source]}}
    raw = {
        "model": "m",
        "model_path": "m.onnx",
        "framework": "Onnx",
        "model_format": "onnx",
        "inputs": "x",
        "outputs": "y",
        "input_shape": {"x": [1]},
        "input_type": "FLOAT32",
        "sources": [source, deeper],
    }
    info, _ = check_model_info(raw, "m.json").result()
    assert "p4ss" not in str(info.to_configs())
    assert info.to_fetch()["sources"] == raw["sources"]
