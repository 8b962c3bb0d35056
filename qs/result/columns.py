"""The figures of a row as columns, once for every table: on the terminal, in pages, in CSV and
Parquet, in the history and in comparisons.

Which columns a table shows is the table's choice: `columns("batch_size", "p99_ms")`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qs.base.words import number
from qs.result.part import Part
from qs.result.row import Row


@dataclass(frozen=True)
class Column:
    """One figure of a row."""

    name: str  # the row's attribute, and the column's name in CSV and Parquet
    heading: str  # above a table for people, with the unit
    kind: type = float  # str, int or float: how a typed table stores it
    unit: str = ""
    short: str = ""  # what `--metric` and `--fail-if` call it
    percentile: float | None = None
    # Of a language model: the measure, and its figure; without a measure, where else the figure is.
    measure: str = ""
    figure: str = ""

    @property
    def key(self) -> str:
        """The published key in the result JSON; of a measure's figure, the column's name."""
        return self.name if self.figure else Row.model_fields[self.name].alias or self.name

    def of(self, row: Part) -> Any:
        """The figure, None where the row (or a sweep's line) has none; text and floats as such, for
        typed tables.
        """
        value = self._found(row)
        return value if value is None or self.kind is int else self.kind(value)

    def text(self, row: Part) -> str:
        """The figure as people read it; n/a where the row has none."""
        return number(self._found(row))

    def _found(self, row: Part) -> Any:
        if self.measure:
            return getattr(
                (getattr(row, "measures", None) or {}).get(self.measure), self.figure, None
            )
        if self.figure:
            found: Any = row
            for part in self.figure.split("."):
                found = getattr(found, part, None)
            return found
        return getattr(row, self.name, None)


def _latency(name: str, short: str, heading: str = "", percentile: float | None = None) -> Column:
    return Column(name, f"{heading or short} ms", float, "ms", short, percentile)


def _measured(measure: str, *figures: str) -> tuple[Column, ...]:
    """ttft_p99_ms, which `--metric` calls ttft.p99."""
    return tuple(
        Column(
            f"{measure}_{figure}_ms",
            f"{measure.replace('_', ' ')} {figure.replace('_', '.')} ms",
            float,
            "ms",
            f"{measure}.{figure.replace('_', '.')}",
            measure=measure,
            figure=figure,
        )
        for figure in figures
    )


def _tokens(name: str, heading: str, figure: str, unit: str = "", short: str = "") -> Column:
    place = figure if figure.startswith("good.") else f"tokens.{figure}"
    return Column(name, heading, float if unit else int, unit, short, figure=place)


# Of a language model: only results of one have them.
MEASURED = (
    *_measured("ttft", "mean", "p50", "p90", "p95", "p99"),
    *_measured("ttft_sent", "p50", "p99"),
    *_measured("itl", "mean", "p50", "p90", "p95", "p99"),
    *_measured("event_gap", "p50", "p99"),
    *_measured("tpot", "mean", "p50", "p90", "p95", "p99"),
    *_measured("normalised", "p50", "p99"),
    _tokens("input_tokens", "input tokens", "input_tokens"),
    _tokens("output_tokens", "output tokens", "output_tokens"),
    _tokens("input_tokens_per_s", "input tokens/s", "input_per_s", "tokens/s", "input_tokens/s"),
    _tokens(
        "output_tokens_per_s", "output tokens/s", "output_per_s", "tokens/s", "output_tokens/s"
    ),
    _tokens("peak_output_tokens_per_s", "peak output tokens/s", "peak_output_per_s", "tokens/s"),
    _tokens(
        "output_tokens_per_s_of_user", "tokens/s of a user", "output_per_s_of_user", "tokens/s"
    ),
    _tokens("good", "good requests", "good.good"),
    _tokens("good_per_s", "good/s", "good.good_per_s", "requests/s", "goodput"),
)
# Of a load that several machines shared: only results of those have them.
OF_NODES = (
    Column("node_count", "nodes", int),
    Column("nodes_lost", "nodes lost", int),
    Column("start_skew_ms", "start skew ms", float, "ms"),
    Column("clock_uncertainty_ms", "clock uncertainty ms", float, "ms"),
)
COLUMNS = (
    Column("batch_size", "BS", int),
    Column("mode", "mode", str),
    Column("scenario", "scenario", str),
    Column("clients", "clients", int),
    Column("instances", "instances", int),
    Column("pool", "pool", str),
    Column("intra_op_threads", "threads", int),
    Column("items_per_s", "items/s", float, "items/s", "throughput"),
    Column("offered_per_s", "offered/s", float, "queries/s"),
    Column("queries_per_s", "queries/s", float, "queries/s"),
    _latency("mean_ms", "mean", "avg"),
    _latency("min_ms", "min"),
    _latency("p50_ms", "p50", "", 50.0),
    _latency("p90_ms", "p90", "", 90.0),
    _latency("p95_ms", "p95", "", 95.0),
    _latency("p99_ms", "p99", "", 99.0),
    _latency("p99_9_ms", "p99.9", "", 99.9),
    _latency("max_ms", "max"),
    Column("first_inference_ms", "first inference ms", float, "ms"),
    Column("load_s", "load s", float, "s"),
    Column("wall_s", "wall s", float, "s"),
    Column("planned", "planned", int),
    Column("completed", "completed", int),
    Column("errors", "errors", int),
    Column("peak_memory_bytes", "peak memory bytes", int, "bytes"),
    Column("mean_power_w", "power W", float, "W", "power"),
    Column("peak_power_w", "peak power W", float, "W", "peak_power"),
    Column("energy_per_item_j", "J/item", float, "J", "energy"),
    Column("cpu_utilisation_percent", "CPU %", float, "%"),
    Column("device_utilisation_percent", "device %", float, "%"),
    Column("connection_wait_ms", "connection wait ms", float, "ms"),
    Column("network_and_client_ms", "network and client ms", float, "ms"),
    Column("server_queue_ms", "server queue ms", float, "ms"),
    Column("server_compute_ms", "server compute ms", float, "ms"),
    Column("ended_by", "ended by", str),
    Column("verdict", "verdict", str),
    *MEASURED,
    *OF_NODES,
)
_BY_NAME = {column.name: column for column in COLUMNS}
BY_KEY = {column.key: column for column in COLUMNS}
BY_SHORT = {column.short: column for column in COLUMNS if column.short}


def columns(*names: str) -> tuple[Column, ...]:
    """The columns of these names, in this order."""
    return tuple(_BY_NAME[name] for name in names)


def numbers_of(row: Row) -> dict[str, int | float]:
    """The row's figures under their published keys, with those of its measures."""
    measured = {column.name: column.of(row) for column in MEASURED}
    return row.numbers() | {name: value for name, value in measured.items() if value is not None}
