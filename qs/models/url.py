"""The source `url`: a file downloaded once, verified by its stated SHA-256 and cached under it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from qs.base.cache import build_once, cache_dir
from qs.base.errors import UserError
from qs.models.download import download
from qs.models.request import NotHere, Request
from qs.models.stated import place_for, stated_sha256
from qs.tensors.digest import read_sha256, verified


def obtain(entry: Mapping[str, Any], request: Request) -> tuple[Path, str]:
    """(file, note). entry: `url` (http or https) and `sha256`. NotHere where the server cannot be
    reached or refuses, UserError where what it sends is not the stated file.
    """
    url = str(entry.get("url", ""))
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.netloc:
        raise UserError(f"{request.model}: {url!r} is not an http or https address")
    sha256 = stated_sha256(entry, request)
    name = PurePosixPath(address.path)

    def build(path: Path) -> None:
        if request.offline:
            raise NotHere(
                f"offline, and {url} is not in the cache; {place_for(sha256, name.suffix)}"
            )
        request.say(f"downloading {url}")
        part = cache_dir() / "models" / f"{sha256}.part"
        resumed = part.exists()
        download(url, part, request.progress)
        got = read_sha256(part)
        if (
            got != sha256 and resumed
        ):  # the old part may have been of another file: once more, from the start
            part.unlink()
            download(url, part, request.progress)
            got = read_sha256(part)
        if got != sha256:
            part.unlink()
            raise UserError(
                f"{request.model}: {url} has sha256 {got}, not {sha256}; the download was deleted"
            )
        os.replace(part, path)

    return verified(
        build_once(f"models/{sha256}", name.suffix, build), sha256
    ), f"downloaded from {url}"
