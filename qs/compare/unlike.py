"""How two results differ apart from their numbers.

Refused, as the numbers then say nothing about each other: another task or model, another file of
the model, another processor or number of cores, other samples (a data set against generated ones,
or another data set), another load than the cases show (think time, backlog), and a result that is
INVALID. Named only: backend, precision, versions of qs, of the backend and of packages, kernel,
environment, settings, seeds, a run that ended early.

An older result may not state everything: what is missing on one side refuses nothing. `--anyway`
asks for a comparison of unlike things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Plain = Mapping[str, Any]  # a result as it was saved


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


def unlike(a: Plain, b: Plain) -> list[Unlike]:
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
        if what not in _SHAPES_LOAD | _IN_THE_CASE | _HOW_LONG and x != y
    ]
    return found


def invalid(result: Plain) -> list[str]:
    """Why a result is INVALID; empty if it is not."""
    if result.get("Verdict") != "INVALID":
        return []
    return list(result.get("Reasons") or ["no reason is stated"])


def _at(*keys: str) -> Callable[[Plain], Any]:
    def find(result: Plain) -> Any:
        value: Any = result
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    return find


def _usable(result: Plain) -> int | None:
    cpus = _at("Host", "Usable CPUs")(result)
    return None if cpus is None else len(cpus)


def _task(result: Plain) -> Any:
    """A model file has no task; its model says what it is."""
    return None if result.get("Artifact") else result.get("Task")


def _weights(result: Plain) -> Any:
    """Of the files beside the model's that hold the weights, whatever they are called; None if the
    model holds them itself.
    """
    return ", ".join(sorted((_at("Model Source", "data")(result) or {}).values())) or None


def _samples(result: Plain) -> Any:
    kind, name = _at("Samples", "kind")(result), _at("Samples", "name")(result)
    return None if kind is None else kind if kind == "generated" else f"{kind} {name}"


REFUSED: dict[str, Callable[[Plain], Any]] = {
    "task": _task,
    "model": _at("Model"),
    "model file (SHA-256)": _at("Model Source", "sha256"),
    "model's weights (SHA-256)": _weights,
    "processor": _at("Host", "CPU"),
    "logical CPUs": _at("Host", "Logical CPUs"),
    "CPUs that may be used": _usable,
    "samples": _samples,
}
NAMED: dict[str, Callable[[Plain], Any]] = {
    "kind": _at("Kind"),
    "status": _at("Status"),
    "backend": _at("Backend"),
    "precision": _at("Graph Compile", "Compile Precision"),
    "qs": _at("QS Version"),
    "compiler": _at("Compile Version"),
    "runtime": _at("Runtime Version"),
    "Python": _at("Host", "Python"),
    "system": _at("Host", "System"),
    "environment": _at("Environment", "Key"),
    "seed of the samples": _at("Samples", "seed"),
}
# Effective values that make another load, and that no case shows.
_SHAPES_LOAD = {"think_time_s", "max_backlog"}
_IN_THE_CASE = {
    "scenarios",
    "batching",
    "clients",
    "pool",
    "instances",
    "intra_op_threads",
    "batch_sizes",
}
_HOW_LONG = {
    "iterations",
    "duration_s",
    "time_limit_s",
    "stop",
    "numeric_items",
    "timeout_s",
    "drain_s",
}


def _pairs(
    a: Plain, b: Plain, fields: Mapping[str, Callable[[Plain], Any]]
) -> Iterator[tuple[str, Any, Any]]:
    for what, find in fields.items():
        yield what, find(a), find(b)


def _packages(a: Plain, b: Plain) -> Iterator[tuple[str, Any, Any]]:
    ours, theirs = (_at("Host", "Packages")(each) or {} for each in (a, b))
    for name in sorted({*ours, *theirs}):
        yield name, ours.get(name), theirs.get(name)


def _values(a: Plain, b: Plain) -> Iterator[tuple[str, Any, Any]]:
    """Effective values: name, value in each."""
    ours, theirs = (each.get("Effective Values") or {} for each in (a, b))
    for name in sorted({*ours, *theirs}):
        yield name, (ours.get(name) or {}).get("value"), (theirs.get(name) or {}).get("value")


def _differ(x: Any, y: Any) -> bool:
    """What is refused must be known to differ: an older result may not state it."""
    return x is not None and y is not None and x != y


def _said(value: Any) -> str:
    text = "not stated" if value is None else str(value)
    return f"{text[:12]}..." if len(text) == 64 and not text.strip("0123456789abcdef") else text
