"""The QS config: what is accepted, in which form it comes out, and that every mistake is named."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from qs.base.errors import MISSING, Faults, UserError
from qs.base.scenarios import CONFIGURABLE, QUEUED
from qs.config.interact import parse_profile
from qs.config.qs_config import RUNNERS, QsConfig, ScenarioName, parse_qs_config

WHOLE = {
    "qs_version": 2,
    "runner": "async",
    "artifact": "model.onnx",
    "pool": "async",
    "instances": 2,
    "clients": 4,
    "iterations": 10,
    "batch_sizes": [1, 8],
    "affinity": [[0, 1], [2]],
    "intra_op_threads": 2,
    "warmup": {"iterations": 3, "seconds": 0.5},
    "scenarios": [
        {
            "name": "Server",
            "target_qps": 10.0,
            "latency_slo_ms": 5.0,
            "percentile": 99.0,
            "duration_s": 3.0,
            "seed": 0,
        },
        {"name": "MultiStream", "samples_per_query": 8},
    ],
    "batching": {"max_batch_size": 4, "max_delay_us": 100.0},
    "timeout_s": 5.0,
    "samples": {"count": 3, "seed": 1},
    "verify": "all",
}


def faults_of(config: object) -> dict[str, tuple]:
    with pytest.raises(Faults) as refused:
        parse_qs_config(config, "ACME's config")
    assert all(fault.file == "ACME's config" for fault in refused.value.faults)
    return {
        fault.key: (fault.value, fault.nearest, fault.allowed) for fault in refused.value.faults
    }


def test_every_key_comes_out_as_it_went_in():
    assert parse_qs_config(WHOLE, "c").stated() == WHOLE
    assert set(WHOLE) == set(QsConfig.model_fields)


def test_nothing_is_stated_that_was_not():
    assert parse_qs_config({}, "c").stated() == {}
    assert parse_qs_config({"pool": None, "clients": 1}, "c").stated() == {"clients": 1}
    batching = {"batching": {"max_batch_size": 2, "max_delay_us": None}}
    scenario = {"scenarios": [{"name": "Offline", "seed": None}]}
    assert parse_qs_config(batching | scenario, "c").stated() == {
        "batching": {"max_batch_size": 2},
        "scenarios": [{"name": "Offline"}],
    }


def test_tuples_of_vendors_become_lists():
    config = {"affinity": ((0,), (1,)), "batch_sizes": (1, 2)}
    assert parse_qs_config(config, "c").stated() == {"affinity": [[0], [1]], "batch_sizes": [1, 2]}


@pytest.mark.parametrize("runner", [*RUNNERS, "package.module:factory", "module:make_1"])
def test_runners(runner):
    assert parse_qs_config({"runner": runner}, "c").runner == runner


def test_the_names_of_scenarios_are_those_of_the_program():
    assert get_args(ScenarioName) == CONFIGURABLE


@pytest.mark.parametrize("name", QUEUED)
def test_batching_goes_with_every_open_loop(name):
    needed = {"target_qps": 5, "stages": [[1, 2]], "due_file": "due.txt", "burstiness": 0.5}
    scenario = {"name": name, **needed}
    config = {"batching": {"max_batch_size": 2}, "scenarios": [scenario]}
    assert parse_qs_config(config, "c").batching.max_batch_size == 2


@pytest.mark.parametrize(
    ("config", "key", "nearest"),
    [
        ({"runer": "backend"}, "runer", "runner"),
        ({"batch_size": [1]}, "batch_size", "batch_sizes"),
        ({"warmup": {"second": 1}}, "warmup.second", "seconds"),
        (
            {"batching": {"max_batch_size": 2, "max_delay_ms": 1}},
            "batching.max_delay_ms",
            "max_delay_us",
        ),
        ({"samples": {"number": 1}}, "samples.number", None),
        (
            {"scenarios": [{"name": "Offline", "duration": 3}]},
            "scenarios[0].duration",
            "duration_s",
        ),
    ],
)
def test_unknown_keys_name_the_nearest(config, key, nearest):
    assert faults_of(config)[key][1] == nearest


@pytest.mark.parametrize(
    ("config", "key", "nearest"),
    [
        ({"qs_version": 1}, "qs_version", None),
        ({"runner": "asink"}, "runner", "async"),
        ({"runner": 3}, "runner", None),
        ({"runner": "module.factory"}, "runner", None),
        ({"runner": "module:"}, "runner", None),
        ({"pool": "threads"}, "pool", "thread"),
        ({"pool": "ray"}, "pool", None),
        ({"instances": 0}, "instances", None),
        ({"clients": True}, "clients", None),
        ({"iterations": 2.5}, "iterations", None),
        ({"artifact": ""}, "artifact", None),
        ({"batch_sizes": []}, "batch_sizes", None),
        ({"batch_sizes": [1, 0]}, "batch_sizes[1]", None),
        ({"affinity": [[0], []]}, "affinity[1]", None),
        ({"affinity": [[-1]]}, "affinity[0][0]", None),
        ({"warmup": 3}, "warmup", None),
        ({"warmup": {"iterations": -1}}, "warmup.iterations", None),
        ({"scenarios": []}, "scenarios", None),
        ({"scenarios": ["Server"]}, "scenarios[0]", None),
        ({"scenarios": [{"name": "server"}]}, "scenarios[0].name", "Server"),
        (
            {"scenarios": [{"name": "SingleStream", "percentile": 100}]},
            "scenarios[0].percentile",
            None,
        ),
        ({"batching": {}}, "batching.max_batch_size", None),
        ({"timeout_s": float("nan")}, "timeout_s", None),
        ({"samples": {"count": 0}}, "samples.count", None),
    ],
)
def test_wrong_values(config, key, nearest):
    found = faults_of(config)
    assert list(found) == [key]
    assert found[key][1] == nearest


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"runner": "async", "pool": "thread"}, "pool"),
        ({"runner": "onnxruntime", "pool": "async"}, "pool"),
        ({"pool": "async"}, "pool"),
        ({"instances": 3, "affinity": [[0], [1]]}, "affinity"),
        ({"batching": {"max_batch_size": 2}}, "batching"),
        ({"batching": {"max_batch_size": 2}, "scenarios": [{"name": "SingleStream"}]}, "batching"),
        (
            {
                "batching": {"max_batch_size": 2},
                "scenarios": [{"name": "Offline", "samples_per_query": 2}],
            },
            "scenarios[0].samples_per_query",
        ),
    ],
)
def test_values_that_do_not_go_together(config, key):
    assert list(faults_of(config)) == [key]


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("Server", "target_qps"),
        ("Poisson", "target_qps"),
        ("ConstantRate", "target_qps"),
        ("Stages", "stages"),
        ("Replay", "due_file"),
    ],
)
def test_an_open_loop_needs_its_schedule(name, missing):
    found = faults_of({"scenarios": [{"name": name}]})
    assert {key: value for key, (value, *_) in found.items()} == {
        f"scenarios[0].{missing}": MISSING
    }


def test_all_faults_at_once():
    assert (
        len(faults_of({"clients": 0, "pol": 1, "warmup": {"seconds": -1}, "scenarios": [{}]})) == 4
    )


@pytest.mark.parametrize("raw", [[], "thread", None, 3])
def test_what_is_no_config(raw):
    with pytest.raises(UserError, match="QS config"):
        parse_qs_config(raw, "c")


DOCS = Path(__file__).parents[3] / "docs" / "qs-config.md"
BLOCKS = re.findall(r"```json\n(.*?)```", DOCS.read_text(), re.DOTALL)


def test_the_documented_examples_are_right():
    config, scenarios, profile = map(json.loads, BLOCKS)
    assert parse_qs_config(config, "docs").stated() == config
    assert parse_qs_config(scenarios, "docs").stated() == scenarios
    assert tuple(each["name"] for each in scenarios["scenarios"]) == CONFIGURABLE
    assert len(parse_profile(profile)[0].questions) == 3


def test_every_key_is_documented():
    table = DOCS.read_text().partition("### Runners")[0]
    assert [key for key in QsConfig.model_fields if f"`{key}`" not in table] == []
