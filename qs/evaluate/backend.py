"""Where backend code and reference code live, and how they are asked.

A backend lives in a child process of its own, never in ours; with --in_process it lives here, for a
debugger. What a failure means to a run is qs.evaluate.failures' part.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from qs.environments import Environment
from qs.evaluate.failures import BackendFailed, outcomes
from qs.evaluate.folder import working_folder
from qs.evaluate.lasting import LastingHost
from qs.evaluate.log import capped
from qs.settings.limits import Limits

__all__ = ["PACKAGES", "BackendFailed", "backend_host", "call", "outcomes", "reference_host"]

VENDOR = "qs.inside.service:VendorService"
REFERENCE = "qs.inside.reference:ReferenceService"
ARTIFACT = "qs.inside.artifact:ArtifactService"

PACKAGES = ("qs",)  # what of ours can be imported there, whatever the interpreter
WORK = "work"  # the backend's working folder, beside its report


@asynccontextmanager
async def backend_host(
    prepared: Any, environment: Environment, log_path: Path
) -> AsyncIterator[LastingHost]:
    """The host of the chosen backend, for as long as the context lasts. What it prints goes to
    `log_path`.
    """
    from qs.engine import ChildHost, Factory, LocalHost

    roots = list(dict.fromkeys([prepared.backend.root, *prepared.workspaces.roots]))
    needed = [found.path for found in (prepared.backend, prepared.model, prepared.dataset) if found]
    work = working_folder(prepared.out / WORK, roots, needed)
    factory = Factory(
        VENDOR,
        {
            "workspace_roots": [str(root) for root in prepared.workspaces.roots],
            "backend_folder": str(prepared.backend.path),
            "hardware": prepared.hardware,
        },
    )
    in_process = prepared.request.in_process

    def make() -> Any:
        if in_process:
            return LocalHost(factory)
        return ChildHost(
            factory,
            python=environment.python,
            env=environment.variables,
            log_path=log_path,
            cwd=work,
            packages=PACKAGES,
        )

    host = LastingHost(make, prepared.hardware, Limits.of_request(prepared.request))
    async with capped(log_path):
        with _inside(work) if in_process else contextlib.nullcontext():
            try:
                await host.ready()
                yield host
            finally:
                await host.drop()


@contextlib.contextmanager
def _inside(folder: Path):
    """With --in_process, the debugger's one process works where the backend's own would."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@asynccontextmanager
async def reference_host(log_path: Path, work: Path | None = None) -> AsyncIterator[Any]:
    """A host with our own code: it finds or builds the model, and computes the reference outputs.

    work   the backend's working folder: a data set's code opens files relative to it
    """
    async with _own_host(REFERENCE, log_path, work) as host:
        yield host


@asynccontextmanager
async def artifact_host(log_path: Path) -> AsyncIterator[Any]:
    """A host with our own code: it reads a model file and tries its shapes, where a fault of a
    runtime may take the process down.
    """
    async with _own_host(ARTIFACT, log_path, None) as host:
        yield host


@asynccontextmanager
async def _own_host(service: str, log_path: Path, work: Path | None) -> AsyncIterator[Any]:
    from qs.engine import ChildHost, Factory

    made = ChildHost(
        Factory(service), python=sys.executable, log_path=log_path, cwd=work, packages=PACKAGES
    )
    with outcomes("starting a process of our own"):
        await made.__aenter__()
    try:
        yield made
    finally:
        await made.__aexit__(None, None, None)


async def call(host: Any, method: str, what: str, **arguments: Any) -> Any:
    """Call one method in a host. `what` names the step in messages: "compile", "load batch size 4"."""
    deadline_s = getattr(host, "limits", DEFAULT_LIMITS).of(method)
    with outcomes(what, deadline_s, method):
        return await host.call(method, deadline_s=deadline_s, **arguments)


DEFAULT_LIMITS = Limits()
