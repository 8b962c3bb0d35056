"""Standard output and standard error: where text meets a terminal. Tables as wide as it, JSON for
programs, and no control character of anybody's but our own.

The streams of the program are wrapped once, for whoever prints (`on_streams`). Only a `console`
writes beside the wrapper, as it draws with escape sequences of its own; it makes the text in what
it draws visible itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

from qs.base.visible import visible, visible_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


class _Visible:
    """A text stream that writes control characters out; in everything else the stream itself."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(visible(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def wrap_streams() -> None:
    """From here on, what is printed to standard output or standard error is made visible."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, _Visible):
            continue
        if str(getattr(stream, "encoding", "")).lower() in ("ascii", "us-ascii", "ansi_x3.4-1968"):
            # click would find the bytes below a stream that can only do ASCII, and write UTF-8.
            stream.reconfigure(encoding="utf-8")
        setattr(sys, name, _Visible(stream))


@contextmanager
def visible_streams() -> Iterator[None]:
    """`wrap_streams` for as long as the context lasts."""
    before = sys.stdout, sys.stderr
    wrap_streams()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def as_it_is(stream: TextIO) -> TextIO:
    """The stream below the wrapper, for what draws with escape sequences and lets none through."""
    return stream.stream if isinstance(stream, _Visible) else stream


def console(stream: TextIO, width: int = 120) -> Console:
    """A console on a stream. Unless that is a terminal, text is `width` columns wide: a log file
    has room, and rich would fold tables to 80.
    """
    from rich.console import Console
    from rich.segment import Segment

    class VisibleConsole(Console):
        """rich lets escape sequences in text through."""

        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            for text, style, control in super().render(renderable, options):
                yield Segment(text if control else visible(text), style, control)

    return VisibleConsole(
        file=as_it_is(stream), highlight=False, width=None if stream.isatty() else width
    )


def is_dumb(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal, if there is one, can neither move its cursor nor show dialogs."""
    return environ.get("TERM", "").lower() in ("dumb", "unknown", "")


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
    from qs.base.files import to_json

    write_out(visible_json(to_json(content)))


def write_out(content: bytes) -> None:
    """A file's content on standard output. On a terminal, text is made visible; elsewhere every
    byte stays.
    """
    sys.stdout.flush()
    if sys.stdout.isatty():
        cast(TextIO, sys.stdout).write(visible(content.decode("utf-8", "replace")))
    else:
        sys.stdout.buffer.write(content)
    sys.stdout.flush()
