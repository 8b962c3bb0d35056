"""What a bare name means: to a vendor's folder its own module, to a library its own, whoever
imported first.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from types import MappingProxyType
from typing import Any

import pytest

from qs.base.errors import UserError
from qs.inside.imports import upstream_imports
from qs.inside.loading import load_backend_class, load_dataset_classes

NAMES = ("engine", "utils", "tools", "config", "qs_config")
Write = Callable[[dict[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """write({"backends/GPU/x.py": source, ...}) -> the folder general_perf, the workspace."""

    def write(files: dict[str, str]) -> Path:
        for name, source in files.items():
            path = tmp_path / "general_perf" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(source))
        return tmp_path / "general_perf"

    return write


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Sloppy libraries: each of NAMES is a top-level module of one, and `their_app` uses it."""
    place = tmp_path / "site-packages"
    place.mkdir()
    for name in NAMES:
        (place / f"{name}.py").write_text("OWNER = 'library'\n")
    (place / "their_app.py").write_text(
        f"import {', '.join(NAMES)}\nOWNERS = {{{', '.join(f'{name}.OWNER' for name in NAMES)}}}\n"
        "def later():\n    import utils\n    return utils.OWNER\n"
        "try:\n    import common\nexcept ImportError:\n    common = None\n"
    )
    monkeypatch.syspath_prepend(str(place))
    modules, finders = set(sys.modules), list(sys.meta_path)
    functions = builtins.__import__, importlib.import_module
    yield place
    assert (builtins.__import__, importlib.import_module) == functions
    assert sys.meta_path == finders
    for name in set(sys.modules) - modules:
        if name in (*NAMES, "their_app", "onnx_wrapped"):
            del sys.modules[name]


def loaded(root: Path, source: str, helpers: Mapping[str, str] = MappingProxyType({})) -> Any:
    """An instance of CompileBackendGPU of that source, beside these modules."""
    folder = root / "backends" / "GPU"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compile_backend_gpu.py").write_text(dedent(source))
    for name, text in helpers.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return load_backend_class(folder, "GPU")()


OWN = dict.fromkeys(NAMES, "OWNER = 'GPU'\n")
IMPORTS = f"""
    import {", ".join(NAMES)}
    {{0}}
    class CompileBackendGPU:
        at_load = {{{{{", ".join(f"{name}.OWNER" for name in NAMES)}}}}}
        def later(self):
            import importlib
            import {", ".join(NAMES)}
            from utils import OWNER
            return {{{{{", ".join(f"{name}.OWNER" for name in NAMES)}, OWNER}}}} | {{{{
                importlib.import_module(name).OWNER for name in {NAMES!r}
            }}}}
"""


@pytest.mark.parametrize("first", ["", "import their_app"], ids=["vendor first", "library first"])
def test_vendor_and_library_have_modules_of_one_name(write: Write, first: str) -> None:
    root = write({})
    made = loaded(root, f"{first}\n" + dedent(IMPORTS.format("import their_app")), OWN)
    assert made.at_load == {"GPU"}
    found: list[set[str]] = []
    with upstream_imports([root], root / "backends" / "GPU"):
        for _ in range(2):
            thread = threading.Thread(target=lambda: found.append(made.later()))
            thread.start()
            thread.join()
            app = importlib.import_module("their_app")
            assert (app.OWNERS, app.later(), app.common) == ({"library"}, "library", None)
        assert found == [{"GPU"}] * 2
        assert made.later() == {"GPU"}


def test_a_file_named_after_the_library_it_wraps(write: Write, installed: Path) -> None:
    (installed / "onnx_wrapped.py").write_text("def run(): return 'library'\n")
    source = """
        import onnx_wrapped
        class CompileBackendGPU:
            run = staticmethod(onnx_wrapped.run)
    """
    wrapper = "import onnx_wrapped\ndef run(): return 'own, by ' + onnx_wrapped.run()\n"
    assert loaded(write({}), source, {"onnx_wrapped": wrapper}).run() == "own, by library"


def test_a_package_named_after_the_library_it_wraps(write: Write, installed: Path) -> None:
    (installed / "onnx_wrapped.py").write_text("def run(): return 'library'\n")
    source = """
        import onnx_wrapped.more
        class CompileBackendGPU:
            run = staticmethod(onnx_wrapped.more.run)
    """
    parts = {
        "onnx_wrapped/__init__": "import onnx_wrapped\nrun = onnx_wrapped.run\n",
        "onnx_wrapped/more": "def run():\n    import onnx_wrapped as w\n    return w.run()\n",
    }
    assert loaded(write({}), source, parts).run() == "library"


@pytest.mark.parametrize(
    ("requirements", "owner"),
    [("utils==1.0\n", "library"), ("utils-gpu>=2  # builds\n", "library"), ("utils3\n", "GPU")],
)
def test_a_name_that_the_requirements_list_is_the_librarys(
    write: Write, requirements: str, owner: str
) -> None:
    root = write({"backends/GPU/requirements.txt": requirements})
    source = "import utils\nclass CompileBackendGPU:\n    owner = utils.OWNER\n"
    assert loaded(root, source, OWN).owner == owner


def test_packages_that_import_themselves_and_folders_without_init(write: Write) -> None:
    source = """
        from utils import VALUE
        import utils.deep as deep
        from parts.inner import VALUE as inner
        import importlib.util, parts.inner
        assert importlib.util.find_spec("parts.inner") is not None
        class CompileBackendGPU:
            same = deep.VALUE is VALUE is inner is parts.inner.VALUE
    """
    own = {
        "utils/__init__": "from utils.deep import VALUE\nfrom utils import deep\n",
        "utils/deep": "VALUE = object()\n",
        "parts/inner": "from utils.deep import VALUE\n",
    }
    assert loaded(write({}), source, own).same


def test_a_name_read_from_a_pickle_is_the_callers(write: Write) -> None:
    source = """
        import pickle
        from models import Layer
        class CompileBackendGPU:
            def read(self):
                text = b"cmodels\\nLayer\\n."
                return pickle.loads(text) is Layer, pickle._loads(text) is Layer
    """
    root = write({})
    made = loaded(root, source, {"models": "class Layer: pass\n"})
    with upstream_imports([root], root / "backends" / "GPU"):
        assert made.read() == (True, True)
    assert "models" not in sys.modules


def test_what_is_missing_has_the_name_that_was_written(write: Write) -> None:
    with pytest.raises(UserError, match=r"No module named 'utils\.none'; is it in the folder's"):
        loaded(write({}), "import utils.none", {"utils/__init__": ""})


def test_a_module_written_while_running_is_found(write: Write) -> None:
    source = """
        import pathlib
        class CompileBackendGPU:
            def generate(self):
                try:
                    import generated
                except ModuleNotFoundError:
                    pathlib.Path(__file__).with_name("generated.py").write_text("VALUE = 5")
                import importlib; importlib.invalidate_caches()
                import generated
                return generated.VALUE
    """
    root = write({})
    made = loaded(root, source)
    with upstream_imports([root], root / "backends" / "GPU"):
        assert made.generate() == 5


CONVERTS = "import files\nfrom tools import files as same\ndef owner(): return files.OWNER\n"


@pytest.mark.parametrize(
    ("place", "own", "owner"),
    [
        ("tools", {}, "beside"),
        ("../tools", {}, "beside"),
        ("tools", {"tools/torch_to_onnx": "def owner(): return 'GPU'\n"}, "beside"),
        (
            "tools",
            {"tools/__init__": "", "tools/torch_to_onnx": "def owner(): return 'GPU'\n"},
            "GPU",
        ),
    ],
    ids=["general_perf/tools", "tools/ beside it", "a folder of files", "the folder's own"],
)
def test_the_tools_beside_the_framework(
    write: Write, place: str, own: dict[str, str], owner: str
) -> None:
    root = write({f"{place}/torch_to_onnx.py": CONVERTS, f"{place}/files.py": "OWNER = 'beside'\n"})
    source = """
        from tools import torch_to_onnx
        from tools.torch_to_onnx import owner
        class CompileBackendGPU:
            owners = {torch_to_onnx.owner(), owner()}
    """
    assert loaded(root, source, own).owners == {owner}


@pytest.mark.parametrize("top", ["general_perf", "byte_mlperf"])
def test_the_tools_by_upstreams_names_are_the_same_module(write: Write, top: str) -> None:
    root = write({"tools/torch_to_onnx.py": CONVERTS, "tools/files.py": "OWNER = 'beside'\n"})
    source = f"""
        from {top}.tools import torch_to_onnx
        import tools.torch_to_onnx as bare
        class CompileBackendGPU:
            same = bare is torch_to_onnx
    """
    assert loaded(root, source).same


@pytest.mark.parametrize("name", ["general_perf.tools.none", "tools.none"])
def test_tools_that_are_not_there_are_asked_for(write: Write, name: str, installed: Path) -> None:
    (installed / "tools.py").unlink()
    with pytest.raises(UserError, match="ByteMLPerf has it in general_perf/tools: copy"):
        loaded(write({}), f"import {name}")


def test_a_data_sets_methods_import_its_own_while_a_backend_is_there(write: Write) -> None:
    root = write(
        {
            "datasets/open_x/data_loader.py": """
                class DataLoader:
                    def late(self):
                        import utils
                        return utils.OWNER
            """,
            "datasets/open_x/utils.py": "OWNER = 'open_x'\n",
        }
    )
    made = loaded(root, "import utils\nclass CompileBackendGPU:\n    owner = utils.OWNER\n", OWN)
    with upstream_imports([root], root / "backends" / "GPU"):
        data, _ = load_dataset_classes(root / "datasets" / "open_x")
        assert (data().late(), made.owner) == ("open_x", "GPU")


def test_an_import_function_that_was_put_around_ours(write: Write) -> None:
    """A lazy importer of the vendor's: it outlives us, and we come again."""
    root = write({})
    source = "import utils\nclass CompileBackendGPU:\n    owner = utils.OWNER\n"
    plain = builtins.__import__
    try:
        with upstream_imports([root], root / "backends" / "GPU"):
            inner = builtins.__import__
            builtins.__import__ = lambda *args, **kwargs: inner(*args, **kwargs)
        for _ in range(2):
            assert loaded(root, source, OWN).owner == "GPU"
            assert {"library"} == importlib.import_module("their_app").OWNERS
    finally:
        builtins.__import__ = plain
    assert loaded(root, source, OWN).owner == "GPU"
