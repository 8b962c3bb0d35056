"""Texts as they may be passed on: without the name of somebody's home folder, and without the
long ways to files of one machine.

Results keep whole paths, for programs on the same machine; pages, PDFs and Markdown are sent to
others.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

KEPT = 3  # parts of a long path: the file, and the folders that tell which it is
_HOMES = ("/home/[^/\\s:]+", "/Users/[^/\\s:]+", "/root")
# An absolute path of more parts than are kept; not the middle of another path or of an address.
_LONG = re.compile(r"(?<![\w.~/:\-…])(?:/[\w.+@%=\-]+){5,}")


def private(text: str) -> str:
    """With `~` for home folders, and of other long paths the end.

    >>> private("the file /home/ann/models/a.onnx")
    'the file ~/models/a.onnx'
    >>> private("the file /srv/data/shared/model_zoo/digits/a.onnx")
    'the file …/model_zoo/digits/a.onnx'
    """
    return _LONG.sub(_end, at_home(text)) if "/" in text else text


def at_home(text: str) -> str:
    """With `~` for home folders alone: a command still finds its files."""
    return _homes().sub("~", text) if "/" in text else text


@cache
def _homes() -> re.Pattern[str]:
    """This user's home, wherever it is, and those of the usual places."""
    own = {os.path.expanduser("~"), str(Path.home())} - {"/", "~"}
    each = [*map(re.escape, sorted(own, key=len, reverse=True)), *_HOMES]
    return re.compile(rf"(?<![\w.~/:\-])(?:{'|'.join(each)})(?=/|$|[\s'\",;:)])")


def _end(found: re.Match[str]) -> str:
    return "…/" + "/".join(found.group().split("/")[-KEPT:])
