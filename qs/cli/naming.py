"""What is measured, and on what, as it was named: as a word or by an option, or left out where
there is no choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from qs.base.errors import MISSING, Fault, Faults
from qs.cli.options.target import known

SMALL = "digits-cnn-onnx-fp32"  # ships complete, and takes seconds

task_word = click.argument(
    "task_word", required=False, default="", metavar="[TASK]", shell_complete=known("tasks")
)


def settled(options: Mapping[str, Any], quiet: bool) -> dict[str, Any]:
    """The options with the task of `qs run TASK` as --task, and with the backend that was not
    named. Raises Faults if there is no task, or if two are named.
    """
    given = dict(options)
    word = given.pop("task_word", "")
    if word and given["task"] and word != given["task"]:
        raise Faults([Fault("--task", "", given["task"], f"one task; {word} is named too")])
    if "task" in given:
        given["task"] = word or given["task"]
        if not given["task"] and not given.get("artifact"):
            hint = f"`qs list tasks` names them all; {SMALL} is a quick one"
            raise Faults([Fault("TASK", "", MISSING, "the name of a task", hint=hint)])
    given["hardware_type"] = backend(
        given["hardware_type"], given.get("workspace"), given.get("artifact"), quiet
    )
    return given


def backend(named: str, workspace: Path | None, artifact: Path | None, quiet: bool) -> str:
    """The backend that was named, else the only one that can read the artifact: that is said."""
    if named:
        return named
    from qs.base.workspace import Workspaces
    from qs.evaluate.choosing import only_backend

    name, why = only_backend(Workspaces.find(workspace), artifact)
    if not quiet:
        click.echo(f"backend: {name}, {why}", err=True)
    return name
