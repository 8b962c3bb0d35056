"""Cases that are measured over several nodes: what is brought to them, and what is different from a
case of this machine.

Compiling, accuracy and agreement are this machine's; here a backend is up as well, so that what is
submitted can be told, but no request is made of it in a measured case.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from qs.base import jsonc
from qs.base.errors import UserError
from qs.base.storable import storable
from qs.base.words import counted
from qs.engine import HostDied, HostError, HostTimeout, PlanError, RunResult
from qs.engine.distributed import NodesError
from qs.evaluate.failures import BackendFailed, lost_in, outcomes
from qs.evaluate.journal import Journal
from qs.evaluate.prepare import Prepared
from qs.models.resolving import SOURCES
from qs.nodes.shipping import Needed
from qs.result.row import Outcome
from qs.settings.case import cases_of
from qs.settings.nodes_asked import ALL, NodesAsked
from qs.settings.run_plan import plan_of
from qs.settings.settings import Settings

if TYPE_CHECKING:
    from qs.nodes.fleet import Fleet

STAGE = "nodes"
NO_POWER = "power and utilisation are not read over nodes: they would be this machine's"
MOST_SHOWN = 4
LOOPBACK = ("localhost", "127.0.0.1", "::1", "0.0.0.0")


@asynccontextmanager
async def fleet_in(prepared: Prepared, journal: Journal) -> AsyncIterator[Fleet | None]:
    """The nodes that a run asks for, opened before anything else is done; None: it asks for none.
    What the backend printed on them is in the log in the end.
    """
    request = prepared.request
    if request.nodes is None:
        yield None
        return
    from qs.nodes.fleet import fleet_of

    opening = fleet_of(
        request.nodes,
        needed_by(prepared),
        prepared.hardware,
        journal.view.line,
        env=request.env,
        offline=request.offline,
        **({} if request.load_timeout is None else {"load_s": request.load_timeout}),
    )
    async with AsyncExitStack() as stack:
        with journal.stage(STAGE), journal.step(f"opening the nodes ({request.nodes.words})"):
            fleet = await stack.enter_async_context(opening)
        journal.view.line(f"over {counted(fleet.count, 'node')}: {', '.join(fleet.names)}")
        if request.telemetry:
            journal.warn(NO_POWER)
        yield fleet
        await _keep_logs(fleet, journal)


@contextmanager
def on_nodes(what: str) -> Iterator[None]:
    """What goes wrong on nodes as what goes wrong in the backend's process here; a plan that cannot
    be split is the user's to correct.
    """
    try:
        with outcomes(what):
            try:
                yield
            except HostTimeout as timeout:  # which names the node
                text = f"{what}: {timeout}"
                raise BackendFailed(text, timeout.log_tail, Outcome.TIMED_OUT, what) from None
    except NodesError as error:
        raise BackendFailed(f"{what}: {error}", "", Outcome.CRASHED, what) from None
    except PlanError as error:
        raise UserError(str(error)) from None


async def _keep_logs(fleet: Fleet, journal: Journal) -> None:
    try:
        logs = await fleet.logs()
    except (NodesError, HostError, HostDied, HostTimeout):  # none of them is left
        return
    for name, text in logs.items():
        if text.strip():
            journal.note_in_log(f"the backend's log of node {name}:\n{text}")


def needed_by(prepared: Prepared) -> Needed:
    """What the backend needs on a node, as far as it is known before it was told anything."""
    fake = prepared.workload.fake_data
    dataset = None if fake or prepared.dataset is None else prepared.dataset.path
    task = prepared.found.get("Task")
    files = [prepared.model.path, *([Path(task)] if task else []), *([dataset] if dataset else [])]
    sources = list(prepared.model_info.to_configs().get("sources") or ())
    if dataset is not None and (dataset / SOURCES).is_file():
        listed: Any = jsonc.read(dataset / SOURCES)
        sources += [each for own in listed.get("files", {}).values() for each in own]
    roots = list(dict.fromkeys([prepared.backend.root, *prepared.workspaces.roots]))
    return Needed(
        prepared.backend.path,
        roots,
        [path for path in files if path.exists()],
        prepared.work,
        [each for each in sources if isinstance(each, Mapping)],
    )


async def bring(fleet: Fleet, told: Mapping[str, Any], journal: Journal) -> None:
    """Have every node be as this machine is, if it is not yet: files, environment, process."""
    first = not fleet.about
    with on_nodes("setting up the nodes"):
        if not first:
            await fleet.set_up(told)
            return
        with journal.stage("setting up the nodes"), journal.step("setting up the nodes"):
            notes = await fleet.set_up(told)
    for text in notes:
        journal.warn(text, "nodes_files")
    versions = journal.record.versions
    for name, told_there in fleet.about.items():
        about = storable(told_there)
        journal.event("node set up", node=name, about=about)
        for text in _texts(about.get("notes")):
            journal.view.line(f"node {name}: {text}")
        environment, own = about.get("environment"), about.get("versions")
        if isinstance(environment, Mapping) and environment.get("key"):
            journal.view.line(f"node {name}: environment {environment['key']}")
        for kind, version in own.items() if isinstance(own, Mapping) else ():
            if versions.get(kind) not in (None, version):
                journal.warn(
                    f"node {name} has the {kind} version {version!r}, this machine "
                    f"{versions[kind]!r}",
                    "nodes_versions",
                )
    _warn_of_address(fleet, told, journal)


async def drop_all(fleet: Fleet) -> None:
    """End the backend's process on every node that is left."""
    with suppress(NodesError, HostError, HostDied, HostTimeout):
        await fleet.drop()


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _warn_of_address(fleet: Fleet, told: Mapping[str, Any], journal: Journal) -> None:
    """A server at localhost is another one on each machine."""
    result = told.get("configure_runtime", {}).get("compile_result") or {}
    url = (result.get("asked") or {}).get("url") if isinstance(result, Mapping) else None
    machines = {str(facts.get("machine")) for facts in fleet.facts.values()}
    if not isinstance(url, str) or len(machines) < 2:
        return
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return
    if host in LOOPBACK:
        journal.warn(
            f"{host} is another server on each of {counted(len(machines), 'machine')}: the nodes "
            "do not load one and the same",
            "nodes_loopback",
            "name the server by an address that all nodes reach",
        )


def split_in_words(settings: Settings, asked: NodesAsked) -> list[str]:
    """How each case would be split, a line each; the nodes are not looked for."""
    if not isinstance(asked.nodes, int):
        which = "all nodes of the cluster" if asked.nodes == ALL else f"nodes with {asked.nodes}"
        each = "; --per_node is of each" if asked.per_node else ""
        return [f"{which}, which were not looked for: what follows is of one machine{each}"]
    from qs.engine.distributed import shares_of, words_of

    lines = []
    for case in cases_of(settings):
        plan = plan_of(case, settings)
        shares = shares_of(plan, asked.nodes)
        shown = [words_of(share, plan) for share in shares[:MOST_SHOWN]]
        more = [] if len(shares) <= MOST_SHOWN else [f"and {len(shares) - MOST_SHOWN} more"]
        lines.append(f"{case.name}: {'; '.join([*shown, *more])}")
    return lines


def check_driven(driven: bool) -> None:
    """UserError for a backend that times itself."""
    if not driven:
        raise UserError(
            "--nodes: the backend times itself (it does not support QS mode), which is done on one "
            "machine; --engine always has our engine drive it on all nodes"
        )


def lost_on_nodes(result: RunResult, predict_s: float, title: str) -> BackendFailed | None:
    """What ended the backend's process on a node in the midst of a case; None if all live. A node
    that was lost as a whole is a reason of its own.
    """
    for part in result.nodes:
        if part.lost or part.result is None:
            continue
        lost = lost_in(part.result, predict_s, part.log, f"{title}, node {part.name}")
        if lost is not None:
            said = f"node {part.name}: {lost}"
            return BackendFailed(said, lost.detail, lost.outcome, lost.step)
    return None


def ran_on(result: RunResult) -> int:
    """How many nodes measured something."""
    return sum(part.result is not None for part in result.nodes)
