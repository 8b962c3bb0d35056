"""All reports below a folder on one page: a table over tasks and backends that sorts and filters,
with links.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from qs.base.errors import UserError
from qs.base.words import moment, number
from qs.render.html.rendering import render
from qs.result.beside import place_of
from qs.result.folder import page_of
from qs.result.kept import is_kept, unfinished
from qs.result.result import Kind, Result, Status
from qs.result.row import Verdict
from qs.result.saved import read_result
from qs.result.story import metrics_of, story_of
from qs.result.verdict import Tone

NAME = "index.html"
PATTERNS = ("result-*.json", "sweep-*.json")


@dataclass(frozen=True)
class Line:
    """One result; the row with the highest throughput stands for it."""

    task: str
    backend: str
    kind: Kind
    nodes: int | None  # several machines that shared the load
    precision: str
    items_per_s: float | None
    batch_size: int | None
    p99_ms: float | None
    accuracy: str
    verdict: Verdict
    standing: str
    tone: Tone
    status: Status
    when: str
    link: str
    kept: bool  # an earlier run, beside the newest


def reports_page(root: Path, place: Path | None = None) -> tuple[bytes, list[str]]:
    """The page, for the folder `place` if it is not to lie in `root` itself, and why which results
    could not be read.
    """
    lines: list[Line] = []
    unread, seen = [], set()
    found = (path for pattern in PATTERNS for path in root.rglob(pattern) if not unfinished(path))
    for path in sorted(found, key=lambda path: (is_kept(path), path)):
        if place_of(root, path.relative_to(root).as_posix()) is None:
            unread.append(f"{path}: is not a regular file below {root}")
            continue
        try:
            result = read_result(path)
            # A kept run may also lie at the published path, as the newest of its precision.
            of = (result.started, result.kind, result.task, result.backend, path.name)
            if of not in seen:
                seen.add(of)
                lines.append(_line(result, path, place or root))
        except UserError as error:
            unread.append(str(error))
    lines.sort(key=lambda line: (line.task, line.backend, line.kind))
    choices = {
        "backend": sorted({line.backend for line in lines}),
        "kind": sorted({line.kind for line in lines}),
        "verdict": sorted({line.verdict for line in lines}),
    }
    name = root.name or str(root)
    return render(
        "index.html.j2", {}, title=f"Reports in {name}", lines=lines, choices=choices, root=name
    ), unread


def _line(result: Result, path: Path, place: Path) -> Line:
    story = story_of(result)
    measured = [(row.items_per_s, row) for row in result.performance if row.items_per_s]
    best = max(measured, key=lambda each: each[0])[1] if measured else None
    page = page_of(path)
    metrics = metrics_of(result.accuracy) if result.accuracy else []
    compiled = result.graph_compile
    return Line(
        task=result.task,
        backend=result.backend,
        kind=result.kind,
        nodes=best.node_count if best and (best.node_count or 1) > 1 else None,
        precision=(compiled.precision or "") if compiled else "",
        items_per_s=best.items_per_s if best else None,
        batch_size=best.batch_size if best else None,
        p99_ms=best.p99_ms if best else None,
        accuracy=", ".join(f"{each.name} {number(each.value, 4)}" for each in metrics),
        verdict=result.verdict,
        standing=story.standing,
        tone=story.tone,
        status=result.status,
        when=moment(result.started),
        link=Path(os.path.relpath(page if page.is_file() else path, place)).as_posix(),
        kept=is_kept(path),
    )
