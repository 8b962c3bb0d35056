"""The compiler of KSERVE: servers of KServe v2 (the Open Inference Protocol), over HTTP and gRPC.
Nothing is compiled.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qs.remote.compile_backend import ServedCompileBackend


class CompileBackendKSERVE(ServedCompileBackend):
    """Triton, MLServer, KServe, and any other server of the protocol (docs/servers.md)."""

    model_formats = ("served",)
    backend = "KSERVE"
    speaks = "KServe v2 (Open Inference Protocol)"

    def get_interact_profile(self, config: dict[str, Any]) -> list[dict[str, Any]] | None:
        return json.loads(Path(__file__).with_name("KSERVE.json").read_text())
