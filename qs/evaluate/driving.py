"""What drives a measured case: our engine in this process, or the engines of nodes. Both are asked
the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from qs.engine import RunPlan, RunResult, run_async
from qs.evaluate.backend import Loaded
from qs.evaluate.client_limit import client_limit
from qs.evaluate.failures import BackendFailed, lost_in
from qs.evaluate.nodes_verification import AnswersOfNodes
from qs.evaluate.over_nodes import bring, lost_on_nodes, on_nodes, ran_on
from qs.evaluate.testbed import Testbed
from qs.evaluate.verification import Answers, Verification
from qs.result.server_entry import ClientEntry
from qs.settings.case import Case

if TYPE_CHECKING:
    from qs.nodes.fleet import Fleet

NOT_OVER_NODES = "over nodes it is not measured: each of them makes its share of the requests"
# A plan, and the options of run_async.
Run = Callable[..., Awaitable[RunResult]]


class Driver(Protocol):
    """For one case."""

    loaded: Loaded
    # who is asked when it is idle
    answers: Answers

    async def client(self, case: Case) -> ClientEntry | None:
        """What the client of a served model costs by itself; None: no model is served."""
        ...

    async def ready(self, case: Case, watch: Verification) -> Run:
        """What runs the case."""
        ...

    async def ended(self, result: RunResult, watch: Verification) -> None:
        """The case has ended: what workers left of it is in the folder of `watch`."""
        ...

    def lost_in(self, result: RunResult, title: str) -> BackendFailed | None:
        """What ended the backend's process in the midst of the case."""
        ...


async def driver_of(testbed: Testbed, batch_size: int) -> Driver:
    """The driver of a case, with that batch size loaded: here, or on all nodes."""
    if testbed.fleet is None:
        return _Here(testbed, await testbed.backend.load(batch_size))
    what = f"load batch size {batch_size}"
    await bring(testbed.fleet, testbed.backend.told, testbed.journal)
    with on_nodes(what), testbed.journal.step(f"{what} on the nodes"):
        there = await testbed.fleet.load(batch_size)
        await testbed.fleet.begin_case()
    own = Loaded(there.batch_size, there.seconds, there.takes_threads)
    return _OverNodes(testbed, testbed.fleet, own)


class _Here:
    """On this machine."""

    def __init__(self, testbed: Testbed, loaded: Loaded):
        self.loaded, self._testbed = loaded, testbed
        self.answers: Answers = testbed.backend

    async def client(self, case: Case) -> ClientEntry | None:
        return await client_limit(self._testbed, case, self._testbed.settings.plain_samples)

    async def ready(self, case: Case, watch: Verification) -> Run:
        testbed = self._testbed
        target = await testbed.backend.target(
            case,
            testbed.settings.plain_samples,
            watch.folder,
            watch.asked,
            testbed.telemetry_s,
        )
        slices = testbed.journal.view.wants_slices
        return partial(_run, target, keep_slices=slices)

    async def ended(self, result: RunResult, watch: Verification) -> None:
        pass

    def lost_in(self, result: RunResult, title: str) -> BackendFailed | None:
        backend = self._testbed.backend
        return lost_in(result, backend.limits.predict_s, backend.log_tail(), title)


async def _run(target: Any, plan: RunPlan, **options: Any) -> RunResult:
    return await run_async(plan, target, **options)


class _OverNodes:
    """On all nodes at once."""

    def __init__(self, testbed: Testbed, fleet: Fleet, loaded: Loaded):
        self.loaded, self._testbed, self._fleet = loaded, testbed, fleet
        self._answers = AnswersOfNodes(fleet, testbed.backend.predict_limit_s)
        self.answers: Answers = self._answers

    async def client(self, case: Case) -> ClientEntry | None:
        return None if self._testbed.served is None else ClientEntry(not_measured=NOT_OVER_NODES)

    async def ready(self, case: Case, watch: Verification) -> Run:
        asked = watch.asked
        verify = None if asked is None else {**asked, "folder": None}
        return partial(
            self._run, case=case, samples=self._testbed.settings.plain_samples, verify=verify
        )

    async def _run(self, plan: RunPlan, **options: Any) -> RunResult:
        with on_nodes("the case"):
            return await self._fleet.run(plan, **options)

    async def ended(self, result: RunResult, watch: Verification) -> None:
        self._testbed.journal.record.nodes = ran_on(result) or self._fleet.count
        if self._fleet.count:
            await self._answers.note_into(watch.folder)

    def lost_in(self, result: RunResult, title: str) -> BackendFailed | None:
        return lost_on_nodes(result, self._testbed.backend.limits.predict_s, title)
