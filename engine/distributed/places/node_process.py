"""One node process: started as a child of whoever holds its place, watched, and ended with all that
it has started. Whoever that is may be killed: the node process sees the end of its standard input.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from qs.engine.descriptors import above_standard
from qs.engine.hosts.descendants import end_marked

MARK = "QS_NODE"
# Between how a process ended and the end of what it printed.
PRINTED = "; it printed last: "
_LOG_TAIL = 4_000
_PROGRAM = "qs.engine.distributed.node.serving"


def machine_id() -> str:
    """Equal for all processes on one machine, in whatever container, until it is started anew."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"{uuid.getnode():012x}"


class NodeProcess:
    """A node process that is told `line`. Raises OSError if it cannot be started.

    What it prints goes to a file without a name. `path` are folders that it imports from before
    all others: ours first (`import_path`).
    """

    def __init__(
        self,
        line: bytes,
        *,
        environment: Mapping[str, str],
        prefix: Sequence[str] = (),
        path: Sequence[str] = (),
        folder: Path | None = None,
    ):
        self._mark = uuid.uuid4().hex
        self._log = tempfile.TemporaryFile(prefix="node-")  # noqa: SIM115
        handle = above_standard(os.dup(self._log.fileno()))
        searched = [*path, *filter(None, [environment.get("PYTHONPATH")])]
        try:
            self._process = subprocess.Popen(
                [*prefix, sys.executable, "-u", "-X", "faulthandler", "-m", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=handle,
                stderr=handle,
                cwd=folder,
                env={**environment, "PYTHONPATH": os.pathsep.join(searched), MARK: self._mark},
                start_new_session=True,
            )
        except BaseException:
            self._log.close()
            raise
        finally:
            os.close(handle)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()  # and kept open: its end is ours
        except BrokenPipeError:
            pass  # it has ended already; whoever waits for it is told how

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, limit_s: float | None = None) -> bool:
        """Until it has ended, or so long; whether it has. What it has left behind is ended too."""
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return False
        self._sweep()
        return True

    async def ended(self) -> None:
        """`wait` on the event loop."""
        loop = asyncio.get_running_loop()
        try:
            watched = os.pidfd_open(self._process.pid)
        except ProcessLookupError:  # reaped already
            self._sweep()
            return
        gone = asyncio.Event()
        loop.add_reader(watched, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(watched)
            os.close(watched)
        self.wait()

    def how(self) -> str:
        """How it ended, and the end of what it printed. Only after `wait`."""
        code = self._process.returncode
        if code is not None and code < 0:
            ended = f"signal {signal.Signals(-code).name}"
        else:
            ended = f"exit status {code}"
        tail = self.log_tail().strip()
        return f"{ended}{PRINTED}{tail}" if tail else ended

    def log_tail(self) -> str:
        """The end of what it printed."""
        size = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), _LOG_TAIL, max(size - _LOG_TAIL, 0))
        return tail.decode(errors="replace")

    def kill(self) -> None:
        """End it and what it has started, at once."""
        if self._process.poll() is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        self.wait()

    def close(self) -> None:
        """Let go of it once it has ended."""
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass
        self._log.close()

    def _sweep(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        end_marked(self._mark, MARK)


def import_path(modules: Sequence[Path] = ()) -> list[str]:
    """The folder that our package lies in, and those that folders of other packages lie in."""
    spec = find_spec("qs")
    assert spec is not None and spec.submodule_search_locations is not None
    ours = Path(next(iter(spec.submodule_search_locations))).absolute()
    return [str(each.parent) for each in (ours, *modules)]
