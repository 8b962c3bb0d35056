"""Whether an answer ended well and holds a token, by a few bytes in the places where they stand:
what a judge can afford while a run goes on. True is a safe answer, False is none: it may be a good
answer that looks odd.

An error in the midst of a stream that went on all the same is left to whoever reads the answer.
"""

from __future__ import annotations

import re

# So near to the beginning and to the end of a body is looked.
HEAD_BYTES = 1024
TAIL_BYTES = 1536
_ERROR = b'"error"'


def whole_stream(
    body: bytes, token: re.Pattern[bytes], *ends: tuple[bytes, ...], size: int = TAIL_BYTES
) -> bool:
    """`ends`: of each tuple, one stands near the end of a stream that ended well. `token` finds
    what only a token is written as.
    """
    tail = body[-size:]
    return (
        all(any(each in tail for each in either) for either in ends)
        and _ERROR not in tail
        and _ERROR not in body[:HEAD_BYTES]
        and token.search(body) is not None
    )


def whole_body(body: bytes, token: re.Pattern[bytes]) -> bool:
    """The same of an answer that did not come in events."""
    return (
        body[:1] == b"{"
        and body[-TAIL_BYTES:].rstrip()[-1:] == b"}"
        and _ERROR not in body[:HEAD_BYTES]
        and token.search(body) is not None
    )
