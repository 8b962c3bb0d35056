"""Whose TensorFlow writes a saved_model, and what is said where there is none; what is written is
in tests/qs/inside/test_saved_model_built.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from qs.base.errors import UserError
from qs.environments import Environment
from qs.evaluate import saved_model
from qs.evaluate.making import made_once

OWN = Environment("/env/bin/python", "key", True, "why", {"tensorflow_cpu": "2.16.1"}, {"A": "b"})
OTHER = Environment("/env/bin/python", "key", True, "why", {"numpy": "2.0.0"}, {})
OURS = Environment(sys.executable, None, False, "why")


@pytest.mark.parametrize(
    ("environment", "here", "found"),
    [
        (OWN, True, ("/env/bin/python", "2.16.1", {"A": "b"})),
        (OWN, False, ("/env/bin/python", "2.16.1", {"A": "b"})),
        (OTHER, True, (sys.executable, "2.21.0", {})),
        (OURS, True, (sys.executable, "2.21.0", {})),
        (None, True, (sys.executable, "2.21.0", {})),
        (OTHER, False, None),
        (OURS, False, None),
    ],
)
def test_the_backends_own_tensorflow_comes_first(monkeypatch, environment, here, found):
    monkeypatch.setattr(saved_model, "find_spec", lambda name: object() if here else None)
    monkeypatch.setattr(saved_model, "tensorflow_version", lambda: "2.21.0")
    got = saved_model.tensorflow_for(environment)
    assert (None if got is None else (got.python, got.version, got.variables)) == found


def test_without_tensorflow_one_message_says_what_would_help(tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model, "find_spec", lambda name: None)
    info = {"model_path": "model_zoo/m"}
    made = saved_model.saved_model_of(tmp_path / "m.onnx", info, OTHER, tmp_path / "log", print)
    with pytest.raises(UserError) as raised:
        asyncio.run(made)
    assert str(raised.value) == (
        f"{tmp_path}/m.onnx is ONNX, and tensorflow, which would turn it into a saved_model, is "
        "neither in this Python nor in the backend's environment: install the extra `tensorflow` "
        "(pip install 'quicksilver-perf[tensorflow]'), or name tensorflow-cpu in the backend's "
        "requirements.txt, or put the trained model at model_zoo/m"
    )


def test_a_cancellation_ends_what_makes_it_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("QS_CACHE", str(tmp_path))

    async def cancelled() -> list[str]:
        begun, ended = asyncio.Event(), []

        async def make(new: Path) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(new.name)

        task = asyncio.create_task(made_once("models/m", ".txt", make, lambda path: True))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while not ended:  # the thread's coroutine is cancelled in this loop
            await asyncio.sleep(0)
        return ended

    assert asyncio.run(cancelled()) == ["m.txt"]
    assert [each.suffix for each in (tmp_path / "models").iterdir()] == [".lock"]
