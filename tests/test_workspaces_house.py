"""Backends, data sets and model builders see the contract of qs, and nothing behind it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("backends", "datasets", "model_zoo", "qs/scaffold/templates")
FILES = sorted(
    path
    for folder in FOLDERS
    for pattern in ("*.py", "*.py.txt")
    for path in (ROOT / folder).rglob(pattern)
)


def test_what_lies_in_a_workspace_imports_qs_and_its_contract_alone() -> None:
    """A vendor's folder is written against these names; our own must show no other way. Backends
    of servers have qs.remote besides.
    """
    assert FILES
    behind = [
        f"{path.relative_to(ROOT)}:{line}: {module}"
        for path in FILES
        for line, module in imported(path.read_text(encoding="utf-8").replace("$", "X"))
        if of_qs(module) and not in_the_contract(module)
    ]
    assert behind == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from qs.base.errors import UserError", ["qs.base.errors"]),
        ("def late():\n    import qs.tensors.numeric", ["qs.tensors.numeric"]),
        ("from qs.contract import scoring", []),
        ("from qs.remote import protocol", []),
        ("from qs import RuntimeBackend, sweep", ["qs.sweep"]),
        ("import qs.contract.tools, qs.contracts", ["qs.contracts"]),
        ("from engine import run", ["engine"]),
        ("from .sweep import qs", []),
        ("import qsomething, engineering", []),
    ],
)
def test_an_import_from_behind_the_contract_is_found(code: str, found: list[str]) -> None:
    modules = [module for _, module in imported(code)]
    assert [each for each in modules if of_qs(each) and not in_the_contract(each)] == found


def imported(code: str) -> Iterator[tuple[int, str]]:
    """(line, module) of every import, wherever it stands; names taken from `qs` one by one."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, each.name) for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            parts = [each.name for each in node.names] if node.module == "qs" else []
            yield from ((node.lineno, f"qs.{name}") for name in parts)
            if not parts:
                yield node.lineno, node.module


def of_qs(module: str) -> bool:
    return module.partition(".")[0] in ("qs", "engine")


def in_the_contract(module: str) -> bool:
    return module in ("qs.CompileBackend", "qs.RuntimeBackend") or (
        f"{module}.".startswith(("qs.contract.", "qs.remote."))
    )
