"""The runtime of HTTP: a model behind a server over HTTP/1.1, asked over our own client."""

from __future__ import annotations

from qs.remote.runtime_backend import ServedRuntimeBackend


class RuntimeBackendHTTP(ServedRuntimeBackend):
    """One served model, or one kind of request of a template."""

    backend = "HTTP"
    speaks = "HTTP/1.1: TorchServe, TensorFlow Serving, or a template"
