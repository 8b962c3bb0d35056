"""Standard output and standard error: tables as wide as the terminal, and JSON for programs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from qs.base.files import to_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def console(stream: TextIO, width: int = 120) -> Console:
    """A console on a stream. Unless that is a terminal, text is `width` columns wide: a log file
    has room, and rich would fold tables to 80.
    """
    from rich.console import Console

    return Console(file=stream, highlight=False, width=None if stream.isatty() else width)


def open_table(title: str = "") -> Table:
    """A table without a frame, one rule under its headings; the columns are the caller's."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    return Table(
        title=Text(title) if title else None,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        collapse_padding=True,
        pad_edge=False,
    )


def print_json(content: object) -> None:
    """Plain data on standard output, and nothing else."""
    sys.stdout.buffer.write(to_json(content))
    sys.stdout.buffer.flush()
