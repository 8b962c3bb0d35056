"""What a GPU gives: the published resnet50 and BERT tasks on the backends CUDA (ONNX Runtime) and
TORCH, with 1, 2 and 4 instances on one GPU, as `qs run` measures them. A Markdown table for the
docs, and all rows as JSON.

The whole takes less than the limit (8 minutes): a run that would not fit into the rest of it is a
line that says so, not a shorter measurement. Environments and models are made before the clock
starts, since a first time may have to fetch gigabytes.

    python bench/gpu.py [--json FILE] [--device N] [--limit SECONDS]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TASKS = ("resnet50-torch-fp32", "bert-torch-fp32")
BACKENDS = ("CUDA", "TORCH")
INSTANCES = (1, 2, 4)
BATCH_SIZES = (1, 8)
MEASURED_S = 6  # of each batch size
# What a run takes beside measuring, until one has shown it: its processes, loading, the reference.
EXPECTED_BESIDE_S = 25.0
LIMIT_S = 480.0


@dataclass(frozen=True)
class Wanted:
    """One `qs run`."""

    task: str
    backend: str
    instances: int


@dataclass(frozen=True)
class Line:
    """One batch size of a run, or why there is none."""

    task: str
    backend: str
    instances: int
    batch_size: int | None = None
    items_per_s: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    mean_power_w: float | None = None
    cosine: float | None = None
    verdict: str = ""
    why_not: str = ""


def plan() -> list[Wanted]:
    """Backends next to each other, so that both see the same state of the machine."""
    return [Wanted(t, b, n) for t in TASKS for n in INSTANCES for b in BACKENDS]


def answers(wanted: Wanted, device: int) -> dict[str, Any]:
    """The backend's questions: every instance on the one GPU."""
    if wanted.backend == "CUDA":
        return {"device_ids": ",".join([str(device)] * wanted.instances)}
    return {"device": f"cuda:{device}"}


def qs_run(wanted: Wanted, folder: Path, more: Sequence[str] = ()) -> list[str]:
    """`answers.json` in the folder, the report beside it."""
    return [
        *(sys.executable, "-m", "qs", "run", "--task", wanted.task),
        *("--hardware_type", wanted.backend, "--no_input", "--no_picture"),
        *("--instances", str(wanted.instances), "--clients", str(wanted.instances)),
        *("--batch_sizes", ",".join(map(str, BATCH_SIZES)), "--duration", f"{MEASURED_S}s"),
        *("--answers", str(folder / "answers.json"), "--out", str(folder / "out")),
        *more,
    ]


def lines(wanted: Wanted, result: dict[str, Any]) -> list[Line]:
    """The rows of a run's result."""
    cosine = (result.get("Accuracy") or {}).get("Cosine Similarity")
    return [
        Line(
            *(wanted.task, wanted.backend, wanted.instances, row.get("BS")),
            *(row.get("QPS"), row.get("P50 Latency"), row.get("P99 Latency")),
            *(row.get("Mean Power"), cosine, str(row.get("Verdict") or row.get("Outcome") or "")),
        )
        for row in result.get("Performance") or ()
    ]


def table(found: Sequence[Line]) -> str:
    """Markdown."""
    titles = ("task", "backend", "instances", "batch size", "items/s", "p50 ms", "p99 ms", "W",
              "cosine", "verdict")  # fmt: skip
    rows = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for each in found:
        cells = [each.task, each.backend, str(each.instances)]
        if each.why_not:
            cells += ["", *[""] * 5, f"not measured: {each.why_not}"]
        else:
            cells += [
                str(each.batch_size),
                _shown(each.items_per_s, ",.0f"),
                _shown(each.p50_ms, ".2f"),
                _shown(each.p99_ms, ".2f"),
                _shown(each.mean_power_w, ".0f"),
                _shown(each.cosine, ".6f"),
                each.verdict,
            ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def _shown(value: float | None, form: str) -> str:
    return "n/a" if value is None else format(value, form)


def measure(
    wanted: Sequence[Wanted],
    run: Callable[[Wanted, float], list[Line]],
    limit_s: float = LIMIT_S,
    clock: Callable[[], float] = time.monotonic,
) -> list[Line]:
    """Each run that fits into the limit, by what the longest one so far took; `run` gets the
    seconds that are left.
    """
    begin, longest = clock(), EXPECTED_BESIDE_S + len(BATCH_SIZES) * MEASURED_S
    found: list[Line] = []
    for each in wanted:
        left = limit_s - (clock() - begin)
        if left < longest:
            why = f"{limit_s:g} s were nearly over"
            found.append(Line(each.task, each.backend, each.instances, why_not=why))
            continue
        started = clock()
        found += run(each, left)
        longest = max(longest, clock() - started)
    return found


def run_one(wanted: Wanted, device: int, limit_s: float | None, more: Sequence[str]) -> list[Line]:
    """Start `qs run`; a fault is a line with its last words."""
    with tempfile.TemporaryDirectory(prefix="qs-bench-gpu-") as name:
        folder = Path(name)
        (folder / "answers.json").write_text(json.dumps(answers(wanted, device)))
        try:
            done = subprocess.run(
                qs_run(wanted, folder, more),
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=limit_s,
            )
        except subprocess.TimeoutExpired:
            why = f"not done within the {limit_s:.0f} s that were left"
            return [Line(wanted.task, wanted.backend, wanted.instances, why_not=why)]
        results = sorted(folder.glob("out/**/result-*.json"))
        found = lines(wanted, json.loads(results[0].read_text())) if results else []
        if found or (done.returncode == 0 and "--compile_only" in more):
            return found
        words = (done.stderr or done.stdout).strip().splitlines() or [f"exit {done.returncode}"]
        return [Line(wanted.task, wanted.backend, wanted.instances, why_not=words[-1][:200])]


def gpus() -> list[str]:
    """As nvidia-smi lists them; [] without it or without any."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--json", type=Path, help="write all rows to this file")
    parser.add_argument("--device", type=int, default=0, help="number of the GPU (0)")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds for all runs (480)")
    options = parser.parse_args(arguments)
    found = gpus()
    if not found:
        print(
            "bench/gpu.py needs an NVIDIA GPU: nvidia-smi is not there, or lists none",
            file=sys.stderr,
        )
        return 2
    if not 0 <= options.device < len(found):
        print(f"--device {options.device}: this machine has {'; '.join(found)}", file=sys.stderr)
        return 2
    for backend in BACKENDS:
        for task in TASKS:
            print(f"making {task} ready for {backend} ...", file=sys.stderr, flush=True)
            for line in run_one(Wanted(task, backend, 1), options.device, None, ["--compile_only"]):
                print(f"  {line.why_not}", file=sys.stderr, flush=True)

    def run(wanted: Wanted, left_s: float) -> list[Line]:
        print(f"{wanted.task} on {wanted.backend}, {wanted.instances} ...", file=sys.stderr)
        return run_one(wanted, options.device, left_s, ())

    measured = measure(plan(), run, options.limit)
    print(f"{found[options.device]}\n")
    print(table(measured))
    if options.json:
        content = {"gpu": found[options.device], "rows": [asdict(line) for line in measured]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    return 0 if any(not line.why_not for line in measured) else 3


if __name__ == "__main__":
    sys.exit(main())
