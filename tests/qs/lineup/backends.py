"""Workspaces with several small backends, each of which takes its own time for a call."""

from __future__ import annotations

import textwrap
from pathlib import Path

from tests.qs import small_backend
from tests.qs.program import Ran, qs
from tests.qs.small_backend import COMPILER, RUNTIME

MODEL, TASK = small_backend.MODEL, small_backend.TASK


def predict(seconds: float) -> str:
    return f"""
def predict(self, feeds):
    time.sleep({seconds})
    return {{"logits": np.zeros((self.batch_size, 10), np.float32)}}
"""


def write(
    root: Path, backends: dict[str, str], compiler: str = COMPILER, **workload: object
) -> Path:
    """A workspace at `root` with a task, and a backend for each body of `predict`."""
    small_backend.write(root, **workload)
    (root / "backends" / small_backend.HARDWARE).rename(root / "TINY-left-out")
    for name, body in backends.items():
        add(root, name, body, compiler)
    return root


def add(root: Path, name: str, body: str, compiler: str = COMPILER) -> None:
    folder = root / "backends" / name
    folder.mkdir()
    body = textwrap.indent(textwrap.dedent(body), "    ").strip()
    for kind, text in (
        ("compile", compiler.format(best=None)),
        ("runtime", RUNTIME.format(predict=body, config="None")),
    ):
        file = folder / f"{kind}_backend_{name.lower()}.py"
        file.write_text(text.replace("TINY", name))


def run(root: Path, backends: str, *options: object, verb: str = "run") -> Ran:
    place = ("--workspace", root, "--out", root / "reports")
    task = (TASK,) if verb == "load" else ("--task", TASK)
    return qs(verb, *task, *place, "--hardware_type", backends, *options, cwd=root)
