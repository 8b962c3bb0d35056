"""The compiler of OPENAI: language models behind OpenAI-compatible APIs. Nothing is compiled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qs.remote.compile_backend import ServedCompileBackend


class CompileBackendOPENAI(ServedCompileBackend):
    """vLLM, SGLang, TGI, llama.cpp, Ollama, and hosted models (docs/llm.md)."""

    model_formats = ("served",)
    backend = "OPENAI"
    speaks = "OpenAI's APIs of language models, and Anthropic's messages"

    def get_interact_profile(self, config: dict[str, Any]) -> list[dict[str, Any]] | None:
        return json.loads(Path(__file__).with_name("OPENAI.json").read_text())
