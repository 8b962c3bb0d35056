"""The engine is a library of its own: it knows nothing of the program around it, and importing it
does nothing and loads little.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "engine").rglob("*.py"))
# What it is built on; the rest of this list is loaded where it is used.
AT_IMPORT = {"numpy"}
IN_WIRE = {"hpack", "httptools"}  # nothing loads engine.wire but who uses it
WHERE_USED = {"grpc", "hdrh", "hpack", "httptools", "psutil", "pyarrow", "ray", "uvloop"}


def top_of(name: str) -> str:
    """The package that a dotted name lies in; the engine's is one of its own within `qs`."""
    return "qs.engine" if f"{name}.".startswith("qs.engine.") else name.split(".")[0]


def imported(tree: ast.AST) -> set[str]:
    """Top-level packages that a syntax tree imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {top_of(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(top_of(node.module or ""))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_knows_only_the_engine_and_what_it_is_built_on(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    foreign = imported(tree) - set(sys.stdlib_module_names) - {"qs.engine"}
    assert foreign <= AT_IMPORT | WHERE_USED
    at_top = ast.Module(
        [
            node
            for node in tree.body
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        ],
        [],
    )
    allowed = AT_IMPORT | (IN_WIRE if path.parent.name == "wire" else set())
    assert imported(at_top) - set(sys.stdlib_module_names) - {"qs.engine"} <= allowed


def test_importing_it_changes_nothing_and_loads_little():
    script = """
import json, os, signal, sys, threading
def state():
    signals = signal.getsignal(signal.SIGINT)
    return dict(os.environ), os.getcwd(), list(sys.path), signals, sys.getswitchinterval()
before = state()
import qs.engine
after = state()
print(json.dumps({
    "same": before == after, "threads": threading.active_count(),
    "loaded": sorted({name.split(".")[0] for name in sys.modules}),
    "qs": sorted(
        name for name in sys.modules
        if name.startswith("qs.") and not name.startswith("qs.engine")
    ),
}))
"""
    seen = json.loads(
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"},  # qs itself sets it
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    assert seen["same"] is True
    assert seen["threads"] == 1
    assert seen["qs"] == []
    assert not set(seen["loaded"]) & {
        *WHERE_USED,
        "onnx",
        "onnxruntime",
        "pandas",
        "scipy",
        "matplotlib",
        "click",
        "pydantic",
    }


def test_everything_it_names_is_there():
    from qs import engine

    assert sorted(engine.__all__) == sorted(set(engine.__all__))
    assert all(hasattr(engine, name) for name in engine.__all__)
