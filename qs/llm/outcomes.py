"""What became of a request to a language model: the words by which failures and endings are
counted, and how an answer is judged while the run goes on.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from qs.llm.apis.api import Api

if TYPE_CHECKING:
    from qs.engine.wire.calls import WireCall


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
    # not JSON, or no stream where one was asked for
    WRONG_CONTENT_TYPE = "wrong content type"

    def __str__(self) -> str:
        return self.value


def judge(call: WireCall, api: Api, streamed: bool) -> None:
    """Called when an answer has come, before it is counted: sets `failure` and `detail` of one that
    is none. A call that has failed already is left as it is.
    """
