"""How a request to a server fails: few words, by which failures are counted, and which stay as they
are since they are written to files.
"""

from __future__ import annotations

# Of a body, a name or what else a server sent, so much is put into a message.
MOST_SHOWN = 200


class Failure:
    """The words of `call.failure`. Beside them stand "HTTP 503" (`http`) and "gRPC UNAVAILABLE"."""

    REFUSED = "refused"  # no connection: refused, or no way to the address
    CONNECT_TIMEOUT = "connect timeout"
    UNRESOLVED = "name not resolved"
    TLS = "tls"  # no agreement on TLS, or a certificate that is not accepted
    PROXY = "proxy"  # the proxy would not connect us
    RESET = "reset"  # the connection was reset before the answer was whole
    CLOSED = "closed"  # it ended within an answer, or unanswered twice
    BAD_ANSWER = "bad answer"  # not what the protocol allows: garbage, a wrong length, a bad chunk
    FIRST_BYTE_TIMEOUT = "first byte timeout"
    TIMEOUT = "timeout"
    STALLED = "stalled"  # no byte for too long, within an answer
    CANCELLED = "cancelled"
    TOO_LARGE = "answer too large"
    REDIRECTED = "redirected"  # the detail names the target

    @staticmethod
    def http(status: int) -> str:
        """The word for an HTTP status that is not 2xx."""
        return f"HTTP {status}"


class WireError(RuntimeError):
    """There is no connection to work with; the message is one sentence for the user. `failure` is
    one of Failure's words, "" where none fits.
    """

    def __init__(self, message: str, failure: str = ""):
        super().__init__(message)
        self.failure = failure


class BadAnswer(ValueError):
    """The bytes are no answer of the protocol; the message says what is wrong with them."""


def shown(data: bytes | bytearray | memoryview | str) -> str:
    """The first of what a server sent, on one line and fit to be printed."""
    if not isinstance(data, str):
        data = bytes(data[: 4 * MOST_SHOWN]).decode("utf-8", "replace")
    line = " ".join(data[: 2 * MOST_SHOWN].split())
    text = line
    if not line.isprintable():  # letter by letter takes tens of us, and failures come in floods
        text = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in line)
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"
