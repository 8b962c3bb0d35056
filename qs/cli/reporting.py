"""Renders saved results for the command line."""

from __future__ import annotations

from pathlib import Path

import click

from qs.base.console import write_out
from qs.base.errors import Fault, Faults, UserError
from qs.base.files import check_writable, write_atomic
from qs.compare.sides import in_folder
from qs.render.formats import FORMATS
from qs.render.html.index_page import NAME, reports_page
from qs.result.saved import read_result
from qs.result.story import story_of

STANDARD_OUTPUT = Path("-")


def render_one(place: Path, wanted: str, out: Path | None) -> Path | None:
    """Write a result in a format; returns where to, None for standard output. Raises UserError if
    there is no result, or it cannot be written.
    """
    path = in_folder(place) if place.is_dir() else place
    result = read_result(path)
    folder = path.absolute().parent
    made = FORMATS[wanted]
    if out == STANDARD_OUTPUT:
        write_out(made.draw(story_of(result, folder)))
        return None
    stem = "sweep" if path.name.startswith("sweep-") else "report"
    target = out or folder / f"{stem}{made.suffix}"
    if target.is_dir():
        raise Faults([Fault("--output", "", str(target), "a file")])
    check_writable(target.absolute().parent, "--output")
    write_atomic(target, made.draw(story_of(result, folder)))
    return target


def render_all(root: Path, out: Path | None) -> Path:
    """Write the index of all results below a folder."""
    if not root.is_dir():
        raise Faults([Fault("RESULT", "", str(root), "a folder of reports, with --all")])
    target = out or root / NAME
    if target == STANDARD_OUTPUT:
        raise UserError("--output -: an index has links to files beside it; name a file")
    check_writable(target.absolute().parent, "--output")
    page, unread = reports_page(root)
    for why in unread:
        click.echo(f"warning: left out: {why}", err=True)
    write_atomic(target, page)
    return target
