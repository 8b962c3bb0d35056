"""Places on a Ray cluster, from the driver's side: it starts the process that holds Ray (the
keeper), and talks with it by lines of JSON. This process never imports Ray.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from qs.engine.descriptors import above_standard
from qs.engine.distributed.errors import NodesError
from qs.engine.distributed.places.node_process import import_path
from qs.engine.distributed.places.places import Placed, Shipped, Where
from qs.engine.distributed.ray import cluster as ray_cluster
from qs.engine.distributed.ray.cluster import GOODBYE
from qs.engine.hosts.descendants import end_session

_PROGRAM = "qs.engine.distributed.ray.keeping"
_OPEN_LIMIT_S = 300.0  # beyond the keeper's own limits, which say what took so long
_ANSWER_LIMIT_S = 120.0
_END_LIMIT_S = 6.0  # the keeper's own is 4 s
_LONGEST_LINE = 64 << 20
_LOG_TAIL = 3_000


class RayPlaces:
    """One place on each of a Ray cluster's nodes; see `qs.engine.distributed.open_nodes` for which.

    `say` is told, a line each, what takes long.
    """

    def __init__(
        self,
        nodes: int | str = "all",
        address: str | None = None,
        shipped: Shipped | None = None,
        say: Callable[[str], None] = lambda _: None,
    ):
        self.address = ""  # known once they are open
        self.cluster = ""  # the same of the cluster, which may be ours
        self.own = False
        self._nodes = nodes
        self._asked = address
        self._shipped = shipped or Shipped()
        self._say = say
        self._folder: Path | None = None
        self._held = -1
        self._log = tempfile.TemporaryFile(prefix="keeper-")  # noqa: SIM115
        self._process: subprocess.Popen[bytes] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._questions = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._lost: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
        self._running: set[int] = set()
        self._closed = False

    async def open(self) -> list[Placed]:
        if find_spec("ray") is None:
            raise NodesError(
                "nodes need Ray, which is not installed: pip install 'quicksilver-perf[ray]'"
            )
        ray_cluster.remove_stale()
        self._start()
        asked = {
            "nodes": self._nodes,
            "address": self._asked,
            "modules": [str(path.absolute()) for path in self._shipped.modules],
            "folder": None
            if self._shipped.folder is None
            else str(self._shipped.folder.absolute()),
            "variables": dict(self._shipped.variables),
            "when_killed": list(self._shipped.when_killed),
        }
        answer = await self._ask(_OPEN_LIMIT_S, do="open", asked=asked)
        self.address, self.cluster, self.own = answer["address"], answer["cluster"], answer["own"]
        return [self._placed(each) for each in answer["placed"]]

    async def start(self, placed: Placed, where: Where) -> None:
        self._running.add(placed.number)
        line = where.line(placed.number).decode()
        await self._ask(_ANSWER_LIMIT_S, do="start", number=placed.number, line=line)

    async def lost(self) -> tuple[int, str]:
        return await self._lost.get()

    async def spare(self, but: Collection[int]) -> Placed | None:
        answer = await self._ask(_ANSWER_LIMIT_S, do="spare", but=sorted(but))
        return None if answer["placed"] is None else self._placed(answer["placed"])

    async def end(self, number: int) -> None:
        self._running.discard(number)
        try:
            await self._ask(_ANSWER_LIMIT_S, do="end", number=number)
        except NodesError:
            pass  # the keeper is gone, and so are its actors

    async def close(self) -> None:
        """End the keeper, and with it all actors and a cluster of our own. Takes some seconds at
        most, also where Ray does not answer.
        """
        self._closed = True
        process = self._process
        try:
            if process is not None:
                assert process.stdin is not None
                try:
                    if not process.stdin.closed:
                        process.stdin.write(GOODBYE + b"\n")
                    process.stdin.close()
                except BrokenPipeError:
                    pass
                await asyncio.to_thread(_ended, process)
            if self._listening is not None:
                await asyncio.wait([self._listening], timeout=_END_LIMIT_S)
                self._listening.cancel()
                await asyncio.wait([self._listening])
        finally:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
            if self._folder is not None:
                # The keeper has done so, unless it was killed.
                if process is not None:
                    await asyncio.to_thread(end_session, process.pid)
                await asyncio.to_thread(_removed, self._folder)
                os.close(self._held)
                self._folder = None
            self._log.close()

    def _start(self) -> None:
        self._folder, self._held = ray_cluster.new_folder()
        down, up = os.pipe()
        handle = above_standard(os.dup(self._log.fileno()))
        path = [*import_path(), *filter(None, [os.environ.get("PYTHONPATH")])]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-m", _PROGRAM, str(up), str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=handle,
                stderr=handle,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
                pass_fds=(up,),
                start_new_session=True,
            )
        except BaseException:
            os.close(down)
            raise
        finally:
            os.close(up)
            os.close(handle)
        self._listening = asyncio.create_task(self._listen(down))

    async def _listen(self, fd: int) -> None:
        """Take what the keeper tells, until it ends."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_LONGEST_LINE)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", buffering=0)
        )
        try:
            while line := await reader.readline():
                message = json.loads(line)
                if "say" in message:
                    self._say(message["say"])
                elif "lost" in message:
                    self._lose(*message["lost"])
                else:
                    self._answer(message, message.get("id"))
        finally:
            transport.close()
            if not self._closed:
                why = await self._death()
                for number in sorted(self._running):
                    self._lose(number, why)
                self._answer({"error": why})

    def _answer(self, message: dict[str, Any], question: int | None = None) -> None:
        """To that question, or to all where it does not say which."""
        for number, answer in self._answers.items():
            if question in (None, number) and not answer.done():
                answer.set_result(message)

    def _lose(self, number: int, why: str) -> None:
        if number in self._running:
            self._running.discard(number)
            self._lost.put_nowait((number, why))

    async def _ask(self, limit_s: float, **message: Any) -> Any:
        """The keeper's answer. Raises NodesError."""
        process = self._process
        if process is None or process.poll() is not None or self._closed:
            raise NodesError(await self._death())
        assert process.stdin is not None
        question, self._questions = self._questions, self._questions + 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[question] = answer
        try:
            process.stdin.write(json.dumps({"id": question, **message}).encode() + b"\n")
            process.stdin.flush()
            told = await asyncio.wait_for(answer, limit_s)
        except BrokenPipeError:
            raise NodesError(await self._death()) from None
        except asyncio.TimeoutError:
            what = f"Ray did not {message['do']} within {limit_s:g} s"
            raise NodesError(f"{what}{self._tail()}") from None
        finally:
            self._answers.pop(question, None)
        if "error" in told:
            raise NodesError(told["error"])
        return told["answer"]

    async def _death(self) -> str:
        """How the keeper ended."""
        process = self._process
        if process is None or self._closed:
            return "the process that holds Ray was ended earlier"
        code = await asyncio.to_thread(_ended, process)
        # Of a cluster of our own some processes would look for the others for a minute.
        await asyncio.to_thread(end_session, process.pid)
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        return f"the process that holds Ray ended ({how}){self._tail()}"

    def _tail(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        data = os.pread(self._log.fileno(), _LOG_TAIL, max(size - _LOG_TAIL, 0))
        text = data.decode(errors="replace").strip()
        return f"; it printed last: {text}" if text else ""

    def _placed(self, told: dict[str, Any]) -> Placed:
        return Placed(told["number"], told["name"], told["address"], told["about"])


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for its end, and see to it after a while."""
    try:
        return process.wait(_END_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _removed(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
