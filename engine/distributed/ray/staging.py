"""What is sent to nodes by Ray's runtime environment: copies of packages, ours among them, and a
folder to work in, without caches and without what is too large.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.engine.distributed.errors import NodesError
from qs.engine.distributed.places.node_process import import_path

_CACHES = (
    *("__pycache__", "*.pyc", "*.pyo", "*.egg-info", ".git", ".hg", ".venv", "node_modules"),
    *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints"),
)
_WORKSPACE = "_workspace"  # of an installed package of ours: nodes are brought what they need of it
LARGEST_BYTES = 100 << 20  # of a file
MOST_BYTES = 500 << 20  # of all files of a package or folder; Ray takes 512 MiB, compressed


@dataclass(frozen=True)
class Staged:
    """Copies that can be sent."""

    folder: Path
    modules: tuple[Path, ...]
    work: Path | None

    def runtime_env(self) -> dict[str, Any]:
        environment: dict[str, Any] = {"py_modules": [str(module) for module in self.modules]}
        if self.work is not None:
            environment["working_dir"] = str(self.work)
        return environment

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def staged(
    modules: Sequence[Path],
    work: Path | None,
    say: Callable[[str], None],
    below: Path | None = None,
) -> Staged:
    """Copies of our package, `modules` and `work`; to be removed once they are sent. What is left
    out for its size is said. Raises NodesError for what is missing or too large.

    below   a folder to make them in, which is removed however this process ends
    """
    # Ray leaves out what a .gitignore names, which is not meant for it.
    os.environ["RAY_RUNTIME_ENV_IGNORE_GITIGNORE"] = "1"
    ours = Path(import_path()[0], "qs")
    folder = Path(tempfile.mkdtemp(prefix="qs-sent-", dir=below))
    try:
        names = [ours, *modules]
        copies = tuple(_copy(each, folder / "modules" / each.name, say) for each in names)
        copied = None if work is None else _copy(work, folder / "work", say)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Staged(folder, copies, copied)


def _copy(source: Path, target: Path, say: Callable[[str], None]) -> Path:
    if not source.exists():
        raise NodesError(f"{source}, which nodes need, does not exist")
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        return target
    leave_out = shutil.ignore_patterns(*_CACHES, *([_WORKSPACE] if source.name == "qs" else []))
    total = 0

    def ignored(folder: str, names: list[str]) -> set[str]:
        nonlocal total
        out = set(leave_out(folder, names))
        for name in names:
            path = Path(folder, name)
            if name in out or path.is_dir():
                continue
            try:
                size = path.stat().st_size
            except OSError:
                out.add(name)  # a link to nowhere
                continue
            if not path.is_file():
                out.add(name)
            elif size > LARGEST_BYTES:
                say(f"{path} is not sent to nodes: it has {size >> 20} MB")
                out.add(name)
            else:
                total += size
                if total > MOST_BYTES:
                    raise NodesError(
                        f"{source}, which nodes need, has more than {MOST_BYTES >> 20} MB; Ray "
                        "sends no more: leave out what nodes do not need"
                    )
        return out

    shutil.copytree(source, target, ignore=ignored)
    return target
