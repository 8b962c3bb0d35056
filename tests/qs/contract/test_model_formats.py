"""What a compile backend says it reads, without running its code."""

from __future__ import annotations

import pytest

from qs.base.errors import UserError
from qs.contract.model_formats import formats_read_by


def backend(tmp_path, code, file="compile_backend_mine.py"):
    folder = tmp_path / "MINE"
    folder.mkdir()
    (folder / file).write_text(code)
    return folder


CLASS = "raise SystemExit(3)\nclass CompileBackendMINE(CompileBackend):\n"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (CLASS + "    model_formats = ('onnx', 'pt')\n", ("onnx", "pt")),
        (CLASS + "    model_formats: tuple[str, ...] = ('pt',)\n", ("pt",)),
        (CLASS + "    model_formats = ['pt']\n", ("pt",)),
        (CLASS + "    model_formats = ()\n", ()),
        (CLASS + "    pass\n", ()),
        (CLASS + "    def f(self):\n        model_formats = ('pt',)\n", ()),
        (CLASS + "    model_formats: tuple[str, ...]\n", ()),
        ("class compilebackendmine:\n    model_formats = ('x y',)\n", ("x y",)),
        (
            "class Base:\n    model_formats = ('pt',)\nclass CompileBackendMINE(Base):\n    pass\n",
            ("pt",),
        ),
        ("class CompileBackendMINE(CompileBackendMINE):\n    pass\n", ()),
        ("class Other:\n    model_formats = ('pt',)\n", ()),
        ("class CompileBackendMINE(:\n", ()),  # whoever loads it says so
        ("\0", ()),
    ],
)
def test_it_is_read_from_the_source(tmp_path, code, found):
    assert formats_read_by(backend(tmp_path, code)) == found


def test_files_in_any_case_and_none(tmp_path):
    folder = backend(tmp_path, CLASS + "    model_formats = ('pt',)\n", "Compile_Backend_Mine.py")
    assert formats_read_by(folder) == ("pt",)
    assert formats_read_by(tmp_path / "none") == ()
    assert formats_read_by(tmp_path) == ()


@pytest.mark.parametrize(
    "value",
    [
        "FORMATS",
        "'onnx'",
        "('onnx', '')",
        "('onnx', 3)",
        "(' onnx',)",
        "('pt', 'pt')",
        "{'pt'}",
        "tuple(['onnx'])",
        "None",
    ],
)
def test_what_is_no_literal_tuple_of_names_is_refused(tmp_path, value):
    folder = backend(tmp_path, CLASS + f"    model_formats = {value}\n")
    with pytest.raises(UserError, match="compile_backend_mine.py, line 3: model_formats"):
        formats_read_by(folder)


def test_the_cpu_backend_reads_onnx():
    from pathlib import Path

    assert formats_read_by(Path(__file__).parents[3] / "backends" / "CPU") == ("onnx",)
