"""One file over HTTP, resumed where an earlier attempt stopped.

urllib3 tries again what never began (no connection, a busy server); a body that breaks off is
resumed here. Left out: verification (the caller knows the digest) and anything but http and https.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qs.models.request import NotHere

if TYPE_CHECKING:
    import requests

ATTEMPTS = 4
PAUSE_S = 1.0  # before the second attempt, doubled before each further one
BUSY = (408, 429, 500, 502, 503, 504)  # statuses that another attempt may mend
CONNECT_S, READ_S = 10.0, 30.0
CHUNK_BYTES = 64 << 10  # the most that is lost when a connection breaks


def download(url: str, part: Path, progress: Callable[[int, int | None], None]) -> None:
    """Fetch `url` into `part`, after what `part` already holds.

    Raises NotHere if the server refuses or cannot be reached; `part` then keeps what came, for the
    next time.
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
    """A session that tries a request again until an answer begins, with urllib3's own rules."""
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
        if response.status_code == 416:  # nothing after what we have: complete, or another file's
            return
        response.raise_for_status()
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if response.status_code != 206 or not resumed:
            have = 0  # the server sends the whole
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if have else "wb") as file:
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
                have += len(chunk)
                progress(have, total)
        if total is not None and have != total:
            raise _BrokeOff
