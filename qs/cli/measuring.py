"""What `qs run` and `qs load` do with their options, without what they print: the same from Python.

Imports come late: what measures takes most of a second to import, and most errors are known before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qs.base.interrupt import Interrupt
    from qs.evaluate.running import Ended
    from qs.settings.request import Request
    from qs.watch.view import View


def run_task(
    options: Mapping[str, Any], view: View, quiet: bool, interrupt: Interrupt | None = None
) -> Ended:
    """Evaluate a task. Raises UserError."""
    from qs.cli.naming import settled
    from qs.cli.requests import request_of
    from qs.evaluate.prepare import prepare

    prepared = prepare(request_of(settled(options, quiet)))
    from qs.evaluate.running import run

    return run(prepared, view, interrupt=interrupt)


def load_artifact(
    options: Mapping[str, Any], view: View, quiet: bool, interrupt: Interrupt | None = None
) -> Ended:
    """Load-test an artifact. Raises UserError."""
    from qs.base.scratch import scratch
    from qs.evaluate.running import describe_artifact, run

    request = load_request(options, quiet)
    with scratch("qs-load-") as folder:
        prepared = describe_artifact(request, folder, interrupt=interrupt, view=view)
        return run(prepared, view, interrupt=interrupt)


def load_request(options: Mapping[str, Any], quiet: bool) -> Request:
    """The request of `qs load`; a backend that was not named is said. Raises UserError."""
    from qs.cli.naming import settled
    from qs.cli.requests import request_of
    from qs.evaluate.testbed import DRIVE
    from qs.result.result import Kind

    return request_of({**settled(options, quiet), "engine": DRIVE}, kind=Kind.LOAD)
