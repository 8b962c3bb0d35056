"""Renders saved results for the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from qs.base.console import write_out
from qs.base.errors import Fault, Faults, UserError
from qs.base.files import check_writable, write_atomic
from qs.base.scratch import scratch
from qs.comparison.sides import Side
from qs.history.entries import logs_of
from qs.history.sides import side_of
from qs.render.formats import FORMATS
from qs.render.html.index_page import NAME, reports_page
from qs.result.folder import page_of
from qs.result.saved import read_result
from qs.result.story import story_of

STANDARD_OUTPUT = Path("-")


def render_one(run: str, wanted: str, out: Path | None) -> Path | None:
    """Write a result in a format; returns where to, None for standard output. `run` is anything
    that names a run. Raises UserError if there is no result, or it cannot be written.
    """
    side = side_of(run, measured=False)
    for note in side.notes:
        click.echo(f"note: {note}", err=True)
    made = FORMATS[wanted]
    with _folder_of(side) as folder:
        if out == STANDARD_OUTPUT:
            write_out(made.draw(replace(story_of(side.result, folder), files=())))
            return None
        target = out or _beside(side, made.suffix)
        if target.is_dir():
            raise Faults([Fault("--output", "", str(target), "a file")])
        place = target.absolute().parent
        check_writable(place, "--output")
        story = story_of(side.result, folder)
        if place.resolve() != folder.resolve():  # links to files beside it would lead nowhere
            story = replace(story, files=())
        write_atomic(target, made.draw(story))
        return target


def _beside(side: Side, suffix: str) -> Path:
    """Beside the result; of an entry of the history in the working folder, as another run may lie
    where it was measured.
    """
    if side.entry is not None or side.path is None:
        return Path(f"report-{side.entry}{suffix}")
    return page_of(side.path.absolute()).with_suffix(suffix)


@contextmanager
def _folder_of(side: Side) -> Iterator[Path]:
    """Where the files of a run lie: if that place has another run's by now, a folder that holds the
    logs which the history has kept.
    """
    if side.path is not None and (side.entry is None or _is_there(side)):
        yield side.path.absolute().parent
        return
    with scratch("qs-report-") as folder:
        for name in logs_of(side.result.performance):
            text = side.histogram(name)
            place = folder / name.replace("\0", "")
            if text is not None and place.resolve().is_relative_to(folder.resolve()):
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text)
        yield folder


def _is_there(side: Side) -> bool:
    """Whether the file that an entry was recorded from holds that run still."""
    try:
        return side.path is not None and read_result(side.path).started == side.result.started
    except UserError:
        return False


def render_all(root: Path, out: Path | None) -> Path:
    """Write the index of all results below a folder."""
    if not root.is_dir():
        raise Faults([Fault("RUN", "", str(root), "a folder of reports, with --all")])
    target = out or root / NAME
    if target == STANDARD_OUTPUT:
        raise UserError("--output -: an index has links to files beside it; name a file")
    check_writable(target.absolute().parent, "--output")
    page, unread = reports_page(root, target.absolute().parent)
    for why in unread:
        click.echo(f"warning: left out: {why}", err=True)
    write_atomic(target, page)
    return target
