"""The house itself: floors without circles, files that one can read, types where packages meet."""

from __future__ import annotations

import ast
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("qs", "engine", "backends", "datasets", "model_zoo", "bench", "scripts")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
LONGEST = 400
REQUEST_PATH = ("plan.py", "load", "workers", "record")
# Of code: without blank lines, comments and docstrings. Blocking calls, coroutines, started
# requests and sessions have loops of their own.
REQUEST_PATH_LINES = 3_500
# What a plan or a row is called where it is handed on, and types that hide what is in it.
HANDED_ON = {"row", "rows", "plan", "settings", "case", "cases", "values"}
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}
OPAQUE = ("dict[str, Any]", "Mapping[str, Any]", "dict[str, object]", "Mapping[str, Value]")


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Every import between our modules: lazy ones and those for types alone too."""
    return grimp.build_graph("qs", cache_dir=None)


def test_the_contracts_of_the_floors_hold() -> None:
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    ran = subprocess.run(
        [sys.executable, "-c", command, "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


def test_no_file_is_in_a_circle(graph: grimp.ImportGraph) -> None:
    """Floors part packages; this finds circles between the files of one package too."""
    imports = {
        module: graph.find_modules_directly_imported_by(module) - {module}
        for module in graph.modules
    }
    assert circles(imports) == []


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]
    assert circles({"a": {"b"}, "b": set()}) == []


def test_the_engine_imports_nothing_else_of_qs(graph: grimp.ImportGraph) -> None:
    foreign = {
        (module, imported)
        for module in graph.modules
        if inside(module, "qs.engine")
        for imported in graph.find_modules_directly_imported_by(module)
        if not inside(imported, "qs.engine")
    }
    assert foreign == set()


def test_a_file_can_be_read_in_one_go() -> None:
    lengths = {str(path.relative_to(ROOT)): lines_of(path) for path in FILES}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}


def test_the_request_path_can_be_read_in_one_sitting() -> None:
    files = [
        file
        for name in REQUEST_PATH
        for file in (
            [ROOT / "engine" / name] if "." in name else (ROOT / "engine" / name).glob("*")
        )
        if file.suffix == ".py"
    ]
    assert sum(map(code_lines_of, files)) < REQUEST_PATH_LINES


def test_plans_and_rows_have_types_wherever_they_are_handed_on() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}: {annotation}"
        for path in FILES
        if path.is_relative_to(ROOT / "qs") or path.is_relative_to(ROOT / "engine")
        for line, name, annotation in parameters(tree_of(path))
        if name in HANDED_ON and any(opaque in annotation for opaque in OPAQUE)
    ]
    assert found == []


def tree_of(path: Path) -> ast.Module:
    """A module's syntax tree. CPython 3.11 may raise SystemError where the collector of garbage
    runs in the midst of it (gh-106905): then once more.
    """
    text = path.read_text(encoding="utf-8")
    try:
        return ast.parse(text)
    except SystemError:
        return ast.parse(text)


def parameters(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """(line, name, annotation) of each annotated parameter of a public function."""
    for node in ast.walk(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if node.name.startswith("_"):
            continue
        for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            if each.annotation is not None:
                yield each.lineno, each.arg, ast.unparse(each.annotation)


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def code_lines_of(path: Path) -> int:
    """Lines that hold code; a docstring is a statement that is a string and nothing else."""
    tree = tree_of(path)
    words = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    with path.open("rb") as file:
        code = {
            line
            for token in tokenize.tokenize(file.readline)
            if token.type not in NO_CODE
            for line in range(token.start[0], token.end[0] + 1)
        }
    return len(code - words - {0})


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected groups of more than one module (Tarjan, 1972), sorted."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for imported in sorted(imports.get(module, ())):
            if imported not in order:
                visit(imported)
                low[module] = min(low[module], low[imported])
            elif imported in stack:
                low[module] = min(low[module], order[imported])
        if low[module] == order[module]:
            at = stack.index(module)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for module in sorted(imports):
        if module not in order:
            visit(module)
    return sorted(found)
