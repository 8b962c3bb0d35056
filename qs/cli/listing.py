"""`qs list`: what the workspaces hold, and where each thing was found; of models also their size
and cost.
"""

from __future__ import annotations

from pathlib import Path

import click

from qs.cli.basic_types import FilePath, OneOf
from qs.cli.helping import Command

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


@click.command("list", cls=Command, short_help="List tasks, backends, models or data sets.")
@click.argument("kind", type=OneOf([*KINDS, "all"]), default="all")
@click.option("--workspace", type=FilePath(), help="Folder to search first.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="As JSON: kind -> name -> path (of models alone: path, parameters, flops).",
)
def command(kind: str, workspace: Path | None, as_json: bool) -> None:
    """List what the workspaces hold: tasks, backends, models, datasets, or all of them.

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
        print_json(shown)
        return
    for each, rows in listed.items():
        if len(kinds) > 1:
            click.echo(f"{each}:")
        indent = "  " if len(kinds) > 1 else ""
        width = max(map(len, rows), default=0)
        for name, path in rows.items():
            click.echo(indent + (described(name, width, costs(path)) if kind == "models" else name))
