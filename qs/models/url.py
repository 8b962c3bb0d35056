"""The source `url`: a file downloaded once, verified by its stated SHA-256 and cached under that.

A download continues where an earlier attempt stopped. urllib3 retries a request until an answer
begins (no connection, a busy server); a body that breaks off is resumed here. Left out: anything
but http and https.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from qs.base.cache import build_once, cache_dir
from qs.base.errors import UserError
from qs.models.request import ModelRequest, NotHere, place_for, stated_sha256
from qs.tensors.digest import read_sha256, verified

if TYPE_CHECKING:
    import requests

ATTEMPTS = 4
PAUSE_S = 1.0  # before the second attempt, doubled before each further one
BUSY = (408, 429, 500, 502, 503, 504)  # another attempt may succeed after these statuses
CONNECT_S, READ_S = 10.0, 30.0
CHUNK_BYTES = 64 << 10  # at most this much is lost when a connection breaks


def obtain(entry: Mapping[str, Any], request: ModelRequest) -> tuple[Path, str]:
    """(file, note). entry: `url` (http or https) and `sha256`. NotHere if the server is unreachable
    or refuses, UserError if it sends another file than stated.
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
        if got != sha256 and resumed:
            # The old part may have been another file's: once more, from the start.
            part.unlink()
            download(url, part, request.progress)
            got = read_sha256(part)
        if got != sha256:
            part.unlink()
            raise UserError(
                f"{request.model}: {url} has sha256 {got}, not {sha256}; the download was deleted"
            )
        os.replace(part, path)

    file = build_once(f"models/{sha256}", name.suffix, build)
    return verified(file, sha256), f"downloaded from {url}"


def download(url: str, part: Path, progress: Callable[[int, int | None], None]) -> None:
    """Fetch `url` into `part`, continuing after what it already contains.

    NotHere if the server refuses or is unreachable; `part` then keeps what arrived, for next time.
    """
    import requests

    with _session() as session:
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_S * 2 ** (attempt - 1))
            try:
                return _fetch(session, url, part, progress)
            except requests.HTTPError as error:
                assert error.response is not None  # raise_for_status states it
                status, reason = error.response.status_code, error.response.reason
                raise NotHere(f"{url}: the server answered {status} {reason}") from None
            except (requests.exceptions.ChunkedEncodingError, _BrokeOff):
                continue
            except requests.RequestException as error:
                raise NotHere(f"{url}: {type(error).__name__}") from None
    raise NotHere(f"{url}: the connection broke off {ATTEMPTS} times")


class _BrokeOff(Exception):
    """A body ended before its stated length."""


def _session() -> requests.Session:
    """A session that retries a request until an answer begins, by urllib3's own rules."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    retry = Retry(
        ATTEMPTS - 1,
        backoff_factor=PAUSE_S,
        status_forcelist=BUSY,
        raise_on_status=False,
    )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _fetch(
    session: requests.Session, url: str, part: Path, progress: Callable[[int, int | None], None]
) -> None:
    have = part.stat().st_size if part.exists() else 0
    # Identity: the length of a compressed body is not the file's, and it cannot be resumed.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with session.get(url, headers=headers, stream=True, timeout=(CONNECT_S, READ_S)) as response:
        if (
            response.status_code == 416
        ):  # nothing follows what we have: it is complete, or another file's
            return
        response.raise_for_status()
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if response.status_code != 206 or not resumed:
            have = 0  # the server sends the whole file
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if have else "wb") as file:
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
                have += len(chunk)
                progress(have, total)
        if total is not None and have != total:
            raise _BrokeOff
