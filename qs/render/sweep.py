"""A sweep on the terminal: the table with the frontier marked, what is recommended, and the limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from qs.base.words import number

COLUMNS = (
    ("QPS", "items/s"),
    ("spread_percent", "+- %"),
    ("AVG Latency", "avg ms"),
    ("P50 Latency", "p50 ms"),
    ("P90 Latency", "p90 ms"),
    ("P99 Latency", "p99 ms"),
)
SETTINGS = (
    ("batch_size", "BS"),
    ("clients", "clients"),
    ("instances", "copies"),
    ("intra_op_threads", "threads"),
    ("pool", "pool"),
)


def print_sweep(sweep: Mapping[str, Any], stream: TextIO) -> None:
    from rich.console import Console

    console = Console(file=stream, highlight=False, width=None if stream.isatty() else 160)
    console.print(table(sweep))
    for line in lines(sweep):
        console.print(line, markup=False, soft_wrap=True)
    if sweep.get("limit"):
        from qs.limit.limit import limit_table

        console.print(limit_table(sweep["limit"]))


def table(sweep: Mapping[str, Any]) -> Any:
    """One row a setting; * stands on the frontier."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = [
        (key, heading)
        for key, heading in SETTINGS
        if any(line["setting"][key] is not None for line in sweep["table"])
    ]
    made = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for heading in (
        "",
        *(heading for _, heading in shown),
        *(heading for _, heading in COLUMNS),
        "trials",
        "errors",
        "verdict",
    ):
        made.add_column(heading, justify="right", no_wrap=True)
    for line in sweep["table"]:
        cells = ["*" if line["name"] in sweep["pareto"] else ""]
        cells += [number(line["setting"][key]) for key, _ in shown]
        cells += [number(line[key]) for key, _ in COLUMNS]
        cells += [number(line["trials"]), number(line["errors"]), line["verdict"]]
        made.add_row(*(Text(cell) for cell in cells))
    return made


def lines(sweep: Mapping[str, Any]) -> Sequence[str]:
    """How it was measured, and the recommendations with their commands."""
    said = [
        f"* no other setting has both more throughput and less {sweep['ranked_by']}",
        sweep["method"],
    ]
    for each in sweep["recommendations"]:
        said.append(f"for {each['for']}: {each['why']}")
        if each["command"]:
            said.append(f"  {each['command']}")
    return said
