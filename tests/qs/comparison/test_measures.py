"""Two runs of a language model: each measure is compared from its own log."""

from __future__ import annotations

import pytest

from qs.comparison.comparing import compare_results
from qs.comparison.gates import State, judge
from qs.gates.grammar import parse_changes
from qs.history.sides import side_of
from tests.qs.evaluate.llm_made import llm_report


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    root = tmp_path_factory.mktemp("llm")
    return [
        llm_report(root / "a", requests=1200),
        llm_report(root / "b", requests=1200, seed=2),
        llm_report(root / "slow", requests=1200, seed=3, slower=1.4),
    ]


def compared(*folders):
    return compare_results([side_of(str(each)) for each in folders])


def by_name(found):
    (case,) = found.cases
    return {each.metric.name: each for each in case.differences}


def test_a_slower_model_is_slower_in_every_measure(reports):
    found = by_name(compared(reports[0], reports[2]))
    for name in ("ttft.p50", "itl.p50", "itl.p99", "tpot.p50"):
        assert found[name].change == pytest.approx(0.4, abs=0.15), name
        assert found[name].verdict == "slower", name
        assert "within A" in [each.source for each in found[name].sources]


def test_the_same_model_is_not(reports):
    found = by_name(compared(reports[0], reports[1]))
    assert {each.verdict for each in found.values()} <= {"same", "cannot tell"}
    tokens = found["output_tokens/s"]
    assert tokens.metric.rate and tokens.metric.unit == "tokens/s"
    assert tokens.a == pytest.approx(
        side_of(str(reports[0])).rows[0].tokens.output_per_s, rel=0.002
    )
    assert found["goodput"].low is not None


def test_a_gate_is_decided_by_a_measure(reports):
    found = compared(reports[0], reports[2])
    (judged,) = judge(parse_changes(["itl.p99.slower:10%"], 0.02), found.cases, 0.02)
    assert judged.state is State.HOLDS


def test_without_its_log_a_measure_is_not_judged(reports, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(reports[1], copy)
    (copy / "latency" / "fp32-rate-50.itl.hlog").unlink()
    found = by_name(compared(reports[0], copy))
    assert found["itl.p50"].low is None and "itl" in found["itl.p50"].why
    assert found["ttft.p50"].low is not None
