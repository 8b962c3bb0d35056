"""The compiler of HTTP: servers over HTTP/1.1 that do not speak KServe v2. Nothing is compiled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qs.remote.compile_backend import ServedCompileBackend


class CompileBackendHTTP(ServedCompileBackend):
    """TorchServe, TensorFlow Serving, and any server by a template file (docs/templates.md)."""

    model_formats = ("served",)
    backend = "HTTP"
    speaks = "HTTP/1.1: TorchServe, TensorFlow Serving, or a template"

    def get_interact_profile(self, config: dict[str, Any]) -> list[dict[str, Any]] | None:
        return json.loads(Path(__file__).with_name("HTTP.json").read_text())
