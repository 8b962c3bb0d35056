"""One load engine that measures every inference backend written to ByteMLPerf's two classes.

Importing this package loads nothing heavy: numpy, onnxruntime, pydantic and the engine come in
where they are used. The four classes of the plug-in contract stand here for vendors (`from qs
import CompileBackend`), and what measures from Python for everybody
(`qs.load("model.onnx").run()`). They are loaded on first use; their types are in the stub beside
this file.

It turns ONNX Runtime's telemetry off, here and in every process that is started from here: since
1.29 the mere import of onnxruntime writes a file of a fixed name in TMPDIR, through whatever link
has that name, and starts a thread that sends events beside what is measured.
"""

from __future__ import annotations

import os

__version__ = "0.1.0"
__all__ = [
    "AccuracyChecker",
    "Comparison",
    "CompileBackend",
    "Dataset",
    "Lineup",
    "Result",
    "RuntimeBackend",
    "UserError",
    "__version__",
    "compare",
    "load",
    "load_result",
    "run",
]

if not os.environ.get("ORT_DISABLE_TELEMETRY"):  # a user's own word stands
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_HOMES = {
    "AccuracyChecker": "qs.contract.test_accuracy",
    "Comparison": "qs.api.comparing",
    "CompileBackend": "qs.contract.compile_backend",
    "Dataset": "qs.contract.data_loader",
    "Lineup": "qs.api.lineup",
    "Result": "qs.api.result",
    "RuntimeBackend": "qs.contract.runtime_backend",
    "UserError": "qs.base.errors",
    "compare": "qs.api.comparing",
    "load": "qs.api.measuring",
    "load_result": "qs.api.result",
    "run": "qs.api.measuring",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
