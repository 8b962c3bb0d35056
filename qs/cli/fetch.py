"""`qs fetch`: everything that tasks need from elsewhere, fetched, verified and built into the cache
before it is wanted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from qs.cli import options as given
from qs.cli.helping import Command


@click.command("fetch", cls=Command, short_help="Fetch the models and data of tasks ahead.")
@click.argument(
    "tasks", nargs=-1, required=True, metavar="TASK...", shell_complete=given.known("tasks")
)
@given.workspace
@given.seed
@given.offline
@given.quiet
def command(
    tasks: tuple[str, ...], workspace: Path | None, seed: int | None, offline: bool, quiet: bool
) -> int:
    """Fetch, verify and build the models and data of TASK... into the cache, where
    `qs run --offline` finds them. What is already there is kept.

    With --offline it only looks, and says which file to put where. The exit status is 2 if
    anything is missing.

    \b
    Examples:
      qs fetch digits-cnn-onnx-fp32
      qs fetch digits-cnn-onnx-fp32 resnet50-torch-fp32
      qs fetch digits minilm-onnx-fp32 --offline
    """
    from qs.base.errors import UserError, together
    from qs.base.workspace import Workspaces
    from qs.config.task import load_task
    from qs.inside.reference import printed_progress
    from qs.models import check_imports, resolve, resolve_data

    def say(text: str) -> None:
        if not quiet:
            click.echo(text, err=True)

    workspaces = Workspaces.find(workspace)
    loaded = {task.task.name: task for task in (load_task(workspaces, name) for name in tasks)}
    errors: list[UserError] = []
    for name, task in loaded.items():
        try:
            info = task.model_info.to_fetch()
            options: dict[str, Any] = {"progress": printed_progress(say), "offline": offline}
            dataset = (
                workspaces.dataset(task.model_info.dataset_name)
                if task.model_info.dataset_name
                else None
            )
            if dataset is not None:
                check_imports(dataset.path)
            model = resolve(info, task.model.root, seed or 0, say, **options)
            say(f"{name}: model {model.path} ({model.note})")
            for file, found in (
                resolve_data(dataset.path, say, **options) if dataset else {}
            ).items():
                say(f"{name}: data {found['path']} ({file}, {found['note']})")
        except UserError as error:
            errors.append(UserError(f"{name}: {error}"))
    if errors:
        raise together(errors)
    return 0
