"""What is measured, and on what, as it was named: as a word or by an option, or left out where
there is no choice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from qs.base.errors import MISSING, Fault, Faults, UserError
from qs.cli.options.target import known

ADDRESS = "URL"  # what messages call an address
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
SMALL = "digits-cnn-onnx-fp32"  # ships complete, and takes seconds
# What of the options of inputs says something of a model file: a task's model and data say it.
_OF_FILES = {
    "data": "--data",
    "shape": "--shape",
    "ranges": "--range",
    "types": "--type",
    "batch_axis": "--batch_axis",
    "state": "--state",
    "no_state": "--no_state",
}


def is_address(word: object) -> bool:
    """Whether it is meant as the address of a served model. (As qs.remote.address has it, whose
    imports a file's name is not to pay for.)
    """
    return isinstance(word, str) and _ADDRESS.match(word) is not None


def _files_and_tasks(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    tasks = [CompletionItem(name) for name in known("tasks")(ctx, param, incomplete)]
    return [*tasks, CompletionItem(incomplete, type="file")]


task_word = click.argument(
    "word", required=False, default="", metavar="[TASK]", shell_complete=known("tasks")
)
file_or_task = click.argument(
    "word", required=False, default="", metavar="[FILE|TASK|URL]", shell_complete=_files_and_tasks
)


def settled(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with `qs run WORD` as what they have of task and artifact, and with the backend
    that was not named. Raises Faults if nothing is to be measured, or two things.
    """
    given = dict(options)
    word = given.pop("word", "")
    named = {key: given.get(key) for key in ("task", "artifact") if given.get(key)}
    if word:
        found = _meant(word, given) if "artifact" in given else {"task": word}
        named = found if not named or named == found else {**named, "": word}
    if len(named) > 1:
        both = " and ".join(str(value) for value in named.values())
        raise Faults([Fault("TASK", "", both, "one thing to measure")])
    if not named:
        hint = f"`qs list tasks` names them all; {SMALL} is a quick one"
        wanted = (
            "a task, a model file or the address of a served model"
            if "artifact" in given
            else "the name of a task"
        )
        raise Faults([Fault("TASK", "", MISSING, wanted, hint=hint)])
    given |= named
    artifact = given.get("artifact")
    if given.get("url") and artifact is not None:
        raise Faults([Fault("--url", "", str(given["url"]), "given with a task")])
    if isinstance(artifact, str):
        return given | served_by(artifact, given)
    if given.get("url"):
        return given | served_by(given["url"], given, "--url")
    return given | backend(given["hardware_type"], given.get("workspace"), artifact)


def served_by(address: str, given: Mapping[str, Any], flag: str = ADDRESS) -> dict[str, str]:
    """The backend that speaks to the served model at this address. Faults for an address that is
    none, and for another backend that was named. `flag` is what to call the address.
    """
    from qs.base.addresses import public
    from qs.cli.defaults import origins
    from qs.remote.address import SCHEMES, parse

    _check_template(address, given.get("template"))
    scheme = parse(address, flag=flag).scheme
    name, named = SCHEMES[scheme].backend, given["hardware_type"]
    note = f"backend {name}: it speaks {scheme}"
    if named and named.casefold() != name.casefold() and "hardware_type" not in origins():
        allowed = f"{name}, which speaks {scheme}://, or left out"
        hint = "what computes at a served model is the server"
        if "," in named:
            hint += f"; two servers are compared with qs compare, one run at {public(address)} each"
        raise Faults([Fault("--hardware_type", "", named, allowed, hint=hint)])
    return {"hardware_type": name, "backend_note": note}


def _check_template(address: str, template: Path | None) -> None:
    """Raises Faults for an address of plain HTTP without the form of its requests."""
    from qs.base.addresses import public
    from qs.remote.address import SCHEMES

    scheme = SCHEMES.get(address.partition("://")[0].lower())
    if scheme is not None and not scheme.named and template is None:
        allowed = (
            "an address that names a protocol: "
            + ", ".join(
                f"{name}[s]://" for name, each in SCHEMES.items() if each.named and not each.tls
            )
            + "; or this one with --template FILE, which says what is sent"
        )
        word = address.partition("://")[0].lower()
        hint = "a model's file at an address is downloaded first, then named"
        path = address.partition("://")[2].partition("/")[2]
        near = f"openai+{word}" if re.match(r"v1\b", path) else f"kserve+{word}"
        raise Faults([Fault(ADDRESS, "", public(address), allowed, near, hint)])


def backend(named: str, workspace: Path | None, artifact: Path | None = None) -> dict[str, str]:
    """The backend that was named as `hardware_type`, else the only one that can read the artifact,
    with the reason as `backend_note`.
    """
    if named:
        return {"hardware_type": named}
    from qs.base.workspace import Workspaces
    from qs.evaluate.choosing import only_backend

    name, why = only_backend(Workspaces.find(workspace), artifact)
    return {"hardware_type": name, "backend_note": f"backend {name}: {why}"}


def _meant(word: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """An address; a file or folder that is there, else a task; else a file that is missing."""
    from qs.base.names import is_plain
    from qs.base.workspace import Workspaces

    if is_address(word):
        return {"artifact": word}
    if not Path(word).exists() and is_plain(word):
        workspaces = Workspaces.find(given.get("workspace"))
        name = workspaces.task_name(word)
        if name in workspaces.list_tasks():
            return {"task": name}
        if not Path(word).suffix:
            try:
                workspaces.task(name)
            except UserError as unknown:
                raise UserError(f"{word} is no file that is there, and {unknown}") from None
    return {"artifact": Path(word)}


def check_feeding(given: Mapping[str, Any]) -> None:
    """Raises Faults for options that would be without effect on a task."""
    if not given["task"]:
        return
    faults = [
        Fault(flag, "", _typed(given[name]), "with a model file; a task has its own model and data")
        for name, flag in _OF_FILES.items()
        if given.get(name)
    ]
    if faults:
        raise Faults(faults)


def _typed(value: Any) -> str:
    if not isinstance(value, tuple):
        return ""
    return " ".join(
        f"{name}={','.join(map(str, said)) if isinstance(said, tuple) else said}"
        for name, said in value
    )
