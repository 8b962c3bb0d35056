"""Results to render: real ones from short runs, and made-up ones of any size."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from tests.qs.test_cli import qs

DIGITS = ("--task", "digits-cnn-onnx-fp32", "--hardware_type", "CPU")
EVIL = "<script>alert(1)</script>"


@cache
def real(root: Path) -> Path:
    """The folder of a real report: two batch sizes, and an open loop at two rates."""
    ran = qs(
        "run",
        *DIGITS,
        "--batch_sizes",
        "1,8",
        "--clients",
        "1",
        "--duration",
        "1s",
        "--out",
        root,
        "--quiet",
    )
    assert ran.returncode == 0, ran.stderr
    return root / "CPU" / "digits-cnn-onnx-fp32"


def opened(root: Path) -> Path:
    ran = qs(
        "run",
        *DIGITS,
        "--batch_sizes",
        "1",
        "--clients",
        "1",
        "--rate",
        "300",
        "--duration",
        "2s",
        "--out",
        root,
        "--quiet",
    )
    assert ran.returncode == 0, ran.stderr
    return root / "CPU" / "digits-cnn-onnx-fp32"


def result_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result-fp32.json").read_text())


def evil(folder: Path, to: Path) -> dict[str, Any]:
    """The same result by a vendor that means no good, in a folder of its own."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("work"))
    result = result_of(folder)
    result["Warnings"] = [EVIL, "x" * 10_000]
    result["Reasons"] = [f"</script>{EVIL}"]
    result["Runtime Version"] = f"'\"><img src=x onerror=alert(1)>{EVIL}"
    result["Task"] = f"task {EVIL}"
    result["Graph Compile"]["Optimizations"] = {EVIL: EVIL}
    for row in result["Performance"]:
        row["Pool"] = EVIL
        row["Warnings"] = [EVIL * 300]
    (to / "result-fp32.json").write_text(json.dumps(result))
    return result


def large(folder: Path, cases: int, hours: float) -> dict[str, Any]:
    """Many cases, with a time series of so many hours together: one entry a second."""
    result = result_of(folder)
    first = result["Performance"][0]
    seconds = int(hours * 3600 / cases)
    interval = first["Intervals"][0]
    rows = []
    for number in range(cases):
        row = json.loads(json.dumps(first))
        row["BS"] = number + 1
        row["QPS"] = 1000.0 + number
        row["Wall Time"] = float(seconds)
        row["Intervals"] = [
            interval
            | {
                "Start": float(at),
                "Completed": 100 + at % 7,
                "P50 Latency": 1.25,
                "P99 Latency": 3.0 + (at == 5) * 90,
            }
            for at in range(seconds)
        ]
        rows.append(row)
    return result | {"Performance": rows}
