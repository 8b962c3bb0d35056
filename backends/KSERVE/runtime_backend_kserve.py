"""The runtime of KSERVE: a model behind a server of KServe v2, asked over our own clients."""

from __future__ import annotations

from qs.remote.runtime_backend import ServedRuntimeBackend


class RuntimeBackendKSERVE(ServedRuntimeBackend):
    """One served model."""

    backend = "KSERVE"
    speaks = "KServe v2 (Open Inference Protocol)"
