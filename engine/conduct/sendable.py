"""Whether a target and its samples can be called and, where it needs that, be sent to another
process: told before anything starts, by what cannot.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

from qs.engine.errors import PlanError, words
from qs.engine.hosts.host import HostTarget
from qs.engine.plan import Factory

_FACTORY = "give Factory('package.module:name')"


def faults_of_call(target: Any, samples: Any) -> list[str]:
    """Why a target cannot be called, or samples cannot be cycled through."""
    found = []
    callable_here = callable(target) or callable(getattr(target, "start", None))
    if not callable_here and not isinstance(target, (Factory, HostTarget)):
        found.append(
            f"target: {_named(target)} cannot be called; give a function, an object with __call__ "
            "or `start`, or Factory('package.module:name')"
        )
    if samples is not None and not hasattr(samples, "__len__"):
        found.append(
            f"samples: {_named(samples)} has no length, and samples are gone through again and "
            "again; give a list"
        )
    return found


def checked(target: Any, samples: Sequence[Any] | None) -> Any:
    """The target, if a process can be sent it: a Factory, or a function that can be found by its
    module and name. Raises PlanError that names what cannot be sent.
    """
    found = [
        f"samples: number {number}, {_named(each)}, cannot be sent to another process: {why}"
        for number, each in enumerate(samples if samples is not None else ())
        if (why := _unpicklable(each))
    ][:1]
    if isinstance(target, Factory):
        found += [
            f"target: the argument {name!r} of {target.reference}, {_named(value)}, cannot be sent "
            f"to another process: {why}"
            for name, value in target.kwargs.items()
            if (why := _unpicklable(value))
        ]
    else:
        module, name = getattr(target, "__module__", None), getattr(target, "__qualname__", "<")
        why = "" if module in (None, "__main__") or "<" in name else _unpicklable(target)
        if module in (None, "__main__") or "<" in name or why:
            found.append(
                f"target: {_named(target)} cannot be found from another process; "
                f"{_FACTORY} for kind 'process'" + (f" ({why})" if why else "")
            )
    if found:
        raise PlanError(found)
    return target


def _unpicklable(value: Any) -> str:
    """Why a value cannot be pickled; "" if it can."""
    try:
        pickle.dumps(value, 5, buffer_callback=lambda buffer: None)
    except Exception as fault:  # its own code may raise anything
        return f"{type(fault).__name__}: {words(fault)}"
    return ""


def _named(value: Any) -> str:
    """What a value is, in a few words."""
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str):
        return name
    kind = type(value)
    if value is None:
        return "None"
    shown = f" {value!r:.60}" if isinstance(value, (str, int, float)) else ""
    place = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"an object of {place}{kind.__qualname__}{shown}"
