"""Whether loading an archive of torch.export would run code that lies in it.

torch.export.load unpickles members that ask for it, loads shared libraries, looks targets up as
attributes of torch (of which `torch.os` is one), and hands expressions to sympy, which evaluates
them. Nothing of that is needed for a graph of operators on tensors: an archive with more is
refused, unread by torch.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.tensors.torch_archive import exported_json, opened

END_OF_ARCHIVE = b"PK\x05\x06"
_END_BYTES = 22
# Operators by their names, Python's on numbers, and torch's on sizes; nothing that is given what to
# call.
_TARGETS = (
    re.compile(r"torch\.ops\.(?!load_library\b|import_module\b)[a-z]\w*\.\w+(\.\w+)?"),
    re.compile(r"torch\.sym_\w+"),
    re.compile(r"math\.[a-z]\w*"),
    re.compile(
        r"_operator\.(getitem|add|sub|mul|truediv|floordiv|mod|pow|neg|pos|abs|eq|ne|lt|le|gt|ge|"
        r"and_|or_|xor|not_|invert|lshift|rshift|index|is_|is_not|truth)"
    ),
)
_NAME = re.compile(r"[\w.]*")
_WORD = re.compile(r"[A-Za-z]\w*|-?\d+(\.\d+)?")
_FUNCTION = re.compile(r"[A-Z]\w*|floor|ceiling")
_EXPRESSION = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.operator,
    ast.unaryop,
    ast.boolop,
    ast.cmpop,
    ast.expr_context,
    ast.keyword,
)


def check_exported(path: Path) -> None:
    """Raise UserError for an archive of torch.export that holds more than a graph and tensors."""
    reason = next(_reasons(path), None)
    if reason is not None:
        raise UserError(f"{path} is not loaded, for it could run code: {reason}")


def _reasons(path: Path) -> Iterator[str]:
    with opened(path) as archive:
        names = archive.namelist()
    with path.open("rb") as file:
        file.seek(-_END_BYTES, 2)
        if not file.read().startswith(END_OF_ARCHIVE):
            yield "something follows the archive's end"
    if len(set(names)) < len(names):
        yield "it holds members of one name"
    for name in names:
        if "/aotinductor/" in f"/{name}" or name.endswith((".so", ".dll", ".dylib")):
            yield f"{name} in it is compiled code"
    for name, content in exported_json(path):
        for key, value in _pairs(content):
            yield from (f"{why} ({name})" for why in _of_pair(key, value))


def _pairs(content: Any) -> Iterator[tuple[str, Any]]:
    """Every (key, value) in a tree of JSON."""
    waiting = [content]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            for key, value in each.items():
                yield key, value
                waiting.append(value)
        elif isinstance(each, list):
            waiting += each


def _of_pair(key: str, value: Any) -> Iterator[str]:
    if key == "use_pickle" and value:
        yield "it holds pickled tensors or objects"
    elif key == "path_name" and str(value).startswith(("opaque_obj", "custom_obj")):
        yield "it holds pickled objects"
    elif key in ("as_custom_obj", "custom_obj"):
        yield "it takes an object that is no tensor"
    elif key in ("target", "as_operator") and isinstance(value, str):
        if not any(pattern.fullmatch(value) for pattern in _TARGETS):
            yield f"its graph calls {value[:80]!r}, which is no operator"
    elif key == "name" and isinstance(value, str) and not _NAME.fullmatch(value):
        yield f"{value[:80]!r} is no name"
    elif key == "expr_str" and not _is_plain(str(value)):
        yield f"{str(value)[:80]!r} is no size"
    elif key in ("in_spec", "out_spec") and isinstance(value, str):
        yield from _of_tree(value)


def _of_tree(text: str) -> Iterator[str]:
    """Trees of inputs and outputs: torch imports the modules that some kinds of nodes name."""
    try:
        pairs = list(_pairs(json.loads(text)))
    except (ValueError, RecursionError):
        yield "the tree of its inputs or outputs cannot be read"
        return
    for key, value in pairs:
        if key in ("default_factory_module", "__enum__") or "__enum__" in str(value):
            yield "the tree of its inputs or outputs names a module to import"


def _is_plain(expression: str) -> bool:
    """Whether an expression is arithmetic on symbols and numbers."""
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            right = isinstance(node.func, ast.Name) and bool(_FUNCTION.fullmatch(node.func.id))
        elif isinstance(node, ast.Name):
            right = id(node) in called or not node.id.startswith("_")
        elif isinstance(node, ast.Constant):
            text = isinstance(node.value, str) and bool(_WORD.fullmatch(node.value))
            right = text or isinstance(node.value, (bool, int, float))
        else:
            right = isinstance(node, _EXPRESSION)
        if not right:
            return False
    return True
