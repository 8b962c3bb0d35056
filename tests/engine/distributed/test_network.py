"""Nodes behind real network stacks, on lines that are slow, uneven and cut, with clocks that are
off by what only the test knows: what a result says of clocks and of the common start holds, and a
node that is cut off is a named loss.

The tests' network is tests/networks.py, whose kernel facilities a machine may not have: then these
are skipped with the reason. Most run without Ray, with the same node processes; the slow ones of
`Raylets` with real raylets in the namespaces.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from qs.engine import ClosedLoop, ConstantRate, Pool, RunPlan, RunResult, Stop
from qs.engine.distributed import Places, ProcessPlaces, open_nodes, run_on
from qs.engine.distributed.talking.links import Links
from qs.engine.outcome import Cause
from tests.engine.distributed.noting import OURS, first_calls, noting
from tests.networks import Network, shifted_s, wall_shifted_s
from tests.raylets import LABEL, Raylets
from tests.waiting import gone, until

MS = 1_000_000
S = 1_000 * MS
# between the moment a worker is let go and its first call of the target, on a busy machine
A_MOMENT_NS = 50 * MS
PER_NODE_S = 100.0  # constant rates: of each node


def closed(nodes: int, seconds: float = 1.0) -> RunPlan:
    return RunPlan(ClosedLoop(clients=nodes), Stop(duration_s=seconds), Pool("thread"))


def constant(nodes: int, seconds: float) -> RunPlan:
    pool = Pool("thread", workers=nodes)
    return RunPlan(ConstantRate(PER_NODE_S * nodes), Stop(duration_s=seconds), pool)


def space_of(network: Network, node: int) -> int:
    """The number of a node's network namespace."""
    return os.stat(network.prefix(node)[1].removeprefix("--net=")).st_ino


def places_in(network: Network, *prefixes: tuple[str, ...]) -> ProcessPlaces:
    """A place in each of the network's nodes, with more words before its command."""
    more = [*prefixes, *[()] * network.nodes][: network.nodes]
    whole = [(*network.prefix(1 + i), *each) for i, each in enumerate(more)]
    return ProcessPlaces(network.nodes, OURS, whole, address=network.driver)


def check_clocks(
    network: Network, result: RunResult, folder: Path, offsets_s: dict[int, int]
) -> tuple[int, int]:
    """Of each node: its offset is the true one to within what is stated, and its workers began when
    the result says, to within what is stated. Returns how much an offset is off, and how much more
    than its uncertainty a node began apart from the common start, at most (ns).
    """
    first, off_ns, apart_ns = first_calls(folder), [], []
    for node, offset_s in offsets_s.items():
        part = result.nodes[node - 1]
        assert part.clock is not None and part.start_skew_ns is not None
        off_ns.append(abs(part.clock.offset_ns - offset_s * S))
        apart_ns.append(abs(part.start_skew_ns) - part.clock.uncertainty_ns)
        late_ns = first[space_of(network, node)] - offset_s * S - result.start_ns
        print(
            f"node {node}: {part.clock}, off by {off_ns[-1] / 1e3:.1f} us; "
            f"skew {part.start_skew_ns / 1e3:.1f} us, first call after {late_ns / 1e3:.1f} us"
        )
        assert off_ns[-1] <= part.clock.uncertainty_ns
        # No worker calls before it is let go, and then soon.
        called_ns = late_ns - part.start_skew_ns
        assert -part.clock.uncertainty_ns <= called_ns
        assert called_ns <= part.clock.uncertainty_ns + A_MOMENT_NS
    return max(off_ns), max(apart_ns)


def check_once_undisturbed(once: Callable[[Path], tuple[int, int]], folder: Path) -> None:
    """Offsets are within 1 ms, and nodes began together to within their uncertainties: of one run
    in three, since nothing on a busy machine is on time.
    """
    found = []
    for attempt in range(3):
        found.append(once(folder / str(attempt)))
        if found[-1][0] <= MS and found[-1][1] <= 0:
            return
    raise AssertionError(f"(offsets off by, nodes apart by) at most: {found} ns")


@pytest.mark.parametrize(
    "delay_ms",
    [pytest.param(5, id="5 ms"), pytest.param(50, id="50 ms", marks=pytest.mark.slow)],
)
def test_clocks_that_are_3_s_off_are_found_within_1_ms(tmp_path: Path, delay_ms: float) -> None:
    def once(folder: Path) -> tuple[int, int]:
        places = places_in(network, shifted_s(3), wall_shifted_s(3))
        result = run_on(places, closed(2), noting(folder))
        assert result.verdict == "VALID", result.reasons
        return check_clocks(network, result, folder, {1: 3, 2: 0})

    with Network(2, to_ms=delay_ms, from_ms=delay_ms) as network:
        check_once_undisturbed(once, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        {"to_ms": 2, "from_ms": 20},
        {"to_ms": 20, "from_ms": 2},
        {"to_ms": 5, "from_ms": 5, "jitter_ms": 10},
        {"to_ms": 5, "from_ms": 5, "loss": 0.05},
    ],
    ids=["slow back", "slow there", "jitter", "loss"],
)
def test_what_a_line_hides_is_in_the_uncertainty(tmp_path: Path, line: dict[str, float]) -> None:
    # Nobody can tell from round trips how much of one is the way back: the offset is off by half
    # the difference, and the uncertainty says so.
    with Network(2, **line) as network:
        places = places_in(network, shifted_s(-2), shifted_s(7))
        result = run_on(places, closed(2), noting(tmp_path / "notes"))
        assert result.verdict == "VALID", result.reasons
        check_clocks(network, result, tmp_path / "notes", {1: -2, 2: 7})


@pytest.mark.slow
def test_lines_that_differ_start_all_nodes_at_one_instant(tmp_path: Path) -> None:
    """The word comes in before the instant, so that a far node starts no later than a near one."""

    def once(folder: Path) -> tuple[int, int]:
        places = places_in(network, shifted_s(3), (), shifted_s(-5))
        result = run_on(places, closed(3), noting(folder))
        off_ns, apart_ns = check_clocks(network, result, folder, {1: 3, 2: 0, 3: -5})
        # on a fast line more is known than how long a thread takes to wake up
        return off_ns, apart_ns - 5 * MS

    with Network(3) as network:
        network.set(2, to_ms=5, from_ms=5)
        network.set(3, to_ms=50, from_ms=50)
        check_once_undisturbed(once, tmp_path)


async def cut_in_mid_run(
    network: Network, places: Places | str, options: dict[str, object], **run: object
) -> tuple[list[RunResult], list[dict[str, object]]]:
    """The results of a run in whose midst the network's last node is cut off, and of one over the
    same nodes after the line was healed; and the facts of the nodes.
    """
    going = asyncio.Event()

    def look(progress) -> None:
        if progress.phase == "measure" and progress.elapsed_s >= 1.5:
            going.set()

    target = options.pop("target")  # the others are those of open_nodes
    async with open_nodes(places, **options) as nodes:  # type: ignore[arg-type]
        count, facts = len(nodes.names), list(nodes.facts)
        running = asyncio.create_task(
            nodes.run(constant(count, 6), target, on_progress=look, silent_s=2, **run)  # type: ignore[arg-type]
        )
        waiting = asyncio.create_task(going.wait())
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        assert going.is_set(), running.result()
        network.cut(network.nodes)
        cut = await running
        lost = dict(nodes.lost)
        network.heal(network.nodes)
        after = await nodes.run(constant(count, 2), target)  # type: ignore[arg-type]
        assert nodes.lost == lost and len(lost) == 1
    return [cut, after], facts


def check_cut(cut: RunResult, after: RunResult) -> None:
    """The last of the nodes was lost; the others did all of theirs, in the next run too."""
    *others, lost = cut.nodes
    print(lost.lost, lost.lost_at_s, lost.kept_until_s, cut.reasons, cut.errors_by_kind)
    assert cut.verdict == "INVALID" and [each.code for each in cut.causes][0] == Cause.NODE_LOST
    assert lost.name in cut.reasons[0] and "nothing was heard" in lost.lost
    assert lost.lost_at_s is not None and 2 < lost.lost_at_s < 6
    # what it had measured before the cut, to within a checkpoint, is kept; nothing of after it
    assert lost.result is not None and lost.kept_until_s is not None
    assert 0.3 < lost.kept_until_s < lost.lost_at_s
    assert 0 < lost.result.completed <= 6 * PER_NODE_S
    for each in others:
        assert not each.lost and each.result is not None
        assert each.result.completed == 6 * PER_NODE_S
    assert cut.completed == sum(each.result.completed for each in cut.nodes if each.result)
    assert cut.response.count == cut.completed
    assert cut.completed + cut.errors == 6 * PER_NODE_S * len(cut.nodes)
    # The line was healed: what the lost node still sent disturbs nobody.
    assert after.completed == 2 * PER_NODE_S * len(after.nodes) and not after.errors
    assert [bool(each.lost) for each in after.nodes] == [False] * len(others) + [True]
    assert after.nodes[-1].result is None


@pytest.mark.slow
def test_a_node_that_is_cut_off_in_mid_run_is_lost_alone(tmp_path: Path) -> None:
    with Network(2, to_ms=1, from_ms=1) as network:
        options = {"target": noting(tmp_path / "notes")}
        (cut, after), facts = asyncio.run(
            cut_in_mid_run(network, places_in(network, (), shifted_s(3)), options)
        )
        check_cut(cut, after)
        # each side ends: ours has, and theirs sees that its driver is silent or gone
        for fact in facts:
            until(lambda pid=fact["pid"]: gone(pid), 30)


@pytest.mark.slow
def test_a_node_that_is_cut_off_ends_by_itself() -> None:
    """Nobody can tell it to: it hears nothing of its driver for 10 s."""

    async def cut() -> None:
        with Network(1, to_ms=5, from_ms=5) as network:
            places = places_in(network)
            async with Links(network.driver, silent_s=3) as links:
                (placed,) = await places.open()
                await places.start(placed, links.where_of(0))
                link = await links.connected(0, 60)
                network.cut(1)
                assert "nothing was heard of it" in await link.until_lost()
                number, how = await asyncio.wait_for(places.lost(), 60)
                assert number == 0 and not how.startswith("signal"), how
                until(partial(gone, link.facts["pid"]), 30)
            await places.close()

    asyncio.run(cut())


@pytest.fixture
def raylets():
    """Starts raylets in a network; what Ray is told of them is gone afterwards."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield lambda *given: stack.enter_context(Raylets(*given))


@pytest.mark.slow
@pytest.mark.parametrize("delay_ms", [5, 50])
def test_clocks_of_raylets_far_away(raylets, tmp_path: Path, delay_ms: float) -> None:
    def once(folder: Path) -> tuple[int, int]:
        result = run_on(LABEL, closed(2), noting(folder), ray=cluster.address, shipped=OURS)
        assert result.verdict == "VALID", result.reasons
        # Ray numbers nodes as it likes
        assert {part.address for part in result.nodes} == {network.address(1), network.address(2)}
        result.nodes.sort(key=lambda part: part.address)
        return check_clocks(network, result, folder, {1: 3, 2: 0})

    with Network(2, to_ms=delay_ms, from_ms=delay_ms) as network:
        cluster = raylets(network, {1: shifted_s(3), 2: wall_shifted_s(3)})
        check_once_undisturbed(once, tmp_path)


@pytest.mark.slow
def test_a_raylet_that_is_cut_off_in_mid_run(raylets, tmp_path: Path) -> None:
    with Network(3, to_ms=5, from_ms=5) as network:
        cluster = raylets(network, {3: shifted_s(3)})
        target, options = noting(tmp_path / "notes"), {"ray": cluster.address, "shipped": OURS}
        (cut, after), facts = asyncio.run(
            cut_in_mid_run(network, LABEL, {"target": target, **options})
        )
        for result in (cut, after):
            result.nodes.sort(key=lambda part: part.address)
        check_cut(cut, after)
        for fact in facts:
            until(lambda pid=fact["pid"]: gone(pid), 30)
        # and the cluster serves the next driver, with the node that is back or without it
        again = run_on(LABEL, constant(6, 1), target, **options)
        assert again.completed == 6 * PER_NODE_S and not again.errors
