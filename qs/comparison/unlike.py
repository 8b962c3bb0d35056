"""How two results differ apart from their numbers.

Refused, as the numbers then say nothing about each other: another task or model, another file of
the model or another version of a served one, another processor or number of cores, other samples (a
data set against generated ones, or another data set), another load than the cases show (think time,
backlog), and a result that is INVALID. Named only: backend, how many nodes shared the load and
their processors, a served model's address and server, precision, versions of qs, of the backend and
of packages, kernel, environment, settings, seeds, a run that ended early.

An older result may not state everything: what is missing on one side refuses nothing. `--anyway`
asks for a comparison of unlike things.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from qs.result.node_facts import said
from qs.result.result import Result
from qs.result.verdict import Verdict

Find = Callable[[Result], Any]


@dataclass(frozen=True)
class Unlike:
    """One thing that differs. None means not stated."""

    what: str
    a: Any
    b: Any
    refused: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {_said(self.a)} against {_said(self.b)}"

    def to_dict(self) -> dict[str, Any]:
        return {"what": self.what, "a": self.a, "b": self.b, "refused": self.refused}


def unlike(a: Result, b: Result) -> list[Unlike]:
    """Everything that differs, the refused first."""
    found = [Unlike(what, x, y, True) for what, x, y in _pairs(a, b, REFUSED) if _differ(x, y)]
    found += [
        Unlike(what, x, y, True) for what, x, y in _values(a, b) if what in _SHAPES_LOAD and x != y
    ]
    found += [Unlike(what, x, y) for what, x, y in _pairs(a, b, NAMED) if x != y]
    found += [Unlike(f"package {what}", x, y) for what, x, y in _packages(a, b) if x != y]
    found += [
        Unlike(f"setting {what}", x, y)
        for what, x, y in _values(a, b)
        if what not in _SHAPES_LOAD | _HOW_LONG and x != y
    ]
    return found


def invalid(result: Result) -> list[str]:
    """Why a result is INVALID; empty if it is not. One that is OVERLOADED, or misses an SLO, was
    measured well.
    """
    return result.reasons or ["no reason is stated"] if result.verdict is Verdict.INVALID else []


def _part(section: str, key: str) -> Find:
    """A key of a section that is plain data."""
    return lambda result: (getattr(result, section) or {}).get(key)


def _weights(result: Result) -> Any:
    """Of the files beside the model's that hold the weights, whatever they are called; None if the
    model holds them itself.
    """
    return ", ".join(sorted((_part("model_source", "data")(result) or {}).values())) or None


def _given(result: Result) -> str | None:
    """The format that the backend got the model in, and who made it; None for a file of no task."""
    source = result.model_source or {}
    by = (source.get("converted") or {}).get("by")
    format = source.get("format")
    return None if result.artifact else f"{format}, made by {by}" if format and by else format


def _served(key: str, noted: str = "") -> Find:
    """What is known of a served model and its server; None of a model that qs loads itself.

    noted   what the model's source calls it, where the run did not come so far as to state it
    """

    def find(result: Result) -> Any:
        source = (result.model_source or {}).get("served") or {}
        return getattr(result.served, key, None) or source.get(noted or key) or None

    return find


def _model(result: Result) -> str:
    """The model's name; of a served model that no task names, the server's name for it."""
    return (result.artifact and _served("model")(result)) or result.model


def _nodes(result: Result) -> int | None:
    """On how many machines it ran; None where that was one."""
    return next((row.node_count for row in result.performance if row.nodes), None)


def _machines(result: Result) -> str | None:
    """The processors of those machines, each with how many of them have it."""
    nodes = next((row.nodes for row in result.performance if row.nodes), [])
    count = Counter(said(node.facts).get("CPU") or "not stated" for node in nodes)
    return ", ".join(f"{cpu} x {number}" for cpu, number in sorted(count.items())) or None


def _samples(result: Result) -> Any:
    kind, name = _part("samples", "kind")(result), _part("samples", "name")(result)
    return None if kind is None else kind if kind == "generated" else f"{kind} {name}"


REFUSED: dict[str, Find] = {
    # A model file has no task; its model says what it is.
    "task": lambda result: None if result.artifact else result.task,
    "model": _model,
    "model file (SHA-256)": _part("model_source", "sha256"),
    "model's weights (SHA-256)": _weights,
    "served version": _served("model_version", "version"),
    "served versions": _served("versions"),
    "processor": _part("host", "CPU"),
    "logical CPUs": _part("host", "Logical CPUs"),
    "CPUs that may be used": lambda result: len(result.host.get("Usable CPUs") or ()) or None,
    "samples": _samples,
}
NAMED: dict[str, Find] = {
    "kind": lambda result: result.kind,
    "status": lambda result: result.status,
    "backend": lambda result: result.backend,
    "nodes": _nodes,
    "processors of the nodes": _machines,
    "address": _served("url", "address"),
    "served model": _served("model"),
    "server": _served("server"),
    "server's version": _served("server_version"),
    "platform": _served("platform"),
    "protocol": _served("protocol"),
    "TLS": _served("tls"),
    "tensors": _served("tensors"),
    "compression": _served("compression"),
    "client": _served("client"),
    "model given as": _given,
    "precision": lambda result: result.graph_compile and result.graph_compile.precision,
    "qs": lambda result: result.qs_version,
    "compiler": lambda result: result.compile_version,
    "runtime": lambda result: result.runtime_version,
    "Python": _part("host", "Python"),
    "system": _part("host", "System"),
    "environment": _part("environment", "Key"),
    "seed of the samples": _part("samples", "seed"),
}
# Effective values that make another load, and that no case shows.
_SHAPES_LOAD = {"think_time_s", "max_backlog"}
_HOW_LONG = {
    "iterations",
    "duration_s",
    "time_limit_s",
    "stop",
    "numeric_items",
    "timeout_s",
    "drain_s",
}


def _pairs(a: Result, b: Result, fields: Mapping[str, Find]) -> Iterator[tuple[str, Any, Any]]:
    for what, find in fields.items():
        yield what, find(a), find(b)


def _packages(a: Result, b: Result) -> Iterator[tuple[str, Any, Any]]:
    ours, theirs = (each.host.get("Packages") or {} for each in (a, b))
    for name in sorted({*ours, *theirs}):
        yield name, ours.get(name), theirs.get(name)


def _values(a: Result, b: Result) -> Iterator[tuple[str, Any, Any]]:
    """Effective values: name, value in each."""
    ours, theirs = (
        {name: each.value for name, each in result.effective_values.items()} for result in (a, b)
    )
    for name in sorted({*ours, *theirs}):
        yield name, ours.get(name), theirs.get(name)


def _differ(x: Any, y: Any) -> bool:
    """What is refused must be known to differ: an older result may not state it."""
    return x is not None and y is not None and x != y


def _said(value: Any) -> str:
    text = "not stated" if value is None else str(value)
    return f"{text[:12]}..." if len(text) == 64 and not text.strip("0123456789abcdef") else text
