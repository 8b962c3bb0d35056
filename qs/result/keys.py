"""What makes a case: rows with equal keys are measurements of the same thing, in one result or in
several.

How long a case was measured (iterations, durations) and the seed of its arrivals are not in the
key: they say how much is known of the case, not what it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from qs.base.words import counted, number
from qs.result.row import CLOSED_LOOP, Mode, Row

Key = tuple[tuple[str, str], ...]

# Published name -> attribute of a row.
PARTS = {
    "BS": "batch_size",
    "Scenario": "scenario",
    "Clients": "clients",
    "Instances": "instances",
    "Pool": "pool",
    "Intra-op Threads": "intra_op_threads",
}
# Ever weaker keys, by the names of their parts, for a comparison of unlike plans.
LOOSER = (("BS", "Scenario", "Clients"), ("BS", "Scenario"), ("BS",), ())
_HOW_LONG = ("seed", "duration_s")
_UNITS = {
    "target_qps": "{}/s",
    "latency_slo_ms": "{} ms",
    "percentile": "p{}",
    "samples_per_query": "{} a query",
    "speed": "{} times as fast",
    "users": "of {} users",
    "sessions_per_s": "{}/s",
    "burstiness": "burstiness {}",
    "think_time_s": "think time {} s",
}


def key_of(row: Row) -> Key:
    """The key of a row: (name, value as JSON) for each part that is stated."""
    found: dict[str, Any] = {name: getattr(row, attribute) for name, attribute in PARTS.items()}
    found["Settings"] = settings_of(row)
    if row.batching is not None:
        found["Batching"] = {
            "max_batch_size": row.batching.max_batch_size,
            "max_delay_us": row.batching.max_delay_us,
        }
    if row.mode is Mode.VENDOR:
        found["Mode"] = row.mode
    if (row.node_count or 1) > 1:
        found["Node Count"] = row.node_count
    return tuple(
        (name, _plain(value)) for name, value in found.items() if _stated(value) is not None
    )


def looser_key(row: Row, parts: tuple[str, ...]) -> Key:
    """The key by some of the parts alone, stated or not."""
    return tuple((name, _plain(getattr(row, PARTS[name]))) for name in parts)


def settings_of(row: Row) -> dict[str, Any]:
    """The scenario's own settings that shape the load."""
    settings = row.settings.to_dict() if row.settings else {}
    return {name: value for name, value in settings.items() if name not in _HOW_LONG}


def title_of(row: Row) -> str:
    """The case in words: BS 4, Poisson 200/s, 2 clients, pool thread, 1 instance."""
    return ", ".join(words_of(row).values())


def words_of(row: Row) -> dict[str, str]:
    """The words for each part of the key, in the title's order."""
    by_whom = "timed by the backend" if row.mode is Mode.VENDOR else CLOSED_LOOP
    found = {
        "BS": f"BS {row.batch_size}",
        "Scenario": " ".join([row.scenario or by_whom, *_settings(row)]),
    }
    if row.clients is not None:
        found["Clients"] = counted(row.clients, "client")
    if row.pool is not None:
        found["Pool"] = f"pool {row.pool}"
    if row.instances is not None:
        found["Instances"] = counted(row.instances, "instance")
    if row.intra_op_threads is not None:
        found["Intra-op Threads"] = counted(row.intra_op_threads, "thread") + " each"
    if (row.node_count or 1) > 1:
        found["Node Count"] = counted(row.node_count or 0, "node")
    if row.batching and row.batching.max_batch_size:
        found["Batching"] = f"up to {row.batching.max_batch_size} queries a call"
    return found


def _settings(row: Row) -> list[str]:
    words = []
    for name, value in settings_of(row).items():
        if value is None:
            continue
        if name in _UNITS:
            words.append(_UNITS[name].format(number(value, 6)))
        elif name == "stages":
            words.append(f"of {counted(len(value), 'stage')}")
        elif name == "due_file":
            words.append(f"of {value}")
    return words


def _stated(value: Any) -> Any:
    """A section whose every value is null states nothing: a new setting must not part old results
    from new ones.
    """
    if isinstance(value, Mapping):
        return {name: each for name, each in value.items() if each is not None} or None
    return value


def _plain(value: Any) -> str:
    return json.dumps(_stated(value), sort_keys=True, default=str)
