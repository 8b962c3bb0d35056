"""All reports below a folder on one page: a table over tasks and backends that sorts and filters,
with links.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qs.base.words import number
from qs.render.html.rendering import render

NAME = "index.html"
PATTERNS = ("result-*.json", "sweep-*.json")


def render_index(root: Path) -> tuple[bytes, list[Path]]:
    """The page, and the results that could not be read. The best row of each result stands for it."""
    lines, unread = [], []
    for path in sorted(path for pattern in PATTERNS for path in root.rglob(pattern)):
        try:
            result = json.loads(path.read_bytes())
            lines.append(_line(result, path, root))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            unread.append(path)
    lines.sort(key=lambda line: (line["task"], line["backend"], line["kind"]))
    choices = {
        name: sorted({line[name] for line in lines}) for name in ("backend", "kind", "verdict")
    }
    return render(
        "index.html.j2",
        {},
        title="Reports",
        lines=lines,
        choices=choices,
        root=root.name or str(root),
    ), unread


def _line(result: Mapping[str, Any], path: Path, root: Path) -> dict[str, Any]:
    rows = [row for row in result.get("Performance") or [] if row.get("QPS")]
    best: Mapping[str, Any] = max(rows, key=lambda row: row["QPS"], default={})
    least = min((row["P99 Latency"] for row in rows if row.get("P99 Latency")), default=None)
    page = path.with_name("report.html")
    target = page if page.is_file() else path
    accuracy = result.get("Accuracy") or {}
    from qs.render.html.page import is_metric

    metrics = ", ".join(
        f"{name} {number(value, 4)}" for name, value in accuracy.items() if is_metric(name, value)
    )
    return {
        "task": str(result["Task"]),
        "backend": str(result["Backend"]),
        "kind": str(result.get("Kind", "run")),
        "precision": str((result.get("Graph Compile") or {}).get("Compile Precision") or ""),
        "qps": best.get("QPS"),
        "bs": best.get("BS"),
        "p99": least,
        "accuracy": metrics,
        "verdict": str(result["Verdict"]),
        "status": str(result["Status"]),
        "when": str(result.get("Execution Date", "")),
        "link": target.relative_to(root).as_posix(),
    }
