"""The contract: both classes load, have the methods that are called, take the arguments that are
given, and say their versions.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from qs.conformance.outcome import Outcome, Problem, judged

if TYPE_CHECKING:
    from qs.conformance.bench import Bench
    from qs.conformance.service import ConformanceService

NAME, ABOUT = (
    "contract",
    "both classes have the methods that are called, with the arguments that are given",
)
NEEDS: tuple[str, ...] = ()
HOST = True

# method -> how many arguments it is called with beside self. Those without which nothing can be
# tried come first.
ESSENTIAL = {"compile": ("compile",), "runtime": ("load", "predict")}
REQUIRED = {
    "compile": ("compile", "version"),
    "runtime": ("load", "predict", "version", "get_loaded_batch_size"),
}
ARGUMENTS = {
    "compile": {
        "version": 0,
        "get_interact_profile": 1,
        "pre_optimize": 1,
        "segment": 1,
        "get_best_batch_size": 0,
        "compile": 2,
    },
    "runtime": {
        "version": 0,
        "load": 1,
        "get_loaded_batch_size": 0,
        "predict": 1,
        "is_qs_mode_supported": 0,
        "generate_qs_config": 0,
        "benchmark": 1,
    },
}


def observe(service: ConformanceService) -> dict[str, Any]:
    """Per kind: the class's name, whether it is one of the contract's, each method's state, and
    what version() gives.
    """
    from qs.contract.compile_backend import CompileBackend
    from qs.contract.runtime_backend import RuntimeBackend

    seen: dict[str, Any] = {}
    for kind, made, base in (
        ("compile", service.compiler, CompileBackend),
        ("runtime", service.runtime_class(), RuntimeBackend),
    ):
        states = {name: _state(made, base, name, count) for name, count in ARGUMENTS[kind].items()}
        version = made.version() if states["version"] == "ok" else None
        seen[kind] = {
            "class": type(made).__name__,
            "derived": isinstance(made, base),
            "methods": states,
            "version": version if isinstance(version, str) else None,
            "version_type": type(version).__name__,
        }
    return seen


def _state(made: Any, base: type, name: str, count: int) -> str:
    """ "ok", "missing", "not written" (the base's), or why it cannot be called as it will be."""
    method = getattr(made, name, None)
    if not callable(method):
        return "missing"
    if getattr(type(made), name, None) is getattr(base, name):
        return "not written"
    try:
        inspect.signature(method).bind(*[None] * count)
    except TypeError as error:
        return f"takes {inspect.signature(method)}, but is called with {count} arguments: {error}"
    except ValueError:  # made in C: it does not say
        pass
    return "ok"


def judge(seen: dict[str, Any]) -> Outcome:
    problems, blocks = [], False
    for kind, about in seen.items():
        cls, methods = about["class"], about["methods"]
        base = f"{kind.capitalize()}Backend"
        if not about["derived"]:
            problems.append(
                Problem(
                    f"{cls} is no {base}", f"derive it: from qs import {base}; class {cls}({base})"
                )
            )
        for name, state in methods.items():
            # What the base class has a default for may be left out, though not by a class that does
            # not derive from it.
            if state == "ok" or (state == "not written" and name not in REQUIRED[kind]):
                continue
            blocks = blocks or name in ESSENTIAL[kind]
            takes = ", ".join(["self", *["argument"] * ARGUMENTS[kind][name]])
            problems.append(
                Problem(f"{cls}.{name} {_in_words(state)}", f"write def {name}({takes})")
            )
        if methods["version"] == "ok" and not about["version"]:
            shown = about["version_type"] if about["version"] is None else "an empty string"
            problems.append(
                Problem(f"{cls}.version() gives {shown}", "return a string that names the version")
            )
    versions = ", ".join(str(about["version"]) for about in seen.values())
    return judged(problems, f"compiler and runtime: {versions}", blocks)


def _in_words(state: str) -> str:
    return {"missing": "is missing", "not written": "is not written"}.get(state, state)


async def check(bench: Bench) -> Outcome:
    return judge(await bench.observe(NAME, "looking at the classes"))
