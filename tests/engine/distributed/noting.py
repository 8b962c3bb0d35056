"""A target for tests over nodes that notes when it was first called, on the clock of the node that
it was called on; and what such notes say.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from qs.engine import Factory
from qs.engine.distributed import Shipped

ROOT = Path(__file__).parents[3]
# what nodes need to find this module
OURS = Shipped(modules=(ROOT / "tests",))


class Noting:
    """Sleeps `takes_s`, and writes a file into `folder` at its first call."""

    def __init__(self, folder: str, takes_s: float):
        self.path = Path(folder, f"{os.getpid()}-{id(self)}.json")
        self.takes_s = takes_s
        self.noted = False

    def __call__(self, sample: object) -> None:
        now_ns = time.monotonic_ns()
        if not self.noted:
            self.noted = True
            note = {"first_ns": now_ns, "space": os.stat("/proc/self/ns/net").st_ino}
            self.path.write_text(json.dumps(note))
        time.sleep(self.takes_s)


def noting(folder: Path, takes_s: float = 0.001) -> Factory:
    folder.mkdir(exist_ok=True)
    reference = "tests.engine.distributed.noting:Noting"
    return Factory(reference, {"folder": str(folder), "takes_s": takes_s})


def first_calls(folder: Path) -> dict[int, int]:
    """By network namespace, when the first of its workers was first called (ns, on its clock)."""
    first: dict[int, int] = {}
    for path in folder.glob("*.json"):
        note = json.loads(path.read_text())
        space = note["space"]
        first[space] = min(note["first_ns"], first.get(space, note["first_ns"]))
    return first


class Sleeper:
    """A server of a fixed service time, that holds neither a core nor the interpreter's lock."""

    def __init__(self, service_s: float):
        self.service_s = service_s

    def __call__(self, sample: object) -> None:
        time.sleep(self.service_s)
