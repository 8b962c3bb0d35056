"""What is of one machine, and what is the total of all nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from qs.config.qs_config import parse_qs_config
from qs.config.workload import check_workload
from qs.nodes.asked import over
from qs.settings.case import cases_of
from qs.settings.request import Request
from qs.settings.run_plan import check_plans, plan_of
from qs.settings.settings import Settings, settle
from qs.settings.traffic import Traffic

CPUS = tuple(range(8))
WORKLOAD, _ = check_workload(
    {"model": "m", "clients": 3, "batch_sizes": [1]}, "t.json", "t"
).result()


def settled(nodes: int, config: dict[str, Any] | None = None, **line: Any) -> Settings:
    request = Request(task="t", hardware_type="CPU", **line)
    found = parse_qs_config(config or {}, "the QS config")
    return over(settle(request, WORKLOAD, found, None, CPUS), nodes, CPUS)


@pytest.mark.parametrize(
    ("config", "line", "clients", "instances"),
    [
        ({}, {}, 6, 2),
        ({}, {"clients": 8}, 8, 2),
        ({"clients": 4, "instances": 2}, {}, 8, 4),
        ({"clients": 4, "instances": 2}, {"clients": 5}, 5, 4),
        ({"clients": 4}, {"instances": 6}, 8, 6),
        ({"pool": "process", "clients": 4}, {}, 8, 8),
        ({"pool": "process"}, {"clients": 5}, 5, 5),
        ({"pool": "async", "runner": "async"}, {}, 6, 2),
        ({"pool": "async", "runner": "async"}, {"workers": 6}, 6, 6),
        ({"affinity": [[0, 1], [2, 3]]}, {}, 6, 4),
        ({}, {"affinity": ((0,), (1,), (2,))}, 6, 6),
        ({"runner": "own:make"}, {"clients": 8}, 8, 8),
    ],
)
def test_numbers_that_nobody_typed_are_of_each_node(config, line, clients, instances):
    settings = settled(2, config, **line)
    assert (settings.clients.value, settings.instances.value) == (clients, instances)
    [case] = cases_of(settings)
    assert (case.clients, case.instances) == (clients, instances)
    assert plan_of(case, settings).pool.instances == instances


def test_one_node_is_one_machine():
    request = Request(task="t", hardware_type="CPU")
    config = parse_qs_config({"clients": 4, "instances": 2, "affinity": [[0], [1]]}, "c")
    alone = settle(request, WORKLOAD, config, None, CPUS)
    assert replace(over(alone, 1, CPUS), nodes=alone.nodes) == alone


def test_cpus_are_shared_out_among_the_copies_of_one_node():
    settings = settled(2, instances=8)
    assert settings.affinity.value == ((0, 1), (2, 3), (4, 5), (6, 7))
    assert settings.intra_op_threads.value == 2
    changed = settings.changed({"instances": 4}, "a trial", CPUS)
    assert changed.affinity.value == ((0, 1, 2, 3), (4, 5, 6, 7))
    assert changed.changed({"pool": "async"}, "a trial", CPUS).instances.value == 2


def test_rates_of_the_qs_config_are_of_each_node_and_typed_ones_the_total():
    config = {"scenarios": [{"name": "Poisson", "target_qps": 100.0}]}
    [scenario] = settled(3, config).scenarios.value or ()
    assert scenario.rate_per_s == 300.0
    [scenario] = settled(3, config, traffic=Traffic(rate_per_s=50.0)).scenarios.value or ()
    assert scenario.rate_per_s == 50.0


def test_what_cannot_be_split_is_refused_with_every_reason():
    settings = settled(4, clients=3, instances=2)
    with pytest.raises(Exception, match="clients: 3 .*; pool instances: 2 "):
        check_plans(settings, CPUS)
    check_plans(settled(2, clients=3, instances=2), CPUS)
