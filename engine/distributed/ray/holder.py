"""What the keeper does with Ray: it joins a cluster or starts one, places an actor on each node,
and tells which were lost. Imports Ray where it is needed, after its environment is set.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qs.engine import descriptors
from qs.engine.distributed.errors import NodesError
from qs.engine.distributed.places import node_process
from qs.engine.distributed.places.node_process import import_path
from qs.engine.distributed.ray import actor as actors
from qs.engine.distributed.ray import choosing, reasons
from qs.engine.distributed.ray import cluster as clusters
from qs.engine.distributed.ray.staging import Staged, staged
from qs.engine.hosts import descendants
from qs.engine.machine import folders_of, free_memory

_CONNECT_LIMIT_S = 25.0
_OWN_LIMIT_S = 120.0
_PLACE_LIMIT_S = 90.0
# Measured: Ray's own processes, and an actor with its node process before it runs anything.
_CLUSTER_BYTES = 350 << 20
_PLACE_BYTES = 150 << 20
MOST_TOLD = 5  # of nodes that have no place
# Of the standard library alone: nodes need nothing of ours to load the actor.
_BY_VALUE = (actors, node_process, descriptors, descendants)


class Holder:
    """`open` first, then any of the other commands; all are called in the main thread."""

    def __init__(self, folder: Path, tell: Callable[..., None], leave: Callable[[], None]):
        self._folder = folder  # for a cluster of our own, and what is sent
        self._tell = tell
        self._leave = leave
        self._before = dict(os.environ)
        self._own: clusters.OwnCluster | None = None
        self._ray: Any = None
        self._actors: dict[int, Any] = {}
        self._nodes: dict[int, str] = {}
        self._ended: set[int] = set()
        self._dead: set[str] = set()  # nodes; the cluster may not know yet
        self._arranged: dict[str, Any] = {}
        self._cpus: dict[int, list[int]] = {}
        self._address = ""
        self._next = 0

    # Commands

    def open(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Join or start a cluster and place actors."""
        address, own = self._which(asked["address"])
        if own:
            check_room(asked["nodes"])
        modules = [Path(each) for each in asked["modules"]]
        folder = None if asked["folder"] is None else Path(asked["folder"])
        if own:
            self._start_own()
            self._arranged = {
                "path": import_path(modules),
                "modules": [],
                "folder": str(folder or Path.cwd()),
            }
            shipped = None
        else:
            self._address = address
            say = self._tell
            shipped = staged(modules, folder, lambda text: say(say=text), below=self._folder)
            names = [each.stem for each in modules]
            self._arranged = {"path": None, "modules": names, "folder": None}
        self._arranged["group"] = os.getpgid(0) if own else None
        self._arranged["variables"] = {**self._undone(), **asked["variables"]}
        try:
            self._connect(shipped)
        finally:
            if shipped is not None:
                shipped.remove()
        nodes = self._ray.nodes()
        here = self._ray.get_runtime_context().get_node_id()
        if own:
            count = 1 if asked["nodes"] == "all" else int(asked["nodes"])
            taken = [node for node in nodes if node["Alive"]][:1] * count
            self._cpus = dict(enumerate(shares_of_cpus(os.sched_getaffinity(0), count)))
            placed = self._place(taken)
        else:
            placed = self._take(asked["nodes"], here)
        mine = next(node for node in nodes if node["NodeID"] == here)
        return {
            "placed": placed,
            "address": mine["NodeManagerAddress"],
            "cluster": self._address,
            "own": own,
        }

    def start(self, number: int, line: str) -> dict[str, Any]:
        """Start the node process of a place; when it ends, `lost` is told."""
        actor = self._actors[number]
        done = actor.run.remote(line.encode(), self._cpus.get(number)).future()
        done.add_done_callback(lambda future: self._over(number, future))
        return {}

    def spare(self, but: list[int]) -> dict[str, Any]:
        """Another place than those, or one where a node process has ended; or none."""
        in_use = {self._nodes[number] for number in but if number in self._nodes}
        lost = [number for number in but if number in self._nodes and number in self._ended]
        again = {self._nodes[number] for number in lost}
        nodes = [node for node in self._ray.nodes() if node["NodeID"] not in self._dead]
        for node in choosing.spare_of(nodes, in_use, again):
            try:
                placed = self._place([node])[0]
            except NodesError as fault:
                self._tell(say=f"cannot take over: {fault}")
                continue
            before = next((each for each in lost if self._nodes[each] == node["NodeID"]), None)
            if before in self._cpus:
                self._cpus[placed["number"]] = self._cpus[before]
            return {"placed": placed}
        return {"placed": None}

    def end(self, number: int) -> dict[str, Any]:
        self._ended.add(number)
        actor = self._actors.pop(number, None)
        if actor is not None:
            self._ray.kill(actor, no_restart=True)
        return {}

    def close(self) -> None:
        """End the actors, and the cluster if it is ours. May raise whatever Ray raises."""
        if self._ray is not None and self._ray.is_initialized():
            for number in list(self._actors):
                self.end(number)
            self._ray.shutdown()
        if self._own is not None:
            self._own.stop()

    # Steps

    def _which(self, address: str | None) -> tuple[str, bool]:
        """The cluster's address, or "" and True for one of our own."""
        asked = address or os.environ.get("RAY_ADDRESS") or None
        named = "--ray" if address else "RAY_ADDRESS"
        if asked == "local":
            return "", True
        if asked is not None and "://" in asked:
            raise NodesError(
                f"{named}: {asked} is the address of a Ray client server, through which nodes "
                "cannot be reached; run this on a machine of the cluster, with its own address "
                "HOST:PORT (as `ray start` printed it, by default port 6379)"
            )
        if asked is None or asked == "auto":
            found = clusters.cluster_at_hand()
            if found is None and asked == "auto":
                raise NodesError(
                    f"{named}: no Ray cluster answers on this machine; start one with `ray start "
                    "--head`, or give the address of another as HOST:PORT"
                )
            if found is not None:
                token = Path.home() / ".ray" / "auth_token"
                if "RAY_AUTH_MODE" not in os.environ and token.exists():
                    os.environ["RAY_AUTH_MODE"] = "token"  # as `ray start` did
            return found or "", found is None
        fault = clusters.fault_of(asked)
        if fault is not None:
            raise NodesError(f"{named}: no Ray cluster answers at {asked}: {fault}")
        return asked, False

    def _start_own(self) -> None:
        self._tell(say="no Ray cluster at hand: starting one on this machine (some seconds)")
        os.environ.update(clusters.settings_of(self._folder))
        self._import()
        guard = self._limit(_OWN_LIMIT_S, "Ray did not start on this machine")
        try:
            self._own = clusters.OwnCluster(self._folder)
        except Exception as fault:
            raise NodesError(f"Ray could not be started on this machine: {chain(fault)}") from None
        finally:
            guard.cancel()
        self._address = self._own.address

    def _connect(self, shipped: Staged | None) -> None:
        if clusters.is_loopback(self._address):
            os.environ.update(clusters.LOOPBACK)
        self._import()
        what = f"the cluster at {self._address} answers, but could not be joined"
        guard = self._limit(_CONNECT_LIMIT_S, what)
        try:
            self._ray.init(
                address=self._address,
                namespace=f"qs-{os.getpid()}-{time.time_ns()}",
                runtime_env=None if shipped is None else shipped.runtime_env(),
                log_to_driver=False,
                configure_logging=False,
            )
        except Exception as fault:
            words = chain(fault)
            if "exceeds the maximum size" in words or "larger than" in words:
                raise NodesError(f"{words}; leave out what nodes do not need") from None
            raise NodesError(reasons.connecting_words(words, self._address)) from None
        finally:
            guard.cancel()

    def _import(self) -> None:
        if self._ray is None:
            import ray

            self._ray = ray
            for module in _BY_VALUE:
                ray.cloudpickle.register_pickle_by_value(module)

    def _take(self, asked: int | str, here: str) -> list[dict[str, Any]]:
        """Places on the nodes asked for. One that died so lately that the cluster still lists it is
        passed over, as it would be in a moment.
        """
        while True:
            dead = len(self._dead)
            alive = [node for node in self._ray.nodes() if node["NodeID"] not in self._dead]
            try:
                return self._place(choosing.chosen(asked, alive, here, self._address))
            except NodesError as fault:
                if len(self._dead) == dead:
                    raise
                self._tell(say=f"{fault}; passed over")

    def _place(self, nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """An actor on each; what is told of each place. Raises NodesError, naming those that
        fail.
        """
        ray = self._ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        made = []
        for node in nodes:
            # Placed there or nowhere, counted as no CPU, never started again, without a name.
            actor = (
                ray.remote(actors.NodeActor)
                .options(
                    num_cpus=0,
                    max_restarts=0,
                    max_task_retries=0,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
                )
                .remote(self._arranged)
            )
            made.append((node, actor, actor.about.remote()))
        answered, faults = [], []
        limit = time.monotonic() + _PLACE_LIMIT_S
        for node, actor, answer in made:
            name = choosing.name_of(node)
            try:
                about = ray.get(answer, timeout=max(limit - time.monotonic(), 0.1))
            except ray.exceptions.GetTimeoutError:
                faults.append(f"{name}: no actor could be placed within {_PLACE_LIMIT_S:g} s")
            except Exception as fault:
                faults.append(f"{name}: {reasons.failed_words(str(fault))}")
                if reasons.raylet_died(str(fault)):
                    self._dead.add(node["NodeID"])
            else:
                if about["missing"]:
                    why = reasons.lacking(about["missing"], about["executable"])
                    faults.append(f"{name}: {why}")
                if about["niced"]:
                    self._tell(
                        say=f"node {name}: Ray lets it give way to other programs (nice "
                        f"{about['nice']}); start its raylet with RAY_worker_niceness=0"
                    )
                answered.append((node, actor, about))
        if faults:
            for _, actor, _ in made:
                ray.kill(actor, no_restart=True)
            more = [f"and {len(faults) - MOST_TOLD} more"] * (len(faults) > MOST_TOLD)
            raise NodesError("; ".join([*(f"node {each}" for each in faults[:MOST_TOLD]), *more]))
        return [self._placed(*each) for each in answered]

    def _placed(self, node: dict[str, Any], actor: Any, about: dict[str, Any]) -> dict[str, Any]:
        number, self._next = self._next, self._next + 1
        self._actors[number] = actor
        self._nodes[number] = node["NodeID"]
        return {
            "number": number,
            "name": choosing.name_of(node),
            "address": node["NodeManagerAddress"],
            "about": {
                **about,
                "node_id": node["NodeID"],
                "labels": choosing.labels_of(node),
                "resources": dict(node.get("Resources") or {}),
                "ray": self._ray.__version__,
            },
        }

    def _over(self, number: int, future: Any) -> None:
        """A node process has ended, or the actor that held it."""
        if number in self._ended:
            return
        self._ended.add(number)
        fault = future.exception()
        if fault is None:
            why, raylet_died = future.result()
        else:
            why = reasons.lost_words(str(fault))
            raylet_died = not self._alive(self._nodes[number])
        if raylet_died:
            self._dead.add(self._nodes[number])
        self._tell(lost=[number, why])

    def _alive(self, node_id: str) -> bool:
        try:
            return any(node["NodeID"] == node_id and node["Alive"] for node in self._ray.nodes())
        except Exception:  # Ray is gone
            return False

    def _undone(self) -> dict[str, str | None]:
        """The driver's environment in place of what was set for a cluster of our own."""
        if self._own is None:
            return {}
        return {name: self._before.get(name) for name in clusters.settings_of(self._folder)}

    def _limit(self, seconds: float, what: str) -> threading.Timer:
        """Say so and end if Ray does not come back."""

        def over() -> None:
            self._tell(error=f"{what} within {seconds:g} s")
            self._leave()

        timer = threading.Timer(seconds, over)
        timer.daemon = True
        timer.start()
        return timer


def check_room(asked: int | str) -> None:
    """Raise NodesError if this machine alone cannot be so many nodes."""
    if asked == "all":
        return
    if not str(asked).isdigit() or int(asked) < 1:
        raise NodesError(
            f"nodes: {asked!r} needs a cluster, and none is at hand: give its address with --ray "
            "HOST:PORT, or a number of nodes, from 1, for one on this machine"
        )
    needed = _CLUSTER_BYTES + int(asked) * _PLACE_BYTES
    free = free_bytes()
    if free is not None and needed > free:
        raise NodesError(
            f"nodes: {asked} of them on this machine alone take {needed / 1e9:.1f} GB of memory, "
            f"and {free / 1e9:.1f} GB are free; ask for fewer, or give a cluster's address with "
            "--ray HOST:PORT"
        )


def free_bytes() -> int | None:
    """Memory that can still be had here, in this control group too; None if unknown."""
    found = [free_memory(folders_of("memory"))]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):
        pass
    return min((each for each in found if each is not None), default=None)


def shares_of_cpus(cpus: set[int], of: int) -> list[list[int]]:
    """CPUs in as many parts, neighbours together; none is pinned where there are fewer."""
    ordered = sorted(cpus)
    if len(ordered) < of:
        return []
    each, more = divmod(len(ordered), of)
    starts = [number * each + min(number, more) for number in range(of + 1)]
    return [ordered[first:last] for first, last in zip(starts, starts[1:])]


def chain(fault: BaseException) -> str:
    """The words of an error and of those that caused it."""
    words: list[str] = []
    seen: BaseException | None = fault
    while seen is not None and len(words) < 4:
        words.append(str(seen) or type(seen).__name__)
        seen = seen.__cause__ or seen.__context__
    return "; ".join(words)
