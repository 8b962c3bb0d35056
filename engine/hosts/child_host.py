"""The conductor's side of a host in a child process: it starts, calls, watches and ends the child.

The child may run under another interpreter. What it prints goes to a log file. It may hang or die
at any time; whoever waits for it then gets HostTimeout or HostDied within a bounded time, and what
its workers measured is still in shared memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from qs.engine.descriptors import above_standard
from qs.engine.errors import HostDied, HostError, HostTimeout
from qs.engine.hosts import channel
from qs.engine.hosts.child_session import ChildSession
from qs.engine.hosts.descendants import MARK, end_marked
from qs.engine.hosts.host import HostTarget
from qs.engine.hosts.messages import answer_of, understood
from qs.engine.plan import Factory
from qs.engine.workers.share import PlanShare

_LOG_TAIL = 4_000
_SEND_LIMIT_S = 30.0
_LOOK_S = 0.5
_END_LIMIT_S = 5.0
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


class ChildHost:
    """A child process that builds the object of `factory` and serves its methods."""

    def __init__(
        self,
        factory: Factory | None = None,
        *,
        # the interpreter to run it under; None: this one
        python: str | None = None,
        # its standard output and error are appended to this file; None: a temporary one
        log_path: str | Path | None = None,
        cwd: str | Path | None = None,
        # laid over this process's environment
        env: Mapping[str, str] | None = None,
        # what another interpreter can import of ours
        packages: Sequence[str] = ("qs",),
    ):
        self._factory = factory
        self._python = python or sys.executable
        self._packages = tuple(dict.fromkeys(("qs", *packages)))
        self._cwd = None if cwd is None else str(cwd)
        self._env = dict(env or {})
        self.log_path = Path(log_path) if log_path is not None else None
        self._mark = uuid.uuid4().hex
        self._log: IO[bytes] | None = None
        self._tail = ""
        self._process: subprocess.Popen | None = None
        self._built = False
        self.heard = 0  # bytes that it has sent
        self._down: socket.socket | None = None
        self._up: socket.socket | None = None

    def clone(self, env: Mapping[str, str] | None = None) -> ChildHost:
        """Another host of the same kind, not started yet."""
        return ChildHost(
            self._factory,
            python=self._python,
            log_path=self.log_path,
            cwd=self._cwd,
            env={**self._env, **(env or {})},
            packages=self._packages,
        )

    @property
    def python(self) -> str:
        return self._python

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def __aenter__(self) -> ChildHost:
        self.start()
        try:
            await self.build()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def start(self) -> None:
        """Start the process without building anything in it. Raises OSError if the interpreter
        cannot be run, or the log not be written (a link in its place is not followed), HostError if
        the folder it is to work in is gone.
        """
        same = self._python == sys.executable
        setup = json.dumps({"packages": self._places(), "path": sys.path if same else None})
        bootstrap = str(Path(__file__).with_name("bootstrap.py"))
        if self.log_path is None:
            # Nothing is left of it, however this process ends.
            file = tempfile.TemporaryFile(prefix="host-")  # noqa: SIM115
            handle, self._log = above_standard(os.dup(file.fileno())), file
        else:
            # What a link planted in its place names is somebody else's file.
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
            handle = os.open(self.log_path, flags, 0o644)
        down, child_down = _socket_pair()
        up, child_up = _socket_pair()
        fds = (child_down.fileno(), child_up.fileno())
        try:
            self._process = subprocess.Popen(
                [self._python, "-u", "-X", "faulthandler", bootstrap, *map(str, fds), setup],
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=handle,
                cwd=self._cwd,
                env={**os.environ, **self._env, MARK: self._mark},
                pass_fds=fds,
                start_new_session=True,
            )
        except BaseException:
            down.close()
            up.close()
            if self._log is not None:
                self._log.close()
            if self._cwd is not None and not os.path.isdir(self._cwd):
                why = f"the folder {self._cwd}, in which it is to work, is not there any more"
                raise HostError("FileNotFoundError", why) from None
            raise
        finally:
            child_down.close()
            child_up.close()
            os.close(handle)
        down.settimeout(_SEND_LIMIT_S)
        up.setblocking(False)
        self._down, self._up = down, up

    async def build(self) -> None:
        """Build the object in the process that was started, unless that has been done."""
        if self._factory is not None and not self._built:
            self.send(("build", self._factory))
            await self._answer("building the host's object", None)
            self._built = True

    async def call(self, method: str, /, deadline_s: float | None = None, **kwargs: Any) -> Any:
        """Call a method of the host's object with plain data and await its plain answer.

        Raises HostError with what it raised, HostTimeout after `deadline_s`, HostDied if the
        process ended. A call that timed out or was cancelled has ended the process.
        """
        self.send(("call", method, kwargs))
        return await self._answer(method, deadline_s)

    def target(self, method: str, /, **kwargs: Any) -> HostTarget:
        """A target for `qs.engine.run_async`: in the host, `method(instance=number, **kwargs)`
        makes what is called.
        """
        return HostTarget(self, method, kwargs)

    def session(
        self, share: PlanShare, target: Any, rows: int, samples_fd: int | None = None
    ) -> ChildSession:
        return ChildSession(self, share, target, rows, samples_fd)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def close(self) -> None:
        """Give the process a moment to end by itself, then end it together with whatever it has
        started in its session.
        """
        if self._down is not None:
            self._down.close()
            self._down = None
        if self._process is not None:
            await self._exit()
        if self._up is not None:
            self._up.close()
            self._up = None
        if self._log is not None:
            self._tail = self.log_tail()
            self._log.close()

    def log_tail(self) -> str:
        """The end of what the process printed."""
        try:
            if self._log is not None:
                return self._tail if self._log.closed else _end_of(self._log)
            if self.log_path is not None:
                with open(self.log_path, "rb") as log:
                    return _end_of(log)
        except OSError:
            pass
        return ""

    def _places(self) -> dict[str, str]:
        places = {}
        for package in self._packages:
            spec = find_spec(package)
            if spec is None or not spec.submodule_search_locations:
                raise ImportError(
                    f"package {package!r} cannot be found to be shown to a child process"
                )
            places[package] = str(Path(next(iter(spec.submodule_search_locations))).parent)
        return places

    def send(self, message: tuple, fds: Sequence[int] = ()) -> None:
        """Send one message. Raises HostDied if the process was ended earlier."""
        if self._down is None:
            raise HostDied("it was ended earlier", self.log_tail())
        try:
            channel.send(self._down, message, list(fds))
        except OSError:
            pass  # it is gone; whoever waits for its answer next is told how

    async def _answer(self, what: str, deadline_s: float | None) -> Any:
        """The value of the child's next message. Raises HostError if that is an error."""
        message = await self.receive(what, deadline_s)
        return channel.value_of(message)

    async def receive(self, what: str, deadline_s: float | None = None) -> tuple:
        """The child's next message. `what` names what is waited for. Raises HostTimeout after
        `deadline_s`, HostDied if the process ends, HostError if the message is not plain data.
        """
        receiving = asyncio.ensure_future(channel.receive_plain(self._up, self._hear))  # type: ignore[arg-type]
        loop = asyncio.get_running_loop()
        limit = None if deadline_s is None else loop.time() + deadline_s
        try:
            while True:
                wait_s = _LOOK_S if limit is None else min(_LOOK_S, max(limit - loop.time(), 0))
                done, _ = await asyncio.wait({receiving}, timeout=wait_s)
                if done:
                    return understood(answer_of, receiving.result())
                if limit is not None and loop.time() >= limit:
                    self.kill()
                    raise HostTimeout(what, deadline_s or 0.0, self.log_tail())
                if not self.alive:
                    # Its last message may still be on the way; then it is there already.
                    done, _ = await asyncio.wait({receiving}, timeout=_LOOK_S)
                    if done:
                        return understood(answer_of, receiving.result())
                    raise EOFError
        except asyncio.CancelledError:
            self.kill()  # its answer would be taken for the next call's
            raise
        except (EOFError, OSError):
            raise await self._death() from None
        except Exception as fault:
            if isinstance(fault, (HostTimeout, HostError)):
                raise
            raise HostError(type(fault).__name__, str(fault)) from fault
        finally:
            if not receiving.done():
                receiving.cancel()

    def _hear(self, size: int) -> None:
        self.heard += size

    async def _death(self) -> HostDied:
        """How the process ended, for whoever was waiting for its answer."""
        forced = not await self._exit()
        assert self._process is not None
        code = self._process.returncode
        if forced:
            return HostDied("it had to be ended", self.log_tail())
        if code < 0:
            name = signal.Signals(-code).name
            return HostDied(f"signal {name}", self.log_tail(), signal=name)
        return HostDied(f"exit status {code}", self.log_tail(), status=code)

    async def _exit(self) -> bool:
        """Wait a moment for the process to end, and end it after that. Returns whether it ended by
        itself.
        """
        process = self._process
        assert process is not None
        loop = asyncio.get_running_loop()
        limit = loop.time() + _END_LIMIT_S
        pause_s = 0.002
        forced = False
        while process.poll() is None:
            if loop.time() > limit and not forced:
                self.kill()
                forced = True
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.1)
        # The leader is gone; what it started in its session goes with it.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        end_marked(self._mark)
        return not forced


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    one, other = socket.socketpair()
    one, other = (socket.socket(fileno=above_standard(each.detach())) for each in (one, other))
    return one, other


def _end_of(log: IO[bytes]) -> str:
    size = os.fstat(log.fileno()).st_size
    return os.pread(log.fileno(), _LOG_TAIL, max(size - _LOG_TAIL, 0)).decode(errors="replace")
