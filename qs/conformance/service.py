"""The backend under test, in its own process: everything that a run does with it, and what the
checks observe.
"""

from __future__ import annotations

import asyncio
import faulthandler
import time
import weakref
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import numpy as np

from qs.contract.server_backend import is_started
from qs.engine import is_async
from qs.inside.plain import plain
from qs.inside.service import VendorService
from qs.inside.started import RequestFailed, still, with_runner
from qs.tensors.outputs import named_outputs

MOST_SAMPLES = 8
_STANDARD_ERROR = 2  # the host's log; sys.stderr may be the vendor's own by now


class ConformanceService(VendorService):
    """A VendorService that can be observed. `dump_at_s`: as dump_after, while the vendor's code is
    being loaded; on the monotonic clock, which all processes of a machine share.
    """

    def __init__(
        self, workspace_roots: Sequence[str], backend_folder: str, hardware: str, dump_at_s: float
    ) -> None:
        self.dump_after(dump_at_s - time.monotonic())
        super().__init__(workspace_roots, backend_folder, hardware)
        self.dump_after(None)

    def observe(self, look: Callable[..., Any], **arguments: Any) -> Any:
        """What `look`, a function of ours that takes this service, sees. It crosses the process
        boundary by name, so its module may import numpy and the standard library only.
        """
        return plain(look(self, **arguments))

    def stated_qs_mode(self) -> dict[str, Any]:
        """What the backend says of QS mode, as it says it."""
        supported = self.backend.is_qs_mode_supported()
        return {
            "supported": bool(supported),
            "said": repr(supported),
            "is_bool": isinstance(supported, bool),
            "config": plain(
                with_runner(self.backend.generate_qs_config(), self.backend) if supported else None
            ),
        }

    def dump_after(self, seconds: float | None) -> None:
        """Write every thread's stack to the log after that time, so that a hang can be located.
        None: never.
        """
        faulthandler.cancel_dump_traceback_later()
        if seconds is not None:
            faulthandler.dump_traceback_later(max(seconds, 0.01), file=_STANDARD_ERROR)

    @property
    def backend(self) -> Any:
        """The first instance of the runtime, with everything set that the framework sets."""
        return self.copies[0].backend

    def opened(self, batch_size: int, samples: int = MOST_SAMPLES) -> LoadedInstance:
        """predict at that batch size, with distinct batches to give it."""
        target = self.load_target(
            instance=0, batch_size=batch_size, samples=samples, prepared=False
        )
        asked = self._runner.pool == "async" and is_started(self.backend)
        return LoadedInstance(target, self.settings.outputs, self.backend if asked else None)


class LoadedInstance:
    """predict of a loaded instance. `batch_size` is the one really loaded."""

    def __init__(self, target: Any, names: list[str], started: Any = None) -> None:
        """`started`: the backend, if a run starts its requests rather than to call predict."""
        self._target, self._names, self.started = target, names, started
        self._loop: asyncio.AbstractEventLoop | None = None
        self.batch_size: int = target.loaded_batch_size
        self.samples: list[dict[str, np.ndarray]] = target.samples

    @property
    def awaits(self) -> bool:
        """Whether predict is a coroutine function."""
        return is_async(self._target)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on this instance's one event loop: what it awaited before may be bound
        to it.
        """
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            weakref.finalize(self, self._loop.close)
        return self._loop.run_until_complete(work)

    def raw(self, feeds: dict[str, np.ndarray]) -> Any:
        """What predict returns, awaited if it is a coroutine function."""
        return self.run(self._target(feeds)) if self.awaits else self._target(feeds)

    def named(self, raw: Any) -> dict[str, np.ndarray]:
        return named_outputs(raw, self._names)

    def answer(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """predict on a copy of the feeds, and a copy of what it returns: nobody else can write into
        either.
        """
        return self._copied(self.raw(_copy(feeds)))

    async def answer_later(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The same for a coroutine function, on `run`'s loop."""
        return self._copied(await self._target(_copy(feeds)))

    async def answer_started(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The same by a request that is started, on `run`'s loop."""
        backend, ended = self.started, asyncio.get_running_loop().create_future()

        def done(call: Any) -> None:
            still(call)
            ended.set_result(call)

        backend.start(backend.request_of(_copy(feeds)), done)
        call = await ended
        if call.failure is not None:
            raise RequestFailed.of(call)
        return self._copied(backend.outputs_of(call))

    def _copied(self, raw: Any) -> dict[str, np.ndarray]:
        return _copy(self.named(raw))


def _copy(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.array(array) for name, array in arrays.items()}
