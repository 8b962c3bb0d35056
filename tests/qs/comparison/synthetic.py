"""Results that nobody measured: service times with noise that lasts, written as the program writes
what it measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.files import write_json
from qs.engine.files import write_hlog
from qs.engine.record.histogram import Histogram, indices_of
from qs.engine.record.intervals import IntervalRow
from qs.engine.result import RunResult, WarmUpResult
from qs.evaluate.rows import measured
from qs.result.folder import ReportFolder
from qs.result.record import Record, to_result
from qs.result.row import Row
from qs.settings.case import Case
from qs.settings.traffic import ScenarioSettings

S = 1e9
HOST = {
    "CPU": "Test CPU",
    "Logical CPUs": 8,
    "Physical Cores": 4,
    "Usable CPUs": list(range(8)),
    "System": "Linux-6.1-x86_64",
    "Python": "CPython 3.11.4",
    "Packages": {"numpy": "2.0.0", "onnxruntime": "1.20.0"},
}
SHA = "ab" * 32


@dataclass(frozen=True)
class Noise:
    """Of the logarithm of a service time: white noise; noise that lasts for about `lasts` requests;
    a share of requests that take `spike` times as long; and an offset of the whole run, which no
    run shows of itself.
    """

    white: float = 0.03
    slow: float = 0.02
    lasts: float = 200.0
    spikes: float = 0.02
    spike: float = 1.6
    run: float = 0.005


@dataclass(frozen=True)
class Drawn:
    """One synthetic case."""

    batch_size: int = 1
    base_ns: float = 2e6
    seconds: float = 8.0
    interval_s: float = 0.25
    noise: Noise = field(default_factory=Noise)
    clients: int = 1
    scenario: ScenarioSettings | None = None
    repeats: int = 1
    warnings: tuple[str, ...] = ()


def service_ns(rng: np.random.Generator, drawn: Drawn) -> np.ndarray:
    """Service times of one client that fill the run."""
    count = int(drawn.seconds * S / drawn.base_ns * 1.2) + 10
    noise = drawn.noise
    keep = np.exp(-1.0 / noise.lasts)
    steps = rng.normal(0.0, noise.slow * np.sqrt(1.0 - keep**2), count)
    steps[0] = rng.normal(0.0, noise.slow)
    slow = _recursive(steps, keep)
    logs = slow + rng.normal(0.0, noise.white, count) + rng.normal(0.0, noise.run)
    logs += np.log(noise.spike) * (rng.random(count) < noise.spikes)
    times = drawn.base_ns * np.exp(logs)
    return times[: int(np.searchsorted(np.cumsum(times), drawn.seconds * S)) + 1].astype(np.int64)


def _recursive(steps: np.ndarray, keep: float) -> np.ndarray:
    """x_t = keep x_(t-1) + step_t."""
    found, last = np.empty_like(steps), 0.0
    for at, step in enumerate(steps.tolist()):
        found[at] = last = keep * last + step
    return found


def run_result(times_ns: np.ndarray, drawn: Drawn) -> RunResult:
    """What the engine reports of one client with these service times."""
    ends = np.cumsum(times_ns) / S
    response = Histogram()
    response.record(times_ns)
    intervals = []
    for number in range(int(ends[-1] / drawn.interval_s) + 1):
        start = number * drawn.interval_s
        inside = times_ns[
            np.searchsorted(ends, start, "right") : np.searchsorted(
                ends, start + drawn.interval_s, "right"
            )
        ]
        index, counts = (
            np.unique(indices_of(inside), return_counts=True)
            if inside.size
            else (np.zeros(0, np.int64),) * 2
        )
        length = min(drawn.interval_s, max(float(ends[-1]) - start, 0.0))
        if length or inside.size:
            intervals.append(
                IntervalRow(start, length, int(inside.size), 0, None, None, 1, index, counts)
            )
    return RunResult(
        completed=int(times_ns.size),
        errors_by_kind={},
        wall_s=float(ends[-1]),
        response=response,
        service=response,
        lateness=Histogram(),
        intervals=intervals,
        warmup=WarmUpResult(),
        planned=None,
        first_ns=int(times_ns[0]),
        open_loop=False,
        pool="thread",
        workers=1,
        clients=drawn.clients,
        started_at=1.7e9,
        ended_by="duration",
    )


def row_of(rng: np.random.Generator, drawn: Drawn, folder: ReportFolder) -> Row:
    """A row of the report, its logs written."""
    case = Case(
        name=f"bs{drawn.batch_size}-c{drawn.clients}",
        batch_size=drawn.batch_size,
        requested_batch_size=drawn.batch_size,
        clients=drawn.clients,
        iterations=None,
        duration_s=drawn.seconds,
        time_limit_s=None,
        pool="thread",
        instances=1,
        intra_op_threads=None,
        affinity=(),
        scenario=drawn.scenario,
    )
    results = [run_result(service_ns(rng, drawn), drawn) for _ in range(drawn.repeats)]
    names = []
    for number, result in enumerate(results):
        path = folder.histogram(case.name if drawn.repeats == 1 else f"{case.name}-r{number + 1}")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_hlog(path, result.intervals, result.started_at)
        names.append(f"{path.parent.name}/{path.name}")
    row = measured(case, results[0], names[0])
    if drawn.repeats > 1:
        row = row.changed(histogram=None, histograms=names)
    return row.changed(warning_codes=list(drawn.warnings))


def write_result(
    folder: Path, seed: int, cases: Sequence[Drawn] = (Drawn(),), **changes: Any
) -> Path:
    """A result JSON with its logs; `changes` are of the record."""
    rng = np.random.default_rng(seed)
    kind = changes.get("kind", "run")
    report = ReportFolder(folder, "fp32", kind)
    record = Record(
        **{
            "task": "bert-torch-fp32",
            "hardware": "CPU",
            "model": "bert-torch-fp32",
            "command": ["qs", kind],
            "qs_version": "0.1.0",
            "host": HOST,
            "model_source": {"sha256": SHA, "note": ""},
            "dataset": {"name": "squad", "items": 100, "kind": "dataset", "why": "", "seed": 0},
            "versions": {"runtime": "1.20.0", "compile": "1.20.0"},
            "rows": [row_of(rng, drawn, report) for drawn in cases],
            "status": "complete",
            **changes,
        }
    )
    write_json(report.result, to_result(record).to_dict())
    return report.result
