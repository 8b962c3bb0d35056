"""The runtime of OPENAI: a language model behind an API, asked over our own client."""

from __future__ import annotations

from qs.remote.runtime_backend import ServedRuntimeBackend


class RuntimeBackendOPENAI(ServedRuntimeBackend):
    """One served model, asked through one API."""

    backend = "OPENAI"
    speaks = "OpenAI's APIs of language models, and Anthropic's messages"
