"""What is measured, and on what, as it was named: as a word or by an option, or left out where
there is no choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from qs.base.errors import MISSING, Fault, Faults, UserError
from qs.cli.options.target import known

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


def _files_and_tasks(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    tasks = [CompletionItem(name) for name in known("tasks")(ctx, param, incomplete)]
    return [*tasks, CompletionItem(incomplete, type="file")]


task_word = click.argument(
    "word", required=False, default="", metavar="[TASK]", shell_complete=known("tasks")
)
file_or_task = click.argument(
    "word", required=False, default="", metavar="[FILE|TASK]", shell_complete=_files_and_tasks
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
        wanted = "a task or a model file" if "artifact" in given else "the name of a task"
        raise Faults([Fault("TASK", "", MISSING, wanted, hint=hint)])
    given |= named
    return given | backend(given["hardware_type"], given.get("workspace"), given.get("artifact"))


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
    """A file or folder that is there, else a task; else a file that is missing."""
    from qs.base.names import is_plain
    from qs.base.workspace import Workspaces

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
