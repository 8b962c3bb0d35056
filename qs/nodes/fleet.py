"""The nodes of one command, on this machine's side: opened once, brought what the backend needs,
and asked to load and to run case after case.

What a case's result means is qs.evaluate's part.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.scratch import clearing, scratch
from qs.base.words import counted, data_size
from qs.engine import Factory, HostDied, HostError, HostTimeout, RunPlan, RunResult
from qs.engine.distributed import Nodes, NodesError, NodesTarget, Shipped, open_nodes
from qs.nodes.goods import File, Goods
from qs.nodes.served import share_of
from qs.nodes.shipping import Needed, goods_of, stage
from qs.nodes.told import FAILED, failed
from qs.settings.case import Case
from qs.settings.nodes_asked import CONTINUE, STOP, NodesAsked

PLACE = "qs.nodes.place:BackendPlace"
PIECE_BYTES = 4 << 20
# How long nodes may take: to look for files and to fetch them from their sources; to keep a piece;
# to build an environment and to start a backend; for a word.
LOOK_S, PIECE_S, SET_UP_S, WORD_S = 7200.0, 120.0, 3 * 3600.0, 60.0
BUILD_S, CHECK_S = 60.0, 24 * 3600.0
LOG_BYTES = 256 << 10

# What asking nodes for a word may raise: none is left, one fails, hangs or has died.
FAULTS = (NodesError, HostError, HostDied, HostTimeout)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Loaded:
    """What every node has loaded: a copy of this batch size."""

    batch_size: int
    seconds: float  # the slowest node's
    takes_threads: bool


def opened_nodes(asked: NodesAsked, shipped: Shipped, say: Say) -> Nodes:
    """Nodes as they were asked for."""
    return open_nodes(asked.nodes, ray=asked.ray, shipped=shipped, say=say)


@asynccontextmanager
async def fleet_of(
    asked: NodesAsked,
    needed: Needed,
    hardware: str,
    say: Say,
    *,
    env: str = "auto",
    offline: bool = False,
    load_s: float = 1200.0,
) -> AsyncIterator[Fleet]:
    """The nodes, for as long as the context lasts; on each of them a place for the backend.
    UserError where they cannot be had.

    The other arguments are those of BackendPlace.
    """
    with scratch("qs-staged-") as folder:
        goods, _ = await asyncio.to_thread(goods_of, needed, {})
        await asyncio.to_thread(stage, folder, goods)
        place = Factory(
            PLACE,
            {
                "hardware": hardware,
                "env": env,
                "offline": offline,
                "load_s": load_s,
                "staged": True,
            },
        )
        async with AsyncExitStack() as stack:
            with _refusals():
                nodes = opened_nodes(asked, Shipped(folder=folder, when_killed=clearing()), say)
                await stack.enter_async_context(nodes)
                await nodes.build(place, BUILD_S, on_loss=_setting_up(asked))
            yield Fleet(nodes, asked, needed, say)


class Fleet:
    """Nodes that are open, each with a place for the backend. What goes wrong on them is raised as
    Nodes do: NodesError, and what a place raised, named after its node.
    """

    def __init__(self, nodes: Nodes, asked: NodesAsked, needed: Needed, say: Say):
        self._nodes, self._asked, self._needed, self._say = nodes, asked, needed, say
        self._told: Mapping[str, Any] | None = None
        self._goods: Goods | None = None
        self._batch_size: int | None = None
        nodes.joining = self._join
        # by name: versions, environment and notes of each node
        self.about: dict[str, dict[str, Any]] = {}

    @property
    def count(self) -> int:
        """How many nodes there are."""
        return len(self.names)

    @property
    def names(self) -> list[str]:
        """Of the nodes that are there."""
        lost = self._nodes.lost
        return [name for at, name in enumerate(self._nodes.names) if at not in lost]

    @property
    def lost(self) -> dict[str, str]:
        """Name -> why, of the nodes that were lost."""
        names = self._nodes.names
        return {names[at]: why for at, why in self._nodes.lost.items()}

    @property
    def facts(self) -> dict[str, dict[str, Any]]:
        """What each node told of itself, by name."""
        return dict(zip(self._nodes.names, self._nodes.facts, strict=False))

    async def set_up(self, told: Mapping[str, Any]) -> list[str]:
        """Have every node be as this machine is, whose backend was told this: bring what it lacks,
        its environment, its process. Does nothing where that was done. Returns what is to be said
        of it.
        """
        if self._told == told:
            return []
        notes: list[str] = []
        if self._goods is not None and _only_runner_differs(self._told or {}, told):
            goods = self._goods
        else:
            goods, notes = await asyncio.to_thread(goods_of, self._needed, told)
        if goods != self._goods:
            await self._bring(goods)
        of = len(self._nodes.names)
        answers = await self._call(
            "set_up",
            SET_UP_S,
            goods=goods,
            each=lambda number: {"told": share_of(told, number, of)},
        )
        self._goods, self._told = goods, dict(told)
        self.about = self._by_name(answers)
        return notes

    async def load(self, batch_size: int) -> Loaded:
        """Load a batch size on every node at once. Raises what a process of this machine raises,
        named after its node.
        """
        self._batch_size = batch_size
        answers = self._by_name(await self._call("load", CHECK_S, batch_size=batch_size))
        found = {name: answer for name, answer in answers.items() if FAILED not in answer}
        if len(found) < len(answers):
            await self._leave_out(answers, bool(found))
        loaded = [_loaded(name, answer) for name, answer in found.items()]
        sizes = {name: each.batch_size for name, each in zip(found, loaded)}
        if len(set(sizes.values())) > 1:
            said = ", ".join(f"{name} {size}" for name, size in sizes.items())
            raise UserError(f"the nodes loaded other batch sizes than each other: {said}")
        return Loaded(
            loaded[0].batch_size,
            max(each.seconds for each in loaded),
            all(each.takes_threads for each in loaded),
        )

    async def run(
        self,
        plan: RunPlan,
        case: Case,
        samples: Mapping[str, Any] | None,
        verify: Mapping[str, Any] | None = None,
        *,
        beside: AbstractContextManager[object] | None = None,
        **options: Any,
    ) -> RunResult:
        """Run a case over all nodes. `verify`: which answers the workers keep, without a folder;
        `options` are those of Nodes.run.
        """

        def of(number: int, share: RunPlan) -> dict[str, Any]:
            return {
                "drive": drive_of(case, share, samples),
                "own_processes": case.own_processes,
                "verify": verify,
            }

        result = await self._nodes.run(
            plan,
            NodesTarget("target", of),
            on_loss=self._asked.on_loss,
            beside=beside or nullcontext(),
            **options,
        )
        await self._with_places(result)
        return result

    async def begin_case(self) -> None:
        """Each place has an empty folder for what the workers of a case leave."""
        await self._call("begin_case", WORD_S)

    async def idle_answers(self, **how: Any) -> dict[str, dict[str, Any]]:
        """BackendPlace.idle_answers of each node, by name. Raises what failed on one."""
        return self._all_well(await self._each("idle_answers", CHECK_S, **how))

    async def noted(self) -> dict[str, dict[str, str]]:
        """What workers noted in the case, by node and instance."""
        every = await self._each("noted", WORD_S)
        return {
            name: {str(instance): str(said) for instance, said in noted.items()}
            for name, noted in every.items()
        }

    async def verification(self, **how: Any) -> dict[str, dict[str, Any]]:
        """BackendPlace.verification of each node, by name. Raises what failed on one."""
        return self._all_well(await self._each("verification", CHECK_S, **how))

    @staticmethod
    def _all_well(answers: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, answer in answers.items():
            fault = failed(answer, name)
            if fault is not None:
                raise fault
        return answers

    async def drop(self) -> None:
        """End the backend's process on every node."""
        await self._call("drop", WORD_S)

    async def logs(self) -> dict[str, str]:
        """The end of what the backend has printed on each node, by name."""
        return {
            name: str(answer.get("text", ""))
            for name, answer in (await self._each("log", WORD_S, most=LOG_BYTES)).items()
        }

    async def _with_places(self, result: RunResult) -> None:
        """Add what each place knows to the parts of a result, which is kept whatever they say."""
        logs = {}
        if result.errors or result.losses:
            with suppress(*FAULTS):
                logs = await self.logs()
        for part in result.nodes:
            if part.name in self.about:
                part.facts = {**part.facts, "backend": self.about[part.name]}
            if logs.get(part.name):
                part.log = "\n".join(filter(None, [part.log, logs[part.name][-4000:]]))

    async def _join(self, number: int, call: Callable[..., Awaitable[Any]]) -> None:
        """Have a node that takes the place of node `number` in a run be as that one was."""
        goods = self._goods
        assert goods is not None
        answer = await call("look", LOOK_S, goods=goods)
        files = goods.files
        for sha256 in filter(files.get, _lacking(answer)):
            with _reading(files[sha256]) as pieces:
                for piece, last in pieces:
                    await call("take", PIECE_S, sha256=sha256, piece=piece, last=last)
        told = share_of(self._told or {}, number, len(self._nodes.names))
        await call("set_up", SET_UP_S, goods=goods, told=told)
        if self._batch_size is not None:
            fault = failed(await call("load", CHECK_S, batch_size=self._batch_size), "")
            if fault is not None:
                raise fault
        await call("begin_case", WORD_S)

    async def _bring(self, goods: Goods) -> None:
        """Have every node look for what it needs, and send what it lacks."""
        answers = await self._call("look", LOOK_S, goods=goods)
        wanting: dict[str, set[int]] = {}
        for number, answer in enumerate(answers):
            for sha256 in _lacking(answer):
                wanting.setdefault(sha256, set()).add(number)
        files = goods.files
        for sha256, numbers in wanting.items():
            if sha256 in files:
                await self._send(files[sha256], numbers)

    async def _send(self, file: File, numbers: set[int]) -> None:
        if file.size > PIECE_BYTES:
            where = counted(len(numbers), "node")
            self._say(f"sending {Path(file.path).name} ({data_size(file.size)}) to {where}")
        with _reading(file) as pieces:
            for piece, last in pieces:
                own = {"sha256": file.sha256, "piece": piece, "last": last}
                of = dict.fromkeys(numbers, own)
                await self._call("take", PIECE_S, each=partial(_own_of, of))

    async def _leave_out(self, answers: Mapping[str, dict[str, Any]], others: bool) -> None:
        """Go on without the nodes that failed, if that was asked for and there are others; else
        raise the first failure.
        """
        faults = {name: fault for name, each in answers.items() if (fault := failed(each, name))}
        if not others or self._asked.on_loss == STOP:
            raise next(iter(faults.values()))
        names = self._nodes.names
        for name, fault in faults.items():
            self._say(f"node {name} is left out: {fault}")
        await self._call(
            "give_up", WORD_S, each=lambda number: {"why": str(faults.get(names[number], ""))}
        )

    async def _each(self, method: str, deadline_s: float, **how: Any) -> dict[str, Any]:
        return self._by_name(await self._call(method, deadline_s, **how))

    async def _call(self, method: str, deadline_s: float, **how: Any) -> list[Any]:
        on_loss = _setting_up(self._asked)
        return await self._nodes.call(method, deadline_s, on_loss=on_loss, again=False, **how)

    def _by_name(self, answers: Sequence[Any]) -> dict[str, Any]:
        """Answers of the nodes that are there; an empty one where a node says something else."""
        lost = self._nodes.lost
        return {
            name: dict(answer) if isinstance(answer, Mapping) else {}
            for number, (name, answer) in enumerate(zip(self._nodes.names, answers, strict=False))
            if number not in lost
        }


def _own_of(of: Mapping[int, dict[str, Any]], number: int) -> dict[str, Any]:
    return of.get(number, {})


def _loaded(name: str, answer: Mapping[str, Any]) -> Loaded:
    """What a node says that it has loaded."""
    try:
        size, seconds = int(answer["loaded_batch_size"]), float(answer["seconds"])
        return Loaded(size, seconds, bool(answer["takes_threads"]))
    except (KeyError, TypeError, ValueError):
        raise NodesError(f"node {name} does not say what it has loaded: {answer!r:.200}") from None


def drive_of(case: Case, share: RunPlan, samples: Mapping[str, Any] | None) -> dict[str, Any]:
    """How the copies of one node are driven: those that its share has."""
    own = replace(case, instances=share.pool.instances or 1)
    return own.drive() | {"samples": samples}


def _lacking(answer: Any) -> list[str]:
    """The files that a node says it lacks."""
    said = answer.get("lacking") if isinstance(answer, Mapping) else None
    return [each for each in said or () if isinstance(each, str)]


def _only_runner_differs(before: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether no file is named that was not named before."""
    return all(before.get(name) == told[name] for name in told if name != "use_runner")


def _setting_up(asked: NodesAsked) -> str:
    """What a node that is lost between runs means: there is nothing yet to be taken over."""
    return STOP if asked.on_loss == STOP else CONTINUE


@contextmanager
def _refusals() -> Iterator[None]:
    """Nodes that cannot be had, and what their code refuses, are the user's to correct."""
    try:
        yield
    except NodesError as error:
        raise UserError(str(error)) from None
    except HostError as error:
        if error.is_a(UserError):
            raise UserError(error.message) from None
        raise


@contextmanager
def _reading(file: File) -> Iterator[Iterator[tuple[bytes, bool]]]:
    """The pieces of a file, each with whether it is the last."""
    try:
        with open(file.path, "rb") as content:

            def pieces() -> Iterator[tuple[bytes, bool]]:
                piece = content.read(PIECE_BYTES)
                while True:
                    following = content.read(PIECE_BYTES)
                    yield piece, not following
                    if not following:
                        return
                    piece = following

            yield pieces()
    except OSError as error:
        raise UserError(f"{file.path}, which nodes need, cannot be read: {error}") from None
