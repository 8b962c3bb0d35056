"""What was typed for a sweep stands in the commands that it recommends: every option, in one test
that fails for an option which is not in its table.
"""

from __future__ import annotations

import shlex
from dataclasses import fields

import click
import pytest

from qs.base.visible import typed_word
from qs.cli import load, run, sweep
from qs.cli.main import underscores
from qs.cli.naming import settled as settled_options
from qs.cli.requests import request_of
from qs.cli.retyped import path_word, retyped
from qs.config.qs_config import parse_qs_config
from qs.config.workload import check_workload
from qs.result.result import Kind
from qs.settings.request import Request
from qs.settings.settings import settle
from qs.settings.traffic import StopRules, Traffic
from qs.sweep.again import Again, axes_of, seconds_word, stated
from qs.sweep.grid import Combination
from qs.sweep.trial import ORIGIN

AXES = sweep.ANEW
# As it may be typed; a list where the option may be repeated.
TYPED = {
    "task": "a task",
    "hardware_type": "My CPU",
    "workspace": "my work",
    "out": "-odd folder",
    "slo": ["p99=50ms", "ttft_p99=200ms,goodput=95%"],
    "duration": "0.3s",
    "warmup": "5",
    "time_limit": "2s",
    "verify": "sample",
    "telemetry": "500ms",
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
    "url": "kserve+http://127.0.0.1:8000/m",
    "workers": "2",
    "model": "meta/llama",
    "api": "completions",
    "no_stream": True,
    "api_key": "@env:KEY",
    "body": ["temperature=0", 'stop=["END", "a b"]'],
    "prompts": "my prompts.jsonl",
    "prompt_format": "sharegpt",
    "input_tokens": "normal:512,64",
    "output_tokens": "128",
    "prefix_share": "0.25",
    "prefixes": "4",
    "prompt_count": "100",
    "turns": "3",
    "history": "recorded",
    "tokenizer": "my tokenizer.json",
    "exact_lengths": "never",
    "retries": "3",
    "stall_timeout_s": "5s",
    "score": "exact",
    "headers": ["X-Tenant: @env:TENANT", "X-Two: @file:my token"],
    "connections": "8",
    "binary": "never",
    "template": "my template.json",
    "parameters": ["priority=1"],
    "compression": "gzip",
    "sequences": "3",
    "shared_memory": True,
    "streams": "4",
    "client": "blocking",
    "order": "first",
    "open_while_measuring": True,
    "ready_timeout_s": "5s",
    "connect_timeout_s": "1s",
    "first_byte_timeout_s": "2s",
    "ca": "my ca.pem",
    "insecure": True,
    "server_name": "models.example",
    "certificate": "my own.pem",
    "key": "my own.key",
    "proxy": "http://proxy:3128",
    "metrics_url": "http://127.0.0.1:8002/metrics",
    "metric_names": ["nv_gpu_utilization"],
    "answers": "my answers.json",
    "no_input": True,
    "no_calibrate": True,
    "compile_timeout": "10m",
    "load_timeout": "1m",
    "predict_timeout": "500ms",
    "in_process": True,
    "nodes": "zone=a",
    "per_node": ["workers=2", "max_backlog=3,iterations=10"],
    "ray": "10.0.0.1:6379",
    "on_loss": "replace",
    "env": "new",
    "offline": True,
    "metrics": ":9464",
    "trace": True,
    "no_history": True,
    "keep": "3",
    "web": "8080",
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
    again = Again(("qs", "load", "model.onnx", "--duration", "1s", "--seed", "3"), seconds=1.0)
    assert again.rate(Combination(1, 2), 1_234_567.0) == (
        "qs load model.onnx --seed 3 --batch_sizes 1 --clients 2 --rate 1234570 --duration 30s"
    )


def test_a_settings_command_measures_as_long_as_a_trial():
    again = Again(("qs", "run", "--task", "a b"), seconds=0.25)
    assert again.setting(Combination(8, pool="thread")) == (
        "qs run --task 'a b' --batch_sizes 8 --pool thread --duration 0.25s"
    )
    assert (seconds_word(3.0), seconds_word(1e6), Again().setting(Combination(1))) == (
        "3s",
        "1000000s",
        None,
    )


def test_telling_apart_sweeps_the_smallest_grid_that_has_all_of_them():
    tied = [Combination(8, 1, 1), Combination(8, 2, 2), Combination(1, 2, 1)]
    assert axes_of(tied).flags() == [
        "--batch_sizes",
        "1,8",
        "--clients",
        "1,2",
        "--instances",
        "1,2",
    ]
    again = Again(sweep=("qs", "sweep", "--task", "t"))
    assert again.tell(tied[:2], 7, 3.0) == (
        "qs sweep --task t --batch_sizes 8 --clients 1,2 --instances 1,2 --repeats 7 --duration 3s"
    )


CONFIGS = {
    "nothing": {},
    "its own layout": {"instances": 2, "affinity": [[0], [1]], "intra_op_threads": 1},
    "scenarios": {"scenarios": [{"name": "Poisson", "target_qps": 5.0}]},
    "two scenarios": {
        "scenarios": [{"name": "Poisson", "target_qps": 5.0}, {"name": "SingleStream"}]
    },
    "processes": {"pool": "process", "clients": 2, "intra_op_threads": 3},
}
COMBINATIONS = [
    Combination(8),
    Combination(8, clients=2),
    Combination(8, clients=2, instances=2),
    Combination(8, clients=4, instances=1),
    Combination(8, clients=2, instances=2, intra_op_threads=4),
    Combination(8, clients=2, intra_op_threads=1),
    Combination(8, clients=2, pool="process"),
    Combination(8, clients=2, intra_op_threads=4, pool="process"),
    Combination(8, clients=1, pool="inline"),
    Combination(8, clients=2, instances=2, pool="thread"),
]
CPUS = (0, 1, 2, 3)
NO_AXES = dict.fromkeys(("clients", "instances", "intra_op_threads", "pool", "batch_sizes"))
# What a request is made of; a command has further options of its own.
ASKED = {each.name for cls in (Request, Traffic, StopRules) for each in fields(cls)} | {
    *(
        "word",
        "artifact",
        "shape",
        "batch_axis",
        "types",
        "ranges",
        "data",
        "state",
        "no_state",
        "fill",
    ),
    *("max_delay", "no_history"),
}
WORKLOAD = check_workload({"model": "m", "batch_sizes": [1], "clients": 3}, "w", "t").result()[0]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("combination", COMBINATIONS, ids=lambda each: each.name)
@pytest.mark.parametrize(
    "words",
    [
        pytest.param("--task t --hardware_type CPU", id="a task"),
        pytest.param("--task t --hardware_type CPU --warmup 5 --seed 3 --samples 4", id="options"),
    ],
)
def test_the_printed_command_settles_to_what_the_trial_had(config, combination, words):
    """The command, parsed by `qs run` again, against the settings of the trial."""
    stated_config = parse_qs_config(CONFIGS[config], "config")

    def settled(asked):
        return settle(asked, WORKLOAD, stated_config, None, CPUS)

    given = context(sweep.command, words.split())
    options = {name: value for name, value in given.params.items() if name in ASKED}
    options = settled_options(options) | NO_AXES
    options |= {"engine": "drive", "duration": 0.5}
    asked = request_of(options, kind=Kind.SWEEP)
    changes = {**combination.changes(len(CPUS)), "scenarios": (), "duration_s": 0.5}
    trial = settled(asked).changed({**changes, "iterations": None}, ORIGIN, CPUS)
    again = Again(
        ("qs", "run", *retyped(given, run.command, AXES)),
        seconds=0.5,
        more=lambda chosen: stated(chosen, trial, settled, asked, CPUS),
    )
    typed_again = shlex.split(again.setting(combination) or "")[2:]
    params = context(run.command, typed_again).params
    options = {name: params[name] for name in params if name in ASKED}
    found = settled(request_of(settled_options(options)))
    for name in vars(trial):
        wanted, value = getattr(trial, name).value, getattr(found, name).value
        if name == "affinity" and wanted is None and value:
            assert all(set(cpus) == set(CPUS) for cpus in value)  # every CPU: not pinned
        elif name == "scenarios":
            assert not wanted and not value  # closed loop
        else:
            assert value == wanted, (name, typed_again)


def test_the_limits_command_holds_what_it_measures_to_the_bounds():
    again = Again(("qs", "load", "model.onnx"), seconds=1.0, bounds=("--slo", "ttft_p99=1s"))
    assert again.rate(Combination(1), 8.0) == (
        "qs load model.onnx --batch_sizes 1 --rate 8 --duration 30s --slo ttft_p99=1s"
    )
    assert again.users(Combination(1, 12)) == (
        "qs load model.onnx --batch_sizes 1 --clients 12 --duration 30s --slo ttft_p99=1s"
    )
    assert "--slo" not in (again.setting(Combination(1)) or "")
