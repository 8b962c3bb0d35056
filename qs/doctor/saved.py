"""The last self-benchmark of this machine, kept in the user's data folder: comparisons and reports
read it.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from qs.base.cache import data_dir
from qs.doctor.self_benchmark import SelfBenchmark

NAME = "self-benchmark.json"
OLD_S = 7 * 24 * 3600.0


def path() -> Path:
    return data_dir() / NAME


def save(found: SelfBenchmark) -> Path:
    """Written whole. OSError where the folder cannot be written to."""
    from qs.base.files import write_json

    write_json(path(), found.to_dict())
    return path()


def last() -> SelfBenchmark | None:
    """None where there is none, or it is of another processor."""
    from qs.base.machine import cpu_name, usable_cpus

    try:
        found = SelfBenchmark(**json.loads(path().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if (found.cpu, found.cpus) == (cpu_name(), len(usable_cpus())) else None


def age(found: SelfBenchmark) -> str:
    """How long ago, in words."""
    seconds = max(time.time() - found.measured_at, 0.0)
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return "a moment ago"
