"""What was typed for a sweep stands in the commands that it recommends: every option, in one test
that fails for an option which is not in its table.
"""

from __future__ import annotations

import shlex

import click
import pytest

from qs.base.visible import typed_word
from qs.cli import load, run, sweep
from qs.cli.main import underscores
from qs.cli.retyped import path_word, retyped
from qs.limit import parse_goals
from qs.sweep.grid import Combination
from qs.sweep.recommending import at_the_limit

AXES = (*sweep.AXES, "batch_sizes")
# As it may be typed; a list where the option may be repeated.
TYPED = {
    "task": "a task",
    "hardware_type": "My CPU",
    "workspace": "my work",
    "out": "-odd folder",
    "duration": "0.3s",
    "warmup": "5",
    "time_limit": "2s",
    "verify": "sample",
    "seed": "7",
    "shape": ["x=1,4", "two words=1,3"],
    "batch_axis": ["image=0", "y=none"],
    "types": ["x=float32"],
    "ranges": ["x=-5,5"],
    "data": ["y=my items/"],
    "state": ["h=hn"],
    "no_state": True,
    "fill": "zeros",
    "sample_count": "3",
    "answers": "my answers.json",
    "no_input": True,
    "compile_timeout": "10m",
    "load_timeout": "1m",
    "predict_timeout": "500ms",
    "in_process": True,
    "env": "new",
    "offline": True,
    "metrics": ":9464",
    "trace": True,
    "no_history": True,
}
SHARED = [
    pytest.param(target, option, id=f"{name}-{option.name}")
    for name, target in (("run", run.command), ("load", load.command))
    for option in sweep.command.params
    if option.name in {each.name for each in target.params if isinstance(each, click.Option)}
    and option.name not in (*AXES, "as_json", "quiet")
    and isinstance(option, click.Option)
]


def context(command: click.Command, words, **more) -> click.Context:
    given = list(words)
    return command.make_context(
        command.name, given, token_normalize_func=underscores, resilient_parsing=False, **more
    )


def typed(option: click.Option, value: object) -> list[str]:
    flag = max(option.opts, key=len)
    if value is True:
        return [flag]
    return [f"{flag}={each}" for each in (value if isinstance(value, list) else [value])]


@pytest.mark.parametrize(("target", "option"), SHARED)
def test_an_option_that_was_typed_is_in_the_command(target, option):
    needed = [] if option.name == "hardware_type" else ["--hardware_type", "CPU"]
    given = context(sweep.command, [*needed, *typed(option, TYPED[option.name])])
    line = " ".join(map(typed_word, retyped(given, target, AXES)))
    artifact = ["model.onnx"] if target is load.command else []
    task = ["--task", "t"] if target is run.command and option.name != "task" else []
    again = context(target, [*artifact, *task, *shlex.split(line)])
    assert again.params[option.name] == given.params[option.name]
    assert given.get_parameter_source(option.name) is click.core.ParameterSource.COMMANDLINE


def test_what_was_not_typed_is_left_to_the_command():
    given = context(sweep.command, ["--hardware-type", "CPU", "--batch_sizes", "1,2", "--json"])
    assert retyped(given, load.command, AXES) == ("--hardware_type", "CPU")


def test_a_default_of_the_sweep_alone_is_kept():
    """From QS_SWEEP_SEED or [qs.sweep], which the other command does not read."""
    given = context(
        sweep.command, ["--hardware_type", "CPU"], default_map={"seed": "4", "offline": True}
    )
    words = retyped(given, run.command, AXES)
    assert words == ("--hardware_type", "CPU", "--seed", "4", "--offline")


def test_a_file_whose_name_begins_as_an_option_is_a_file():
    assert (path_word("-x.onnx"), path_word("a b.onnx")) == ("./-x.onnx", "a b.onnx")


def test_the_limits_command_has_its_own_duration():
    command = ("qs", "load", "model.onnx", "--duration", "1s", "--seed", "3")
    found = at_the_limit(Combination(1, 2), 80.0, parse_goals(["p99=5ms"]), command).command
    assert found == (
        "qs load model.onnx --seed 3 --batch_sizes 1 --clients 2 --rate 80 --duration 30s"
    )
