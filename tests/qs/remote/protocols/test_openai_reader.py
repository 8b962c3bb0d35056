"""What counts the tokens of answers that were given under load: what the user states."""

from __future__ import annotations

import orjson
import pytest

from qs.base.errors import UserError
from qs.engine.wire.calls import WireCall
from qs.llm.asked import LlmAsked
from qs.remote.address import parse
from qs.remote.asked import Asked
from qs.remote.protocols.openai import OpenAi
from tests.qs.llm.calls import streamed
from tests.servers.scripted import chat_events

URL = "openai+http://127.0.0.1:1/v1"


def counted(stated: str, *, endpoint: bool) -> int:
    """The tokens of an answer of three words, without usage."""

    def ask(request: bytes) -> WireCall:
        call = WireCall(request, lambda call: None, None)
        body = orjson.loads(request.partition(b"\r\n\r\n")[2])
        if endpoint and "prompt" in body and b" /tokenize " in request.partition(b"\r\n")[0]:
            call.status, call.body = 200, orjson.dumps({"count": len(body["prompt"].split())})
        else:
            call.failure = "HTTP 404"
        return call

    asked = Asked(URL, model="m", llm=LlmAsked(tokenizer=stated))
    read = OpenAi(parse(URL, "m"), asked).reader(ask)
    reading = read([streamed({1010.0: b"".join(chat_events("one ", "two ", "three"))})])
    return int(reading.values["output_tokens"][0])


def test_the_servers_endpoint_counts_where_it_is_stated() -> None:
    assert counted("server", endpoint=True) == 3


@pytest.mark.parametrize("stated", ["", "none"])
def test_nobody_is_asked_where_nothing_is_stated(stated: str) -> None:
    assert counted(stated, endpoint=True) == -1


def test_what_is_stated_and_not_there_is_the_users_error() -> None:
    for stated in ("server", "/nowhere/tokenizer.json"):
        with pytest.raises(UserError, match="--tokenizer"):
            counted(stated, endpoint=False)
