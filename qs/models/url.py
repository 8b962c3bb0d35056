"""The source `url`: a file downloaded once, verified by its stated SHA-256 and cached under that.

A download continues where an earlier attempt stopped. urllib3 retries a request until an answer
begins (no connection, a busy server); a body that breaks off is resumed here. Left out: anything
but http and https.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from qs.base.addresses import public
from qs.base.cache import build_once, cache_dir
from qs.base.errors import UserError
from qs.models.request import ModelRequest, NotHere, place_for, stated_sha256
from qs.tensors.digest import read_sha256, verified

if TYPE_CHECKING:
    import requests

VARIABLE = "QS_MAX_DOWNLOAD"
MAX_GB = 50  # an order of magnitude above the largest file that a model was seen in
SPARE_BYTES = 256 << 20  # left free on the disk
LOOK_BYTES = 64 << 20  # how much arrives between two looks at the room left
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
    shown = public(url)
    try:
        address = urlsplit(url)
    except ValueError as error:  # [::1 without its end
        raise UserError(f"{request.model}: {shown!r} is not an address: {error}") from None
    if address.scheme not in ("http", "https") or not address.netloc:
        raise UserError(f"{request.model}: {shown!r} is not an http or https address")
    sha256 = stated_sha256(entry, request)
    name = PurePosixPath(address.path)
    most = most_bytes(entry.get("bytes"))

    def build(path: Path) -> None:
        if request.offline:
            raise NotHere(
                f"offline, and {shown} is not in the cache; {place_for(sha256, name.suffix)}"
            )
        request.say(f"downloading {shown}")
        part = cache_dir() / "models" / f"{sha256}.part"
        resumed = part.exists()
        download(url, part, request.progress, most)
        got = read_sha256(part)
        if got != sha256 and resumed:
            # The old part may have been another file's: once more, from the start.
            part.unlink()
            download(url, part, request.progress, most)
            got = read_sha256(part)
        if got != sha256:
            part.unlink()
            raise UserError(
                f"{request.model}: {shown} has sha256 {got}, not {sha256}; the download was deleted"
            )
        os.replace(part, path)

    file = build_once(f"models/{sha256}", name.suffix, build)
    return verified(file, sha256), f"downloaded from {shown}"


def most_bytes(stated: object = None) -> int:
    """How large a download may be: the size that its source states, else QS_MAX_DOWNLOAD (in GB),
    else MAX_GB. UserError for a variable that is no number.
    """
    if isinstance(stated, int) and stated > 0:
        return stated
    text = os.environ.get(VARIABLE, "").strip() or str(MAX_GB)
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = -1.0
    if not 0 < gigabytes <= 1e6:
        raise UserError(f"{VARIABLE} is {text!r}; allowed: a number of GB above 0")
    return int(gigabytes * 1e9)


def download(url: str, part: Path, progress: Callable[[int, int | None], None], most: int) -> None:
    """Fetch `url` into `part`, continuing after what it already contains.

    NotHere if the server refuses or is unreachable; `part` then keeps what arrived, for next time.
    UserError for more than `most` bytes, or more than the disk has room for; nothing is kept then.
    """
    import requests

    shown = public(url)
    with _session() as session:
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_S * 2 ** (attempt - 1))
            try:
                return _fetch(session, url, part, progress, most)
            except requests.HTTPError as error:
                assert error.response is not None  # raise_for_status states it
                status, reason = error.response.status_code, error.response.reason
                raise NotHere(f"{shown}: the server answered {status} {reason}") from None
            except (requests.exceptions.ChunkedEncodingError, _BrokeOff):
                continue
            except _TooLarge as reason:
                part.unlink(missing_ok=True)
                raise UserError(f"{shown}: {reason}; nothing of it was kept") from None
            except OSError as error:
                if isinstance(error, requests.RequestException):
                    raise NotHere(f"{shown}: {type(error).__name__}") from None
                part.unlink(missing_ok=True)
                raise UserError(f"{shown}: cannot be kept: {error.strerror}") from None
            except (UnicodeError, ValueError) as error:  # a host that no name can be
                raise NotHere(f"{shown}: {type(error).__name__}") from None
    raise NotHere(f"{shown}: the connection broke off {ATTEMPTS} times")


class _TooLarge(Exception):
    """Why a body is not taken."""


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
    session: requests.Session,
    url: str,
    part: Path,
    progress: Callable[[int, int | None], None],
    most: int,
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
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isascii() and length.isdigit() else None
        _check_room(part.parent, have, have if total is None else total, most)
        looked = have
        with part.open("ab" if have else "wb") as file:
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
                have += len(chunk)
                progress(have, total)
                if have > most or have - looked > LOOK_BYTES:
                    _check_room(part.parent, have, have, most)
                    looked = have
        if total is not None and have != total:
            raise _BrokeOff


def _check_room(folder: Path, have: int, total: int, most: int) -> None:
    """Raise _TooLarge if `total` bytes are too many, or what is missing of them does not fit."""
    if total > most:
        raise _TooLarge(
            f"it is larger than {most / 1e9:g} GB ({total:,} bytes so far or in all); if that is "
            f"right, set {VARIABLE} to more GB, or state its size as `bytes` of the source"
        )
    free = shutil.disk_usage(folder).free
    if total - have + SPARE_BYTES > free:
        raise _TooLarge(
            f"{(total - have) / 1e9:.3g} GB of it are missing, and {folder} has {free / 1e9:.3g} "
            "GB free; free some, or set QS_CACHE to another disk"
        )
