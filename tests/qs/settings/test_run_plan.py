"""What each key of a QS config, and each option, makes of the cases and of the engine's plans."""

from __future__ import annotations

import pytest

from qs.base.errors import UserError
from qs.config.qs_config import WarmUp, parse_qs_config
from qs.config.workload import check_workload
from qs.engine import (
    Batching,
    ClosedLoop,
    ConstantRate,
    Gamma,
    MultiStream,
    Offline,
    Poisson,
    Pool,
    Replay,
    RunPlan,
    Server,
    Sessions,
    SingleStream,
    Stage,
    Stages,
)
from qs.settings.case import Case, cases_of
from qs.settings.limits import Limits
from qs.settings.request import Request
from qs.settings.run_plan import check_plans, plan_of
from qs.settings.settings import Settings, settle
from qs.settings.traffic import ScenarioSettings, StopRules, Traffic

CPUS = (0, 1, 2, 3)


def settings(config: dict, **options) -> Settings:
    """With a workload of 3 clients, 100 iterations each, at batch size 1."""
    stated = {"clients": 3, "iterations": 100, "batch_sizes": [1]}
    workload = check_workload(stated, "t.json", "t").value
    request = Request(task="t", hardware_type="TINY", **options)
    return settle(request, workload, parse_qs_config(config, "the QS config"), None, CPUS)


def planned(config: dict, **options) -> tuple[Case, RunPlan]:
    """The first case and its plan."""
    found = settings(config, **options)
    case = cases_of(found)[0]
    return case, plan_of(case, found)


def value_at(root: object, path: str) -> object:
    for name in path.split("."):
        root = getattr(root, name)
    return root


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, {"load": ClosedLoop(3, 100), "stop.duration_s": None}),
        ({"clients": 2, "iterations": 5}, {"load": ClosedLoop(2, 5)}),
        ({"warmup": {"iterations": 7}}, {"warmup_iterations": 7, "warmup_s": 0.0}),
        ({"warmup": {"seconds": 2}}, {"warmup_iterations": 0, "warmup_s": 2.0}),
        ({}, {"warmup_iterations": 1, "warmup_s": 0.5}),
        ({"timeout_s": 77}, {"timeout_s": 77.0, "drain_s": 77.0}),
        ({}, {"pool": Pool("thread", instances=1)}),
        ({"instances": 2}, {"pool": Pool("thread", instances=2)}),
        ({"clients": 2, "instances": 5}, {"pool": Pool("thread", instances=2)}),
        (
            {"affinity": [[0], [1]], "intra_op_threads": 3},
            {"pool": Pool("thread", instances=2, affinity=((0,), (1,)), intra_op_threads=3)},
        ),
        ({"pool": "process", "clients": 2}, {"pool": Pool("process", instances=2)}),
        ({"pool": "inline", "clients": 1}, {"pool": Pool("inline", instances=1)}),
        ({"runner": "async", "clients": 4}, {"pool": Pool("async", instances=1)}),
        ({"runner": "own:make", "clients": 4}, {"pool": Pool("thread", instances=4)}),
    ],
)
def test_a_key_of_the_qs_config(config, expected):
    _, plan = planned(config)
    assert {path: value_at(plan, path) for path in expected} == expected
    assert plan.faults() == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"clients": 2, "iterations": 5}, {"load": ClosedLoop(2, 5)}),
        ({"duration": 4.0}, {"load": ClosedLoop(3, None), "stop.duration_s": 4.0}),
        ({"time_limit": 8.0}, {"stop.max_duration_s": 8.0, "interval_s": 0.4}),
        ({"warmup": WarmUp(iterations=0)}, {"warmup_iterations": 0, "warmup_s": 0.0}),
        ({"traffic": Traffic(think_time_s=0.2)}, {"load": ClosedLoop(3, 100, 0.2)}),
        ({"traffic": Traffic(drain_s=3.0)}, {"drain_s": 3.0, "timeout_s": 120.0}),
        (
            {"traffic": Traffic(stop=StopRules(until_stable=0.01, stable_percentile=90.0))},
            {
                "load": ClosedLoop(3, None),
                "stop.until_stable": 0.01,
                "stop.stable_percentile": 90.0,
                "stop.max_duration_s": 600.0,
            },
        ),
        (
            {"traffic": Traffic(stop=StopRules(max_errors=2, max_error_rate=0.1))},
            {"stop.max_errors": 2, "stop.max_error_rate": 0.1},
        ),
        (
            {"traffic": Traffic(rate_per_s=200.0), "seed": 5},
            {"load": Poisson(200.0, 5), "stop.duration_s": 10.0, "pool.workers": 3},
        ),
        (
            {"traffic": Traffic(rate_per_s=200.0), "iterations": 40},
            {"load": Poisson(200.0, 0), "stop.duration_s": None, "stop.iterations": 40},
        ),
        (
            {"traffic": Traffic(rate_per_s=200.0, stop=StopRules(min_queries=9))},
            {"stop.duration_s": None, "stop.min_queries": 9},
        ),
        (
            {"traffic": Traffic(rate_per_s=200.0, arrivals="even"), "duration": 3.0},
            {"load": ConstantRate(200.0), "stop.duration_s": 3.0, "interval_s": 0.15},
        ),
        (
            {"traffic": Traffic(stages=((1.0, 5.0, False), (2.0, 9.0, True))), "seed": 3},
            {"load": Stages((Stage(1.0, 5.0), Stage(2.0, 9.0, True)), 3), "stop.duration_s": None},
        ),
        (
            {"traffic": Traffic(rate_per_s=200.0, burstiness=0.5), "seed": 3},
            {"load": Gamma(200.0, 0.5, 3), "stop.duration_s": 10.0},
        ),
        (
            {"traffic": Traffic(users=4, think_time_s=2.0), "pool": "async"},
            {
                "load": Sessions(users=4, think_time_s=2.0),
                "stop.duration_s": 10.0,
                "pool.max_in_flight": None,
            },
        ),
        (
            {"traffic": Traffic(sessions_per_s=4.0), "pool": "async", "clients": 6, "seed": 2},
            {"load": Sessions(arrivals=Poisson(4.0, 2)), "pool.max_in_flight": 6},
        ),
        (
            {
                "traffic": Traffic(sessions_per_s=4.0, arrivals="even"),
                "pool": "async",
                "iterations": 40,
            },
            {"load": Sessions(arrivals=ConstantRate(4.0)), "stop.iterations": 40},
        ),
        (
            {
                "traffic": Traffic(sessions_per_s=4.0, arrivals="gamma", burstiness=0.2),
                "pool": "async",
            },
            {"load": Sessions(arrivals=Gamma(4.0, 0.2, 0)), "stop.duration_s": 10.0},
        ),
        (
            {"traffic": Traffic(stages=((1.0, 5.0, False),), arrivals="even")},
            {"load": Stages((Stage(1.0, 5.0),), None)},
        ),
        (
            {"traffic": Traffic(rate_per_s=5.0, max_backlog=7, spin="never")},
            {"max_backlog": 7, "pool.spin": "never"},
        ),
        (
            {"traffic": Traffic(rate_per_s=5.0, max_batch_size=4, max_delay_us=2000.0)},
            {"batching": Batching(4, 2000.0)},
        ),
        (
            {"traffic": Traffic("Server", rate_per_s=100.0, bound_s=0.05, percentile=95.0)},
            {
                "scenario.rate_per_s": 100.0,
                "scenario.bound_s": 0.05,
                "scenario.percentile": 95.0,
                "scenario.min_duration_s": 600.0,
            },
        ),
        (
            {"pool": "async", "workers": 4, "clients": 8},
            {"pool.workers": 4, "pool.instances": 4, "load.clients": 8},
        ),
        (
            {"pool": "async", "workers": 2, "traffic": Traffic(rate_per_s=200.0)},
            {"pool.workers": 2, "pool.max_in_flight": None},
        ),
        (
            {"traffic": Traffic("SingleStream", stop=StopRules(max_errors=4))},
            {"stop.max_errors": 4, "scenario.min_duration_s": 600.0},
        ),
    ],
)
def test_an_option_of_the_command_line(options, expected):
    _, plan = planned({}, **options)
    assert {path: value_at(plan, path) for path in expected} == expected
    assert plan.faults() == []


def test_recorded_due_times_are_read(tmp_path):
    file = tmp_path / "due.txt"
    file.write_text("0.5\n1.5\n")
    _, plan = planned({}, traffic=Traffic(replay=file, replay_speed=2.0))
    assert isinstance(plan.load, Replay)
    assert (list(plan.load.due_s), plan.load.speed) == ([0.5, 1.5], 2.0)
    with pytest.raises(UserError, match="--replay: .*none.txt"):
        planned({}, traffic=Traffic(replay=tmp_path / "none.txt"))


def test_due_times_of_prompts_are_read_where_they_were_written(tmp_path):
    dues = tmp_path / "dues.txt"
    dues.write_text("0.5\n0.5\n3\n")
    traffic = Traffic(replay_speed=2.0).with_dues(tmp_path / "trace.jsonl", dues)
    _, plan = planned({}, traffic=traffic)
    assert list(plan.load.due_s) == [0.5, 0.5, 3.0] and plan.load.speed == 2.0


def test_each_batch_size_is_a_case():
    cases = cases_of(settings({"batch_sizes": [2, 4]}))
    assert [(case.name, case.batch_size) for case in cases] == [("bs2-c3", 2), ("bs4-c3", 4)]


SCENARIOS = [
    {"name": "SingleStream", "duration_s": 0.05, "percentile": 80},
    {"name": "MultiStream", "duration_s": 0.05, "samples_per_query": 3, "percentile": 80},
    {"name": "Server", "target_qps": 200, "latency_slo_ms": 70, "duration_s": 0.2, "seed": 3},
    {"name": "Offline", "duration_s": 0.0001, "target_qps": 900},
]


def test_the_engines_scenarios():
    found = settings({"scenarios": SCENARIOS, "iterations": 20})
    cases = cases_of(found)
    assert [plan_of(case, found).scenario for case in cases] == [
        SingleStream(percentile=80.0, min_duration_s=0.05, min_queries=20),
        MultiStream(samples_per_query=3, percentile=80.0, min_duration_s=0.05, min_queries=20),
        Server(200.0, 0.07, min_duration_s=0.2, min_queries=20, seed=3),
        Offline(expected_samples_per_s=900.0, min_samples=20, min_duration_s=0.0001),
    ]
    assert [case.name for case in cases] == [
        "bs1-1-singlestream",
        "bs1-2-multistream",
        "bs1-3-server",
        "bs1-4-offline",
    ]
    assert [case.clients for case in cases] == [1, 1, 3, 3]
    assert [case.lists for case in cases] == [False, True, False, False]
    assert [case.open_loop for case in cases] == [False, False, True, True]


def test_the_workloads_iterations_are_no_scenarios():
    """They are the closed loop's; MLPerf's own number of queries holds."""
    case, plan = planned({"scenarios": SCENARIOS[:1]})
    assert case.iterations is None and plan.scenario.min_queries is None


def test_the_command_lines_duration_and_count_are_the_scenarios():
    config = {"scenarios": [{"name": "SingleStream", "duration_s": 500}], "iterations": 2}
    case, plan = planned(config, duration=0.3, iterations=70)
    assert (case.duration_s, plan.scenario.min_duration_s, plan.scenario.min_queries) == (
        0.3,
        0.3,
        70,
    )


def test_the_seed_of_a_run_is_that_of_arrivals_without_their_own():
    entry = {"name": "Server", "target_qps": 5, "duration_s": 1}
    found = settings({"scenarios": [entry, entry | {"seed": 3}]}, seed=8)
    assert [case.scenario.seed for case in cases_of(found)] == [8, 3]


def test_a_row_shows_every_setting_that_its_scenario_reads():
    config = {"scenarios": [SCENARIOS[2], {"name": "Stages", "stages": [[1, 5], [2, 9, True]]}]}
    server, stages = cases_of(settings(config))
    assert server.scenario.settings() == {
        "target_qps": 200.0,
        "latency_slo_ms": 70.0,
        "percentile": None,
        "duration_s": 0.2,
        "seed": 3,
    }
    expected = {"stages": [[1.0, 5.0], [2.0, 9.0, True]], "arrivals": None, "seed": 0}
    assert stages.scenario.settings() == expected


def test_a_setting_that_means_nothing_in_a_scenario_warns_and_is_left_out():
    entry = {"name": "SingleStream", "target_qps": 5, "seed": 1}
    found = settings({"scenarios": [entry]})
    (scenario,) = found.scenarios.value
    assert scenario.warnings == [
        "target_qps means nothing in SingleStream; it has no effect",
        "seed means nothing in SingleStream; it has no effect",
    ]
    assert cases_of(found)[0].scenario == ScenarioSettings("SingleStream")


def test_queries_share_calls_in_open_loop_alone():
    config = {"batching": {"max_batch_size": 4, "max_delay_us": 50_000}, "scenarios": SCENARIOS}
    found = settings(config)
    cases = cases_of(found)
    assert [case.shared_by for case in cases] == [None, None, 4, 4]
    shared = Batching(4, 50_000.0)
    assert [plan_of(case, found).batching for case in cases] == [None, None, shared, shared]


@pytest.mark.parametrize(("options", "bound"), [({}, None), ({"clients": 6}, 6)])
def test_chosen_clients_bound_the_coroutines_of_an_open_loop(options, bound):
    config = {"runner": "async", "scenarios": [SCENARIOS[2]]}
    _, plan = planned(config, **options)
    assert (plan.pool.max_in_flight, plan.pool.workers) == (bound, None)


def test_each_copy_has_its_time_to_load():
    found = settings({"instances": 3})
    (case,) = cases_of(found)
    assert plan_of(case, found, Limits(load_s=100.0)).build_timeout_s == 360.0


def test_a_trial_sets_its_intervals_and_whether_the_engine_is_calibrated():
    found = settings({}).changed({"interval_s": 0.125, "calibrate": False}, "this trial", CPUS)
    plan = plan_of(cases_of(found)[0], found)
    assert (plan.interval_s, plan.calibrate) == (0.125, False)


@pytest.mark.parametrize(
    ("config", "options", "reason"),
    [
        (
            {"runner": "backend"},
            {"pool": "async"},
            "pool 'async' (command line): predict of the runner 'backend'",
        ),
        (
            {"pool": "process"},
            {"in_process": True},
            "pool 'process' (QS config): with --in_process there are no other processes",
        ),
        ({"affinity": [[9]]}, {}, "affinity (QS config): names CPUs 9,"),
        ({"affinity": [[0]]}, {"affinity": ((8,),)}, "affinity (command line): names CPUs 8,"),
        ({"pool": "inline", "clients": 4}, {}, "inline"),
        (
            {},
            {"workers": 4},
            "workers 4 (command line): allowed with pool 'async' only, not with pool 'thread' "
            "(default); it has a worker for each client (--clients)",
        ),
        ({"runner": "async"}, {"workers": 2, "in_process": True}, "workers 2 (command line): with"),
        ({}, {"traffic": Traffic(users=2)}, "requests to a language model's server"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_loaded(config, options, reason):
    with pytest.raises(UserError) as refused:
        check_plans(settings(config, **options), CPUS, options.get("in_process", False))
    assert reason in str(refused.value)


def test_the_limit_of_a_predict_is_the_settled_one():
    request = Request(task="t", hardware_type="TINY", load_timeout=5.0, predict_timeout=3.0)
    assert Limits.of_request(request) == Limits(load_s=5.0, predict_s=3.0)
    assert Limits.of_request(request, 7.0).predict_s == 7.0
