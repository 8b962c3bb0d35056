"""One file over HTTP, resumed where an earlier attempt stopped.

Left out: verification (the caller knows the digest) and anything but http and https.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from qs.models.request import NotHere

ATTEMPTS = 4
PAUSE_S = 1.0  # before the second attempt, doubled before each further one
CONNECT_S, READ_S = 10.0, 30.0
CHUNK_BYTES = 64 << 10  # at most so much is lost when a connection breaks


def download(url: str, part: Path, progress: Callable[[int, int | None], None]) -> None:
    """Fetch `url` into `part`, after what `part` already holds. A broken connection is tried again,
    from where it broke.

    NotHere when the server refuses or cannot be reached; `part` then keeps what came, for the next
    time.
    """
    import requests

    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_S * 2 ** (attempt - 1))
        try:
            _attempt(url, part, progress)
            return
        except requests.HTTPError as error:
            assert error.response is not None  # raise_for_status states it
            status = error.response.status_code
            reason = f"the server answered {status} {error.response.reason}"
            if status < 500 and status not in (408, 429):
                break
        except requests.RequestException as error:
            reason = type(error).__name__
    raise NotHere(f"{url}: {reason}")


def _attempt(url: str, part: Path, progress: Callable[[int, int | None], None]) -> None:
    import requests

    have = part.stat().st_size if part.exists() else 0
    # Identity: a compressed body's length is not the file's, and cannot be resumed.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_S, READ_S)) as response:
        if (
            response.status_code == 416
        ):  # nothing after what we have: it was complete, or is of another file
            return
        response.raise_for_status()
        if response.status_code != 206 or not response.headers.get("Content-Range", "").startswith(
            f"bytes {have}-"
        ):
            have = 0  # the server sends the whole
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if have else "wb") as file:
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
                have += len(chunk)
                progress(have, total)
        if total is not None and have != total:
            raise requests.ConnectionError(f"{have} of {total} bytes came")
