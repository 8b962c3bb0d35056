"""`qs list`: what the workspaces hold, and where each thing was found; of models also their size
and cost.
"""

from __future__ import annotations

import math
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from qs.cli.basic_types import FilePath, OneOf
from qs.cli.helping import Command

if TYPE_CHECKING:
    from qs.cli.about_tasks import About

KINDS = ("tasks", "backends", "models", "datasets")


def found(kind: str, workspace: Path | None = None) -> dict[str, Path]:
    """name -> path of everything of that kind, sorted by name; the first workspace that has a name
    wins.
    """
    from qs.base.workspace import Workspaces

    workspaces = Workspaces.find(workspace)
    listed = getattr(workspaces, f"list_{kind}")()
    return {name: listed[name].path for name in sorted(listed)}


def names(kind: str, workspace: Path | None = None) -> list[str]:
    return list(found(kind, workspace))


def costs(path: Path) -> dict[str, int]:
    """What a model info states of `parameters` and `flops` (of one item, a multiply-add is two); {}
    where it is no JSON.
    """
    from qs.base import jsonc
    from qs.base.errors import UserError

    try:
        stated = jsonc.read(path)
    except UserError:
        return {}
    known = stated if isinstance(stated, dict) else {}
    return {key: known[key] for key in ("parameters", "flops") if type(known.get(key)) is int}


def short(number: int) -> str:
    """108893186 -> '108.9 M'."""
    for size, unit in ((10**12, " T"), (10**9, " G"), (10**6, " M"), (10**3, " k")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return f"{number} "


def described(name: str, width: int, stated: dict[str, int]) -> str:
    parts = []
    if "parameters" in stated:
        parts.append(f"{short(stated['parameters']):>8} parameters")
    if "flops" in stated:
        parts.append(f"{short(stated['flops']):>8}FLOP an item")
    return f"{name:{width}}  {'  '.join(parts)}" if parts else name


def reads(folder: Path) -> list[str]:
    """The formats that a backend states; [] where it states none, or none that can be made out."""
    from qs.base.errors import UserError
    from qs.contract.model_formats import formats_read_by

    try:
        return list(formats_read_by(folder))
    except UserError:
        return []


def _backend(name: str, width: int, folder: Path) -> str:
    stated = reads(folder)
    return f"{name:{width}}  reads {', '.join(stated)}" if stated else name


def _about(workspace: Path | None) -> dict[str, About | None]:
    from qs.base.workspace import Workspaces
    from qs.cli.about_tasks import about_tasks

    return about_tasks(Workspaces.find(workspace))


def _task_table(workspace: Path | None, room: float) -> str:
    """As wide as there is room, without what matters least."""
    from qs.cli.about_tasks import COLUMNS

    rows: list[tuple[str, ...]] = [COLUMNS]
    for name, about in _about(workspace).items():
        if about is None:
            rows.append((name, *["?"] * (len(COLUMNS) - 2), "its model is not described"))
            continue
        size = short(about.parameters).strip() if about.parameters is not None else ""
        said = (about.precision, about.framework, size, about.weights, about.dataset, about.data)
        rows.append((name, *(each or "-" for each in said)))
    columns = list(zip(*rows))
    for dispensable in ("FRAMEWORK", "DATA SET", "PARAMETERS"):
        if sum(max(map(len, each)) + 2 for each in columns) - 2 > room:
            columns = [each for each in columns if each[0] != dispensable]
    widths = [max(map(len, each)) for each in columns]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in zip(*columns))
    return "\n".join(lines)


@click.command("list", cls=Command, short_help="List tasks, backends, models or data sets.")
@click.argument("kind", type=OneOf([*KINDS, "all"]), default="all")
@click.option("--workspace", type=FilePath("FOLDER"), help="Folder to search first.")
@click.option(
    "--long",
    is_flag=True,
    help="With tasks or backends: what is known of each, as on a terminal; a pipe gets names "
    "alone.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="As JSON: kind -> name -> path (of models alone: path, parameters, flops; of tasks alone "
    "also `about`: what is known of each; of backends alone also `reads`: the formats that they "
    "state).",
)
def command(kind: str, workspace: Path | None, long: bool, as_json: bool) -> None:
    """List what the workspaces hold: tasks, backends, models, datasets, or all of them.

    `qs list tasks` says of each whether its weights and its data are shipped, downloaded,
    generated, or yours to bring; weights that are yours may be random instead, to measure speed
    alone.
    `qs list models` adds parameters and floating-point operations per item; a multiply-add counts
    as two.
    With --json they are objects: path, parameters, flops.

    \b
    Examples:
      qs list tasks
      qs list backends --json
    """
    kinds = KINDS if kind == "all" else (kind,)
    listed = {each: found(each, workspace) for each in kinds}
    if as_json:
        from qs.base.console import print_json

        shown: dict[str, dict[str, object]] = {
            k: {n: str(p) for n, p in rows.items()} for k, rows in listed.items()
        }
        if kind == "models":
            shown["models"] = {
                name: {"path": str(path), **costs(path)} for name, path in listed["models"].items()
            }
        if kind == "backends":
            shown["reads"] = {name: reads(path) for name, path in listed["backends"].items()}
        if kind == "tasks":
            from dataclasses import asdict

            shown["about"] = {
                name: asdict(about) if about else None for name, about in _about(workspace).items()
            }
        print_json(shown)
        return
    if kind == "tasks" and (long or sys.stdout.isatty()):
        room = shutil.get_terminal_size().columns if sys.stdout.isatty() else math.inf
        click.echo(_task_table(workspace, room))
        return
    told = long or sys.stdout.isatty()
    for each, rows in listed.items():
        if len(kinds) > 1:
            click.echo(f"{each}:")
        indent = "  " if len(kinds) > 1 else ""
        width = max(map(len, rows), default=0)
        for name, path in rows.items():
            line = name
            if kind == "models":
                line = described(name, width, costs(path))
            elif kind == "backends" and told:
                line = _backend(name, width, path)
            click.echo(indent + line)
