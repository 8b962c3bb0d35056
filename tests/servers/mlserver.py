"""MLServer for real, over HTTP and gRPC, with small models, in an environment of its own.

    with running(tmp_path_factory) as server:
        ... server.url("double"), server.url("double", "kserve+grpc") ...

The environment is made once on a machine (3 s, and 6 s of CPU for its bytecode at the first start)
and kept beside pytest's own temporary folders; the server is ready in some 3 s. So all tests that
need it stand in one file. It has no binary extension, takes no port 0, and answers gRPC requests
with raw inputs by raw outputs.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import pytest
import uv

VERSION = "1.7.1"
READY_S = 120.0
_CLASS = """
import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceResponse


class Model(MLModel):
    async def predict(self, payload):
        inputs = {{each.name: each for each in payload.inputs}}
        outputs = []
        {body}
        return InferenceResponse(model_name=self.name, outputs=outputs)
"""


@dataclass(frozen=True)
class MlModel:
    """`body` makes `outputs` of `inputs`; tensors are name -> (datatype, shape)."""

    body: str
    inputs: Mapping[str, tuple[str, list[int]]]
    outputs: Mapping[str, tuple[str, list[int]]]
    version: str = ""


_READ = "NumpyCodec.decode_input(inputs[{!r}])"
MODELS = {
    "double": MlModel(
        f"outputs.append(NumpyCodec.encode_output('y', {_READ.format('x')} * 2))",
        {"x": ("FP32", [-1, 4])},
        {"y": ("FP32", [-1, 4])},
        version="v7",
    ),
    "add": MlModel(
        f"outputs.append(NumpyCodec.encode_output('y', {_READ.format('a')} + {_READ.format('b')}))",
        {"a": ("INT64", [-1, 2]), "b": ("INT64", [-1, 2])},
        {"y": ("INT64", [-1, 2])},
    ),
    "shout": MlModel(
        "outputs.append(StringCodec.encode_output('y', [each.upper() for each in "
        "StringCodec.decode_input(inputs['x'])]))",
        {"x": ("BYTES", [-1])},
        {"y": ("BYTES", [-1, 1])},
    ),
    # what is announced is not what comes
    "liar": MlModel(
        f"outputs.append(NumpyCodec.encode_output('y', {_READ.format('x')}.astype('f8')))",
        {"x": ("FP32", [-1, 4])},
        {"y": ("FP32", [-1, 4])},
    ),
    "broken": MlModel(
        "raise ValueError('out of paper')",
        {"x": ("FP32", [-1, 4])},
        {"y": ("FP32", [-1, 4])},
    ),
}


def onnx_model(
    factory: pytest.TempPathFactory,
    file: Path,
    inputs: Mapping[str, tuple[str, list[int]]],
    outputs: Mapping[str, tuple[str, list[int]]],
) -> MlModel:
    """An ONNX file, run by ONNX Runtime in the server's own environment."""
    folder = environment(factory)
    with filelock.FileLock(f"{folder}.lock"):
        if not (folder / "onnxruntime").exists():
            command = ["pip", "install", "--quiet", "--python", folder / "bin" / "python"]
            subprocess.run(
                [uv.find_uv_bin(), *map(str, command), "onnxruntime"],
                capture_output=True,
                timeout=240,
                check=True,
            )
            (folder / "onnxruntime").touch()
    lines = [
        "import onnxruntime",
        f"opened = lambda: onnxruntime.InferenceSession({str(file)!r})",
        "session = vars(self).get('session') or vars(self).setdefault('session', opened())",
        "feeds = {name: NumpyCodec.decode_input(each) for name, each in inputs.items()}",
        f"for name, array in zip({list(outputs)!r}, session.run({list(outputs)!r}, feeds)):",
        "    outputs.append(NumpyCodec.encode_output(name, array))",
    ]
    return MlModel("\n        ".join(lines), inputs, outputs)


@dataclass(frozen=True)
class MlServer:
    """A server that is ready."""

    http_port: int
    grpc_port: int
    metrics_port: int
    process: subprocess.Popen[bytes]

    def url(self, model: str, scheme: str = "kserve+http") -> str:
        port = self.grpc_port if scheme.startswith("kserve+grpc") else self.http_port
        return f"{scheme}://127.0.0.1:{port}/{model}"


def kept_folder(factory: pytest.TempPathFactory) -> Path:
    """Pytest's own, of this user, for what outlasts a session and its workers share."""
    base = factory.getbasetemp()
    return next((each for each in base.parents if each.name.startswith("pytest-of-")), base)


def environment(factory: pytest.TempPathFactory) -> Path:
    """The environment's folder; the test is skipped where MLServer cannot be installed."""
    folder = kept_folder(factory) / f"mlserver-{VERSION}-py{platform.python_version()}"
    with filelock.FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            for command in (
                ["venv", "--clear", "--python", sys.executable, folder],
                ["pip", "install", "--python", folder / "bin" / "python", f"mlserver=={VERSION}"],
            ):
                made = subprocess.run(
                    [uv.find_uv_bin(), *map(str, command), "--quiet"],
                    capture_output=True,
                    text=True,
                    timeout=240,
                    check=False,
                )
                if made.returncode:
                    pytest.skip(f"MLServer cannot be installed: {made.stderr.strip()[-200:]}")
            (folder / "complete").touch()
    return folder


@contextmanager
def running(
    factory: pytest.TempPathFactory, models: Mapping[str, MlModel] = MODELS
) -> Iterator[MlServer]:
    """MLServer with these models, until the `with` ends."""
    python = environment(factory)
    folder = factory.mktemp("mlserver")
    for name, model in models.items():
        _write(folder / name, name, model)
    server = None
    for _ in range(3):  # a port that was free may be taken by the time it is wanted
        server = _started(python, folder)
        if server is not None:
            break
    assert server is not None, (folder / "log.txt").read_text()[-2000:]
    try:
        yield server
    finally:
        server.process.terminate()
        try:
            server.process.wait(30)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()


def _write(folder: Path, name: str, model: MlModel) -> None:
    def tensors(stated: Mapping[str, tuple[str, list[int]]]) -> list[dict[str, Any]]:
        return [
            {"name": each, "datatype": kind, "shape": shape}
            for each, (kind, shape) in stated.items()
        ]

    folder.mkdir()
    module = f"model_{name}"
    (folder / f"{module}.py").write_text(_CLASS.format(body=model.body))
    settings: dict[str, Any] = {
        "name": name,
        "implementation": f"{module}.Model",
        "inputs": tensors(model.inputs),
        "outputs": tensors(model.outputs),
    }
    if model.version:
        settings["parameters"] = {"version": model.version}
    (folder / "model-settings.json").write_text(json.dumps(settings))


def _started(python: Path, folder: Path) -> MlServer | None:
    """None if it ended before it was ready."""
    ports = _free_ports(3)
    named = dict(zip(("http_port", "grpc_port", "metrics_port"), ports))
    # models in the server's own process: workers would import all of it once more
    settings = {**named, "host": "127.0.0.1", "parallel_workers": 0, "debug": False}
    (folder / "settings.json").write_text(json.dumps(settings))
    # its bytecode stays in its environment
    own = {
        key: value
        for key, value in os.environ.items()
        if key not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONPATH")
    }
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [python / "bin" / "mlserver", "start", folder], stdout=log, stderr=log, env=own
        )
    limit = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < limit:
        if b"200" in _asked(ports[0]):
            return MlServer(**named, process=process)
        time.sleep(0.1)
    process.kill()
    process.wait()
    return None


def _asked(port: int) -> bytes:
    """The first line of what it says of its readiness."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
            return connection.recv(64).partition(b"\r\n")[0]
    except OSError:
        return b""


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
