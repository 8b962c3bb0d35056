"""The contract: both classes load and have the methods that are called, with the arguments they are
given; they state their versions, and every batch size loads.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qs.conformance.outcome import Outcome, Problem, judged
from qs.conformance.service import ConformanceService
from qs.contract.compile_backend import CompileBackend
from qs.contract.model_formats import ATTRIBUTE
from qs.contract.runtime_backend import RuntimeBackend
from qs.contract.server_backend import NEEDED

# Without these nothing can be tried.
ESSENTIAL = {"compile": ("compile",), "runtime": ("load", "predict")}
REQUIRED = {
    "compile": ("compile", "version"),
    "runtime": ("load", "predict", "version", "get_loaded_batch_size"),
}
# method -> number of arguments it is called with, besides self
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

# The same of a backend whose requests are started; those that it needs, and those it may have.
STARTED = {"request_of": 1, "start": 2, "outputs_of": 1, "ask": 1, "open": 1, "close": 0,
           "counts": 0, "begin_measuring": 0, "end_measuring": 0}  # fmt: skip


def observe_classes(service: ConformanceService) -> dict[str, Any]:
    """Per kind: the class's name, whether it derives from the contract's, the state of each method,
    and what version() returns.
    """
    seen: dict[str, Any] = {}
    for kind, made, base in (
        ("compile", service.compiler, CompileBackend),
        ("runtime", service.runtime_class(), RuntimeBackend),
    ):
        states = {name: _state(made, base, name, count) for name, count in ARGUMENTS[kind].items()}
        if kind == "runtime":
            states |= _started(made)
        version = made.version() if states["version"] == "ok" else None
        seen[kind] = {
            "class": type(made).__name__,
            "derived": isinstance(made, base),
            "methods": states,
            "version": version if isinstance(version, str) else None,
            "version_type": type(version).__name__,
        }
    formats = getattr(service.compiler, ATTRIBUTE, ())
    seen["compile"]["formats"] = repr(formats if not isinstance(formats, list) else tuple(formats))
    return seen


def _state(made: Any, base: type, name: str, count: int) -> str:
    """ "ok", "missing", "not written" (still the base's), or why the call would not work."""
    method = getattr(made, name, None)
    if not callable(method):
        return "missing"
    if getattr(type(made), name, None) is getattr(base, name, made):
        return "not written"
    try:
        inspect.signature(method).bind(*[None] * count)
    except TypeError as error:
        return f"takes {inspect.signature(method)}, but is called with {count} arguments: {error}"
    except ValueError:  # written in C, without a signature
        pass
    return "ok"


def _started(made: Any) -> dict[str, str]:
    """The states of what a backend whose requests are started has besides; of none, if it is no
    such backend.
    """
    if not callable(getattr(made, "start", None)) or not callable(
        getattr(made, "request_of", None)
    ):
        return {}
    return {
        name: _state(made, object, name, count)
        for name, count in STARTED.items()
        if name in NEEDED or callable(getattr(made, name, None))
    }


def judge_classes(
    seen: dict[str, Any],
    stated: Sequence[str] = (),
    misspelled: Callable[[str], str | None] = lambda name: None,
) -> Outcome:
    """`stated` is what the compile backend's source says of its model_formats; `misspelled` gives
    the format that a name was meant as.
    """
    problems = _formats(seen["compile"], tuple(stated), misspelled) if "compile" in seen else []
    blocks = False
    for kind, about in seen.items():
        cls, methods = about["class"], about["methods"]
        base = f"{kind.capitalize()}Backend"
        if not about["derived"]:
            fix = f"derive it: from qs import {base}; class {cls}({base})"
            problems.append(Problem(f"{cls} is not a {base}", fix))
        for name, state in methods.items():
            # A method with a default in the base class may be left out, but only by a class that
            # derives from it.
            if state == "ok" or (state == "not written" and name not in REQUIRED[kind]):
                continue
            blocks = blocks or name in ESSENTIAL[kind]
            count = ARGUMENTS[kind].get(name, STARTED.get(name, 0))
            takes = ", ".join(["self", *["argument"] * count])
            shown = {"missing": "is missing", "not written": "is not written"}.get(state, state)
            problems.append(Problem(f"{cls}.{name} {shown}", f"write def {name}({takes})"))
        if methods["version"] == "ok" and not about["version"]:
            shown = about["version_type"] if about["version"] is None else "an empty string"
            fix = "return a string that names the version"
            problems.append(Problem(f"{cls}.version() gives {shown}", fix))
    versions = ", ".join(str(about["version"]) for about in seen.values())
    return judged(problems, f"compiler and runtime: {versions}", blocks)


def _formats(
    about: Mapping[str, Any],
    stated: tuple[str, ...],
    misspelled: Callable[[str], str | None],
) -> list[Problem]:
    """What is wrong with the class's model_formats, which a run reads from the source."""
    cls, problems = about["class"], []
    if about.get("formats", repr(stated)) != repr(stated):
        shown = repr(stated) if stated else "nothing of it"
        said = f"{cls}.{ATTRIBUTE} is {about['formats']}, and its source states {shown}"
        fix = f'write it as a literal into the class\'s body: {ATTRIBUTE} = ("onnx",)'
        problems.append(Problem(said, fix))
    for name in stated:
        near = misspelled(name)
        if near is not None:
            said = f"{cls}.{ATTRIBUTE} names {name!r}, which no model info means"
            problems.append(Problem(said, f"did you mean {near!r}?"))
    return problems


def observe_load(service: ConformanceService, batch_size: int) -> dict[str, Any]:
    service.load(batch_size)
    said = service.backend.get_loaded_batch_size()
    whole = not isinstance(said, bool) and hasattr(said, "__index__")  # also numpy's integers
    return {"loaded": int(said) if whole else None, "said": repr(said)}


def judge_load(seen: Mapping[int, dict[str, Any]]) -> Outcome:
    """`seen`: batch size asked for -> what was observed. Loading another size is allowed."""
    problems, good = [], [f"batch sizes {', '.join(map(str, seen))}"]
    for asked, about in seen.items():
        loaded = about["loaded"]
        if loaded is None or loaded < 1:
            reason = f"after load({asked}), get_loaded_batch_size() gives {about['said']}"
            fix = "return the batch size that is loaded, a whole number of at least 1"
            problems.append(Problem(reason, fix))
        elif loaded != asked:
            good.append(f"load({asked}) loads {loaded}, and batches of {loaded} are fed")
    return judged(problems, "; ".join(good))
