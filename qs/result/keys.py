"""What makes a case: rows with equal keys are measurements of the same thing, in one result or in
several.

How long a case was measured (iterations, durations) and the seed of its arrivals are no part of it:
they say how much is known of the case, not what it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from qs.base.words import counted, number

Key = tuple[tuple[str, str], ...]

CLOSED_LOOP = "closed loop"
VENDOR = "vendor"
_PARTS = ("BS", "Scenario", "Clients", "Instances", "Pool", "Intra-op Threads")
_HOW_LONG = ("seed", "duration_s")
_BATCHING = ("max_batch_size", "max_delay_us")
_UNITS = {
    "target_qps": "{}/s",
    "latency_slo_ms": "{} ms",
    "percentile": "p{}",
    "samples_per_query": "{} a query",
    "speed": "{} times as fast",
}


def key_of(row: Mapping[str, Any]) -> Key:
    """The key of a row of `Performance`: (name, value as JSON), what is not stated left out."""
    found = {name: row.get(name) for name in _PARTS}
    found["Settings"] = settings_of(row)
    found["Batching"] = {name: (row.get("Batching") or {}).get(name) for name in _BATCHING}
    if row.get("Mode") == VENDOR:
        found["Mode"] = VENDOR
    return tuple(
        (name, _plain(value)) for name, value in found.items() if _stated(value) is not None
    )


def settings_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The scenario's own settings that shape the load."""
    return {
        name: value for name, value in (row.get("Settings") or {}).items() if name not in _HOW_LONG
    }


def title_of(row: Mapping[str, Any]) -> str:
    """The case in words: BS 4, Poisson 200/s, 2 clients, pool thread, 1 instance."""
    return ", ".join(words_of(row).values())


def words_of(row: Mapping[str, Any]) -> dict[str, str]:
    """The words for each part of the key, in the title's order."""
    found = {
        "BS": f"BS {row.get('BS')}",
        "Scenario": " ".join([str(row.get("Scenario") or _by_whom(row)), *_settings(row)]),
    }
    if row.get("Clients") is not None:
        found["Clients"] = counted(row["Clients"], "client")
    if row.get("Pool") is not None:
        found["Pool"] = f"pool {row['Pool']}"
    if row.get("Instances") is not None:
        found["Instances"] = counted(row["Instances"], "instance")
    if row.get("Intra-op Threads") is not None:
        found["Intra-op Threads"] = counted(row["Intra-op Threads"], "thread") + " each"
    batching = row.get("Batching") or {}
    if batching.get("max_batch_size"):
        found["Batching"] = f"up to {batching['max_batch_size']} queries a call"
    return found


def loosened(row: Mapping[str, Any]) -> Sequence[Key]:
    """Ever weaker keys, for a comparison of unlike plans that was asked for."""
    by = [("BS", "Scenario", "Clients"), ("BS", "Scenario"), ("BS",), ()]
    return [tuple((name, _plain(row.get(name))) for name in names) for names in by]


def _settings(row: Mapping[str, Any]) -> list[str]:
    said = []
    for name, value in settings_of(row).items():
        if value is None:
            continue
        if name in _UNITS:
            said.append(_UNITS[name].format(number(value, 6)))
        elif name == "stages":
            said.append(f"of {counted(len(value), 'stage')}")
        elif name == "due_file":
            said.append(f"of {value}")
    return said


def _by_whom(row: Mapping[str, Any]) -> str:
    return "timed by the backend" if row.get("Mode") == VENDOR else CLOSED_LOOP


def _stated(value: Any) -> Any:
    """None where nothing is said, also by a section whose every value is null: a new setting must
    not part old results from new.
    """
    if isinstance(value, Mapping):
        return {name: each for name, each in value.items() if each is not None} or None
    return value


def _plain(value: Any) -> str:
    return json.dumps(_stated(value), sort_keys=True, default=str)
