"""`qs env`: the backends' environments in the cache; see them, make one ahead of a run, remove
them.
"""

from __future__ import annotations

from pathlib import Path

import click

from qs.cli import options as given
from qs.cli.helping import Commands
from qs.cli.naming import backend


@click.group(
    "env", cls=Commands, short_help="List, build or remove the backends' own environments."
)
def command() -> None:
    """The environments that backends run in: one for each requirements.txt that the current
    environment does not satisfy.

    \b
    Examples:
      qs env list
      qs env list --json
      qs env build --hardware_type CPU
      qs env remove --all
    """


@command.command("list", short_help="List the environments in the cache.")
@click.option("--json", "as_json", is_flag=True, help="As JSON: all that is known of each.")
def list_command(as_json: bool) -> None:
    """List the environments in the cache, the last used first."""
    from qs.environments import stored

    found = stored()
    if as_json:
        from qs.base.console import print_json

        print_json([_plain(each) for each in found])
        return
    if not found:
        click.echo("no environments", err=True)
        return
    rows = [("KEY", "PYTHON", "SIZE", "LAST USED", "BUILT FOR"), *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        click.echo("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[-1]]))


@command.command("build", short_help="Make the environment of a backend ahead of a run.")
@given.hardware
@given.workspace
def build_command(hardware_type: str, workspace: Path | None) -> None:
    """Make the environment of a backend, unless it is there; print its interpreter.

    A run uses it with --env new, or with --env auto when the current environment does not satisfy
    the requirements.
    """
    from qs.base.workspace import Workspaces
    from qs.environments import interpreter_for

    workspaces = Workspaces.find(workspace)
    found = workspaces.backend(backend(hardware_type, workspace)["hardware_type"])
    replaced = workspaces.replacing_shipped(found)
    if replaced is not None:
        click.echo(replaced, err=True)
    folder = found.path
    environment = interpreter_for(folder, "new", lambda line: click.echo(line, err=True))
    click.echo(environment.python)


@command.command("remove", short_help="Remove environments from the cache.")
@click.argument("key", required=False)
@click.option("--all", "everything", is_flag=True, help="All of them.")
def remove_command(key: str | None, everything: bool) -> None:
    """Remove the environment KEY, of which the first digits are enough, or all of them."""
    from qs.environments import remove, stored

    if (key is None) != everything:
        raise click.UsageError(
            "name the KEY of one environment, as in `qs env list`, or give --all."
        )
    for each in stored() if everything else [_one(key or "")]:
        remove(each)
        click.echo(f"removed {each.key}", err=True)


def _one(key: str):
    from qs.base.errors import UserError
    from qs.environments import stored

    found = stored()
    meant = [each for each in found if key and each.key.startswith(key)]
    if len(meant) == 1:
        return meant[0]
    known = ", ".join(each.key for each in found) or "none"
    what = "unknown environment" if not meant else "more than one environment begins with"
    raise UserError(f"{what} {key!r}; known: {known}")


def _row(each) -> tuple[str, ...]:
    from datetime import datetime

    if each.built is None:
        return (each.key, "", "", "", "unfinished: being built, or its build was cut off")
    used = datetime.fromtimestamp(each.last_used).strftime("%Y-%m-%d %H:%M")
    return (
        each.key,
        each.built.python,
        f"{each.built.size_bytes / 2**20:.0f} MiB",
        used,
        each.built.source,
    )


def _plain(each) -> dict[str, object]:
    from dataclasses import asdict
    from datetime import datetime, timezone

    about: dict[str, object] = {"key": each.key, "path": str(each.path), "interpreter": each.python}
    about["finished"] = each.built is not None
    if each.built is not None:
        about |= asdict(each.built)
        about["last_used"] = datetime.fromtimestamp(each.last_used, timezone.utc).isoformat(
            timespec="seconds"
        )
    return about
