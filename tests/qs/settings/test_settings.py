"""The settings of a run and their origins: the precedence is the whole promise of
qs.settings.settings.
"""

from __future__ import annotations

import json

import pytest

from qs.base.errors import Faults
from qs.config.qs_config import Samples, WarmUp, parse_qs_config
from qs.config.workload import Workload, check_workload
from qs.settings.case import cases_of
from qs.settings.request import Request
from qs.settings.settings import Origin, Setting, Settings, settle
from qs.settings.traffic import ScenarioSettings, StopRules, Traffic

COMMAND_LINE, QS_CONFIG, BACKEND = Origin.COMMAND_LINE, Origin.QS_CONFIG, Origin.BACKEND
WORKLOAD, DEFAULT = Origin.WORKLOAD, Origin.DEFAULT
FILE = {"clients": 3, "batch_sizes": [1, 4]}


def workload(**keys) -> Workload:
    return check_workload(FILE | keys, "t.json", "t").result()[0]


def settings(
    request: Request,
    qs_config: dict | None = None,
    best: list[int] | None = None,
    cpus=(0, 1),
) -> Settings:
    config = None if qs_config is None else parse_qs_config(qs_config, "the QS config")
    return settle(request, workload(), config, best, cpus)


def request(**options) -> Request:
    return Request(task="t", hardware_type="CPU", **options)


@pytest.mark.parametrize(
    ("options", "qs_config", "name", "expected"),
    [
        ({"clients": 1}, {"clients": 2}, "clients", Setting(1, COMMAND_LINE)),
        ({}, {"clients": 2}, "clients", Setting(2, QS_CONFIG)),
        ({}, {}, "clients", Setting(3, WORKLOAD)),
        # the file does not state it: as many as show the throughput
        ({}, None, "iterations", Setting(None, DEFAULT)),
        ({}, None, "until_known", Setting(0.05, DEFAULT)),
        ({"duration": 2.0}, None, "until_known", Setting(None, DEFAULT)),
        ({}, {}, "pool", Setting("thread", DEFAULT)),
        ({"pool": "inline"}, {"pool": "thread"}, "pool", Setting("inline", COMMAND_LINE)),
        ({}, {"warmup": {"seconds": 3}}, "warmup", Setting(WarmUp(seconds=3.0), QS_CONFIG)),
        (
            {"warmup": WarmUp(iterations=0)},
            {"warmup": {"seconds": 3}},
            "warmup",
            Setting(WarmUp(iterations=0), COMMAND_LINE),
        ),
        ({}, {}, "warmup", Setting(WarmUp(iterations=1, seconds=0.5), DEFAULT)),
        ({}, {"timeout_s": 77}, "timeout_s", Setting(77.0, QS_CONFIG)),
        ({"predict_timeout": 5.0}, {"timeout_s": 77}, "timeout_s", Setting(5.0, COMMAND_LINE)),
        ({}, {}, "timeout_s", Setting(120.0, DEFAULT)),
        ({"time_limit": 20.0}, {}, "time_limit_s", Setting(20.0, COMMAND_LINE)),
        ({}, {}, "time_limit_s", Setting(10.0, DEFAULT)),
        ({"iterations": 5}, {}, "time_limit_s", Setting(None, DEFAULT)),
        (
            {},
            {"instances": 2, "affinity": [[0], [1]]},
            "affinity",
            Setting(((0,), (1,)), QS_CONFIG),
        ),
        ({}, {"samples": {"seed": 5}}, "samples", Setting(Samples(seed=5), QS_CONFIG)),
        (
            {"sample_count": 3},
            {"samples": {"seed": 5}},
            "samples",
            Setting(Samples(count=3), COMMAND_LINE),
        ),
        ({"verify": "all"}, {"verify": "sample"}, "verify", Setting("all", COMMAND_LINE)),
        ({}, {"verify": "sample"}, "verify", Setting("sample", QS_CONFIG)),
        ({"numeric_items": 2}, {}, "numeric_items", Setting(2, COMMAND_LINE)),
        ({"seed": 0}, {}, "seed", Setting(0, COMMAND_LINE)),  # a seed like any other
        ({}, {}, "seed", Setting(0, DEFAULT)),
        (
            {"traffic": Traffic(max_batch_size=4, max_delay_us=10.0, rate_per_s=5.0)},
            {},
            "scenarios",
            Setting((ScenarioSettings("Poisson", rate_per_s=5.0),), COMMAND_LINE),
        ),
        (
            {"traffic": Traffic("ClosedLoop")},
            {"scenarios": [{"name": "Offline"}]},
            "scenarios",
            Setting((), COMMAND_LINE),
        ),
        (
            {"traffic": Traffic(stop=StopRules(max_errors=1))},
            {},
            "stop",
            Setting(StopRules(max_errors=1), COMMAND_LINE),
        ),
        (
            {"clients": 1, "origins": {"clients": "QS_CLIENTS"}},
            {},
            "clients",
            Setting(1, "QS_CLIENTS"),
        ),
        (
            {"predict_timeout": 5.0, "origins": {"predict_timeout": "qs.cfg [qs]"}},
            {},
            "timeout_s",
            Setting(5.0, "qs.cfg [qs]"),
        ),
        ({"origins": {"clients": "QS_CLIENTS"}}, {}, "clients", Setting(3, WORKLOAD)),
    ],
)
def test_the_first_that_states_a_value_wins(options, qs_config, name, expected):
    assert getattr(settings(request(**options), qs_config), name) == expected


def test_batch_sizes_of_the_backend_replace_the_workloads_but_not_the_command_lines():
    assert settings(request(), {}, best=[2, 8]).batch_sizes == Setting((2, 8), BACKEND)
    line = settings(request(batch_sizes=(1,)), {}, best=[2, 8])
    assert line.batch_sizes == Setting((1,), COMMAND_LINE)
    assert settings(request(), {}, best=None).batch_sizes == Setting((1, 4), WORKLOAD)


def test_batch_sizes_of_the_qs_config_win_over_the_backends_analysis():
    found = settings(request(), {"batch_sizes": [16]}, best=[2, 8])
    assert found.batch_sizes == Setting((16,), QS_CONFIG)


@pytest.mark.parametrize(
    ("options", "iterations", "duration", "limit"),
    [
        # nobody stated how many queries: until the throughput is known, within a limit
        ({}, (None, DEFAULT), (None, DEFAULT), (10.0, DEFAULT)),
        ({"time_limit": 4.0}, (None, DEFAULT), (None, DEFAULT), (4.0, COMMAND_LINE)),
        ({"duration": 5.0}, (None, COMMAND_LINE), (5.0, COMMAND_LINE), (None, DEFAULT)),
        (
            {"duration": 5.0, "iterations": 10},
            (10, COMMAND_LINE),
            (5.0, COMMAND_LINE),
            (None, DEFAULT),
        ),
        (
            {"traffic": Traffic(stop=StopRules(until_stable=0.01))},
            (None, COMMAND_LINE),
            (None, DEFAULT),
            (600.0, DEFAULT),
        ),
        (
            {"traffic": Traffic(stop=StopRules(min_queries=9))},
            (None, COMMAND_LINE),
            (None, DEFAULT),
            (None, DEFAULT),
        ),
        ({"artifact": "m.onnx"}, (None, DEFAULT), (None, DEFAULT), (10.0, DEFAULT)),
    ],
)
def test_how_long_follows_from_what_is_stated(options, iterations, duration, limit):
    found = settings(request(**options))
    assert found.iterations == Setting(*iterations)
    assert found.duration_s == Setting(*duration)
    assert found.time_limit_s == Setting(*limit)


@pytest.mark.parametrize(
    ("options", "qs_config", "name", "expected"),
    [
        ({}, {"runner": "async"}, "pool", Setting("async", QS_CONFIG)),
        ({"pool": "async"}, {}, "runner", Setting("async", COMMAND_LINE)),
        ({"pool": "async"}, {"runner": "backend"}, "runner", Setting("backend", QS_CONFIG)),
        ({"pool": "thread"}, {"runner": "async"}, "pool", Setting("thread", COMMAND_LINE)),
        ({"pool": "thread"}, {"runner": "async"}, "runner", Setting("backend", COMMAND_LINE)),
        ({}, {"runner": "async", "instances": 2}, "instances", Setting(1, QS_CONFIG)),
        ({}, {"affinity": [[0], [1]]}, "instances", Setting(2, QS_CONFIG)),
        ({}, {"runner": "a:b", "clients": 5}, "instances", Setting(5, QS_CONFIG)),
        ({}, {"runner": "a:b", "instances": 2}, "instances", Setting(2, QS_CONFIG)),
        ({"pool": "process"}, {"instances": 1}, "instances", Setting(3, COMMAND_LINE)),
        (
            {"pool": "process", "instances": 2},
            {"affinity": [[0]]},
            "affinity",
            Setting(((0,),), QS_CONFIG),
        ),
        (
            {},
            {"scenarios": [{"name": "Offline"}]},
            "scenarios",
            Setting((ScenarioSettings("Offline"),), QS_CONFIG),
        ),
        ({}, {}, "runner", Setting("backend", DEFAULT)),
        ({}, {}, "batching", Setting(None, DEFAULT)),
    ],
)
def test_what_follows_from_other_values(options, qs_config, name, expected):
    assert getattr(settings(request(**options), qs_config), name) == expected


def test_instances_that_the_backend_did_not_choose_share_the_cpus_anew():
    chosen = {"instances": 1, "affinity": [[0, 1, 2, 3]], "intra_op_threads": 4}
    found = settings(request(instances=2), chosen, cpus=(0, 1, 2, 3))
    assert found.affinity == Setting(((0, 1), (2, 3)), DEFAULT)
    assert found.intra_op_threads == Setting(2, DEFAULT)
    more_than_cpus = settings(request(instances=3), chosen, cpus=(0, 1))
    assert more_than_cpus.affinity.value is None
    assert more_than_cpus.intra_op_threads.value == 1
    same = settings(request(instances=1), chosen, cpus=(0, 1))
    assert same.affinity == Setting(((0, 1, 2, 3),), QS_CONFIG)
    stated = settings(request(instances=2, intra_op_threads=7), chosen, cpus=(0, 1, 2, 3))
    assert stated.intra_op_threads == Setting(7, COMMAND_LINE)


def test_options_that_do_not_go_together_are_refused():
    with pytest.raises(Faults, match="--rate is missing"):
        settings(request(traffic=Traffic("Poisson")))


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({"duration_s": 2.0}, "iterations", None),
        ({"duration_s": 2.0, "iterations": 7}, "iterations", 7),
        ({"pool": "process", "clients": 2}, "instances", 2),
        ({"pool": "process", "clients": 2}, "affinity", ((0, 1), (2, 3))),
        ({"pool": "async"}, "instances", 1),
        ({"instances": 4}, "affinity", ((0,), (1,), (2,), (3,))),
        ({"instances": 4}, "intra_op_threads", 1),
        ({"instances": 4, "intra_op_threads": 3, "affinity": None}, "intra_op_threads", 3),
        ({"instances": 4, "intra_op_threads": 3, "affinity": None}, "affinity", None),
        ({"clients": 2}, "affinity", None),
    ],
)
def test_a_trial_changes_values_and_what_follows_from_them(changes, name, expected):
    before = settings(request(), cpus=(0, 1, 2, 3))
    found = before.changed(changes, "this trial", (0, 1, 2, 3))
    assert getattr(found, name).value == expected
    assert all(getattr(found, each).origin == "this trial" for each in changes)
    assert found.batch_sizes is before.batch_sizes


WHOLE = {
    "runner": "own:make",
    "artifact": "x.bin",
    "pool": "process",
    "instances": 2,
    "clients": 2,
    "iterations": 3,
    "batch_sizes": [2],
    "affinity": [[0], [1]],
    "intra_op_threads": 1,
    "warmup": {"iterations": 0},
    "scenarios": [{"name": "Server", "target_qps": 5.0, "latency_slo_ms": 70.0, "seed": 1}],
    "batching": {"max_batch_size": 4},
    "timeout_s": 5.0,
    "samples": {"count": 3},
    "verify": "all",
}


def test_the_report_has_plain_values_under_the_published_names():
    found = settings(request(), WHOLE).report()
    assert json.loads(json.dumps(found)) == found
    assert {name: found[name]["value"] for name in WHOLE} == WHOLE
    assert {found[name]["origin"] for name in WHOLE} == {"QS config"}
    others = {name: entry["value"] for name, entry in found.items() if name not in WHOLE}
    assert others == {
        "numeric_items": 16,
        "workers": None,
        "seed": 0,
        "stop": None,
        "think_time_s": None,
        "drain_s": None,
        "max_backlog": None,
        "spin": "auto",
        "duration_s": None,
        "time_limit_s": None,
        "until_known": None,
        "goals": None,
    }


def test_the_report_keeps_what_was_typed():
    stop = StopRules(max_errors=2, max_error_rate=0.1)
    traffic = Traffic(rate_per_s=5.0, stages=None, stop=stop, max_batch_size=2)
    found = settings(request(traffic=traffic, batch_sizes=(1, 2), sample_count=4)).report()
    assert found["stop"] == {
        "value": {"max_errors": 2, "max_error_rate": 0.1},
        "origin": "command line",
    }
    assert found["scenarios"]["value"] == [{"name": "Poisson", "target_qps": 5.0}]
    assert found["batching"]["value"] == {"max_batch_size": 2, "max_delay_us": 0.0}
    assert found["batch_sizes"]["value"] == [1, 2]
    assert found["samples"]["value"] == {"count": 4}
    assert found["warmup"] == {"value": {"iterations": 1, "seconds": 0.5}, "origin": "default"}


def test_a_vendors_runner_gets_the_config_that_holds():
    expected = {name: value for name, value in WHOLE.items() if name != "verify"}
    assert settings(request(), WHOLE).qs_config() == {"qs_version": 2, **expected}
    assert settings(request(clients=1), {}).qs_config() == {
        "qs_version": 2,
        "runner": "backend",
        "pool": "thread",
        "instances": 1,
        "clients": 1,
        "batch_sizes": [1, 4],
        "warmup": {"iterations": 1, "seconds": 0.5},
        "timeout_s": 120.0,
    }


@pytest.mark.parametrize("bound_ms", [50.0, 70.0, 0.3, 15.123456])
def test_a_bound_in_ms_comes_out_as_it_went_in(bound_ms):
    entry = {"name": "Server", "target_qps": 1.0, "latency_slo_ms": bound_ms}
    found = settings(request(), {"scenarios": [entry]})
    assert found.scenarios.value[0].bound_s == bound_ms / 1e3
    assert found.report()["scenarios"]["value"] == [entry]


def test_seconds_of_the_command_line_are_whole_milliseconds_in_the_report():
    (scenario,) = Traffic("Server", rate_per_s=1.0, bound_s=0.07).scenarios()
    assert scenario.published()["latency_slo_ms"] == 70.0


@pytest.mark.parametrize(
    ("options", "config", "iterations", "duration"),
    [
        ({}, {}, None, Setting(3.0, WORKLOAD)),
        ({"duration": 1.0}, {}, None, Setting(1.0, COMMAND_LINE)),
        ({"iterations": 7}, {}, 7, Setting(None, COMMAND_LINE)),
        ({}, {"iterations": 7}, 7, Setting(None, QS_CONFIG)),
        (
            {"traffic": Traffic(stop=StopRules(min_queries=9))},
            {},
            None,
            Setting(None, COMMAND_LINE),
        ),
    ],
)
def test_what_is_chosen_replaces_the_duration_of_a_workload(options, config, iterations, duration):
    task = check_workload({"model": "m", "duration": 3, "iterations": 50}, "w.json", "t").value
    found = settle(request(**options), task, parse_qs_config(config, "c"), None, (0, 1))
    assert (found.iterations.value, found.duration_s) == (iterations, duration)
    assert found.until_known.value is None and found.time_limit_s.value is None


def test_a_limit_that_is_only_a_default_ends_no_open_loop_and_no_trial():
    plain = settings(request(), {})
    assert [(case.until_known, case.time_limit_s) for case in cases_of(plain)][0] == (0.05, 10.0)
    trial = plain.changed({"duration_s": 30.0}, "this trial", (0, 1))
    assert [(case.until_known, case.time_limit_s) for case in cases_of(trial)][0] == (None, None)
    scenario = (ScenarioSettings("Stages", stages=((60.0, 5.0, False),)),)
    loaded = plain.changed({"scenarios": scenario}, "this trial", (0, 1))
    (case, *_) = cases_of(loaded)
    assert (case.until_known, case.time_limit_s) == (None, None)
    limited = settings(request(time_limit=4.0), {}).changed({"duration_s": 30.0}, "it", (0, 1))
    assert cases_of(limited)[0].time_limit_s == 4.0
