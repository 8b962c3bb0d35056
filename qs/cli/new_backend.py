"""`qs new-backend`: writes a vendor folder that works, to be changed into a real one. What is
written is qs.scaffold's part.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from qs.cli.basic_types import FilePath
from qs.cli.helping import Command


@click.command("new-backend", cls=Command, short_help="Write a new backend folder that works.")
@click.argument("name")
@click.option(
    "--into",
    type=FilePath("FOLDER", exists=True, file_okay=False),
    default=Path(),
    help="The workspace to write it into.  [default: the working directory]",
)
def command(name: str, into: Path) -> None:
    """Write backends/NAME/: a backend that computes ONNX graphs with numpy, a start for your own.

    NAME is the value of --hardware_type: upper-case letters, digits and '_'. Existing files are
    never overwritten.

    \b
    Examples:
      qs new-backend ACME
      qs new-backend ACME --into ../workspace
    """
    from qs.scaffold.writing import write_backend

    written = write_backend(name, into)
    here = Path.cwd()
    for path in written:
        click.echo(str(path.relative_to(here) if path.is_relative_to(here) else path))
    elsewhere = "" if into.resolve() == here else f" --workspace {shlex.quote(str(into))}"
    click.echo("\nIt works as it is. Next:")
    click.echo(f"  qs check --hardware_type {name}{elsewhere}")
    click.echo(f"  qs run --task digits-cnn-onnx-fp32 --hardware_type {name}{elsewhere}")
