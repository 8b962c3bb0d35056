"""What a compile backend says it reads: the class attribute `model_formats`, the names of formats,
best first.

    class CompileBackendXXX(CompileBackend):
        model_formats = ("onnx", "pt")

It is read from the source, and no code of the vendor's runs: the model is made ready before the
backend's process starts. Therefore it is a literal. Published backends have none: they are given
the model in the format that the model info states.
"""

from __future__ import annotations

import ast
from pathlib import Path

from qs.base.errors import Fault, Faults

# No file is read: the model is one that a server serves. What the model info states is the
# reference's alone.
SERVED = "served"
ATTRIBUTE = "model_formats"
ALLOWED = 'a tuple of names of formats, best first, such as ("onnx", "pt")'


def formats_read_by(backend_folder: Path) -> tuple[str, ...]:
    """The formats that the backend in this folder states, best first; () if it states none, or if
    its file cannot be read (whoever loads it says so). Faults if what it states is no literal tuple
    of names.
    """
    folder = Path(backend_folder)
    file = _file(folder)
    if file is None:
        return ()
    try:
        module = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    classes = {
        node.name.casefold(): node for node in ast.walk(module) if isinstance(node, ast.ClassDef)
    }
    value = _stated(f"compilebackend{folder.name.casefold()}", classes)
    return () if value is None else _names(value, file)


def _file(folder: Path) -> Path | None:
    """The compile backend's file, in any case."""
    wanted = f"compile_backend_{folder.name}.py".casefold()
    try:
        found = sorted(
            path for path in folder.iterdir() if path.name.casefold() == wanted and path.is_file()
        )
    except OSError:
        return None
    return found[0] if found else None


def _stated(name: str, classes: dict[str, ast.ClassDef]) -> ast.expr | None:
    """What the class, or the nearest of its bases in the same file, sets the attribute to."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        each = todo.pop(0)
        node = classes.get(each)
        if node is None or each in seen:
            continue
        seen.add(each)
        value = _in_body(node)
        if value is not None:
            return value
        todo += [base.id.casefold() for base in node.bases if isinstance(base, ast.Name)]
    return None


def _in_body(node: ast.ClassDef) -> ast.expr | None:
    found = None
    for line in node.body:
        targets: list[ast.expr] = []
        if isinstance(line, ast.Assign):
            targets = line.targets
        elif isinstance(line, ast.AnnAssign) and line.value is not None:
            targets = [line.target]
        if any(isinstance(each, ast.Name) and each.id == ATTRIBUTE for each in targets):
            found = line.value  # type: ignore[attr-defined]
    return found


def _names(value: ast.expr, file: Path) -> tuple[str, ...]:
    place = f"{file}, line {value.lineno}"
    try:
        stated = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        hint = "it is read before any of the backend's code runs, so that it must be a literal"
        raise Faults([Fault(place, ATTRIBUTE, ast.unparse(value), ALLOWED, hint=hint)]) from None
    right = isinstance(stated, (tuple, list)) and all(
        isinstance(each, str) and each.strip() == each and each for each in stated
    )
    if not right:
        raise Faults([Fault(place, ATTRIBUTE, stated, ALLOWED)])
    twice = [each for each in dict.fromkeys(stated) if list(stated).count(each) > 1]
    if twice:
        raise Faults(
            [Fault(place, ATTRIBUTE, stated, f"each name once; {twice[0]} is there twice")]
        )
    return tuple(stated)
