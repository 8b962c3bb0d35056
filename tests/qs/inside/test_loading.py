"""Vendors' folders as they are written upstream, loaded unmodified."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from qs import AccuracyChecker, CompileBackend, Dataset, RuntimeBackend
from qs.base.errors import UserError
from qs.inside.imports import PREFIX, upstream_imports
from qs.inside.loading import load_backend_class, load_dataset_classes

Write = Callable[[dict[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """write({"backends/GPU/x.py": source, ...}) -> the workspace's root."""

    def write(files: dict[str, str]) -> Path:
        for name, source in files.items():
            path = tmp_path / "general_perf" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(source))
        return tmp_path / "general_perf"

    return write


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    """Loading leaves private packages in sys.modules and nothing else; meta_path and path are as
    before.
    """
    modules, finders, path = set(sys.modules), list(sys.meta_path), list(sys.path)
    yield
    left = {name for name in set(sys.modules) - modules if not name.startswith(PREFIX)}
    assert not {name for name in left if name.partition(".")[0] in ("general_perf", "byte_mlperf")}
    assert not left & {"datasets", "backends", "common", "helper", "data_loader"}
    assert sys.meta_path == finders
    assert sys.path == path


UPSTREAM_COMPILE = """
    from typing import Any, Dict
    from general_perf.backends import compile_backend

    class CompileBackendGPU(compile_backend.CompileBackend):
        def __init__(self):
            super(CompileBackendGPU, self).__init__()
            self.hardware_type = 'GPU'

        def version(self) -> str:
            return "1"
"""


@pytest.mark.parametrize("top", ["general_perf", "byte_mlperf"])
def test_upstreams_imports_resolve_to_the_contract(write: Write, top: str) -> None:
    root = write(
        {
            "backends/GPU/compile_backend_gpu.py": UPSTREAM_COMPILE.replace("general_perf", top),
            "backends/GPU/runtime_backend_gpu.py": f"""
                from {top}.backends.runtime_backend import RuntimeBackend
                import {top}.backends.runtime_backend as module
                from {top}.datasets.data_loader import Dataset
                from {top}.datasets import test_accuracy

                class RuntimeBackendGPU(RuntimeBackend):
                    same = module.RuntimeBackend is RuntimeBackend
            """,
        }
    )
    folder = root / "backends" / "GPU"
    compiler = load_backend_class(folder, "GPU", "compile")
    assert issubclass(compiler, CompileBackend)
    assert compiler().hardware_type == "GPU"
    runtime = load_backend_class(folder, "gpu", "runtime")
    assert issubclass(runtime, RuntimeBackend)
    assert runtime.same


def test_helpers_are_one_module_by_whatever_name_they_are_imported(write: Write) -> None:
    root = write(
        {
            "backends/GPU/compile_backend_gpu.py": """
                from . import common as relative
                from .common import VALUE
                from general_perf.backends.GPU import common as absolute
                import general_perf.backends.GPU.common
                from byte_mlperf.backends.GPU.common import VALUE as older
                import common as bare
                from common import VALUE as from_bare
                import parts.deep as deep
                from .parts import deep as relative_deep

                class CompileBackendGPU:
                    modules = (relative, absolute, bare)
                    values = (VALUE, older, from_bare)
                    deeps = (deep, relative_deep)
            """,
            "backends/GPU/common.py": "VALUE = object()\n",
            "backends/GPU/parts/__init__.py": "",
            "backends/GPU/parts/deep.py": "from ..common import VALUE\n",
        }
    )
    loaded = load_backend_class(root / "backends" / "GPU", "GPU")
    for values in (loaded.modules, loaded.values, loaded.deeps):
        assert all(value is values[0] for value in values)
    assert loaded.deeps[0].VALUE is loaded.values[0]


def test_relative_imports_inside_methods_work_long_after_loading(write: Write) -> None:
    root = write(
        {
            "backends/GPU/compile_backend_gpu.py": """
                class CompileBackendGPU:
                    def relative(self):
                        from . import late
                        return late.VALUE

                    def absolute(self):
                        from general_perf.backends.GPU.late import VALUE
                        import late
                        return VALUE, late.VALUE
            """,
            "backends/GPU/late.py": "VALUE = object()\n",
        }
    )
    folder = root / "backends" / "GPU"
    backend = load_backend_class(folder, "GPU")()
    value = backend.relative()
    with pytest.raises(ModuleNotFoundError):
        backend.absolute()
    with upstream_imports([root], folder):
        assert backend.absolute() == (value, value)
        with upstream_imports([root], folder):
            assert backend.absolute() == (value, value)
        assert backend.absolute() == (value, value)


def test_the_rest_of_an_upstream_workspace_can_be_imported(write: Write, tmp_path: Path) -> None:
    root = write(
        {
            "backends/GPU/compile_backend_gpu.py": """
                from general_perf.tools.torch_to_onnx import convert
                from general_perf.model_zoo import *

                class CompileBackendGPU:
                    convert = staticmethod(convert)
            """,
            "tools/torch_to_onnx.py": "def convert(): return 'onnx'\n",
            "model_zoo/m.json": "{}",
        }
    )
    assert load_backend_class(root / "backends" / "GPU", "GPU").convert() == "onnx"
    other = tmp_path / "other"
    (other / "tools").mkdir(parents=True)
    (other / "tools" / "more.py").write_text("VALUE = 7\n")
    with upstream_imports([root, other]):
        assert importlib.import_module("general_perf.tools.more").VALUE == 7
        with pytest.raises(ModuleNotFoundError, match="general_perf.tools.none"):
            importlib.import_module("general_perf.tools.none")


def test_two_workspaces_with_a_backend_of_one_name_do_not_meet(tmp_path: Path) -> None:
    loaded = []
    for number in (1, 2):
        folder = tmp_path / str(number) / "backends" / "GPU"
        folder.mkdir(parents=True)
        (folder / "common.py").write_text(f"NUMBER = {number}\n")
        (folder / "compile_backend_gpu.py").write_text(
            "from general_perf.backends.GPU.common import NUMBER\n"
            "class CompileBackendGPU:\n    number = NUMBER\n"
        )
        loaded.append(load_backend_class(folder, "GPU"))
    assert [backend.number for backend in loaded] == [1, 2]


def test_a_library_is_not_hidden_by_a_vendors_file_of_its_name(write: Write) -> None:
    root = write(
        {
            "backends/GPU/compile_backend_gpu.py": """
                import json, numpy

                class CompileBackendGPU:
                    libraries = (json.dumps, numpy.array)
            """,
            "backends/GPU/json.py": "raise RuntimeError('the wrong json')\n",
            "backends/GPU/numpy/__init__.py": "raise RuntimeError('the wrong numpy')\n",
        }
    )
    assert load_backend_class(root / "backends" / "GPU", "GPU").libraries


NAMES = ("engine", "utils", "tools", "config", "host", "plan")
BARE = "    import " + ", ".join(NAMES) + "\n"
OWNERS = "        return {" + ", ".join(f'"{name}": {name}.OWNER' for name in NAMES) + "}\n"


@pytest.mark.parametrize("kind", ["compile", "runtime"])
@pytest.mark.parametrize("place", ["here", "our checkout"])
def test_a_vendors_bare_imports_are_its_own(
    write: Write, tmp_path: Path, monkeypatch, kind: str, place: str
) -> None:
    """Imported as the file is loaded and inside a method, whatever lies in the working directory;
    ours is a folder `engine` at the root of the checkout.
    """
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text("raise ImportError('a file of the user')")
    where = tmp_path if place == "here" else Path(__file__).parents[3]
    monkeypatch.chdir(where)
    monkeypatch.syspath_prepend(str(where))
    entry = f"backends/GPU/{kind}_backend_gpu.py"
    at_import = f"class {kind.capitalize()}BackendGPU:\n{BARE}    def loaded(self):\n"
    in_method = "    def called(self):\n" + BARE.replace("    ", "        ")
    root = write({f"backends/GPU/{name}.py": "OWNER = 'GPU'\n" for name in NAMES})
    (root / entry).write_text(at_import + OWNERS.replace(": ", ": self.") + in_method + OWNERS)
    folder = root / "backends" / "GPU"
    made = load_backend_class(folder, "GPU", kind)()
    assert set(made.loaded().values()) == {"GPU"}
    with upstream_imports([root], folder):
        assert set(made.called().values()) == {"GPU"}
    assert not [name for name in NAMES if name in sys.modules]


def test_a_data_set_and_its_checker(write: Write) -> None:
    root = write(
        {
            "datasets/open_squad/data_loader.py": """
                from general_perf.datasets import data_loader
                from general_perf.datasets.open_squad.bert import tokens

                class DataLoader(data_loader.Dataset):
                    tokens = tokens.VALUE
            """,
            "datasets/open_squad/test_accuracy.py": """
                from general_perf.datasets import test_accuracy
                from .data_loader import DataLoader as Loader

                class AccuracyChecker(test_accuracy.AccuracyChecker):
                    loader = Loader
            """,
            "datasets/open_squad/bert/tokens.py": "VALUE = 30522\n",
            "datasets/__init__.py": "raise RuntimeError('not part of the data set: not run')\n",
            "datasets/plain/data_loader.py": (
                "from qs import Dataset\nclass DataLoader(Dataset): pass\n"
            ),
        }
    )
    loader, checker = load_dataset_classes(root / "datasets" / "open_squad")
    assert issubclass(loader, Dataset)
    assert loader.tokens == 30522
    assert issubclass(checker, AccuracyChecker)
    assert checker.loader is loader
    assert load_dataset_classes(root / "datasets" / "plain")[1] is None


@pytest.mark.parametrize(
    ("name", "source", "parts"),
    [
        (
            "compile_backend_gpu.py",
            "\n\nimport no_such_library\n",
            [
                "compile_backend_gpu.py, line 3:",
                "No module named 'no_such_library'",
                "requirements.txt",
            ],
        ),
        (
            "compile_backend_gpu.py",
            "import numpy as np\nTYPES = {'BOOL': np.bool8}\n",
            ["line 2:", "AttributeError", "bool8"],
        ),
        (
            "compile_backend_gpu.py",
            "from . import helper\n",
            ["helper.py, line 2:", "ZeroDivisionError"],
        ),
        (
            "compile_backend_gpu.py",
            "class X(:\n",
            ["compile_backend_gpu.py, line 1:", "SyntaxError"],
        ),
        (
            "compile_backend_gpu.py",
            "import sys\nsys.exit(3)\n",
            ["line 2:", "ended the program (exit status 3)"],
        ),
        (
            "compile_backend_gpu.py",
            "class CompileBackendGpuX: pass\n",
            ["has no class CompileBackendGPU", "did you mean CompileBackendGpuX"],
        ),
        (
            "compile_backend_gqu.py",
            "",
            ["has no compile_backend_gpu.py", "did you mean compile_backend_gqu.py"],
        ),
        ("notes.txt", "", ["has no compile_backend_gpu.py"]),
    ],
)
def test_what_is_wrong_in_a_folder_is_one_message_with_the_line(
    write: Write, name: str, source: str, parts: list[str]
) -> None:
    root = write({f"backends/GPU/{name}": source, "backends/GPU/helper.py": "\n1 / 0\n"})
    with pytest.raises(UserError) as wrong:
        load_backend_class(root / "backends" / "GPU", "GPU")
    for part in parts:
        assert part in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        load_backend_class(tmp_path / "backends" / "GPU", "GPU")
    with pytest.raises(UserError, match="cannot be read"):
        load_dataset_classes(tmp_path / "datasets" / "d")
    with pytest.raises(ValueError, match="allowed: 'compile', 'runtime'"):
        load_backend_class(tmp_path, "GPU", "train")


def test_a_failed_load_can_be_mended_and_tried_again(write: Write) -> None:
    root = write({"backends/GPU/compile_backend_gpu.py": "raise ValueError('first')\n"})
    folder = root / "backends" / "GPU"
    with pytest.raises(UserError, match="ValueError: first"):
        load_backend_class(folder, "GPU")
    write(
        {
            "backends/GPU/compile_backend_gpu.py": (
                "class CompileBackendGPU: pass  # and now it is longer\n"
            )
        }
    )
    assert load_backend_class(folder, "GPU").__name__ == "CompileBackendGPU"


def test_file_names_and_class_names_in_another_case(write: Write) -> None:
    root = write({"backends/Gpu/Compile_Backend_GPU.py": "class CompileBackendGpu: pass\n"})
    assert load_backend_class(root / "backends" / "Gpu", "GPU").__name__ == "CompileBackendGpu"


def test_a_real_general_perf_that_was_imported_before_is_given_back(
    tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "general_perf").mkdir()
    (tmp_path / "general_perf" / "__init__.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    real = importlib.import_module("general_perf")
    try:
        with upstream_imports():
            assert importlib.import_module("general_perf") is not real
        assert importlib.import_module("general_perf") is real
    finally:
        del sys.modules["general_perf"]
