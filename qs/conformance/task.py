"""Is a task in order: its files, model, data, labels and metric. `conform_task` is
`qs check --task` without a backend.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.scratch import scratch
from qs.base.workspace import Workspaces
from qs.config.task import TaskConfig, load_task
from qs.conformance.outcome import FAIL, Outcome, failed, passed, skipped
from qs.conformance.running import LIMIT_S, CheckResult, View
from qs.engine import ChildHost, Factory
from qs.evaluate.failures import BackendFailed, Limit, outcomes

TRIAL = "qs.inside.task_trial:TaskTrial"


@dataclass(frozen=True)
class TaskCheck:
    """`needs`: what must have passed before."""

    name: str
    about: str
    needs: tuple[str, ...] = ()


CHECKS = (
    TaskCheck("files", "workload and model info"),
    TaskCheck("model", "the model's file, and what it takes", ("files",)),
    TaskCheck("data", "the data set can be read", ("files",)),
    TaskCheck("items", "the first items fit the model", ("model", "data")),
    TaskCheck("labels", "there are labels, and they can be classes or numbers", ("data",)),
    TaskCheck("metric", "the metric, on a few items", ("items", "labels")),
    TaskCheck("preparation", "no other preparation of pictures scores better", ("metric",)),
)


def conform_task(
    name: str, workspace: Path | None, limit_s: float | None, view: View
) -> list[CheckResult]:
    """Every check's result, in order. UserError if there is no such task."""
    workspaces = Workspaces.find(workspace)
    workspaces.task(name)
    results: list[CheckResult] = []
    view.begun("files")
    began = time.perf_counter()
    config, outcome = _files(workspaces, name)
    _note(results, view, CHECKS[0], outcome, began)
    with scratch("qs-check-") as folder:
        asyncio.run(
            _trial(config, workspaces, results, view, limit_s or LIMIT_S, folder / "task.log")
        )
    return results


def _files(workspaces: Workspaces, name: str) -> tuple[TaskConfig | None, Outcome]:
    try:
        config = load_task(workspaces, name)
    except UserError as error:
        return None, failed(" ".join(str(error).split()), "correct what the message names")
    said = f"{config.task.path} and {config.model.path}"
    return config, passed("; ".join([said, *config.warnings]))


async def _trial(
    config: TaskConfig | None,
    workspaces: Workspaces,
    results: list[CheckResult],
    view: View,
    limit_s: float,
    log: Path,
) -> None:
    host: ChildHost | None = None
    try:
        for check in CHECKS[1:]:
            view.begun(check.name)
            began = time.perf_counter()
            outcome = _not_tried(check, results)
            if outcome is None:
                assert config is not None
                if host is None:
                    host = await _started(config, workspaces, log)
                outcome = await _asked(host, check, limit_s)
            _note(results, view, check, outcome, began)
    finally:
        if host is not None:
            await host.__aexit__(None, None, None)


async def _started(config: TaskConfig, workspaces: Workspaces, log: Path) -> ChildHost:
    name = config.model_info.dataset_name
    found = workspaces.dataset(name) if name and not config.workload.fake_data else None
    arguments: dict[str, Any] = {
        "model_info": config.model_info.to_fetch(),
        "root": str(config.model.root),
        "folder": str(found.path) if found else None,
    }
    host = ChildHost(Factory(TRIAL, arguments), python=sys.executable, log_path=log)
    with outcomes("starting a process of our own"):
        await host.__aenter__()
    return host


async def _asked(host: ChildHost, check: TaskCheck, limit_s: float) -> Outcome:
    arguments: dict[str, Any] = {"offline": False} if check.name == "model" else {}
    try:
        with outcomes(f"the check {check.name}", Limit(limit_s, "time_limit")):
            found = await host.call(check.name, deadline_s=limit_s, **arguments)
    except (BackendFailed, UserError) as failure:
        return failed(" ".join(str(failure).split()), "correct what the message names")
    reason = " ".join(found["reason"].split())
    ways: dict[str, Callable[[], Outcome]] = {
        "pass": lambda: passed(reason),
        "skip": lambda: skipped(reason),
        "fail": lambda: failed(reason, found["fix"]),
    }
    return ways[found["status"]]()


def _not_tried(check: TaskCheck, results: list[CheckResult]) -> Outcome | None:
    for need in check.needs:
        outcome = next(each.outcome for each in results if each.name == need)
        if outcome.blocks:
            how = "failed" if outcome.status == FAIL else "was skipped"
            return skipped(f"not tried: {need} {how}")
    return None


def _note(
    results: list[CheckResult], view: View, check: TaskCheck, outcome: Outcome, began: float
) -> None:
    result = CheckResult(check.name, check.about, outcome, time.perf_counter() - began)
    results.append(result)
    view.ended(result)
