"""A scripted KServe v2 server that computes what the digits' file computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.qs.program import ROOT
from tests.servers.kserve import KserveServer, Model

DIGITS = ROOT / "model_zoo" / "digits" / "digits-cnn-onnx-fp32.onnx"


@contextmanager
def digits_server() -> Iterator[KserveServer]:
    """It serves `digits`, as Triton's ONNX backend would."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(DIGITS), providers=["CPUExecutionProvider"])

    def compute(feeds: Any) -> Any:
        return {"logits": session.run(["logits"], {"image": feeds["image"]})[0]}

    digits = Model(
        "digits",
        {"image": ("FP32", [-1, 1, 8, 8])},
        {"logits": ("FP32", [-1, 10])},
        compute,
        config={"max_batch_size": 16},
        platform="onnxruntime_onnx",
    )
    with KserveServer([digits]) as server:
        server.keep_seen = False
        yield server
