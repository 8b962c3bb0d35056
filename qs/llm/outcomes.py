"""What became of a request to a language model: the words by which failures and endings are
counted, and how an answer is judged while the run goes on.

Judging stands in the request's way, so it looks for a few bytes; only an answer that looks odd is
read in full.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from qs.engine.wire.failures import shown
from qs.llm.answer import Answer
from qs.llm.apis.api import Api
from qs.llm.apis.fields import error_of, loaded
from qs.llm.events import comments, events

if TYPE_CHECKING:
    from qs.engine.wire.calls import WireCall

# Of an odd stream that is longer, the beginning and the end are looked at, so far: nothing is sent
# and no read is stamped meanwhile.
MOST_LOOKED = 512 << 10
MOST_BARE = 8 << 10


class Outcome(str, Enum):
    """Failures of the answer itself; those of HTTP and of connections are the client's ("HTTP
    429", "reset"). How an answer ended that did not fail is a `Finish` (`qs.llm.answer`).
    """

    # the server says in its answer, or in an event of it, that it has failed
    ERROR_EVENT = "error event"
    # HTTP's end came, but neither a finish nor the API's mark of the end
    CUT_STREAM = "cut stream"
    # it ended well and holds no token
    EMPTY_ANSWER = "empty answer"
    # no stream where one was asked for, and no JSON where JSON was
    WRONG_CONTENT_TYPE = "wrong content type"

    def __str__(self) -> str:
        return self.value


def judge(call: WireCall, api: Api, streamed: bool) -> None:
    """Called when an answer has come, before it is counted: sets `failure` and `detail` of one that
    is none. A call that has failed already is left as it is.
    """
    if call.failure is not None:
        return
    body = call.body
    if not isinstance(body, bytes):
        body = bytes(body)
    # A wrong content type is looked for in all answers to a stream, since a body may look right.
    if not streamed or b"text/event-stream" in call.head:
        if api.looks_whole(body, streamed):
            return
    found = _look(call, body, api, streamed)
    if found is not None:
        outcome, detail = found
        call.failure = outcome.value
        call.detail = shown(detail)


def read_answer(body: bytes, marks: object, api: Api, streamed: bool) -> Answer:
    """All that an answer says. Whoever wants each event's own share reads it event by event."""
    answer = Answer()
    if streamed:
        for event in events(body, marks):  # type: ignore[arg-type]
            api.read_event(event, answer)
        answer.other_events += comments(body)
    else:
        api.read_whole(body, answer)
    return answer


def _look(call: WireCall, body: bytes, api: Api, streamed: bool) -> tuple[Outcome, str] | None:
    """What is wrong with an answer that looks odd, and the server's or our words on it."""
    headers = call.headers()
    kind = headers.get("content-type", "none")
    encoding = headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        return Outcome.WRONG_CONTENT_TYPE, f"packed by {encoding}, which was not asked for"
    if not streamed:
        if not isinstance(loaded(body), dict):
            begin = body[:60].decode("utf-8", "replace")
            return Outcome.WRONG_CONTENT_TYPE, f"{kind}, and no JSON object: {begin}"
    elif kind.split(";")[0].strip().lower() != "text/event-stream":
        answer = read_answer(body, None, api, streamed=False)
        if answer.error is not None:
            return Outcome.ERROR_EVENT, answer.error
        return Outcome.WRONG_CONTENT_TYPE, f"{kind} where a stream was asked for"
    elif len(body) > 2 * MOST_LOOKED:
        body = b"".join((body[:MOST_LOOKED], b"\n\n", body[-MOST_LOOKED:]))
    answer = read_answer(body, None, api, streamed)
    outcome = verdict(answer, streamed)
    if outcome is None:
        return None
    if outcome is Outcome.ERROR_EVENT:
        return outcome, answer.error or ""
    if outcome is Outcome.CUT_STREAM:
        bare = _bare_error(body)
        if bare is not None:
            return Outcome.ERROR_EVENT, bare
        return outcome, f"after {len(answer.deltas)} pieces of text"
    finish = answer.finish.value if answer.finish is not None else "no finish"
    return outcome, f"{finish}, and no token"


def _bare_error(body: bytes) -> str | None:
    """What a server says that has failed in the midst of a stream, and says so by JSON without an
    event around it.
    """
    for line in body[-MOST_BARE:].splitlines():
        if line[:1] == b"{":
            error = error_of(loaded(line))
            if error is not None:
                return error
    return None


def verdict(answer: Answer, streamed: bool) -> Outcome | None:
    """What is wrong with an answer that has been read; None: nothing."""
    if answer.error is not None:
        return Outcome.ERROR_EVENT
    if streamed and not answer.ended and answer.finish is None:
        return Outcome.CUT_STREAM
    if not answer.deltas and not answer.dimensions:
        return Outcome.EMPTY_ANSWER
    return None
