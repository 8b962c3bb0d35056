"""Names: the folder in upper case, its files in lower case, its classes after the folder. The code
is read, not run.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from qs.conformance.outcome import Outcome, Problem, judged

_FOLDER = re.compile(r"[A-Z0-9_]+")


def judge(folder: Path) -> Outcome:
    """Wrong case is a fault: `qs run` forgives it on one machine, and the next one breaks on it."""
    hardware = folder.name.upper()
    problems = []
    if not _FOLDER.fullmatch(folder.name):
        meant = re.sub(r"[^A-Z0-9]+", "_", hardware).strip("_")
        problems.append(Problem(f"the folder is called {folder.name}", f"rename it to {meant}"))
    present = sorted(entry.name for entry in folder.iterdir())
    for kind in ("compile", "runtime"):
        wanted = f"{kind}_backend_{hardware.lower()}.py"
        problems += _file_problems(folder, present, wanted)
        found = _spelt(wanted, present)
        if found is not None:
            problems += _class_problems(folder / found, f"{kind.capitalize()}Backend{hardware}")
    profile = _spelt(f"{hardware}.json", present)
    if profile is not None and profile != f"{hardware}.json":
        reason = f"the interact profile is called {profile}"
        problems.append(Problem(reason, f"rename {profile} to {hardware}.json"))
    absent = [name for name in (f"{hardware}.json", "requirements.txt") if name not in present]
    note = f"; without {' and '.join(absent)}, which may be left out" if absent else ""
    return judged(problems, f"{folder.name}: folder, files and classes{note}", blocks=False)


def _file_problems(folder: Path, present: list[str], wanted: str) -> list[Problem]:
    found = _spelt(wanted, present)
    if found == wanted:
        return []
    if found is not None:
        return [Problem(f"{found} is not in lower case", f"rename {found} to {wanted}")]
    return [Problem(f"there is no {wanted}", f"add {folder / wanted}")]


def _class_problems(file: Path, wanted: str) -> list[Problem]:
    try:
        names = _top_names(ast.parse(file.read_text("utf-8")))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        return [Problem(f"{file.name} is not Python{where}: {error}", "correct that line")]
    if wanted in names or "*" in names:  # a star may bring anything
        return []
    found = _spelt(wanted, sorted(names))
    if found is not None:
        fix = f"rename the class {found} to {wanted}"
        return [Problem(f"{file.name} has a class {found}", fix)]
    return [Problem(f"{file.name} has no class {wanted}", f"add the class {wanted} to {file.name}")]


def _top_names(tree: ast.Module) -> set[str]:
    """Names that a module defines, imports or assigns, anywhere in it (also inside try and if)."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def _spelt(wanted: str, present: list[str]) -> str | None:
    """The name as it is spelt among those present, preferring the exact spelling."""
    if wanted in present:
        return wanted
    return next((name for name in present if name.casefold() == wanted.casefold()), None)
