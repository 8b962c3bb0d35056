"""Runs the checks one after the other: one that hangs, crashes, exits or raises has failed, and the
next gets a fresh host. `conform` is the whole of `qs check`, from the options to the results.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from qs.base.errors import NoItems, UserError
from qs.base.scratch import scratch
from qs.conformance.checks import CHECKS, Check
from qs.conformance.outcome import FAIL, Outcome, failed, skipped
from qs.conformance.subject import Subject
from qs.environments import Environment, interpreter_for
from qs.environments.log import capped
from qs.evaluate.checks import resolve_model
from qs.evaluate.failures import BackendFailed
from qs.evaluate.prepare import Prepared, prepare
from qs.settings.request import Request

TASK = "digits-cnn-onnx-fp32"  # small, with a data set and a trained model of its own
# Compilers are slow; no other check needs more than a few hundred inferences.
LIMIT_S, COMPILE_LIMIT_S = 300.0, 3600.0
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)(?:,)? in (?P<name>\S+)')


@dataclass(frozen=True)
class CheckResult:
    """One check and its outcome."""

    name: str
    about: str
    outcome: Outcome
    seconds: float


class View(Protocol):
    """Shows the checks as they run."""

    def begun(self, name: str) -> None: ...
    def ended(self, result: CheckResult) -> None: ...


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


def conform(asked: Asked, view: View, say: Callable[[str], None]) -> tuple[str, list[CheckResult]]:
    """(the backend's name as its folder spells it, results). UserError if there is nothing to
    test.
    """
    if asked.log is not None:
        _check_writable(asked.log)
    with scratch("qs-check-") as folder:
        prepared = prepare(
            Request(
                task=asked.task,
                hardware_type=asked.hardware_type,
                workspace=asked.workspace,
                out=folder,  # there is no report to write
                answers=asked.answers,
                seed=asked.seed,
                no_input=True,
            )
        )
        environment = interpreter_for(prepared.backend.path, asked.env, say)
        return prepared.hardware, asyncio.run(_conform(asked, prepared, environment, view, folder))


def _check_writable(log: Path) -> None:
    """Checked first, not after an hour of checks."""
    try:
        log.touch()
    except OSError as error:
        raise UserError(f"--log: {log} cannot be written: {error.strerror}") from None


async def _conform(
    asked: Asked, prepared: Prepared, environment: Environment, view: View, folder: Path
) -> list[CheckResult]:
    resolved = await resolve_model(prepared, folder / "model.log", environment, compares=True)
    log = folder / "backend.log"
    subject = Subject(prepared, resolved, environment, log, folder)
    try:
        async with capped(log):
            return await run_checks(subject, CHECKS, asked.time_limit, view.begun, view.ended)
    finally:
        if asked.log is not None and log.exists():
            shutil.copyfile(log, asked.log)


async def run_checks(
    subject: Subject,
    checks: Sequence[Check],
    limit_s: float | None = None,
    begun: Callable[[str], None] = lambda name: None,
    ended: Callable[[CheckResult], None] = lambda result: None,
) -> list[CheckResult]:
    """Every check's result, in order. `limit_s` is for each of them (None: a generous one, longer
    for compile).
    """
    results: dict[str, CheckResult] = {}
    try:
        for check in checks:
            begun(check.name)
            begin = time.perf_counter()
            outcome = _not_tried(check, results)
            if outcome is None:
                outcome = await _run(subject, check, limit_s)
            result = CheckResult(check.name, check.about, outcome, time.perf_counter() - begin)
            results[check.name] = result
            ended(result)
    except BaseException:  # interrupted, or a bug: do not wait for what runs in the host
        subject.kill()
        raise
    finally:
        await subject.close()
    return list(results.values())


def _not_tried(check: Check, results: Mapping[str, CheckResult]) -> Outcome | None:
    """Why a check has nothing to look at, or None. A needed check that does not run at all counts
    as passed.
    """
    for need in check.needs:
        if need in results and results[need].outcome.blocks:
            how = "failed" if results[need].outcome.status == FAIL else "was skipped"
            return skipped(f"not tried: {need} {how}")
    return None


async def _run(subject: Subject, check: Check, limit_s: float | None) -> Outcome:
    try:
        if check.in_host:
            await subject.ready(limit_s or COMPILE_LIMIT_S)
        subject.limit(limit_s or (COMPILE_LIMIT_S if check.name == "compile" else LIMIT_S))
        return await check.run(subject)
    except NoItems:  # of the task's data set, so no backend can be tested with it
        raise
    except UserError as error:
        await subject.close()
        return failed(" ".join(str(error).split()), "correct what the message names")
    except BackendFailed as failure:
        await subject.close()
        return _lost(failure, subject)


def _lost(failure: BackendFailed, subject: Subject) -> Outcome:
    place = vendor_place(failure.detail, subject.folder)
    reason = " ".join(str(failure).split())
    if place:
        fix = f"look at {place}; `qs check --log FILE` keeps all that was printed"
        return failed(f"{reason} ({place})", fix)
    return failed(reason, "look at the end of the log; `qs check --log FILE` keeps it")


def vendor_place(text: str, folder: Path) -> str | None:
    """The backend's own line in a traceback, or in the dump of a crash or a hang, as
    "file.py, line 12, in predict"; None if it has none there.

    Python's tracebacks have the innermost call last, faulthandler's dumps have it first.
    """
    frames = [
        frame for frame in _FRAME.finditer(text) if Path(frame["file"]).is_relative_to(folder)
    ]
    if not frames:
        return None
    frame = frames[0] if "most recent call first" in text else frames[-1]
    return f"{Path(frame['file']).relative_to(folder)}, line {frame['line']}, in {frame['name']}"
