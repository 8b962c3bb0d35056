"""What an entry must state about a file that comes from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from qs.base.cache import cache_dir
from qs.base.errors import UserError
from qs.models.request import Request


def stated_sha256(entry: Mapping[str, Any], request: Request) -> str:
    """The entry's `sha256` in lower case. UserError where it is missing: nothing unverified is ever
    used.
    """
    value = str(entry.get("sha256", "")).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise UserError(
            f"{request.model}: the source {entry.get('kind')} needs `sha256`, 64 hexadecimal digits"
        )
    return value


def place_for(sha256: str, suffix: str) -> str:
    """What a user without a network does about such a file: fetch it elsewhere and put it where the
    cache would.
    """
    return f"put the file, of sha256 {sha256}, at {cache_dir() / 'models' / (sha256 + suffix)}"
