"""A result's story, in order: what came out, what was run, the table, the charts, whether the
answers are right, doubts, how to do it again.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qs.base.pareto import frontier
from qs.base.words import data_size, number
from qs.render.html import charts, curves
from qs.render.html.rendering import render
from qs.render.terminal import NUMERIC
from qs.result import row as result_row
from qs.result.keys import title_of

NAME = "report.html"
PICTURE_BYTES = 600_000  # a larger picture stays beside the page
OPEN_LOOP = ("Poisson", "ConstantRate", "Stages", "Replay", "Server", "Offline")
AT = ("p50_ns", "p90_ns", "p95_ns", "p99_ns", "p99.9_ns")

Row = Mapping[str, Any]
Result = Mapping[str, Any]


def render_page(result: Result, folder: Path) -> bytes:
    """The page of a result. `folder` holds its histogram logs and pictures; without them their
    parts are left out.
    """
    rows = named_rows(result)
    drawn = charts_of(result, rows, folder)
    return render(
        "page.html.j2",
        drawn,
        result=result,
        title=f"{result['Task']} on {result['Backend']}",
        headline=headline(result),
        rows=rows,
        cells=[(name, cells(row)) for name, row in rows],
        columns=COLUMNS,
        values=result.get("Effective Values") or {},
        facts=facts(result),
        accuracy=accuracy_rows(result.get("Accuracy") or {}),
        numeric=((result.get("Accuracy") or {}).get("Numeric") or {}).get("outputs") or {},
        picture=picture(result, folder),
        compiled=result.get("Graph Compile"),
        doubts=doubts(result),
        shared=shared_by_all(result),
        command=command_of(result),
        files=files(result, folder),
        sweep=result.get("Sweep"),
        thinned="series" in drawn and drawn["series"].pop("thinned"),
    )


COLUMNS = (
    ("QPS", "items/s"),
    ("AVG Latency", "average ms"),
    ("P50 Latency", "p50 ms"),
    ("P90 Latency", "p90 ms"),
    ("P99 Latency", "p99 ms"),
    ("P99.9 Latency", "p99.9 ms"),
    ("Max Latency", "max ms"),
    ("Completed", "completed"),
    ("Errors", "errors"),
)


def named_rows(result: Result) -> list[tuple[str, Row]]:
    """Each row with a name of its own: what it does not share with all others."""
    found: list[tuple[str, Row]] = []
    seen: dict[str, int] = {}
    rows = result.get("Performance") or []
    titles = [title_of(result_row.Row.model_validate(row)).split(", ") for row in rows]
    shared = set(titles[0]).intersection(*titles[1:]) if len(titles) > 1 else set()
    for row, parts in zip(rows, titles):
        name = ", ".join(part for part in parts if part not in shared or part.startswith("BS "))
        seen[name] = seen.get(name, 0) + 1
        found.append((name if seen[name] == 1 else f"{name} (#{seen[name]})", row))
    return found


def shared_by_all(result: Result) -> str:
    """What every row has in common."""
    titles = [
        title_of(result_row.Row.model_validate(row)).split(", ")
        for row in result.get("Performance") or []
    ]
    return ", ".join(
        part
        for part in (titles[0] if len(titles) > 1 else [])
        if all(part in other for other in titles)
    )


def command_of(result: Result) -> str:
    """As it would be typed: by whichever entry it was started, it is qs."""
    program, *words = [str(word) for word in result.get("Command") or [""]]
    started_by_us = Path(program).name in ("__main__.py", "qs", "launch.py")
    return shlex.join(["qs" if started_by_us else program, *words])


def cells(row: Row) -> list[tuple[Any, str]]:
    """(value to sort by, text) for each column."""
    return [(row.get(key), number(row.get(key))) for key, _ in COLUMNS]


def headline(result: Result) -> str:
    """What came out, in a sentence or two."""
    rows = [row for row in result.get("Performance") or [] if row.get("QPS")]
    said = []
    if rows:
        best = max(rows, key=lambda row: row["QPS"])
        said.append(f"{number(float(best['QPS']))} items/s at most, at batch size {best['BS']}")
        tails = [row for row in rows if row.get("P99 Latency")]
        if tails:
            least = min(tails, key=lambda row: row["P99 Latency"])
            said.append(
                f"p99 of {number(float(least['P99 Latency']))} ms at least, at batch size {least['BS']}"
            )
    else:
        said.append(
            "nothing was measured"
            if result.get("Status") != "compiled"
            else "compiled, not measured"
        )
    accuracy = result.get("Accuracy") or {}
    metrics = [
        f"{name} {number(value)}" for name, value in accuracy.items() if is_metric(name, value)
    ]
    if accuracy.get("Not Measured"):
        said.append("accuracy not measured")
    elif metrics:
        said.append(", ".join(metrics))
    limit = (result.get("Sweep") or {}).get("limit")
    if limit:
        said.append(limit["sentence"])
    return "; ".join(said) + "."


def facts(result: Result) -> list[tuple[str, str]]:
    """What was run, on what."""
    host = result.get("Host") or {}
    samples = result.get("Samples") or {}
    source = result.get("Model Source") or {}
    memory = host.get("Memory Bytes")
    cores = (
        f", {len(host.get('Usable CPUs') or [])} of {host.get('Logical CPUs')} CPUs" if host else ""
    )
    pairs = [
        ("task", result["Task"]),
        (
            "model",
            f"{result['Model'].lower()}: {source.get('note', '')}"
            if source
            else result["Model"].lower(),
        ),
        (
            "backend",
            f"{result['Backend']}, {result.get('Runtime Version') or result.get('Version') or 'no version'}",
        ),
        (
            "processor",
            f"{host.get('CPU') or result.get('Host Info')}{cores}"
            + (f", {data_size(memory)}" if memory else ""),
        ),
        ("system", f"{host.get('System', '')}, {host.get('Python', '')}" if host else ""),
        (
            "data",
            f"{samples.get('name')}: {samples.get('why') or samples.get('items')}"
            if samples
            else "",
        ),
        ("measured", result.get("Execution Date", "")),
        ("machine", (result.get("Machine Check") or {}).get("summary", "")),
    ]
    return [(name, str(text)) for name, text in pairs if text]


def accuracy_rows(section: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(metric, value, interval)."""
    intervals = section.get("Confidence Intervals") or {}
    found = []
    for name, value in section.items():
        if is_metric(name, value) or name in NUMERIC:
            interval = intervals.get(name)
            said = f"{number(interval[0])} .. {number(interval[1])}" if interval else ""
            found.append((name, number(value, 6), said))
    return found


def is_metric(name: str, value: Any) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and name not in (*NUMERIC, "Data Percent", "Items")
    )


def picture(result: Result, folder: Path) -> str | None:
    """The distribution of the differences, as data in the page."""
    name = (result.get("Accuracy") or {}).get("Diff Dist")
    path = folder / str(name)
    if not name or not path.is_file() or path.stat().st_size > PICTURE_BYTES:
        return None
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def doubts(result: Result) -> list[str]:
    rows = result.get("Performance") or []
    said = list(result.get("Warnings") or [])
    said += [
        f"batch size {row['BS']}: {text}" for row in rows for text in row.get("Warnings") or ()
    ]
    findings = (result.get("Machine Check") or {}).get("findings") or []
    said += [
        f"{each['name']}: {each['value']}; {each['effect']}; {each['fix']}"
        for each in findings
        if each["status"] == "warn"
    ]
    return list(dict.fromkeys(said))


def files(result: Result, folder: Path) -> list[str]:
    """What lies beside the page, by relative names."""
    logs = [row["Histogram"] for row in result.get("Performance") or [] if row.get("Histogram")]
    beside = [
        path.name
        for pattern in ("*.json", "*.jsonl", "backend.log", "*.png")
        for path in sorted(folder.glob(pattern))
    ]
    return list(dict.fromkeys([*beside, *logs[:50]]))


def charts_of(result: Result, rows: Sequence[tuple[str, Row]], folder: Path) -> dict[str, Any]:
    """The charts that there is something for, by the id of their figure."""
    measured = [(name, row) for name, row in rows if row.get("QPS")]
    found: dict[str, Any] = {}
    points = curves.percentile_points(measured, lambda row: _log(folder, row))
    if points:
        found["percentiles"] = charts.latency_by_percentile(points)
    plain = [(name, row) for name, row in measured if row.get("P99 Latency")]
    if len(measured) > 1:
        bars = [{"case": name, "bs": row["BS"], "qps": row["QPS"]} for name, row in measured]
        found["batches"] = charts.by_batch_size(bars)
    if len(plain) > 1:
        best = set(frontier({name: (row["QPS"], row["P99 Latency"]) for name, row in plain}))
        found["pareto"] = charts.throughput(
            [
                {
                    "case": name,
                    "qps": row["QPS"],
                    "ms": row["P99 Latency"],
                    "frontier": "yes" if name in best else "no",
                }
                for name, row in plain
            ]
        )
    series, thinned = curves.series_points(
        [(name, row) for name, row in measured if len(row.get("Intervals") or ()) > 2]
    )
    if series:
        names = list(dict.fromkeys(point["case"] for point in series))
        found["series"] = charts.time_series(series, names, _warm_ups(measured)) | {
            "thinned": thinned
        }
    opened = [
        (name, row)
        for name, row in measured
        if row.get("Scenario") in OPEN_LOOP and row.get("Response")
    ]
    if opened:
        found["parts"] = charts.parts_of_response(_parts(opened))
        rates = _by_rate(opened)
        if len({point["rate"] for point in rates}) > 1:
            found["rates"] = charts.latency_by_rate(rates)
    limit = (result.get("Sweep") or {}).get("limit")
    if limit and limit["curve"]:
        found["limit"] = charts.latency_by_rate(_curve(limit["curve"]), limit["rate_per_s"])
    return found


def _log(folder: Path, row: Row) -> str | None:
    if not row.get("Histogram"):
        return None
    try:
        return (folder / row["Histogram"]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _warm_ups(rows: Sequence[tuple[str, Row]]) -> list[dict[str, Any]]:
    found = []
    for name, row in rows:
        warm = row.get("Warm-up") or {}
        if warm.get("Wall Time"):
            found.append(
                {
                    "case": name,
                    "from": -round(warm["Wall Time"], 3),
                    "to": 0,
                    "completed": warm.get("Completed"),
                    "ms": warm.get("AVG Latency"),
                }
            )
    return found


def _parts(rows: Sequence[tuple[str, Row]]) -> list[dict[str, Any]]:
    return [
        {
            "case": name,
            "part": part.lower(),
            "at": key.removesuffix("_ns"),
            "ms": max(row[part][key], 1) / curves.NS_PER_MS,
        }
        for name, row in rows
        for part in ("Response", "Service", "Lateness")
        for key in AT
        if (row.get(part) or {}).get(key) is not None
    ]


def _by_rate(rows: Sequence[tuple[str, Row]]) -> list[dict[str, Any]]:
    found = []
    for _, row in rows:
        rate = (row.get("Settings") or {}).get("target_qps")
        for key, figure in (("P50 Latency", "p50"), ("P99 Latency", "p99")):
            if rate and row.get(key):
                found.append(
                    {"rate": rate, "figure": figure, "ms": row[key], "verdict": row["Verdict"]}
                )
    return found


def _curve(points: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "rate": point["rate_per_s"],
            "figure": key.removesuffix("_ns"),
            "ms": point[key] / curves.NS_PER_MS,
            "verdict": point["verdict"],
        }
        for point in points
        for key in point
        if key.endswith("_ns") and point[key]
    ]
