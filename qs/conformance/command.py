"""One conformance test from what was typed to its results: finds the task and the backend, runs the
checks, keeps the log or not.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.conformance.bench import Bench
from qs.conformance.checks import CHECKS
from qs.conformance.running import Result, run_checks
from qs.environments import Environment, interpreter_for
from qs.evaluate.checks import resolve_model
from qs.evaluate.log import capped
from qs.evaluate.prepare import Prepared, prepare
from qs.settings.plan import Request

TASK = "digits-cnn-onnx-fp32"  # small, with a data set and a trained model of its own


@dataclass(frozen=True)
class Asked:
    """The options of `qs check`. None: not given."""

    hardware_type: str
    task: str = TASK
    workspace: Path | None = None
    answers: Path | None = None
    env: str = "auto"
    time_limit: float | None = None
    log: Path | None = None
    seed: int | None = None


def conform(asked: Asked, view: Any, say: Callable[[str], None]) -> tuple[str, list[Result]]:
    """(the backend's name as its folder spells it, results). UserError where there is nothing to
    test.
    """
    if asked.log is not None:
        _check_writable(asked.log)
    with tempfile.TemporaryDirectory(prefix="qs-check-") as folder:
        scratch = Path(folder)
        prepared = prepare(
            Request(
                task=asked.task,
                hardware_type=asked.hardware_type,
                workspace=asked.workspace,
                out=scratch,  # where a report would go: there is none
                answers=asked.answers,
                seed=asked.seed,
                no_input=True,
            )
        )
        environment = interpreter_for(prepared.backend.path, asked.env, say)
        return prepared.hardware, asyncio.run(_conform(asked, prepared, environment, view, scratch))


def _check_writable(log: Path) -> None:
    """Before all, not after an hour of checks."""
    try:
        log.touch()
    except OSError as error:
        raise UserError(f"--log: {log} cannot be written: {error.strerror}") from None


async def _conform(
    asked: Asked, prepared: Prepared, environment: Environment, view: Any, scratch: Path
) -> list[Result]:
    resolved = await resolve_model(prepared, scratch / "model.log")
    log = scratch / "backend.log"
    bench = Bench(prepared, resolved, environment, log, scratch)
    try:
        async with capped(log):
            return await run_checks(bench, CHECKS, asked.time_limit, view.begun, view.ended)
    finally:
        if asked.log is not None and log.exists():
            shutil.copyfile(log, asked.log)
