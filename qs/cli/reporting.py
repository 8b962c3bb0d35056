"""Renders saved results for the command line."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from qs.base.errors import Fault, Faults, UserError
from qs.base.files import check_writable, write_atomic
from qs.render.formats import format_of

STANDARD_OUTPUT = Path("-")


def render_one(place: Path, wanted: str, out: Path | None) -> Path | None:
    """Write a result in a format; where to, None for standard output. Raises UserError for what is
    no result.
    """
    from qs.compare.sides import in_folder
    from qs.result.saved import read_json

    path = in_folder(place) if place.is_dir() else place
    result = read_json(path)
    made = format_of(wanted)
    folder = path.absolute().parent
    if out == STANDARD_OUTPUT:
        with tempfile.TemporaryDirectory(prefix="qs-report-") as scratch:
            file = Path(scratch, f"report{made.SUFFIX}")
            made.write(result, folder, file)
            sys.stdout.buffer.write(file.read_bytes())
            sys.stdout.buffer.flush()
        return None
    stem = "sweep" if path.name.startswith("sweep-") else "report"
    target = out or folder / f"{stem}{made.SUFFIX}"
    if target.is_dir():
        raise Faults([Fault("--output", "", str(target), "a file")])
    check_writable(target.absolute().parent, "--output")
    made.write(result, folder, target)
    return target


def render_all(root: Path, out: Path | None) -> Path:
    """Write the index of all results below a folder."""
    from qs.render.html.index_page import NAME, render_index

    if not root.is_dir():
        raise Faults([Fault("RESULT", "", str(root), "a folder of reports, with --all")])
    target = out or root / NAME
    if target == STANDARD_OUTPUT:
        raise UserError("--output -: an index has links to files beside it; name a file")
    check_writable(target.absolute().parent, "--output")
    page, unread = render_index(root)
    for path in unread:
        click.echo(f"warning: {path} is no result that can be read", err=True)
    write_atomic(target, page)
    return target
