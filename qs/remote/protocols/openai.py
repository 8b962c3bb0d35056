"""Language models behind the APIs that OpenAI made common: vLLM, SGLang, TGI, llama.cpp, Ollama,
LiteLLM and hosted ones. qs.llm knows the APIs; here they become a served model.

A request is one prompt, an answer is one text, or of embeddings a vector. A batch's text is a
prompt as it stands; a JSON object with "messages" or "prompt" is a whole prompt. Left out:
where prompts come from (qs.llm.prompts).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from qs.base.addresses import HIDDEN
from qs.base.errors import Fault, Faults, UserError
from qs.base.names import nearest
from qs.base.visible import one_line
from qs.engine.wire.requests import http_request
from qs.llm.answer import Answer
from qs.llm.apis.choice import api_of
from qs.llm.apis.fields import error_of, loaded
from qs.llm.asked import LlmAsked
from qs.llm.outcomes import judge as judged
from qs.llm.outcomes import read_answer
from qs.llm.prompt import Prompt, PromptRequest, from_line
from qs.llm.reading import reader
from qs.llm.texts import AnswerTexts
from qs.llm.tokenizing import tokenizer_of
from qs.remote.address import Address, listed
from qs.remote.language_servers import About, about_of
from qs.remote.protocol import Ask, BadAnswer, NotReady, ServedModel, ServedTensor
from qs.remote.waiting import check_answered

if TYPE_CHECKING:
    from qs.engine import Reader
    from qs.engine.wire.calls import WireCall
    from qs.remote.asked import Asked

PROMPT, TEXT, VECTOR = "prompt", "text", "embedding"
BRIEF = 16  # tokens; some APIs refuse to be asked for fewer
# A server without a list of models says one of these.
_NO_LIST = ("HTTP 404", "HTTP 405", "HTTP 501")


class OpenAi:
    """One model, asked through one API."""

    transport = "http"

    def __init__(self, address: Address, asked: Asked) -> None:
        self.asked: LlmAsked = asked.llm or LlmAsked()
        self.api = api_of(self.asked.api)
        self._address, self._all = address, asked
        self.model = address.model
        self._about = About()
        self._key = asked.key_now()
        # of prompts that do not say themselves how long their answers are to be
        stated = self.asked.output_tokens
        self._most = int(stated) if stated.isascii() and stated.isdecimal() else None
        query = f"?{address.query}" if address.query else ""
        # where a server has what is its own
        self._root = address.path.removesuffix("/v1")
        self._target = f"{address.path}/{self.api.path}{query}"

    @property
    def streamed(self) -> bool:
        return self.asked.stream

    def describe(self, ask: Ask) -> ServedModel:
        """Ask which models there are, and what server it is. NotReady, Faults for a model that the
        server does not list, or one that has to be named.
        """

        def get(path: str) -> WireCall:
            call = ask(self._made("GET", path))
            self._tell(call)
            return call

        call = get(f"{self._address.path}/models")
        models = None
        if call.failure not in _NO_LIST:
            check_answered(self._address, call, "/models:")
            try:
                models = _models_in(bytes(call.body))
            except BadAnswer:
                if not self._address.model:
                    raise
                # a gateway's own page: one prompt tells whether there is such a model
        self.model = self._named(models)
        own = (models or {}).get(self.model, {})
        self._about = about_of(call, own, lambda path: get(f"{self._root}{path}"))
        if self._about.not_ready:
            raise NotReady(f"{self._address}: {self._about.not_ready}")
        if self.asked.exact_lengths == "auto":
            keeps = self._about.keeps_lengths
            self.asked = replace(self.asked, exact_lengths="always" if keeps else "never")
        text = ServedTensor(PROMPT, "BYTES", np.dtype(np.str_), (-1,))
        answer = ServedTensor(TEXT, "BYTES", np.dtype(np.str_), (-1,))
        if self.asked.api == "embeddings":
            answer = ServedTensor(VECTOR, "FP32", np.dtype(np.float32), (-1, -1))
        return ServedModel(
            name=self.model,
            platform=self.asked.api,
            inputs=(text,),
            outputs=(answer,),
            max_batch_size=1,
            server_name=self._about.server,
            server_version=self.hidden(self._about.version),
            facts={
                **{name: self.hidden(fact) for name, fact in self._about.facts.items()},
                "API": self.asked.api,
                "answers": "streamed" if self.asked.stream else "whole",
            },
        )

    def _named(self, models: Mapping[str, Any] | None) -> str:
        """The model to ask for. Faults."""
        stated = self._address.model
        if models is None:
            if not stated:
                allowed = "the name of a model: this server has no list of them"
                raise Faults([Fault("--model", "", "missing", allowed)])
            return stated
        if stated in models:
            return stated
        names = list(models)
        if stated:
            if not names:
                return stated
            allowed = f"a model that the server lists: {one_line(listed(names), 800)}"
            raise Faults([Fault("--model", "", stated, allowed, nearest(stated, names))])
        if len(names) == 1:
            return names[0]
        allowed = f"one of the models that the server lists: {one_line(listed(names), 800)}"
        if not names:
            allowed = "the name of a model: the server lists none"
        raise Faults([Fault("--model", "", "missing", allowed)])

    def request(self, feeds: Mapping[str, np.ndarray]) -> PromptRequest:
        """One prompt as it is sent. UserError for more than one, or none."""
        lines = np.asarray(feeds[PROMPT]).ravel().tolist()
        if len(lines) != 1:
            raise UserError(f"a request has one prompt, and this batch {len(lines)}")
        prompt = from_line(str(lines[0]))
        if prompt.output_tokens is None and self._most is not None:
            prompt = replace(prompt, output_tokens=self._most)
        return self.prompt_request(prompt)

    def brief(self, feeds: Mapping[str, np.ndarray]) -> PromptRequest:
        """The same, for an answer of a few tokens."""
        return self.brief_request(self.request(feeds).prompt)

    def brief_request(self, prompt: Prompt) -> PromptRequest:
        if self.asked.api == "embeddings":
            return self.prompt_request(prompt)
        most = min(prompt.output_tokens or BRIEF, BRIEF)
        return self.prompt_request(replace(prompt, output_tokens=most, min_tokens=0))

    def prompt_request(self, prompt: Prompt) -> PromptRequest:
        """The prompt as it is sent. UserError."""
        body = _in_json(self.api.body(prompt, self.asked, self.model))
        made = PromptRequest(self._made("POST", self._target, body))
        made.prompt = prompt
        return made

    def text_of(self, call: WireCall) -> str:
        """What an answer says to the user; "" where it cannot be read."""
        return read_answer(bytes(call.body), None, self.api, self.asked.stream).text()

    def outputs(self, call: WireCall) -> dict[str, np.ndarray]:
        """The text of the answer, or the vector. BadAnswer."""
        body = bytes(call.body)
        if self.asked.api == "embeddings":
            return {VECTOR: _vector_in(body)}
        return {TEXT: np.array([self.hidden(self.answer(call).text())], object)}

    def answer(self, call: WireCall) -> Answer:
        """What an answer says, whichever way it came. BadAnswer."""
        answer = read_answer(bytes(call.body), None, self.api, self.asked.stream)
        if answer.error is not None:
            raise BadAnswer(self.hidden(one_line(answer.error, 200)))
        return answer

    @property
    def judge(self) -> Callable[[WireCall], None]:
        """See qs.remote.protocol."""
        api, streamed = self.api, self.asked.stream

        def judge(call: WireCall) -> None:
            judged(call, api, streamed)
            if call.failure is not None:
                self._tell(call)

        return judge

    def _tell(self, call: WireCall) -> None:
        """The detail of a failure, without the key, and of an error in JSON what it says."""
        if call.detail.startswith("{"):
            call.detail = error_of(loaded(bytes(call.body))) or call.detail
        call.detail = self.hidden(call.detail)

    def reader(self, ask: Ask | None = None) -> Reader:
        """What works out the measures of qs.llm of calls that have ended. It counts tokens by the
        tokenizer that the user states, if it is one: `ask` reaches the server's. UserError if it
        is not to be had.
        """
        stated = self.asked.tokenizer
        found = None
        if stated:
            found = tokenizer_of(stated, None if ask is None else self.posting(ask), self.model)
        return reader(self.api, self.asked, found)

    def texts(self) -> AnswerTexts | None:
        """How its answers are compared and scored; None of embeddings, which are numbers."""
        if self.asked.api == "embeddings":
            return None
        stated = self.asked.tokenizer
        found = tokenizer_of(stated, None, self.model) if stated not in ("", "server") else None
        return AnswerTexts(PROMPT, TEXT, self.asked.score, found)

    def posting(self, ask: Ask) -> Callable[[str, Mapping[str, Any]], Any]:
        """What posts JSON to a path below the server's root, and says what the answer holds: None
        where it is no JSON, or not of a good status.
        """

        def posted(path: str, body: Mapping[str, Any]) -> Any:
            call = ask(self._made("POST", f"{self._root}{path}", _in_json(body)))
            try:
                return None if call.failure is not None else orjson.loads(bytes(call.body))
            except ValueError:
                return None

        return posted

    def hidden(self, text: str) -> str:
        """The text without the key, which some servers repeat."""
        return text.replace(self._key, HIDDEN) if self._key else text

    def _made(self, method: str, path: str, body: bytes = b"") -> bytes:
        headers = {**self.api.headers(self._key), **self._all.headers_now()}
        if body:
            headers["Content-Type"] = "application/json"
            headers.setdefault("Accept", "text/event-stream" if self.streamed else "*/*")
        try:
            return http_request(method, path, self._address.authority, headers, body)
        except ValueError as error:
            raise UserError(str(error)) from None


def _in_json(content: Mapping[str, Any]) -> bytes:
    """Half a pair of surrogates, and a number beyond 64 bits, are JSON to the standard library
    alone.
    """
    try:
        return orjson.dumps(content)
    except TypeError:
        return json.dumps(content).encode()


def _models_in(body: bytes) -> dict[str, dict[str, Any]]:
    """By name, what the server says of each model. BadAnswer."""
    try:
        content = orjson.loads(body)
    except ValueError:
        raise BadAnswer("/models is answered, but not with JSON") from None
    found = content.get("data") if isinstance(content, dict) else content
    if not isinstance(found, list):
        raise BadAnswer("/models is answered, but not with a list of models")
    named = (each for each in found if isinstance(each, dict) and isinstance(each.get("id"), str))
    return {each["id"]: each for each in named}


def _vector_in(body: bytes) -> np.ndarray:
    """[1, dimensions], float32. BadAnswer."""
    try:
        found = orjson.loads(body)["data"][0]["embedding"]
        return np.asarray(found, np.float32).reshape(1, -1)
    except (ValueError, TypeError, KeyError, IndexError):
        raise BadAnswer("it has no data[0].embedding with numbers") from None
