"""qs.load and qs.run from Python: the options of the command line, in scripts and in notebooks."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest

import qs
from qs.api.asking import arguments, parsed
from qs.api.measuring import _beside_a_loop
from qs.base.interrupt import Interrupt, Interrupted, run_on_loop
from tests.qs.program import ROOT

MODEL = ROOT / "model_zoo" / "digits" / "digits-cnn-onnx-fp32.onnx"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="module")
def measured(place: Path) -> qs.Result:
    model = qs.load(MODEL, out=place / "a", warmup=1)
    return model.run(batch_sizes=[1, 8], iterations=50, raw=place / "raw.npz", quiet=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, []),
        ({"rate": 200}, ["--rate", "200"]),
        ({"batch_sizes": [1, 8]}, ["--batch_sizes", "1,8"]),
        ({"batch_size": 4}, ["--batch_sizes", "4"]),
        ({"trace": True}, ["--trace"]),
        ({"trace": False, "rate": None}, []),
        ({"shape": {"x": (1, 3), "y": "scalar"}}, ["--shape", "x=1,3", "--shape", "y=scalar"]),
        ({"tag": ["a", "b"]}, ["--tag", "a", "--tag", "b"]),
        ({"tag": "a"}, ["--tag", "a"]),
        ({"out": Path("there")}, ["--out", "there"]),
        ({"body": {"stop": "end", "top_k": 5}}, ["--body", "stop=end", "--body", "top_k=5"]),
        ({"body": {"stop": "5", "x": [True]}}, ["--body", 'stop="5"', "--body", "x=[true]"]),
    ],
    ids=str,
)
def test_options_are_the_command_lines(options, words):
    assert arguments("load", (), options) == words
    parsed("load", ["model.onnx", *words])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rates": 3}, "rates: is no option of qs load; did you mean rate?"),
        ({"rate": -3}, "'-3' is not a number above 0"),
        ({"zzzz": 3}, "`qs load --help` lists them"),
        ({"as_json": True}, "as_json: is no option of qs load"),
    ],
    ids=str,
)
def test_a_wrong_option_is_told_at_once(options, said):
    with pytest.raises(qs.UserError, match=said.replace("?", r"\?").replace("`", ".")):
        qs.load(MODEL, **options)


def test_the_name_of_a_served_model_is_an_option():
    made = qs.load("openai+http://127.0.0.1:1/v1", model="org/m")
    assert "model='org/m'" in repr(made)


def test_a_missing_model_is_the_command_lines_message(tmp_path):
    with pytest.raises(qs.UserError, match="nowhere.onnx"):
        qs.load("nowhere.onnx", out=tmp_path).run(iterations=1)


def test_a_result_is_that_of_the_report(measured: qs.Result, place: Path):
    assert measured.verdict == "VALID" and not measured.error
    assert [row.batch_size for row in measured.rows] == [1, 8]
    saved = qs.load_result(measured.folder)
    assert saved.to_dict() == measured.to_dict()
    assert measured.page and measured.page.is_file()
    command = measured.to_dict()["Command"]
    assert command[:2] == ["qs", "load"] and "--no_input" not in command
    assert command[command.index("--batch_sizes") + 1] == "1,8"
    assert qs.load_result("@last").to_dict() == measured.to_dict()


def test_every_request_is_in_the_raw_file(measured: qs.Result, place: Path):
    with np.load(place / "raw.npz") as raw:
        counts = np.bincount(raw["case"])
        assert counts.tolist() == [row.completed for row in measured.rows]
        assert (raw["completed_ns"] > raw["issued_ns"]).all()
        mean = np.mean((raw["completed_ns"] - raw["issued_ns"])[raw["batch_size"] == 8]) / 1e6
    assert mean == pytest.approx(measured.rows[1].mean_ms, rel=0.02)


def test_within_a_running_event_loop(place: Path):
    async def cell() -> qs.Result:
        return qs.load(MODEL, out=place / "b").run(rate=200, duration="0.2s", warmup=1)

    result = asyncio.run(cell())
    assert result.rows[0].completed > 0 and result.rows[0].open_loop


def test_ctrl_c_within_a_running_loop_interrupts_the_work():
    """The thread that has the loop hears Ctrl-C; the work runs in another."""
    running = threading.Event()

    def work(interrupt: Interrupt) -> str:
        async def measure() -> str:
            with interrupt.gently() as asked:
                running.set()
                await asyncio.wait_for(asked.wait(), 60)
            return "what was measured"

        return run_on_loop(measure(), interrupt)

    class Heard:
        """A future whose first wait is interrupted, as by Ctrl-C."""

        def __init__(self, future):
            self._future, self._heard = future, False

        def result(self):
            if not self._heard:
                self._heard = True
                assert running.wait(60)
                raise KeyboardInterrupt
            return self._future.result()

        def done(self):
            return self._future.done()

    async def cell() -> str:
        from qs.api import measuring

        class Pool(measuring.ThreadPoolExecutor):
            def submit(self, *call):
                return Heard(super().submit(*call))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(measuring, "ThreadPoolExecutor", Pool)
            return _beside_a_loop(work)

    assert asyncio.run(cell()) == "what was measured"


def test_an_interrupt_of_ended_work_is_nothing():
    interrupt = Interrupt()
    interrupt.from_another_thread()  # has not begun

    async def nothing() -> None:
        return None

    run_on_loop(nothing(), interrupt)
    interrupt.from_another_thread()
    assert not interrupt.requested.is_set()
    assert issubclass(Interrupted, Exception)
