"""Backends' results that nobody measured: their speeds are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qs.comparison.sides import Side, from_path
from tests.qs.comparison.synthetic import Drawn, Noise, write_result

QUIET = Noise(run=0.002, slow=0.004)
COMPILED = {"compile_precision": "FP32", "segments": []}
SECONDS = 1.2


def side(root: Path, name: str, times_ms: dict[int, float], seed: int, **changes) -> Side:
    """A backend whose queries take so long, by batch size, measured in three turns."""
    cases = [Drawn(size, ms * 1e6, SECONDS, 0.1, QUIET, repeats=3) for size, ms in times_ms.items()]
    changes = {"compile_result": COMPILED, "hardware": name, **changes}
    path = write_result(root / name, seed, cases, **changes)
    return replace(from_path(str(path), measured=False), name=name)
