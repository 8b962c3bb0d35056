"""`qs.load` and `qs.run`: a measurement from Python, in a script or within a notebook's event
loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, overload

from qs.api.asking import NOT_HERE, arguments, parsed
from qs.api.lineup import Lineup
from qs.api.result import Result
from qs.base.headers import FLAG, without_secrets
from qs.base.interrupt import Interrupt

T = TypeVar("T")


@dataclass(frozen=True)
class Model:
    """Something that can be load-tested: a model file, a compile result, or a task's model."""

    artifact: str
    options: dict[str, Any] = field(default_factory=dict)

    @overload
    def run(self, *, hardware_type: list[str] | tuple[str, ...], **options: Any) -> Lineup: ...

    @overload
    def run(self, **options: Any) -> Result: ...

    def run(self, **options: Any) -> Result | Lineup:
        """Load-test it and return what was measured, as `qs load` does: the report and the entry in
        the history are the same. Options are those of `qs load`, by their names:

            model.run(rate=200, duration="5s", batch_sizes=[1, 8])
            model.run(clients=2, shape={"image": [1, 3, 224, 224]}, quiet=False)

        `quiet=False` shows the progress on standard error. Blocks, also within a running event
        loop. Ctrl-C ends the run in order: the result then holds what was measured until then, and
        is INVALID. Raises qs.UserError for what has to be corrected.
        """
        return _measured("load", (self.artifact,), {**self.options, **options})

    def __repr__(self) -> str:
        shown = {**self.options}
        if "header" in shown:
            shown["header"] = _hidden(shown["header"])
        given = "".join(f", {name}={value!r}" for name, value in shown.items())
        return f"qs.load({self.artifact!r}{given})"


def _hidden(header: Any) -> list[str]:
    """Headers without their values, which are secrets."""
    given = [header] if isinstance(header, str) else header
    if isinstance(header, Mapping):
        given = [f"{name}={value}" for name, value in header.items()]
    return [
        word.removeprefix(f"{FLAG}=")
        for word in without_secrets(f"{FLAG}={each}" for each in given)
    ]


def load(model: str | Path, /, **options: Any) -> Model:
    """A model file, a compile result or the name of a task, to be load-tested by `run`. Options of
    `qs load` that are given here hold for all its runs. Raises qs.UserError for wrong ones.
    """
    options = {name: value for name, value in options.items() if value is not None}
    asked = {name: value for name, value in options.items() if name != "quiet"}
    parsed("load", arguments("load", (model,), asked))
    return Model(str(model), options)


@overload
def run(task: str, *, hardware_type: list[str] | tuple[str, ...], **options: Any) -> Lineup: ...


@overload
def run(task: str, **options: Any) -> Result: ...


def run(task: str, **options: Any) -> Result | Lineup:
    """Evaluate a task as `qs run` does: compile, accuracy, agreement, performance. Options are
    those of `qs run`, by their names; all else is as in `Model.run`. Several backends
    (`hardware_type=["CPU", "OPENVINO"]`) are measured in turn and compared: then it is a Lineup,
    and so it is with `Model.run`.
    """
    return _measured("run", (), {"task": task, **options})


def _measured(command: str, operands: tuple[str, ...], options: dict[str, Any]) -> Result | Lineup:
    quiet = bool(options.pop("quiet", True))
    words = arguments(command, operands, {"no_input": True, **options})
    found = parsed(command, words)
    typed = ("qs", command, *(word for word in words if word != "--no_input"))
    return _beside_a_loop(lambda interrupt: _work(command, found, typed, quiet, interrupt))


def _work(
    command: str,
    options: dict[str, Any],
    typed: tuple[str, ...],
    quiet: bool,
    interrupt: Interrupt,
) -> Result | Lineup:
    from qs.cli.concluding import remember
    from qs.cli.lineup import measure_several, several
    from qs.cli.measuring import load_artifact, run_task
    from qs.watch.terminal import open_view

    view = open_view(quiet)
    asked = {name: value for name, value in options.items() if name not in NOT_HERE}
    if several(asked):
        done, reported = measure_several(command, {**asked, "command": typed}, view, interrupt)
        results = {each.record.hardware: Result.of_run(each) for each in done.runs}
        return Lineup(reported, results)
    asked.pop("rounds", None)
    measure = {"run": run_task, "load": load_artifact}[command]
    ended = measure({**asked, "command": typed}, view, interrupt)
    remember(ended, view)
    return Result.of_run(ended)


def _beside_a_loop(work: Callable[[Interrupt], T]) -> T:
    """Do the work; where an event loop runs in this thread, as in a notebook, in another one."""
    interrupt = Interrupt()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work(interrupt)
    with ThreadPoolExecutor(1, "qs") as pool:
        future = pool.submit(work, interrupt)
        while True:
            try:
                return future.result()
            except KeyboardInterrupt:
                if future.done() or interrupt.requested.is_set():
                    raise
                interrupt.from_another_thread()
