"""Results to render: three saved by real runs, and made-up ones of any size."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from qs.render.html.page import result_page
from qs.result.result import Result
from qs.result.saved import typed
from qs.result.story import Story, story_of

REPORTS = Path(__file__).parents[2] / "fixtures" / "reports"
DIGITS = ("--task", "digits-cnn-onnx-fp32", "--hardware_type", "CPU")
EVIL = "<script>alert(1)</script>"


def report(name: str, root: Path) -> Path:
    """A copy of a saved report with its page: "closed" (two batch sizes), "open" (Poisson arrivals)
    or "sweep" (with a limit).
    """
    folder = root / "CPU" / "digits-cnn-onnx-fp32"
    shutil.copytree(REPORTS / name, folder)
    stem = "sweep" if name == "sweep" else "report"
    saved = next(folder.glob("*-fp32.json"))
    (folder / f"{stem}.html").write_bytes(result_page(told(json.loads(saved.read_text()), folder)))
    return folder


def told(result: dict[str, Any], folder: Path | None = None) -> Story:
    """The story of a result as it is saved."""
    return story_of(typed(result, "test"), folder)


def result_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result-fp32.json").read_text())


def small(rows: list[dict[str, Any]], **more: Any) -> Result:
    """A result of a few keys. `rows` may leave out what does not matter."""
    least = {
        "BS": 1,
        "QPS": None,
        "AVG Latency": None,
        "P99 Latency": None,
        "Mode": "QS",
        "Verdict": "VALID",
        "Reasons": [],
        "Warnings": [],
    }
    return Result.model_validate(
        {
            "Model": "BERT",
            "Backend": "ACME",
            "Host Info": "a processor",
            "Version": None,
            "Execution Date": "",
            "schema_version": 1,
            "Status": "complete",
            "Verdict": "VALID",
            "Reasons": [],
            "Warnings": [],
            "Task": "bert-torch-fp32",
            "Command": ["qs", "run"],
            "QS Version": "0.1.0",
            "Started": "2026-11-29T14:50:03+00:00",
            "Performance": [least | row for row in rows],
        }
        | more
    )


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
