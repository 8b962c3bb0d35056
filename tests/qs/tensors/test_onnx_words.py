from __future__ import annotations

import pytest

from qs.tensors.onnx_words import sentence

CODE = "[ONNXRuntimeError] : 1 : FAIL : "


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            CODE + "Got invalid dimensions for input: x for the following indices\n index: 1 Got: 5"
            " Expected: 4\n Please fix either the inputs/outputs or the model.",
            "Got invalid dimensions for input: x for the following indices index: 1 Got: 5 "
            "Expected: 4 Please fix either the inputs/outputs or the model.",
        ),
        (
            CODE + "Load model from /a b/m.onnx failed:/src/core/graph/model.cc:256 ns::Model::"
            "Model(onnx::ModelProto&&, const std::map<int, int(*)(int)>*, bool) const "
            "Unsupported model IR version: 99, max supported IR version: 14\n",
            "Unsupported model IR version: 99, max supported IR version: 14; the file was written "
            "by a newer onnx: install a newer onnxruntime, or save it with ir_version 14",
        ),
        (
            CODE + "Non-zero status code returned while running MatMul node. Name:'' Status "
            "Message: matmul_helper.h:59 Compute MatMul dimension mismatch",
            "Non-zero status code returned while running MatMul node. Name:'' Status Message: "
            "MatMul dimension mismatch",
        ),
        ("", "ValueError"),
    ],
)
def test_one_whole_sentence_without_c(text, said):
    assert sentence(ValueError(text)) == said


def test_an_unknown_operator_has_advice():
    said = sentence(
        ValueError(CODE + "Fatal error: my.ops:Foo(-1) is not a registered function/op")
    )
    assert "my.ops:Foo is an operator of a library" in said
