"""Which server answers for a language model, as far as it says: by its headers, by who owns the
models it lists, and by a page of its own that such servers have. A page that is not there is no
fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from qs.base.visible import one_line

if TYPE_CHECKING:
    from qs.engine.wire.calls import WireCall

VLLM, SGLANG, LLAMA, TGI, OLLAMA = "vLLM", "SGLang", "llama.cpp", "TGI", "Ollama"
# Who owns the models of such a server, as its list says.
_OWNERS = {
    "vllm": VLLM,
    "sglang": SGLANG,
    "llamacpp": LLAMA,
    "llama.cpp": LLAMA,
    "huggingface": TGI,
    "library": OLLAMA,
}
# Words in a Server header that say more than which web framework it is.
_HEADERS = {"llama.cpp": LLAMA, "vllm": VLLM, "sglang": SGLANG}
# Servers that send as many tokens as min_tokens and ignore_eos say.
_KEEP_LENGTHS = {VLLM, SGLANG, LLAMA}
MOST_WORDS = 120

Get = Callable[[str], "WireCall"]


@dataclass(frozen=True)
class About:
    """What a server says of itself; "" where it says nothing."""

    server: str = ""
    version: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    # why no request can be answered yet
    not_ready: str = ""

    @property
    def keeps_lengths(self) -> bool:
        """Whether answers can be had that are as long as asked, by min_tokens and ignore_eos."""
        return self.server in _KEEP_LENGTHS


def about_of(listed: WireCall, model: Mapping[str, Any], get: Get) -> About:
    """`listed` is the answer of /models, `model` the entry of ours in it, {} if there is none, and
    `get` asks for a path below the server's root.
    """
    header = listed.headers().get("server", "")
    owner = str(model.get("owned_by", "")).lower()
    server = _OWNERS.get(owner, "")
    for word, name in _HEADERS.items():
        if word in header.lower():
            server = name
    facts = _of_model(model)
    if header and not server:
        facts["web server"] = _word(header)
    health = get("/health")
    if health.failure == "HTTP 503":
        return About(server, not_ready=f"/health: {one_line(health.detail or '503', 200)}")
    version = ""
    for name, path, reads in _PAGES:
        if server in (name, ""):
            page = _json(get(path))
            found = reads(page) if page else None
            if found is not None:
                server, version = name, found.pop("version", "")
                facts |= found
                break
    return About(server, version, facts)


def _of_vllm(page: Mapping[str, Any]) -> dict[str, str] | None:
    version = page.get("version")
    return {"version": _word(version)} if isinstance(version, str) else None


def _of_sglang(page: Mapping[str, Any]) -> dict[str, str] | None:
    if "model_path" not in page and "version" not in page:
        return None
    facts = {"version": _word(page.get("version", ""))}
    for name, shown in (("tp_size", "tensor parallel"), ("dp_size", "data parallel")):
        if isinstance(page.get(name), int):
            facts[shown] = str(page[name])
    return facts


def _of_llama(page: Mapping[str, Any]) -> dict[str, str] | None:
    settings = page.get("default_generation_settings")
    if not isinstance(settings, dict) and "total_slots" not in page:
        return None
    facts = {"version": _word(page.get("build_info", ""))}
    context = settings.get("n_ctx") if isinstance(settings, dict) else None
    if isinstance(page.get("total_slots"), int):
        facts["slots"] = str(page["total_slots"])
    if isinstance(context, int):
        facts["context"] = f"{context} tokens a slot"
    return facts


def _of_tgi(page: Mapping[str, Any]) -> dict[str, str] | None:
    if "model_id" not in page:
        return None
    facts = {"version": _word(page.get("version", ""))}
    if isinstance(page.get("max_total_tokens"), int):
        facts["context"] = f"{page['max_total_tokens']} tokens"
    return facts


# In the order in which an unknown server is asked.
_PAGES: tuple[tuple[str, str, Callable[[Mapping[str, Any]], dict[str, str] | None]], ...] = (
    (LLAMA, "/props", _of_llama),
    (SGLANG, "/get_server_info", _of_sglang),
    (TGI, "/info", _of_tgi),
    (OLLAMA, "/api/version", _of_vllm),
    (VLLM, "/version", _of_vllm),
)


def _of_model(model: Mapping[str, Any]) -> dict[str, str]:
    """What the list says of a model itself."""
    facts = {}
    if isinstance(model.get("max_model_len"), int):
        facts["context"] = f"{model['max_model_len']} tokens"
    meta = model.get("meta")
    if isinstance(meta, dict):
        for name, shown in (("n_params", "parameters"), ("n_ctx_train", "context of training")):
            if isinstance(meta.get(name), int):
                facts[shown] = str(meta[name])
    if isinstance(model.get("root"), str) and model["root"] != model.get("id"):
        facts["root"] = _word(model["root"])
    return facts


def _json(call: WireCall) -> dict[str, Any]:
    """{} for a page that is not there, or is no object."""
    if call.failure is not None:
        return {}
    try:
        found = orjson.loads(bytes(call.body))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _word(value: object) -> str:
    return one_line(str(value), MOST_WORDS)
