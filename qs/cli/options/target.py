"""What is measured: the task, the backend, and the workspaces in which they are looked for."""

from __future__ import annotations

from collections.abc import Callable

import click

from qs.base import bounds
from qs.cli.basic_types import FilePath, Whole
from qs.cli.grouping import TARGET, option, under

_target = under(TARGET)


def known(kind: str) -> Callable[..., list[str]]:
    """Completes with the names of tasks, backends, models or data sets in the workspaces."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from qs.cli.listing import names

        return [
            name for name in names(kind, ctx.params.get("workspace")) if name.startswith(incomplete)
        ]

    return complete


task = _target(
    "-t",
    "--task",
    default="",
    metavar="TASK",
    help="Task, as in `qs list tasks`; the beginning of its name is enough.",
    shell_complete=known("tasks"),
)

hardware = _target(
    "-H",
    "--hardware_type",
    default="",
    metavar="BACKEND",
    help="Backend, as in `qs list backends`.  [default: the only one that can take it]",
    shell_complete=known("backends"),
)


def _several(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Completes the last name of a list."""
    before, comma, last = incomplete.rpartition(",")
    taken = {name.casefold() for name in before.split(",")}
    names = known("backends")(ctx, param, last)
    return [f"{before}{comma}{name}" for name in names if name.casefold() not in taken]


backends = _target(
    "-H",
    "--hardware_type",
    default="",
    metavar="BACKEND[,...]",
    help="Backend, as in `qs list backends`. Several (CPU,OPENVINO) are measured in turn and "
    "compared.  [default: the only one that can take it]",
    shell_complete=_several,
)

rounds = _target(
    "--rounds",
    type=Whole(1, bounds.TURNS),
    help="With several backends: in how many turns each case is measured.  [default: 3]",
    rare=True,
)

workspace = _target(
    "--workspace",
    type=FilePath("FOLDER"),
    help="Folder to search first for tasks, backends, models and data sets.",
    rare=True,
)

offline = option(
    TARGET,
    "--offline",
    is_flag=True,
    help="Download nothing: models and data come from your files and the cache; missing files are "
    "listed, with where to put each one.",
    rare=True,
)
