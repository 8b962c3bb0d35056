"""Puts the workspace folders into the wheel as qs/_workspace/; all other packaging is in setup.cfg.

The folders are at the root of the repository because a workspace is found by path, never imported.
As packages they would be installed as top-level `datasets`, `backends` ... and shadow well-known
libraries of those names. An editable install copies nothing: the root of the checkout is then the
shipped workspace.
"""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FOLDERS = ("workloads", "backends", "model_zoo", "datasets")
SKIPPED_SUFFIXES = {".pyc", ".pyo", ".pt", ".pth", ".log", ".tmp"}
# Committed, though a file of its suffix is usually a user's own.
SHIPPED = {Path("model_zoo/digits/digits-cnn-torch-fp32.pt")}
# Anything larger is a user's own model file in the checkout, not ours to publish.
LARGEST_BYTES = 10 * 2**20


def workspace_files(root: Path) -> list[Path]:
    """The files of the four folders that belong in a distribution, relative to `root`, sorted."""
    found = []
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            relative = path.relative_to(root)
            hidden = any(part.startswith(".") or part == "__pycache__" for part in relative.parts)
            skipped = path.suffix in SKIPPED_SUFFIXES and relative not in SHIPPED
            if hidden or not path.is_file() or skipped:
                continue
            if path.stat().st_size > LARGEST_BYTES:
                print(
                    f"left out of the distribution, over {LARGEST_BYTES} bytes: {relative}",
                    file=sys.stderr,
                )
                continue
            found.append(relative)
    return found


class BuildWithWorkspace(build_py):
    """build_py that also copies the workspace, and names those files among its outputs."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for source, target in self._workspace().items():
            self.mkpath(str(Path(target).parent))
            self.copy_file(source, target, preserve_mode=False)

    def get_outputs(self, include_bytecode: int = 1) -> list[str]:
        return list(super().get_outputs(include_bytecode)) + list(self._workspace())

    def get_source_files(self) -> list[str]:
        """The files of an sdist, so that a wheel built from it has the workspace too."""
        return [*super().get_source_files(), *(str(path) for path in workspace_files(Path()))]

    def _workspace(self) -> dict[str, str]:
        if self.editable_mode:
            return {}
        base = Path(self.build_lib, "qs", "_workspace")
        return {str(path): str(base / path) for path in workspace_files(Path())}


if __name__ == "__main__":
    setup(cmdclass={"build_py": BuildWithWorkspace})
