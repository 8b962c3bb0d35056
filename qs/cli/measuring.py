"""What `qs run` and `qs load` do with their options, without what they print: the same from Python.

Imports come late: what measures takes most of a second to import, and most errors are known before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from qs.base.interrupt import Interrupt
    from qs.evaluate.prepare import Prepared
    from qs.evaluate.running import Ended
    from qs.settings.request import Request
    from qs.watch.view import View


def run_task(options: Mapping[str, Any], view: View, interrupt: Interrupt | None = None) -> Ended:
    """Evaluate a task. Raises UserError."""
    from qs.cli.naming import settled
    from qs.cli.requests import request_of
    from qs.evaluate.prepare import prepare

    prepared = prepare(request_of(settled(options)))
    from qs.evaluate.running import run
    from qs.history.trend import drawn_trend

    return run(prepared, view, interrupt=interrupt, trend=drawn_trend)


def load_artifact(
    options: Mapping[str, Any], view: View, interrupt: Interrupt | None = None
) -> Ended:
    """Load-test an artifact, or the model of a task. Raises UserError."""
    from qs.base.scratch import scratch
    from qs.evaluate.running import run
    from qs.history.trend import drawn_trend

    request = load_request(options)
    with scratch("qs-load-") as folder:
        prepared = prepared_load(request, folder, view, interrupt)
        return run(prepared, view, interrupt=interrupt, trend=drawn_trend)


def load_request(options: Mapping[str, Any]) -> Request:
    """The request of `qs load`. Raises UserError."""
    from qs.cli.naming import check_feeding, settled
    from qs.cli.requests import request_of
    from qs.evaluate.testbed import DRIVE
    from qs.result.result import Kind

    asked = settled({"task": "", "artifact": None, **options})
    check_feeding(asked)
    return request_of({**asked, "engine": DRIVE}, kind=Kind.LOAD)


def prepared_load(
    request: Request,
    folder: Path,
    view: View,
    interrupt: Interrupt | None = None,
    probe: bool = True,
) -> Prepared:
    """What the request asks for, found and checked; `folder` is for the user's own items, `probe`
    tries guesses with one inference. Raises UserError.
    """
    from qs.evaluate.prepare import prepare
    from qs.evaluate.running import describe_artifact

    if request.artifact is None:
        return prepare(request)
    return describe_artifact(request, folder, probe=probe, interrupt=interrupt, view=view)
