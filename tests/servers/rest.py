"""Servers over HTTP that tests start in their own process: what TensorFlow Serving and TorchServe
answer, after their documentation (neither can be had from a package registry), and applications.

An application is a function of a request to an answer. `asking` calls it without a network,
`served` puts it behind a real socket.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import numpy as np


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


App = Callable[[Asked], Answer]


def as_json(content: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(content).encode(), {"Content-Type": "application/json"})


def read_request(sent: bytes) -> Asked:
    head, _, body = sent.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    return Asked(method, path, {name.lower(): text.strip() for name, _, text in pairs}, body)


def asking(app: App) -> Callable[[bytes], Any]:
    """What sends a request to the application, as a protocol is given it."""

    def ask(sent: bytes) -> Any:
        answer = app(read_request(sent))
        failure = None if 200 <= answer.status < 300 else f"HTTP {answer.status}"
        detail = "" if failure is None else answer.body[:200].decode()
        named = {name.lower(): value for name, value in answer.headers.items()}
        return SimpleNamespace(
            status=answer.status,
            head="".join(f"{name}: {value}\r\n" for name, value in named.items()).encode(),
            body=answer.body,
            failure=failure,
            detail=detail,
            headers=lambda: named,
        )

    return ask


@contextmanager
def served(app: App) -> Iterator[int]:
    """The port that the application listens on, on 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): text for name, text in self.headers.items()}
            made = app(Asked(self.command, self.path, headers, body))
            head = [f"HTTP/1.1 {made.status} -", f"Content-Length: {len(made.body)}"]
            head += [f"{name}: {text}" for name, text in made.headers.items()]
            content = b"" if self.command == "HEAD" else made.body
            self.wfile.write("\r\n".join([*head, "", ""]).encode() + content)

        do_GET = do_POST = do_PUT = do_HEAD = answer  # noqa: N815 - http.server's names

        def log_message(self, *about: object) -> None:
            """Nothing is written."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


DTYPES = {"DT_FLOAT": np.float32, "DT_INT64": np.int64, "DT_STRING": np.str_}


@dataclass
class TfServing:
    """One model of TensorFlow Serving: `compute` takes and gives arrays by name."""

    name: str
    inputs: dict[str, tuple[str, list[int]]]
    outputs: dict[str, tuple[str, list[int]]]
    compute: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
    version: str = "1"
    state: str = "AVAILABLE"
    metadata: bool = True
    seen: list[Asked] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Answer:
        self.seen.append(asked)
        at = f"/v1/models/{self.name}"
        versioned = f"{at}/versions/{self.version}"
        if not asked.path.startswith(at):
            said = {"error": f"Could not find any versions of model {asked.path}"}
            return as_json(said, 404)
        if asked.path in (at, versioned):
            status = {"error_code": "OK", "error_message": ""}
            state = {"version": self.version, "state": self.state, "status": status}
            return as_json({"model_version_status": [state]})
        if asked.path in (f"{at}/metadata", f"{versioned}/metadata") and self.metadata:
            return as_json(self._metadata())
        if asked.path in (f"{at}:predict", f"{versioned}:predict"):
            try:
                return self._predicted(asked.json)
            except (KeyError, TypeError, ValueError) as error:
                return as_json({"error": str(error)}, 400)
        return as_json({"error": "Malformed request"}, 404)

    def _metadata(self) -> dict[str, Any]:
        def described(tensors: dict[str, tuple[str, list[int]]]) -> dict[str, Any]:
            return {
                name: {
                    "dtype": dtype,
                    "tensor_shape": {
                        "dim": [{"size": str(size), "name": ""} for size in shape],
                        "unknown_rank": False,
                    },
                    "name": f"serving_default_{name}:0",
                }
                for name, (dtype, shape) in tensors.items()
            }

        signature = {
            "inputs": described(self.inputs),
            "outputs": described(self.outputs),
            "method_name": "tensorflow/serving/predict",
        }
        found = {"serving_default": signature, "__saved_model_init_op": {"inputs": {}}}
        return {
            "model_spec": {"name": self.name, "version": self.version},
            "metadata": {"signature_def": {"signature_def": found}},
        }

    def _predicted(self, content: dict[str, Any]) -> Answer:
        if ("instances" in content) == ("inputs" in content):
            return as_json({"error": "exactly one of instances and inputs"}, 400)
        rows = "instances" in content
        given = content["instances"] if rows else content["inputs"]
        if len(self.inputs) == 1 and not (isinstance(given, dict) or _named(given)):
            given = {next(iter(self.inputs)): given}
        elif rows:
            given = {name: [row[name] for row in given] for name in self.inputs}
        arrays = {
            name: np.array(_decoded(given[name]), DTYPES[dtype])
            for name, (dtype, _) in self.inputs.items()
        }
        answers = {name: array.tolist() for name, array in self.compute(arrays).items()}
        if len(answers) == 1:
            (value,) = answers.values()
        elif rows:
            value = [dict(zip(answers, row)) for row in zip(*answers.values())]
        else:
            value = answers
        return as_json({"predictions" if rows else "outputs": value})


def _named(given: Any) -> bool:
    """Rows that are objects; {"b64": ...} is a value."""
    first = given[0] if isinstance(given, list) and given else None
    return isinstance(first, dict) and list(first) != ["b64"]


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    if isinstance(value, dict):
        return base64.b64decode(value["b64"]).decode("latin-1")
    return value


@dataclass
class TorchServe:
    """One model of TorchServe: `handle` is its handler for one request, of a body or, with the type
    application/json, of what that says.
    """

    name: str
    handle: Callable[[Any], Any]
    version: str = "1.0"
    healthy: bool = True
    seen: list[Asked] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Answer:
        self.seen.append(asked)
        if asked.path == "/ping":
            said = {"status": "Healthy" if self.healthy else "Unhealthy"}
            return as_json(said, 200 if self.healthy else 500)
        if asked.path == f"/models/{self.name}":  # its management interface
            worker = {"id": "9000", "status": "READY", "gpu": False, "gpuUsage": "N/A"}
            about = {"modelName": self.name, "modelVersion": self.version, "batchSize": 4}
            return as_json([{**about, "runtime": "python", "workers": [worker, worker]}])
        at = f"/predictions/{self.name}"
        if asked.path not in (at, f"{at}/{self.version}") or asked.method != "POST":
            said = {
                "code": 404,
                "type": "ModelNotFoundException",
                "message": f"Model not found: {asked.path}",
            }
            return as_json(said, 404)
        kind = asked.headers.get("content-type", "")
        made = self.handle(asked.json if kind.startswith("application/json") else asked.body)
        if isinstance(made, bytes):
            return Answer(200, made)
        return Answer(200, made.encode()) if isinstance(made, str) else as_json(made)
