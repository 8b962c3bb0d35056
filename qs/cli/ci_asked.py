"""What `qs ci` was asked: which sides, under which options, held to which conditions.

Options that nobody typed are those of the baseline's own command, so that a saved result says how
it is measured again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qs.base.errors import MISSING, Fault, Faults, UserError
from qs.base.files import check_writable
from qs.ci.gating import Asked
from qs.ci.sides import at, is_workspace
from qs.cli.requests import request_of
from qs.evaluate.testbed import DRIVE
from qs.gates.grammar import parse
from qs.result.result import Kind

if TYPE_CHECKING:
    from qs.comparison.sides import Side

# Options of a baseline's command that say how much was measured, or where it went.
_OWN = frozenset(
    {"out", "workspace", "as_json", "quiet", "fail_if", "allow_unclear", "task", "hardware_type"}
)
FORMS = ("md", "junit")


def asked_of(options: Mapping[str, Any], default: Sequence[str]) -> Asked:
    """Raises Faults with everything that is wrong with the options."""
    given = dict(options)
    old, new, named = (given.pop(name) for name in ("old", "new", "baseline"))
    own = {name: given.pop(name) for name in ("budget", "block", "allow_unclear", "fail_if")}
    files = {form: path for form in FORMS if (path := given.pop(form)) is not None}
    word = given.pop("word")
    conditions = parse(own["fail_if"] or default, bounds=True, changes=True)
    for form, path in files.items():
        check_writable(path.absolute().parent, f"--{form}")
    if bool(old) == bool(named):
        said = f"{old} and {named}" if old else MISSING
        either = "either --old with a file or workspace, or --baseline with a saved result"
        raise Faults([Fault("--old", "", said, either)])
    baseline = _baseline(named, word or given["task"], given["hardware_type"])
    if baseline is not None:
        given |= dict(_of_baseline(baseline, given))
    given["task"] = _task(word or given["task"], new, baseline)
    artifact = None if given["task"] else _artifact(new, old, baseline)
    given |= _backend(given, artifact, baseline)
    request = request_of(
        {**given, "artifact": artifact, "engine": DRIVE, "no_history": True}, kind=_kind(given)
    )
    return Asked(
        new=at(request, new, "--new") if new else request,
        old=at(request, old, "--old") if old else None,
        baseline=baseline,
        conditions=conditions,
        budget_s=own["budget"],
        block_s=own["block"],
        allow_unclear=own["allow_unclear"],
        files=files,
        command=tuple(sys.argv),
    )


def _kind(given: Mapping[str, Any]) -> Kind:
    return Kind.RUN if given["task"] else Kind.LOAD


def _baseline(named: str | None, task: str, hardware: str) -> Side | None:
    if not named:
        return None
    from qs.history.sides import side_of

    return side_of(named, task or None, hardware or None)


def _task(typed: str, new: Path | None, baseline: Side | None) -> str:
    """As typed; the baseline's, if what is judged is a workspace or is not named."""
    if typed or baseline is None or (new is not None and not is_workspace(new)):
        return typed
    return "" if baseline.result.artifact else baseline.result.task


def _artifact(new: Path | None, old: Path | None, baseline: Side | None) -> Path:
    if new is not None:
        return new
    found = baseline.result.found_in.get("Artifact") if baseline else None
    if isinstance(found, str):
        return Path(found)
    hint = "name the file or workspace that is judged"
    if old is not None and is_workspace(old):
        hint = "a workspace is measured with a task: --task TASK"
    raise Faults([Fault("--new", "", MISSING, "a model file or a compile result", hint=hint)])


def _backend(
    given: Mapping[str, Any], artifact: Path | None, baseline: Side | None
) -> dict[str, str]:
    from qs.cli.naming import backend

    named = given["hardware_type"] or (baseline.result.backend if baseline else "")
    return backend(named, given["workspace"], artifact)


def _of_baseline(baseline: Side, given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What the baseline's command states, and the one that runs now does not."""
    from qs.cli.commands import load

    ctx = click.get_current_context()
    default = click.core.ParameterSource.DEFAULT
    words = baseline.result.command[1:]
    if not words or words[0] not in ("run", "load"):
        return
    command = load(words[0])
    try:
        with command.make_context(words[0], list(words[1:]), resilient_parsing=True) as before:
            for name, value in before.params.items():
                typed = before.get_parameter_source(name) is not default
                free = ctx.get_parameter_source(name) in (None, default)
                if name in given and name not in _OWN and typed and free and value is not None:
                    yield name, value
    except (click.ClickException, UserError):
        return  # what cannot be read states nothing
