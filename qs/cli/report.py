"""`qs report`: render again from saved files. It reads the options; qs.render's formats do the
work.
"""

from __future__ import annotations

from pathlib import Path

import click

from qs.cli.basic_types import FilePath, OneOf
from qs.cli.commands import VALID
from qs.cli.helping import Command

FORMATS = ("html", "pdf", "md", "csv", "parquet", "junit", "json")


@click.command(
    "report",
    cls=Command,
    short_help="Render a saved result again: page, PDF, Markdown, CSV, Parquet, JUnit.",
)
@click.argument("run", type=click.Path(), metavar="RUN")
@click.option(
    "--format",
    "wanted",
    type=OneOf(FORMATS),
    default="html",
    show_default=True,
    help="What to write.",
)
@click.option(
    "-o",
    "--output",
    "out",
    type=FilePath(),
    help="File to write; - for standard output.  [default: beside the result, or report-12.html "
    "here for @12]",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="An index page of all results below the folder RUN.",
)
def command(run: str, wanted: str, out: Path | None, everything: bool) -> int:
    """Render RUN again from its saved files: a result JSON, the folder of its report, or an entry
    of the history (@last, @-2, @12, @TAG). With --all: an index of all reports below a folder.

    \b
    Examples:
      qs report reports/CPU/digits-cnn-onnx-fp32
      qs report reports/CPU/digits-cnn-onnx-fp32 --format md --output -
      qs report reports/CPU/digits-cnn-onnx-fp32/result-fp32.json --format pdf
      qs report @last --format md --output -
      qs report --all reports
    """
    from qs.cli.reporting import render_all, render_one

    path = render_all(Path(run), out) if everything else render_one(run, wanted, out)
    if path is not None:
        click.echo(f"written: {path}", err=True)
    return VALID
