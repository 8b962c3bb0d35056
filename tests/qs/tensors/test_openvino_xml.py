"""Inputs and outputs of an OpenVINO model, from XML that is not trusted."""

from __future__ import annotations

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.tensors import openvino_xml
from qs.tensors.onnx_io import FileTensor
from qs.tensors.openvino_xml import read_xml

BODY = """
<layer id="9" name="inner" type="Parameter"><data shape="1" element_type="f32"/></layer>
"""
MODEL = """<?xml version="1.0"?>
<net name="m" version="11">
 <layers>
  <layer id="0" name="ids_node" type="Parameter" version="opset1">
   <data shape="?,384" element_type="i64"/>
   <output><port id="0" precision="I64" names="input_ids,a\\,b"><dim>-1</dim></port></output>
  </layer>
  <layer id="1" name="mask" type="Parameter">
   <data shape="1..8, 2 ,-1" element_type="boolean"/><output><port id="0"/></output>
  </layer>
  <layer id="2" name="any" type="Parameter"><data shape="..." element_type="f32"/></layer>
  <layer id="3" name="scalar" type="Parameter"><data shape="" element_type="f16"/></layer>
  <layer id="4" name="w" type="Const"><data element_type="f32" size="400"/></layer>
  <layer id="5" name="v" type="Const"><data element_type="i8" size="300"/></layer>
  <layer id="6" name="split" type="Split">
   <output><port id="1" names="first"/><port id="2" names="second"/></output>
  </layer>
  <layer id="7" name="loop" type="Loop"><body><layers>BODY</layers></body></layer>
  <layer id="8" name="out0" type="Result"/><layer id="10" name="out1" type="Result"/>
 </layers>
 <edges>
  <edge from-layer="6" from-port="2" to-layer="8" to-port="0"/>
  <edge from-layer="4" from-port="0" to-layer="10" to-port="0"/>
 </edges>
</net>
""".replace("BODY", BODY)


def test_what_a_model_says_of_itself(tmp_path):
    file = tmp_path / "m.xml"
    file.write_text(MODEL)
    found = read_xml(file)
    assert found.inputs == [
        FileTensor("a,b", (None, 384), "tensor(int64)"),
        FileTensor("mask", (None, 2, None), "tensor(bool)"),
        FileTensor("any", (), "tensor(float)"),
        FileTensor("scalar", (), "tensor(float16)"),
    ]
    assert found.unranked == ["any"]
    assert found.outputs == ["second", "out1"], "a tensor's name, else its Result's"
    assert found.precision == "FP32", "of most of the weights"


BOMB = '<!DOCTYPE net [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><net name="&b;"><layers/></net>'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is damaged: no element found"),
        (MODEL[:700], "is damaged"),
        ("<model/>", "its XML is a <model>"),
        (BOMB, "declares a document type"),
        ('<!DOCTYPE net SYSTEM "file:///etc/passwd"><net/>', "declares a document type"),
        ("<net>" + "<a>" * 100, "too deep"),
        ("\x00\x01\x02", "is damaged"),
        (MODEL.replace('"?,384"', '"?,many"'), "the shape of ids_node is '?,many'"),
        (MODEL.replace('"?,384"', '"' + "9" * 40 + '"'), "the shape of ids_node"),
    ],
    ids=["empty", "cut", "other", "bomb", "external", "deep", "binary", "shape", "huge"],
)
def test_what_is_no_model_is_one_sentence(tmp_path, text, said):
    file = tmp_path / "m.xml"
    file.write_text(text)
    with pytest.raises(UserError) as error:
        read_xml(file)
    assert said in str(error.value) and str(file) in str(error.value)


def test_sizes_are_bounded(tmp_path, monkeypatch):
    file = tmp_path / "m.xml"
    file.write_text(MODEL)
    monkeypatch.setattr(openvino_xml, "MOST_LAYERS", 3)
    with pytest.raises(UserError, match="more than 3 layers"):
        read_xml(file)
    monkeypatch.setattr(openvino_xml, "MOST_BYTES", 100)
    with pytest.raises(UserError, match="is larger than"):
        read_xml(file)
    with pytest.raises(UserError, match="cannot read"):
        read_xml(tmp_path / "gone.xml")


def test_openvino_says_the_same(tmp_path):
    openvino = pytest.importorskip("openvino")
    from openvino import opset13 as ops

    x = ops.parameter([-1, 4], dtype=np.float32, name="x")
    x.output(0).set_names({"x", "alias"})
    relu = ops.relu(x)
    relu.output(0).set_names({"y"})
    model = openvino.Model([relu], [x], "m")
    openvino.save_model(model, tmp_path / "m.xml")
    found = read_xml(tmp_path / "m.xml")
    read = openvino.Core().read_model(tmp_path / "m.xml")
    assert [each.name for each in found.inputs] == [min(port.get_names()) for port in read.inputs]
    assert found.outputs == ["y"] and found.inputs[0].shape == (None, 4)
