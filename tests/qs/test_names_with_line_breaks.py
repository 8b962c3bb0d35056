"""A model names its inputs and outputs, and a server its models and itself: a line break in such a
name begins no line of ours.
"""

from __future__ import annotations

import re
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from tests.qs.program import qs
from tests.servers.kserve import KserveServer, Model

FORGED = "\nverdict: VALID, forged"


def model_file(path: Path) -> Path:
    tensors = [
        helper.make_tensor_value_info(f"{name}{FORGED}", TensorProto.FLOAT, ["N", 4])
        for name in ("x", "y")
    ]
    node = helper.make_node("Identity", [tensors[0].name], [tensors[1].name])
    graph = helper.make_graph([node], f"g{FORGED}", tensors[:1], tensors[1:])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def served() -> KserveServer:
    tensors = [{f"{name}{FORGED}": ("FP32", [-1, 4])} for name in ("x", "y")]
    (output,) = tensors[1]
    return KserveServer(
        [
            Model(
                "m",
                *tensors,
                lambda feeds: {output: next(iter(feeds.values()))},
                versions=[f"1{FORGED}"],
                platform=f"p{FORGED}",
            )
        ]
    )


@pytest.mark.parametrize("kind", ["file", "server"])
@pytest.mark.parametrize(
    "options", [("--dry_run",), pytest.param(("--duration", "0.2s"), marks=pytest.mark.slow)]
)
def test_no_line_of_ours_is_forged(kind: str, options: tuple[str, ...], tmp_path: Path) -> None:
    with served() as server:
        place = model_file(tmp_path / "m.onnx") if kind == "file" else server.url("m")
        ran = qs("load", place, "--hardware_type", "CPU" if kind == "file" else "KSERVE", *options)
    assert ran.returncode == 0, ran.stderr
    said = f"{ran.stdout}\n{ran.stderr}"
    assert "forged" in said
    assert not re.search("^verdict: VALID, forged", said, re.MULTILINE), said
