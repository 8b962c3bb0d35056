"""What --fail_if takes, and what it says of everything else."""

from __future__ import annotations

import pytest

from qs.base.errors import Faults
from qs.gates.grammar import Bound, Change, Selector, parse
from qs.result.row import Row


@pytest.mark.parametrize(
    ("text", "figure", "operator", "value"),
    [
        ("p99>50ms", "p99", ">", 50.0),
        ("P99.9 >= 1s", "p99.9", ">=", 1000.0),
        ("mean>250us", "mean", ">", 0.25),
        ("items/s<200", "items/s", "<", 200.0),
        ("throughput<10k", "items/s", "<", 10_000.0),
        ("queries/s<=1e3/s", "queries/s", "<=", 1000.0),
        ("errors>0", "errors", ">", 0.0),
        ("errors>0.1%", "errors", ">", 0.001),
        ("peak_memory>2GB", "peak_memory", ">", 2e9),
        ("memory>2GiB", "peak_memory", ">", 2 * 1024.0**3),
        ("accuracy<97%", None, "<", 0.97),
        ("Top-1<0.9", None, "<", 0.9),
        ("Max Diff>1e-3", None, ">", 1e-3),
        ("score<-2", None, "<", -2.0),
    ],
)
def test_a_bound(text, figure, operator, value):
    (found,) = parse([text], metrics=None)
    assert isinstance(found, Bound) and str(found) == text
    assert (found.figure and found.figure.name, found.operator) == (figure, operator)
    assert found.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "share", "figure", "words"),
    [
        ("slower:5%", 0.05, None, ()),
        ("p99.slower:10%", 0.1, "p99", ()),
        ("p99.9.slower:0.2", 0.2, "p99.9", ()),
        ("items/s.slower:3%", 0.03, "throughput", ()),
        ("bs8-c2.p99.slower:10%", 0.1, "p99", ("bs8", "c2")),
        ("bs8.slower:10%", 0.1, None, ("bs8",)),
        ("slower:150%", 1.5, None, ()),
    ],
)
def test_a_change(text, share, figure, words):
    (found,) = parse([text], bounds=False, changes=True)
    assert found == Change(pytest.approx(share), figure, Selector(words))
    assert parse([str(found)], changes=True) == (found,)


def test_several_at_once_and_each_once():
    found = parse(["p99>50ms, bs8.errors>0", "p99>50ms"])
    assert [str(each) for each in found] == ["p99>50ms", "bs8.errors>0"]
    assert found[1].selector == Selector(("bs8",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "allowed: FIGURE>VALUE"),
        ("p99", "allowed: FIGURE>VALUE"),
        ("p99>50", "a time with its unit"),
        ("p99>50mz", "a time with its unit"),
        ("p99>-1ms", "a time with its unit"),
        ("p99>1e999ms", "a time with its unit"),
        ("p98>5ms", "did you mean 'p99'?"),
        ("item/s<2", "did you mean 'items/s'?"),
        ("errors>some", "a count, or a share"),
        ("completed<5%", "a count, after completed<"),
        ("peak_memory>2", "a size with its unit"),
        ("bs8.accuracy<0.9", "of the whole run"),
        ("50ms<p99", "allowed"),
        ("p99>1ms>2ms", "allowed: FIGURE>VALUE"),
        ("slower:5%", "compared by qs compare and qs ci"),
    ],
)
def test_a_wrong_one_says_what_is_allowed(text, words):
    with pytest.raises(Faults) as refused:
        parse([text], metrics=None)
    assert words in str(refused.value) and "--fail_if" in str(refused.value)


def test_all_faults_are_one_message():
    with pytest.raises(Faults) as refused:
        parse(["p98>5ms,p99>5", "accuracy<0.9"])
    assert len(refused.value.faults) == 3
    assert "no accuracy is measured here" in str(refused.value)


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        ((), True),
        (("bs8",), True),
        (("bs8", "c2"), True),
        (("bs8", "c1"), False),
        (("bs1",), False),
        (("thread", "closed_loop"), True),
        (("poisson",), False),
    ],
)
def test_which_cases_a_selector_takes(words, taken):
    row = Row.model_validate(
        {
            "BS": 8,
            "QPS": 1.0,
            "AVG Latency": 1.0,
            "P99 Latency": None,
            "Mode": "QS",
            "Scenario": "closed loop",
            "Clients": 2,
            "Pool": "thread",
            "Verdict": "VALID",
            "Reasons": [],
            "Warnings": [],
        }
    )
    assert Selector(words).takes(row) is taken
