from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from qs.base.errors import UserError
from qs.tensors import torch_archive
from qs.tensors.exported_code import check_exported
from qs.tensors.torch_archive import EXPORTED, TORCHSCRIPT, Argument
from tests.qs.tensors import torch_archives as made


def test_the_arguments_of_torchscript_are_read_from_its_code(tmp_path):
    path = made.torchscript(tmp_path / "net.pt")
    assert torch_archive.kind_of(path) == TORCHSCRIPT
    assert torch_archive.torchscript_arguments(path) == [
        Argument("image", "Tensor", optional=False),
        Argument("mask", "Optional[Tensor]", optional=True),
    ]


@pytest.mark.parametrize("code", ["", "class Other:\n  pass\n", "class Net(\n", "\0"])
def test_code_that_does_not_tell_its_arguments(tmp_path, code):
    assert torch_archive.torchscript_arguments(made.torchscript(tmp_path / "n.pt", code)) is None


def test_an_exported_graph_tells_shapes_and_types(tmp_path):
    path = made.exported(tmp_path / "net.pt2")
    found = torch_archive.exported(path)
    (image,) = found.inputs
    assert (image.name, image.shape, image.type) == ("image", ("s40", 1, 8, 8), "tensor(float)")
    assert (found.outputs, found.torch_version) == (("relu",), "2.13.0")
    check_exported(path)


def refused(path: Path, wanted: str) -> str:
    with pytest.raises(UserError) as error:
        torch_archive.check_kind(path, wanted)
    return str(error.value)


def test_what_is_no_archive_of_the_format_is_named(tmp_path):
    witness = tmp_path / "witness"
    empty, cut = tmp_path / "empty.pt", tmp_path / "cut.pt"
    empty.write_bytes(b"")
    cut.write_bytes(made.torchscript(tmp_path / "whole.pt").read_bytes()[:-30])
    script, program = made.torchscript(tmp_path / "s.pt"), made.exported(tmp_path / "e.pt2")
    assert "an empty file" in refused(empty, TORCHSCRIPT)
    assert "damaged" in refused(cut, TORCHSCRIPT)
    assert "is a folder" in refused(tmp_path, TORCHSCRIPT)
    assert "cannot read" in refused(tmp_path / "absent.pt", TORCHSCRIPT)
    assert "saved with torch.export.save, not" in refused(program, TORCHSCRIPT)
    assert "saved with torch.jit.save, not" in refused(script, EXPORTED)
    for path in (
        made.pickled(tmp_path / "pickle.pt", witness),
        made.checkpoint(tmp_path / "state.pt", witness),
    ):
        assert "pickled objects" in refused(path, TORCHSCRIPT)
        assert "pickled objects" in refused(path, EXPORTED)
    assert not witness.exists()


def changed(**changes):
    return made.graph(**changes)


def _with(value, *place):
    """The graph with something else at a place in it."""
    content = made.graph()
    spot = content
    for key in place[:-1]:
        spot = spot[key]
    spot[place[-1]] = value
    return content


SIZES = ("graph_module", "graph", "tensor_values", "image", "sizes", 0)
TREE = ("graph_module", "module_call_graph", 0, "signature", "in_spec")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (changed(target="torch.os.system"), "no operator"),
        (changed(target="torch.hub.load"), "no operator"),
        (changed(target="torch.ops.load_library.__call__"), "no operator"),
        (changed(target="_operator.call"), "no operator"),
        (changed(target="_operator.attrgetter"), "no operator"),
        (changed(target="#extension:op"), "no operator"),
        (changed(inputs=[{"arg": {"as_operator": "torch.os.system"}}]), "no operator"),
        (changed(name="x=__import__('os').system('true')"), "no name"),
        (_with({"as_expr": {"expr_str": "__import__('os').system('true')"}}, *SIZES), "no size"),
        (_with({"as_expr": {"expr_str": "exec('import os')"}}, *SIZES), "no size"),
        (_with({"as_expr": {"expr_str": "S('__import__(0)')"}}, *SIZES), "no size"),
        (_with({"as_expr": {"expr_str": "(lambda: 1)()"}}, *SIZES), "no size"),
        (_with({"as_expr": {"expr_str": "s0.__class__"}}, *SIZES), "no size"),
        (_with('[1, {"context": {"default_factory_module": "os"}}]', *TREE), "module to import"),
        (_with(json.dumps([1, {"context": '{"__enum__": true}'}]), *TREE), "module to import"),
        (_with("[1, {", *TREE), "cannot be read"),
    ],
)
def test_a_graph_that_would_run_code_is_refused(tmp_path, content, said):
    with pytest.raises(UserError, match=f"not loaded, for it could run code: .*{said}"):
        check_exported(made.exported(tmp_path / "net.pt2", content))


@pytest.mark.parametrize(
    "expression",
    ["s0", "2*s0 + 1", "Max(1, s0)", "FloorDiv(s0, 2)", "Integer(3)", "Float('1.5')", "-s0**2"],
)
def test_sizes_that_torch_writes_are_none_of_it(tmp_path, expression):
    content = _with({"as_expr": {"expr_str": expression}}, *SIZES)
    check_exported(made.exported(tmp_path / "net.pt2", content))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"data__weights__c.json": '{"config": {"w": {"use_pickle": true}}}'}, "pickled"),
        ({"data__constants__c.json": '{"c": {"path_name": "opaque_obj_0"}}'}, "pickled"),
        ({"data__aotinductor__model__m.so": b"\x7fELF"}, "compiled code"),
        ({"data__constants__c.json": "{"}, "cannot be read"),
    ],
)
def test_members_that_would_run_code_are_refused(tmp_path, more, said):
    with pytest.raises(UserError, match=said):
        check_exported(made.exported(tmp_path / "net.pt2", **more))


def test_an_archive_that_two_readers_could_read_differently_is_refused(tmp_path):
    path = made.exported(tmp_path / "net.pt2")
    whole = path.read_bytes()
    path.write_bytes(whole + b" " * 30)
    with pytest.raises(UserError, match=r"follows|damaged"):
        check_exported(path)
    with pytest.warns(UserWarning, match="Duplicate name"):
        made.archive(path, {"a": "", "models/model.json": "{}"})
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(f"{path.stem}/a", "")
    with pytest.raises(UserError, match="members of one name"):
        check_exported(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "not as torch.export writes it"),
        ([], "not as torch.export writes it"),
        (
            _with(
                {"as_int": {}}, "graph_module", "signature", "input_specs", 1, "user_input", "arg"
            ),
            "an input that is no tensor",
        ),
    ],
)
def test_graphs_that_tell_nothing(tmp_path, content, said):
    with pytest.raises(UserError, match=said):
        torch_archive.exported(made.exported(tmp_path / "net.pt2", content))
