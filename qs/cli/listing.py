"""`qs list`: what the workspaces hold, and where each thing was found."""

from __future__ import annotations

from pathlib import Path

import click

KINDS = ("tasks", "backends", "models", "datasets")


def found(kind: str, workspace: Path | None = None) -> dict[str, Path]:
    """name -> path of everything of that kind, sorted by name; the first workspace that has a name wins."""
    from qs.workspace import Workspaces

    workspaces = Workspaces.find(workspace)
    listed = getattr(workspaces, f"list_{kind}")()
    return {name: listed[name].path for name in sorted(listed)}


def names(kind: str, workspace: Path | None = None) -> list[str]:
    return list(found(kind, workspace))


@click.command("list", short_help="List tasks, backends, models or data sets.")
@click.argument("kind", type=click.Choice([*KINDS, "all"]), default="all")
@click.option("--workspace", type=click.Path(path_type=Path), help="Folder to search first.")
@click.option("--json", "as_json", is_flag=True, help="As JSON: kind -> name -> path.")
def command(kind: str, workspace: Path | None, as_json: bool) -> None:
    """List what the workspaces hold: tasks, backends, models, datasets, or all of them.

    \b
    Examples:
      qs list tasks
      qs list backends --json
    """
    kinds = KINDS if kind == "all" else (kind,)
    listed = {each: found(each, workspace) for each in kinds}
    if as_json:
        import json

        click.echo(json.dumps({k: {n: str(p) for n, p in rows.items()} for k, rows in listed.items()}, indent=2))
        return
    for each, rows in listed.items():
        if len(kinds) > 1:
            click.echo(f"{each}:")
        indent = "  " if len(kinds) > 1 else ""
        for name in rows:
            click.echo(f"{indent}{name}")
