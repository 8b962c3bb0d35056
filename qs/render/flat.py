"""The rows of a result as flat records for tables: plain columns in snake case, units in the names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TEXT = (
    ("Scenario", "scenario"),
    ("Pool", "pool"),
    ("Mode", "mode"),
    ("Verdict", "verdict"),
    ("Ended By", "ended_by"),
)
WHOLE = (
    ("BS", "batch_size"),
    ("Clients", "clients"),
    ("Instances", "instances"),
    ("Intra-op Threads", "intra_op_threads"),
    ("Completed", "completed"),
    ("Errors", "errors"),
    ("Peak Memory Bytes", "peak_memory_bytes"),
)
REAL = (
    ("QPS", "items_per_s"),
    ("Queries Per Second", "queries_per_s"),
    ("Wall Time", "wall_s"),
    ("AVG Latency", "mean_ms"),
    ("Min Latency", "min_ms"),
    ("P50 Latency", "p50_ms"),
    ("P90 Latency", "p90_ms"),
    ("P95 Latency", "p95_ms"),
    ("P99 Latency", "p99_ms"),
    ("P99.9 Latency", "p99_9_ms"),
    ("Max Latency", "max_ms"),
    ("First Inference", "first_inference_ms"),
    ("Load Time", "load_s"),
)
RUN = (
    ("Task", "task"),
    ("Model", "model"),
    ("Backend", "backend"),
    ("Runtime Version", "runtime"),
    ("Host Info", "cpu"),
    ("Started", "started"),
)


def records(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One record a row of `Performance`, all with the same columns; None where a row has no such
    figure.
    """
    about = {column: _text(result.get(key)) for key, column in RUN}
    about["precision"] = _text((result.get("Graph Compile") or {}).get("Compile Precision"))
    found = []
    for row in result.get("Performance") or []:
        record: dict[str, Any] = dict(about)
        record |= {column: _text(row.get(key)) for key, column in TEXT}
        record |= {column: row.get(key) for key, column in WHOLE}
        record |= {
            column: None if row.get(key) is None else float(row[key]) for key, column in REAL
        }
        settings = row.get("Settings") or {}
        record["target_queries_per_s"] = settings.get("target_qps")
        record["reasons"] = "; ".join(map(str, row.get("Reasons") or ()))
        found.append(record)
    return found


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
