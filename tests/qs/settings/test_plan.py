"""Effective values and their origins: the precedence is the whole promise of qs.settings.settings."""

from __future__ import annotations

import pytest

from qs.settings.settings import (
    BACKEND,
    COMMAND_LINE,
    DEFAULT,
    QS_CONFIG,
    WORKLOAD,
    Request,
    Value,
    performance,
    plain,
    settle,
)

FILE = {"clients": 3, "iterations": 100, "batch_sizes": [1, 4], "data_percent": 100}


def values(
    request: Request,
    qs_config: dict | None = None,
    best: list[int] | None = None,
    given=("clients", "batch_sizes"),
    cpus=(0, 1),
):
    return performance(request, FILE, given, qs_config, best, cpus)


def request(**options) -> Request:
    return Request(task="t", hardware_type="CPU", **options)


@pytest.mark.parametrize(
    ("options", "qs_config", "name", "expected"),
    [
        ({"clients": 1}, {"clients": 2}, "clients", Value(1, COMMAND_LINE)),
        ({}, {"clients": 2}, "clients", Value(2, QS_CONFIG)),
        ({}, {}, "clients", Value(3, WORKLOAD)),
        (
            {},
            None,
            "iterations",
            Value(100, DEFAULT),
        ),  # the file does not state it: the format's default
        ({}, {}, "pool", Value("thread", DEFAULT)),
        ({"pool": "inline"}, {"pool": "thread"}, "pool", Value("inline", COMMAND_LINE)),
        ({}, {"warmup": {"seconds": 3}}, "warmup", Value({"seconds": 3}, QS_CONFIG)),
        (
            {"warmup": {"iterations": 0}},
            {"warmup": {"seconds": 3}},
            "warmup",
            Value({"iterations": 0}, COMMAND_LINE),
        ),
        ({"time_limit": 20.0}, {}, "time_limit_s", Value(20.0, COMMAND_LINE)),
        ({}, {}, "time_limit_s", Value(None, DEFAULT)),
        ({}, {"instances": 2, "affinity": [[0], [1]]}, "affinity", Value([[0], [1]], QS_CONFIG)),
    ],
)
def test_the_first_that_has_a_value_wins(options, qs_config, name, expected):
    assert values(request(**options), qs_config)[name] == expected


def test_batch_sizes_of_the_backend_replace_the_workloads_but_not_the_command_lines():
    assert values(request(), {}, best=[2, 8])["batch_sizes"] == Value([2, 8], BACKEND)
    assert values(request(batch_sizes=(1,)), {}, best=[2, 8])["batch_sizes"] == Value(
        (1,), COMMAND_LINE
    )
    assert values(request(), {}, best=None)["batch_sizes"] == Value([1, 4], WORKLOAD)


def test_a_duration_takes_the_place_of_the_workloads_iterations():
    found = values(request(duration=5.0))
    assert found["iterations"] == Value(None, COMMAND_LINE)
    assert found["duration_s"] == Value(5.0, COMMAND_LINE)
    assert values(request(duration=5.0, iterations=10))["iterations"] == Value(10, COMMAND_LINE)


@pytest.mark.parametrize(
    ("options", "qs_config", "name", "expected"),
    [
        ({}, {"runner": "async"}, "pool", Value("async", QS_CONFIG)),
        ({"pool": "thread"}, {"runner": "async"}, "pool", Value("thread", COMMAND_LINE)),
        ({}, {"runner": "async", "instances": 2}, "instances", Value(1, QS_CONFIG)),
        ({}, {"affinity": [[0], [1]]}, "instances", Value(2, QS_CONFIG)),
        ({}, {"affinity": [[0], [1]], "instances": 1}, "instances", Value(1, QS_CONFIG)),
        ({}, {"runner": "a:b", "clients": 5}, "instances", Value(5, QS_CONFIG)),
        ({}, {"runner": "a:b", "instances": 2}, "instances", Value(2, QS_CONFIG)),
        ({"pool": "process"}, {"instances": 1}, "instances", Value(3, COMMAND_LINE)),
        (
            {"pool": "process", "instances": 2},
            {"affinity": [[0]]},
            "affinity",
            Value([[0]], QS_CONFIG),
        ),
        (
            {},
            {"scenarios": [{"name": "Offline"}]},
            "scenarios",
            Value([{"name": "Offline"}], QS_CONFIG),
        ),
        ({}, {}, "runner", Value("backend", DEFAULT)),
        ({}, {}, "batching", Value(None, DEFAULT)),
    ],
)
def test_what_follows_from_other_values(options, qs_config, name, expected):
    assert values(request(**options), qs_config)[name] == expected


def test_batch_sizes_of_the_qs_config_win_over_the_backends_analysis():
    assert values(request(), {"batch_sizes": [16]}, best=[2, 8])["batch_sizes"] == Value(
        [16], QS_CONFIG
    )


def test_other_instances_than_the_backend_chose_share_the_cpus_anew():
    chosen = {"instances": 1, "affinity": [[0, 1, 2, 3]], "intra_op_threads": 4}
    found = values(request(instances=2), chosen, cpus=(0, 1, 2, 3))
    assert found["affinity"].value == [[0, 1], [2, 3]]
    assert found["intra_op_threads"].value == 2
    more_than_cpus = values(request(instances=3), chosen, cpus=(0, 1))
    assert more_than_cpus["affinity"].value is None
    assert more_than_cpus["intra_op_threads"].value == 1
    same = values(request(instances=1), chosen, cpus=(0, 1))
    assert same["affinity"] == Value([[0, 1, 2, 3]], QS_CONFIG)


def test_seed_zero_is_a_seed():
    assert settle("seed", (COMMAND_LINE, {"seed": 0})) == Value(0, COMMAND_LINE)
    assert settle("seed", (COMMAND_LINE, {"seed": None})) == Value(0, DEFAULT)


def test_plain_says_value_and_origin():
    assert plain({"clients": Value(3, WORKLOAD)}) == {"clients": {"value": 3, "origin": "workload"}}
