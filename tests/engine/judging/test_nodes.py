"""What is said about a run over several nodes: caveats that only their comparison shows, those that
the nodes found out themselves, and the loss of one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qs.engine import Cause, ClosedLoop, Doubt, Ending, ErrorKind, Poisson, RunPlan, Stop
from qs.engine.judging.caveats import caveats_of
from qs.engine.judging.caveats.whole import caveats_of_whole
from qs.engine.judging.rules import judge
from qs.engine.result import ClockReading, NodePart
from qs.engine.ruling import Caveat
from tests.engine.judging.test_caveats import MS, cpu, histogram, result_of, rows

US = 1_000
OPEN = RunPlan(load=Poisson(100, seed=1), stop=Stop(duration_s=10))
CLOSED = RunPlan(load=ClosedLoop(clients=2, iterations=500))


def node(name="a", skew_ns=0, uncertainty_ns=100 * US, result=None, facts=None, **more):
    clock = ClockReading(0, uncertainty_ns, 0.0, 100, 50 * US)
    result = result_of() if result is None else result
    return NodePart(name, "10.0.0.1", "part", result, clock, skew_ns, facts=facts or {}, **more)


def codes(nodes, plan=OPEN, open_loop=True, **changes):
    return [
        str(each.code) for each in caveats_of(result_of(open_loop, nodes=nodes, **changes), plan)
    ]


def test_sound_nodes_have_none():
    alike = {"cpu_model": "X", "python": "3.11.2", "machine": None, "versions": {"numpy": "2.1"}}
    assert codes([node("a", facts=alike), node("b", facts=dict(alike)), node("c")]) == []


def test_one_machine_has_no_caveats_about_nodes():
    assert codes([]) == codes([node(skew_ns=10**9, uncertainty_ns=10**9)]) == []


@pytest.mark.parametrize(
    ("skews", "open_loop", "percentiles", "expected"),
    [
        ((0, 9 * MS, 5 * MS), True, (99.0,), []),  # 0.9 of 10 s / 1000
        ((0, 11 * MS, 5 * MS), True, (99.0,), ["start_skew"]),
        ((-6 * MS, 5 * MS), True, (99.0,), ["start_skew"]),
        ((0, 2 * MS), True, (99.9,), ["start_skew"]),
        ((0, 90 * MS), False, (99.0,), []),
        ((0, 110 * MS), False, (99.0,), ["start_skew"]),
        ((0, None), True, (99.0,), []),
    ],
)
def test_start_skew(skews, open_loop, percentiles, expected):
    nodes = [node(str(number), skew) for number, skew in enumerate(skews)]
    plan = replace(OPEN if open_loop else CLOSED, percentiles=percentiles)
    found = codes(nodes, plan, open_loop)
    assert [code for code in found if code != "too_few_samples"] == expected


def test_one_that_took_over_is_not_late():
    nodes = [node("a"), node("b", 5_000 * MS, replaces="c")]
    assert codes(nodes) == []


@pytest.mark.parametrize(("uncertainty_ns", "expected"), [(99 * MS, []), (101 * MS, ["clock"])])
def test_clock(uncertainty_ns, expected):
    assert codes([node("a"), node("b", uncertainty_ns=uncertainty_ns)]) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"cpu_model": "X"}, {"cpu_model": "Y"}, "CPU: X on a, Y on b"),
        ({"cores": 4.0}, {"cores": 8.0}, "cores: 4.0 on a, 8.0 on b"),
        ({"cores": 4.0}, {}, None),  # unknown
        ({"cores": 4.0}, {"cores": None}, None),
        ({"mhz": 4.0}, {"mhz": 8.0}, None),
        ({"versions": {"numpy": "1"}}, {"versions": {"numpy": "2"}}, "numpy: 1 on a, 2 on b"),
        ({"versions": {"numpy": "1"}}, {"versions": {}}, None),
        (
            {"implementation": "CPython", "python": "3.11"},
            {"implementation": "PyPy", "python": "3.11"},
            "Python: CPython 3.11 on a, PyPy 3.11 on b",
        ),
        (
            {"environment": {"OMP_NUM_THREADS": "1"}},
            {"environment": {"OMP_NUM_THREADS": "8"}},
            "OMP_NUM_THREADS: 1 on a, 8 on b",
        ),
        (
            {"environment": {"CUDA_VISIBLE_DEVICES": "0"}},
            {"environment": {"CUDA_VISIBLE_DEVICES": "1"}},
            None,
        ),
        ({"cpu_model": "X\nY" * 99}, {"cpu_model": [1]}, "X YX Y"),  # a node tells anything
        ({"versions": 7, "environment": "no"}, {"versions": [3]}, None),
    ],
)
def test_nodes_unlike(one, other, expected):
    result = result_of(nodes=[node("a", facts=one), node("b", facts=other)])
    found = [each for each in caveats_of(result, CLOSED) if each.code is Doubt.NODES_UNLIKE]
    assert [expected in each.text for each in found] == ([] if expected is None else [True])
    assert all("\n" not in str(each) for each in found)


def test_many_unlike_nodes_are_said_in_a_line():
    nodes = [node(f"n{each}", facts={"cpus": each, "cores": each % 2}) for each in range(1000)]
    (found,) = caveats_of(result_of(nodes=nodes), CLOSED)
    assert len(str(found)) < 500 and "997 more" in found.text


@pytest.mark.parametrize(
    ("machines", "expected"),
    [
        ("xyz", None),
        ("xx", "a and b are one machine:"),
        ("xxyy", "a and b and c and d are one machine each:"),
        ((None, None), None),
        ("xxxxxx", "a, b, c and 3 more are one machine:"),
    ],
)
def test_nodes_together(machines, expected):
    nodes = [node("abcdefg"[at], facts={"machine": each}) for at, each in enumerate(machines)]
    found = [each.text for each in caveats_of(result_of(nodes=nodes), CLOSED)]
    assert [text.startswith(expected) for text in found] == ([] if expected is None else [True])


@pytest.mark.parametrize(
    ("medians_ms", "count", "expected"),
    [
        ((10, 10, 14), 400, []),
        ((10, 10, 16), 400, ["slow_node"]),
        ((10, 10, 16), 399, []),  # too few to tell
        ((16, 10), 400, ["slow_node"]),
        ((16, 16, 10), 400, []),  # a fast one
    ],
)
def test_slow_node(medians_ms, count, expected):
    nodes = [
        node(str(at), result=result_of(service=histogram(np.full(count, ms * MS))))
        for at, ms in enumerate(medians_ms)
    ]
    assert codes(nodes, CLOSED, open_loop=False) == expected


def test_a_node_with_a_long_tail_is_slow():
    even = histogram(np.full(3_000, 10 * MS))
    tail = histogram(np.r_[np.full(2_900, 10 * MS), np.full(100, 90 * MS)])
    nodes = [node("a", result=result_of(service=even)), node("b", result=result_of(service=tail))]
    (found,) = caveats_of(result_of(nodes=nodes), CLOSED)
    assert found.text.startswith("requests of node b took 9 times as long as elsewhere (p99 90 ms,")


def judged(*caveats):
    return result_of(caveats=[Caveat(code, text, "do") for code, text in caveats])


def test_what_nodes_say_of_their_machines_has_their_names():
    busy, held = (Doubt.OTHER_LOAD, "others used it"), (Doubt.THROTTLED, "held back")
    nodes = [
        node("a", result=judged(busy)),
        node("b", result=judged(busy, held)),
        node("c", result=judged(busy)),
        NodePart("d", "", "part"),  # nothing was measured there
    ]
    found = caveats_of_whole(result_of(nodes=nodes), CLOSED)
    assert [each.text for each in found] == ["on all 3 nodes: others used it", "b: held back"]
    assert [each.code for each in found] == [Doubt.OTHER_LOAD, Doubt.THROTTLED]


def test_different_words_of_the_same_doubt_are_one_caveat():
    def told(many, of):
        nodes = [
            node(f"n{at}", result=judged((Doubt.STEAL, f"{at} %")) if at < many else result_of())
            for at in range(of)
        ]
        (found,) = caveats_of_whole(result_of(nodes=nodes), CLOSED)
        return found.text

    assert told(2, 3) == "n0: 0 %; n1: 1 %"
    assert told(3, 3) == "on all 3 nodes, such as n0: 0 %"
    assert told(9, 10) == "on n0, n1, n2 and 6 more, such as n0: 0 %"


def test_a_sum_over_machines_says_of_none_that_it_was_busy():
    summed = cpu(steal_s=4.0, involuntary_switches=10**6)
    assert caveats_of_whole(result_of(nodes=[node("a"), node("b")], cpu=summed), CLOSED) == []


def test_nodes_on_one_machine_are_no_other_programs_to_each_other():
    """Each used 1 of 4 CPUs; with what others used it was 2, or 3."""

    def found(busy_s):
        seen = judged((Doubt.OTHER_LOAD, "others used it"))
        seen.cpu = cpu(run_s=10.0, host_busy_s=busy_s)
        nodes = [node(name, result=seen, facts={"machine": "m"}) for name in "ab"]
        return caveats_of_whole(result_of(nodes=nodes), CLOSED)

    (together,) = found(20.0)
    assert together.code is Doubt.NODES_TOGETHER
    together, load = found(30.0)
    assert together.code is Doubt.NODES_TOGETHER and load.code is Doubt.OTHER_LOAD
    assert "other programs used 1.0 of the machine's 4 CPUs" in load.text  # and not 2


def test_numbers_are_judged_by_the_whole_and_one_node_that_falls_behind_is_seen():
    few = judged((Doubt.TOO_FEW_SAMPLES, "few"))
    nodes = [node("a", result=few), node("b", result=judged((Doubt.OVERLOAD, "the backlog grew")))]
    found = caveats_of_whole(result_of(True, nodes=nodes), OPEN)
    assert [each.text for each in found] == ["b: the backlog grew"]
    grown = rows([100] * 10, list(range(12, 132, 12)))
    found = caveats_of_whole(result_of(True, nodes=nodes, intervals=grown), OPEN)
    assert [each.code for each in found] == [Doubt.OVERLOAD]
    assert found[0].text.startswith("the backlog grew by")


@pytest.mark.parametrize(("never", "expected"), [(500, []), (620, ["overload"])])
def test_what_a_lost_node_was_still_to_make_is_no_overload(never, expected):
    own = result_of(True, errors_by_kind={ErrorKind.NOT_ISSUED: 500, ErrorKind.DIED: 1})
    own.caveats = [Caveat(Doubt.OVERLOAD, "500 never had their turn", "")]
    nodes = [node("a"), node("b", result=own, lost="it is gone", lost_at_s=3.0)]
    result = result_of(True, nodes=nodes, errors_by_kind={ErrorKind.NOT_ISSUED: never})
    found = [str(each.code) for each in caveats_of_whole(result, OPEN)]
    assert found == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            {"lost_at_s": 12.345, "kept_until_s": 11.8},
            "node b was lost after 12.3 s: it is gone; what it had measured until 11.8 s is kept",
        ),
        ({}, "node b was lost: it is gone; nothing that it measured is kept"),
    ],
)
def test_a_lost_node_is_a_reason(more, expected):
    result = result_of(nodes=[node("a"), node("b", lost="it is gone", **more)])
    judge(result)
    assert [(each.code, str(each)) for each in result.causes] == [(Cause.NODE_LOST, expected)]
    assert result.verdict == "INVALID"


def test_who_took_over_is_said():
    lost = node("b", lost="it is gone", lost_at_s=2.0, kept_until_s=1.0)
    result = result_of(nodes=[lost, node("c", replaces="b")])
    judge(result)
    assert str(result.causes[0]).endswith("and its share went on on node c")


def test_where_all_are_lost_nothing_completed_for_that_reason():
    result = result_of(completed=0, nodes=[node("a", lost="it is gone")], ended_by=Ending.LOST)
    judge(result)
    assert [each.code for each in result.causes] == [Cause.NOTHING, Cause.NODE_LOST]
    assert str(result.causes[0]) == "no request completed"
