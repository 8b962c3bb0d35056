"""A backend whose process is lost comes back as it was; every call has its own limit."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qs.engine import HostDied, HostTimeout
from qs.environments import Environment
from qs.evaluate.backend import Backend
from qs.evaluate.failures import BackendFailed
from qs.evaluate.prepare import prepare
from qs.evaluate.settling import settled
from qs.result.row import Outcome
from qs.settings.request import Request

TASK = "digits-cnn-onnx-fp32"
LOADED = {"loaded_batch_size": 4, "seconds": 0.1, "takes_threads": False}
HERE = Environment("python", key=None, created=False, why="a test")
SET_UP = ["set_dataset", "configure_runtime", "use_runner"]


class FakeHost:
    """Answers every call, but raises what `faults` has for it, once."""

    def __init__(self, calls: list[tuple[str, float]], faults: dict[str, Exception]):
        self.calls, self.faults = calls, faults
        self.kinds: dict[str, Any] = {"load": LOADED}

    async def __aenter__(self) -> FakeHost:
        self.calls.append(("start", 0.0))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.calls.append(("end", 0.0))

    async def call(self, method: str, /, deadline_s: float, **arguments: Any) -> Any:
        self.calls.append((method, deadline_s))
        if method in self.faults:
            raise self.faults.pop(method)
        return self.kinds.get(method)


class FakeBackend(Backend):
    def __init__(self, folder: Path, **faults: Exception):
        asked = Request(task=TASK, hardware_type="CPU", out=folder, load_timeout=7.0)
        self.found = prepare(asked)
        super().__init__(self.found, HERE, folder / "log", folder / "work")
        self.calls: list[tuple[str, float]] = []
        self.faults = faults

    def _made(self) -> Any:
        return FakeHost(self.calls, self.faults)

    @property
    def called(self) -> list[str]:
        return [method for method, _ in self.calls]


async def set_up(backend: FakeBackend) -> None:
    await backend.set_dataset({})
    await backend.configure_runtime({}, {}, {})
    await backend.use_runner(settled(backend.found, None, None))


def test_a_fresh_process_is_set_up_as_the_lost_one_was(tmp_path):
    backend = FakeBackend(tmp_path, load=HostDied("signal SIGSEGV", signal="SIGSEGV"))

    async def work() -> None:
        await set_up(backend)
        with pytest.raises(BackendFailed, match="load batch size 4: the process ended") as lost:
            await backend.load(4)
        assert lost.value.outcome is Outcome.CRASHED and lost.value.lost_host
        assert (await backend.load(4)).batch_size == 4

    asyncio.run(work())
    assert backend.called == ["start", *SET_UP, "load", "end", "start", *SET_UP, "load"]
    assert backend.starts == 2


def test_each_call_has_its_own_limit_and_a_message_names_its_option(tmp_path):
    backend = FakeBackend(tmp_path, load=HostTimeout("load", 7.0), verification=HostTimeout("", 1))

    async def work() -> None:
        with pytest.raises(BackendFailed, match=r"no answer within 7 s \(--load_timeout\)") as late:
            await backend.load(4)
        assert late.value.outcome is Outcome.TIMED_OUT
        backend.limits = replace(backend.limits, compile_s=3.0)
        await backend.versions()
        await backend.accuracy(100, tmp_path)

    asyncio.run(work())
    limits = dict(backend.calls)
    assert (limits["load"], limits["versions"]) == (7.0, 3.0)
    assert limits["accuracy"] > 3600


def test_the_runner_is_told_again_only_if_that_changes_anything(tmp_path):
    backend = FakeBackend(tmp_path)

    async def work() -> None:
        settings = settled(backend.found, None, None)
        await backend.use_runner(settings)
        await backend.use_runner(settings)
        pool = replace(settings.pool, value="process")
        await backend.use_runner(replace(settings, pool=pool))

    asyncio.run(work())
    assert backend.called.count("use_runner") == 2
