"""The summary on the terminal, made from the result JSON alone, so that a saved report prints the
same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from qs.base.words import completed, number, signed_percent, span

COLUMNS = (
    ("BS", "BS"),
    ("Clients", "clients"),
    ("QPS", "items/s"),
    ("AVG Latency", "avg ms"),
    ("P50 Latency", "p50 ms"),
    ("P90 Latency", "p90 ms"),
    ("P99 Latency", "p99 ms"),
    ("P99.9 Latency", "p99.9 ms"),
    ("Max Latency", "max ms"),
)
# What a terminal too narrow for all columns does without; the result has it.
WIDE, DISPENSABLE = 110, {"Clients", "P90 Latency", "P99.9 Latency"}


def print_summary(result: dict[str, Any], where: str | None, stream: TextIO) -> None:
    """The verdict, the table, what was checked, and where the report lies."""
    from rich.console import Console

    # Without a terminal rich would fold the table to 80 columns; a log file has room.
    console = Console(file=stream, highlight=False, width=None if stream.isatty() else 160)
    if result.get("Sweep"):
        from qs.render.sweep import print_sweep

        print_sweep(result["Sweep"], stream)
    elif result.get("Performance"):
        console.print(table(result, console.width >= WIDE))
    for line in lines(result):
        console.print(line, markup=False, soft_wrap=True)
    if where:
        console.print(f"report: {where}", markup=False, soft_wrap=True)


def table(result: dict[str, Any], wide: bool = True):
    """The rows of `Performance` as a rich table; it fits 80 columns where it is not `wide`."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    columns = [(key, heading) for key, heading in COLUMNS if wide or key not in DISPENSABLE]
    made = Table(
        title=Text(f"{result['Model'].lower()} on {result['Backend']}"),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        collapse_padding=True,
        pad_edge=False,
    )
    for heading in (*(heading for _, heading in columns), "completed", "errors", "verdict"):
        made.add_column(heading, justify="right", no_wrap=True)
    for row in result["Performance"]:
        cells = [number(row.get(key)) for key, _ in columns]
        cells += [
            completed(row.get("Planned"), row.get("Completed")),
            number(row.get("Errors")),
            row["Verdict"],
        ]
        made.add_row(*(Text(cell) for cell in cells))
    return made


def lines(result: dict[str, Any]) -> list[str]:
    """Everything below the table, one fact a line."""
    said = []
    compiled = result.get("Graph Compile")
    if compiled:
        said.append(compilation(compiled))
    if result.get("Kind") == "load":
        said += [
            first_inference(row)
            for row in result.get("Performance", [])
            if row.get("First Inference")
        ]
    environment = result.get("Environment")
    if environment and environment["Key"]:
        said.append(f"environment: {environment['Key']}, the backend's own")
    samples = result.get("Samples")
    if samples and samples["kind"] == "generated":
        said.append(f"samples: generated, seed {samples['seed']}; {samples['why']}")
    elif samples and samples["kind"] == "given":
        said.append(f"samples: your own {samples['items']}")
    elif samples:
        said.append(f"samples: the {samples['items']} items of the data set {samples['name']}")
    source = result.get("Model Source")
    if source and source.get("note"):
        said.append(f"model: {source['note']}")
    said += accuracy(result.get("Accuracy"))
    said += [audited(row) for row in result.get("Performance", []) if row.get("Vendor")]
    said += [f"warning: {text}" for text in result.get("Warnings", [])]
    for row in [] if result.get("Sweep") else result.get("Performance", []):
        said += [f"warning: BS {row['BS']}: {text}" for text in row["Warnings"]]
    if result.get("Machine Check"):
        said.append(f"machine: {result['Machine Check']['summary']}")
    ended = "" if result["Status"] == "complete" else f" ({result['Status']})"
    said.append(f"verdict: {result['Verdict']}{ended}")
    said += [f"  {reason}" for reason in result["Reasons"]]
    return said


def compilation(section: dict[str, Any]) -> str:
    """How it was compiled. What the backend does not state is not said."""
    before = section.get("Compiled From")
    how = (
        f"compiled before ({before})"
        if before
        else f"compiled in {span(section['Compile Duration'])}"
    )
    to = f" to {section['Compile Precision']}" if section["Compile Precision"] else ""
    facts = [section["Compile Status"] or "no status"]
    if section["Subgraph Coverage"] is not None:
        facts.append(f"{number(section['Subgraph Coverage'])} % of subgraphs on the device")
    return f"{how}{to}: {', '.join(facts)}"


def first_inference(row: dict[str, Any]) -> str:
    """What the first call costs beside the later ones: it is in no percentile."""
    loaded = f"loaded in {span(row['Load Time'])}, " if row.get("Load Time") is not None else ""
    return f"BS {row['BS']}: {loaded}first inference {number(row['First Inference'])} ms"


def audited(row: dict[str, Any]) -> str:
    """The backend's own numbers of an audited row, and by how much they differ from ours."""
    vendor, difference = row["Vendor"], row["Difference Percent"]
    if "Not Measured" in vendor:
        return f"audit: BS {row['BS']}: the backend gave no numbers of its own"
    shown = [
        f"{name} {number(vendor[name])} ({signed_percent(difference[name] / 100)})"
        for name in difference
        if vendor.get(name) is not None and difference[name] is not None
    ]
    return f"audit: BS {row['BS']}: the backend's own {', '.join(shown) or 'numbers cannot be compared'}"


def accuracy(section: dict[str, Any] | None) -> list[str]:
    """One line on the metrics and one on the agreement with the reference."""
    if not section:
        return []
    said = []
    if section.get("Not Measured"):
        said.append(f"accuracy not measured: {section['Not Measured']}")
    else:
        own = {
            name: value
            for name, value in section.items()
            if name not in (*NUMERIC, "Data Percent", "Items") and isinstance(value, (int, float))
        }
        if own:
            bounds = section.get("Confidence Intervals") or {}
            scores = (
                f"{name} {_exact(value)}{_between(bounds.get(name))}" for name, value in own.items()
            )
            said.append("accuracy: " + ", ".join(scores) + scored_on(section))
    numeric = section.get("Numeric")
    if numeric and numeric.get("Not Measured"):
        said.append(f"numeric agreement not measured: {numeric['Not Measured']}")
    elif numeric:
        shown = ", ".join(
            f"{name} {_exact(section.get(name))}"
            for name in ("Max Diff", "Mean Diff", "Cosine Similarity")
        )
        said.append(f"numeric agreement with the reference: {shown}")
    return said


def scored_on(section: Mapping[str, Any]) -> str:
    """On which items the metrics were computed, where the checker says so."""
    if not section.get("Items"):
        return ""
    share = section.get("Share") or {}
    part = (
        ""
        if share.get("kind", "whole") == "whole"
        else f", a {share['kind']} share of {number(share['percent'])} %"
    )
    seed = "" if share.get("seed") is None else f", seed {share['seed']}"
    return f" ({section['Items']} items{part}{seed}; 95 % intervals in brackets)"


def _between(bounds: Any) -> str:
    return f" [{_exact(bounds[0])}, {_exact(bounds[1])}]" if bounds else ""


NUMERIC = {
    "Mean Diff",
    "Std Diff",
    "Max Diff",
    "Max Rel-Diff",
    "Mean Rel-Diff",
    "Cosine Similarity",
    "Max ULP",
    "Top-1 Agreement",
    "NaN Count",
    "Inf Count",
}


def _exact(value: Any) -> str:
    return number(value, 4)
