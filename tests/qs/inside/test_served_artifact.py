"""What a server says of its model, as the description of a file: asked for real, from a scripted
server.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from qs.artifact.batch import refusal
from qs.base.errors import UserError
from qs.inside.artifact import ArtifactService
from tests.servers.kserve import KserveServer, Model, doubling, echo


def only_wide(feeds: Any) -> Any:
    """Takes rows of 256 alone, as a model does whose server does not say so."""
    if feeds["x"].shape[1] != 256:
        raise ValueError(f"unexpected shape {list(feeds['x'].shape)}")
    return {"y": feeds["x"]}


def small_table(feeds: Any) -> Any:
    if feeds["ids"].max() >= 10:
        raise ValueError("index out of range")
    return {"y": feeds["ids"].astype(np.float32)}


MODELS = [
    doubling(config={"max_batch_size": 4}),
    echo(["BYTES", "BF16", "FP16"], (-1, 3)),
    Model("wide", {"x": ("FP32", [-1, -1])}, {"y": ("FP32", [-1, -1])}, only_wide),
    Model("table", {"ids": ("INT64", [-1, 4])}, {"y": ("FP32", [-1, 4])}, small_table),
    Model("loose", {"ids": ("INT64", [-1, -1])}, {"y": ("FP32", [-1, -1])}, small_table),
    Model(
        "optional",
        {"x": ("FP32", [-1, 2]), "more": ("FP32", [-1, 2])},
        {"y": ("FP32", [-1, 2])},
        lambda feeds: {"y": feeds["x"]},
        config={"input": [{"name": "x"}, {"name": "more", "optional": True}]},
    ),
    Model("large", {"x": ("FP32", [-1, 1 << 16, 1 << 16])}, {"y": ("FP32", [-1, 1])}, only_wide),
    Model("fixed", {"x": ("INT64", [2])}, {"y": ("INT64", [2])}, lambda feeds: {"y": feeds["x"]}),
]


@pytest.fixture
def server() -> Iterator[KserveServer]:
    with KserveServer(MODELS) as running:
        yield running


def described(server: KserveServer, model: str, remote: Any = None, **asked: Any) -> Any:
    url = {"url": server.url(model), "ready_timeout_s": 0.5}
    whole = {"probe": True, "fill": "random", **asked}
    return ArtifactService().describe_served({**url, **(remote or {})}, whole)


def test_the_servers_largest_batch_bounds_the_batch_sizes(server: KserveServer) -> None:
    found = described(server, "double", batch_sizes=[1, 4])
    assert found["batch"]["words"] == (
        "dimension 0 (batch) of x, as the server's max_batch_size says (at most 4)"
    )
    assert refusal(found["batch"], 4) is None
    assert "max_batch_size is 4" in str(refusal(found["batch"], 5))
    assert server.inferences() == []  # nothing was guessed
    with pytest.raises(UserError, match="--batch_sizes 8 cannot be run: .* max_batch_size is 4"):
        described(server, "double", batch_sizes=[8])


def test_what_is_known_stands_where_a_file_has_its_content(server: KserveServer) -> None:
    found = described(server, "double", {"headers": {"A": "secret"}, "compression": "gzip"})
    served = found["served"]
    assert found["path"] == served["address"] == server.url("double")
    assert (served["title"], served["model"]) == (f"127.0.0.1:{server.port}/double", "double")
    assert (served["version"], served["server"], served["server_version"]) == (
        *("1", "scripted"),
        "1.2.3",
    )
    assert served["request"]["line"] == "POST /v2/models/double/infer"
    assert served["request"]["bytes"] > 16 and served["facts"]["tensors"] == "binary"
    assert served["headers"] == ["A"] and "secret" not in str(found)


def test_types_that_numpy_has_not_are_fed_from_those_it_has(server: KserveServer) -> None:
    found = described(server, "echo")
    kinds = {each["name"]: (each["type"], each["datatype"]) for each in found["inputs"]}
    assert kinds == {
        "in_BYTES": ("STRING", "BYTES"),
        "in_BF16": ("FLOAT32", "BF16"),
        "in_FP16": ("FLOAT16", "FP16"),
    }


def test_a_guess_is_tried_through_the_wire_until_one_is_taken(server: KserveServer) -> None:
    found = described(server, "wide")
    assert found["inputs"][0]["shape"] == (1, 256) and found["tried_s"] > 0
    assert any("the server has dynamic dimensions" in note for note in found["notes"])
    assert len(server.inferences()) > 1
    assert described(server, "wide", shapes={"x": [1, 256]})["notes"] == []


def test_values_that_the_server_does_not_take_are_made_smaller(server: KserveServer) -> None:
    found = described(server, "table")
    assert tuple(found["inputs"][0]["range"]) == (0, 8)
    with pytest.raises(UserError, match="ids was fed .* The server said: .*index out of range"):
        described(server, "loose", ranges={"ids": [20, 50]})


def test_a_plan_asks_and_sends_nothing_else(server: KserveServer) -> None:
    found = described(server, "wide", probe=False)
    assert server.inferences() == []
    assert "guessed shapes were not tried: nothing but questions was sent" in found["notes"]


def test_what_is_optional_is_fed_if_it_is_named(server: KserveServer) -> None:
    found = described(server, "optional")
    assert [each["name"] for each in found["inputs"]] == ["x"]
    assert any(note.startswith("more: optional, and not fed") for note in found["notes"])
    found = described(server, "optional", ranges={"more": [0, 1]})
    assert [each["name"] for each in found["inputs"]] == ["x", "more"]


def test_a_model_without_an_open_dimension_is_one_item_a_call(server: KserveServer) -> None:
    assert described(server, "fixed")["batch"]["only"] == 1


@pytest.mark.parametrize(
    ("model", "fault", "asked", "words"),
    [
        ("", None, {}, "no model is named; its models: double, echo, wide"),
        ("doubel", None, {}, "did you mean 'double'"),
        ("wide", "HTTP 503 busy", {}, "503"),
        ("wide", "close", {}, "/wide"),
        ("wide", "answer wrong shape", {}, "its answer to one inference cannot be used"),
        ("large", None, {}, "one request of batch size 1 would hold 17.2 GB"),
        ("double", None, {"batch_sizes": [1], "shapes": {"x": [2, 4]}}, "--batch_sizes"),
        ("double", None, {"states": {"x": "y"}}, "--state x is 'y'"),
        ("double", None, {"shapes": {"z": [1]}}, "--shape is 'z'; allowed: an input: x"),
        ("double", None, {"shapes": {"x": [1, 5]}}, "a shape that fits [batch, 4]"),
        ("double", None, {"types": {"x": "INT64"}}, "FLOAT32, as the artifact declares it"),
        ("double", None, {"types": {"x": "FP4"}}, "FLOAT32"),
    ],
)
def test_one_message(
    server: KserveServer, model: str, fault: str | None, asked: Any, words: str
) -> None:
    server.fault = fault
    with pytest.raises(UserError) as refused:
        described(server, model, **asked)
    assert words in str(refused.value)
    assert len(server.inferences()) <= 3  # where trying on is of no use, it is not tried
