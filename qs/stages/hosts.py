"""Where backend code and reference code live, and what their failures mean to a run.

A backend lives in a child process of its own, never in ours; with --in_process it lives here, for a debugger. A failure is
either the user's (UserError, exit 2) or the backend's (BackendFailed: a reason in the report, exit 3).
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from qs.environments import Environment
from qs.errors import UserError

VENDOR = "qs.host.vendor:VendorService"
REFERENCE = "qs.host.reference:ReferenceService"

PACKAGES = ("engine", "qs")  # what of ours can be imported there, whatever the interpreter

# Seconds that one call may take before its host is given up. Compilers are slow; nothing else should be.
DEADLINES_S = {
    "compile": 3600.0,
    "pre_optimize": 3600.0,
    "best_batch_sizes": 3600.0,
    "accuracy": 3600.0,
    "benchmark": 3600.0,
    "resolve_model": 7200.0,
}
DEADLINE_S = 1200.0


class BackendFailed(Exception):
    """The backend raised, died or hung. The message says in which step and how; it goes into the report."""

    def __init__(self, message: str, detail: str = ""):
        super().__init__(message)
        self.detail = detail


@asynccontextmanager
async def backend_host(prepared: Any, environment: Environment, log_path: Path) -> AsyncIterator[Any]:
    """The host of the chosen backend, for as long as the context lasts. What it prints goes to `log_path`."""
    from engine import ChildHost, Factory, LocalHost

    factory = Factory(
        VENDOR,
        {
            "workspace_roots": [str(root) for root in prepared.workspaces.roots],
            "backend_folder": str(prepared.backend.path),
            "hardware": prepared.hardware,
        },
    )
    if prepared.request.in_process:
        made: Any = LocalHost(factory)
    else:
        made = ChildHost(
            factory,
            python=environment.python,
            env=environment.variables,
            log_path=log_path,
            cwd=prepared.backend.root,
            packages=PACKAGES,
        )
    async with _started(made, f"loading the backend {prepared.hardware}") as host:
        yield host


@asynccontextmanager
async def reference_host(log_path: Path) -> AsyncIterator[Any]:
    """A host with our own code: it finds or builds the model, and computes the reference outputs."""
    from engine import ChildHost, Factory

    made = ChildHost(Factory(REFERENCE), python=sys.executable, log_path=log_path, packages=PACKAGES)
    async with _started(made, "starting the reference process") as host:
        yield host


@asynccontextmanager
async def _started(host: Any, what: str) -> AsyncIterator[Any]:
    with outcomes(what):
        await host.__aenter__()
    try:
        yield host
    finally:
        await host.__aexit__(None, None, None)


@contextmanager
def outcomes(what: str, deadline_s: float | None = None) -> Iterator[None]:
    """Turn what a host raises into UserError or BackendFailed. `what` names the step in messages."""
    from engine import HostDied, HostError, HostTimeout

    try:
        yield
    except HostTimeout as timeout:
        limit = "in time" if deadline_s is None else f"within {deadline_s:.0f} s"
        raise BackendFailed(f"{what}: no answer {limit}", timeout.log_tail) from None
    except HostDied as died:
        raise BackendFailed(f"{what}: the process ended ({died.exit})", died.log_tail) from None
    except HostError as error:
        if error.kind in ("UserError", "Faults"):
            raise UserError(error.message) from None
        raise BackendFailed(f"{what}: {error.kind}: {error.message}", error.traceback) from None


async def call(host: Any, method: str, what: str, **arguments: Any) -> Any:
    """Call one method in a host. `what` names the step in messages: "compile", "load batch size 4"."""
    deadline_s = DEADLINES_S.get(method, DEADLINE_S)
    with outcomes(what, deadline_s):
        return await host.call(method, deadline_s=deadline_s, **arguments)
