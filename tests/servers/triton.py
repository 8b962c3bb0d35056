"""Triton on loopback, for slow tests: the `tritonserver` inside the wheel of nvidia-pytriton,
started directly with its python backend.

    with TritonServer(triton_environment(folder), {"digits": onnx_model(path)}) as server:
        ... server.http("digits") ...           # kserve+http://127.0.0.1:PORT/digits

The wheel's own Python API is not used: it needs the distribution's interpreter. The environment is
made once a session, with packages of the interpreter that the python backend's stub embeds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import textwrap
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import pytest

WHEEL = "nvidia-pytriton==0.7.0"
# The stub was built for the first numpy: of another one it reads sizes wrongly.
PACKAGES = ("numpy<2", "onnxruntime==1.22.0")
READY_S = 120.0
ENDED_S = 20.0
SHARED = Path("/dev/shm")


@dataclass(frozen=True)
class TritonEnvironment:
    """Where the server and its parts are."""

    packages: Path
    server: Path
    backends: Path  # of our own: the wheel's, with the stub beside the library

    @property
    def variables(self) -> dict[str, str]:
        own = str(self.packages / "nvidia_pytriton.libs")
        libraries = [own, sysconfig.get_config_var("LIBDIR")]
        # The stub's interpreter takes for its own what the first python3 of the path has.
        first = self.packages.parents[2] / "bin"
        inherited = {name: each for name, each in os.environ.items() if name != "PYTHONPATH"}
        return {
            **inherited,
            "PATH": f"{first}:{os.environ.get('PATH', '')}",
            "LD_LIBRARY_PATH": ":".join(each for each in libraries if each),
            "OMP_NUM_THREADS": "1",
        }


@dataclass(frozen=True)
class ServedFolder:
    """A model of the repository: its configuration and its code, and files beside the code."""

    config: str
    code: str
    files: Mapping[str, Path] = field(default_factory=dict)


def triton_environment(folder: Path) -> TritonEnvironment:
    """Made in `folder`, once for all who ask; skips the test where it cannot be."""
    place = folder / "triton"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "triton.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        why = folder / "triton.failed"
        if why.exists():
            pytest.skip(why.read_text())
        if not (place / "made").exists():
            try:
                _make(place)
            except (OSError, subprocess.CalledProcessError) as error:
                said = getattr(error, "stderr", None) or error
                why.write_text(f"Triton cannot be installed here: {said}"[-500:])
                pytest.skip(why.read_text())
            (place / "made").touch()
    packages = next((place / "env").glob("lib/python*/site-packages"))
    return TritonEnvironment(
        packages, packages / "pytriton/tritonserver/bin/tritonserver", place / "backends"
    )


def _make(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = place / "env/bin/python"
    _run("uv", "venv", "-q", "--python", sys.executable, str(place / "env"))
    _run("uv", "pip", "install", "-q", "--no-deps", "--python", str(python), WHEEL)
    _run("uv", "pip", "install", "-q", "--python", str(python), *PACKAGES)
    packages = next((place / "env").glob("lib/python*/site-packages"))
    parts = packages / "pytriton/tritonserver"
    shutil.copytree(parts / "backends", place / "backends")
    stub = parts / "python_backend_stubs" / version / "triton_python_backend_stub"
    shutil.copy2(stub, place / "backends/python")
    libraries = {**os.environ, "LD_LIBRARY_PATH": sysconfig.get_config_var("LIBDIR") or ""}
    linked = subprocess.run(
        ["ldd", str(stub)], capture_output=True, text=True, env=libraries, check=True
    )
    if f"libpython{version}.so.1.0 => not found" in linked.stdout:
        raise OSError(f"its python backend needs libpython{version}.so.1.0")


def _run(*command: str) -> None:
    subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)


class TritonServer:
    """The server, for as long as the context lasts."""

    def __init__(self, environment: TritonEnvironment, models: Mapping[str, ServedFolder]) -> None:
        self.environment, self.models = environment, models
        self.ports = dict(zip(("http", "grpc", "metrics"), _free_ports(3)))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> TritonServer:
        self._before = _shared()
        self._folder = Path(self._temporary())
        for name, model in self.models.items():
            code = self._folder / "models" / name / "1"
            code.mkdir(parents=True)
            (code.parent / "config.pbtxt").write_text(f'name: "{name}"\nbackend: "python"\n'
                                                      + textwrap.dedent(model.config))  # fmt: skip
            (code / "model.py").write_text(textwrap.dedent(model.code))
            for file, source in model.files.items():
                shutil.copy2(source, code / file)
        self.log = self._folder / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, env=self.environment.variables
            )
        self._wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(ENDED_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for name in _shared() - self._before:  # it leaves some when it is killed
            (SHARED / name).unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def http(self, model: str) -> str:
        return f"kserve+http://127.0.0.1:{self.ports['http']}/{model}"

    def grpc(self, model: str) -> str:
        return f"kserve+grpc://127.0.0.1:{self.ports['grpc']}/{model}"

    @property
    def metrics(self) -> str:
        return f"http://127.0.0.1:{self.ports['metrics']}/metrics"

    def _command(self) -> list[str]:
        ports = [f"--{kind}-port={port}" for kind, port in self.ports.items()]
        addresses = [f"--{kind}-address=127.0.0.1" for kind in self.ports]
        folders = [
            f"--model-repository={self._folder / 'models'}",
            f"--backend-directory={self.environment.backends}",
        ]
        return [str(self.environment.server), *folders, *ports, *addresses, "--log-verbose=0"]

    def _wait(self) -> None:
        assert self._process is not None
        limit = time.monotonic() + READY_S
        address = f"http://127.0.0.1:{self.ports['http']}/v2/health/ready"
        while True:
            assert self._process.poll() is None, self._said()
            assert time.monotonic() < limit, self._said()
            try:
                with urllib.request.urlopen(address, timeout=5) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                pass
            time.sleep(0.1)

    def _said(self) -> str:
        """The lines of its log that tell of a fault, and the last ones."""
        lines = self.log.read_text().splitlines()
        odd = [each for each in lines if each.startswith("E") or "rror" in each]
        return "\n".join([*odd[:20], *lines[-5:]])

    def _temporary(self) -> str:
        import tempfile

        return tempfile.mkdtemp(prefix="qs-triton-")


def onnx_model(
    file: Path,
    inputs: Mapping[str, tuple[str, list[int]]],
    outputs: Mapping[str, tuple[str, list[int]]],
    max_batch_size: int = 32,
    delay_us: int = 0,
) -> ServedFolder:
    """An ONNX file, run by ONNX Runtime in the python backend, with dynamic batching. Tensors:
    name -> (datatype as "TYPE_FP32", shape without the batch).
    """
    parts = [f"max_batch_size: {max_batch_size}"]
    parts += [_tensor("input", name, *about) for name, about in inputs.items()]
    parts += [_tensor("output", name, *about) for name, about in outputs.items()]
    parts.append("instance_group [{ kind: KIND_CPU, count: 1 }]")
    parts.append(f"dynamic_batching {{ max_queue_delay_microseconds: {delay_us} }}")
    return ServedFolder("\n".join(parts) + "\n", ONNX_CODE, {"model.onnx": file})


def _tensor(side: str, name: str, datatype: str, shape: list[int]) -> str:
    return f'{side} [{{ name: "{name}", data_type: {datatype}, dims: {shape} }}]'


ONNX_CODE = """
    from pathlib import Path

    import numpy as np
    import onnxruntime
    import triton_python_backend_utils as pb_utils


    class TritonPythonModel:
        def initialize(self, args):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            path = str(Path(__file__).with_name("model.onnx"))
            self.session = onnxruntime.InferenceSession(path, options)
            self.inputs = [each.name for each in self.session.get_inputs()]
            self.outputs = [each.name for each in self.session.get_outputs()]

        def execute(self, requests):
            given = [
                {
                    name: pb_utils.get_input_tensor_by_name(each, name).as_numpy()
                    for name in self.inputs
                }
                for each in requests
            ]
            sizes = [len(next(iter(each.values()))) for each in given]
            joined = {name: np.concatenate([each[name] for each in given]) for name in self.inputs}
            answers = self.session.run(self.outputs, joined)
            ends = np.cumsum(sizes)
            found = []
            for begin, end in zip(ends - sizes, ends):
                tensors = [
                    pb_utils.Tensor(name, np.ascontiguousarray(answer[begin:end]))
                    for name, answer in zip(self.outputs, answers)
                ]
                found.append(pb_utils.InferenceResponse(output_tensors=tensors))
            return found
"""


def _free_ports(count: int) -> list[int]:
    """Held until all are known, so that they differ."""
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


def _shared() -> set[str]:
    """The python backend's regions in shared memory."""
    return {each.name for each in SHARED.glob("triton_python_backend_shm_region_*")}
