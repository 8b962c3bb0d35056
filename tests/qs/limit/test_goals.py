"""Bounds as they are typed."""

from __future__ import annotations

import pytest

from qs.base.errors import Faults
from qs.engine import Bound
from qs.limit.goals import (
    Goal,
    bounds_of,
    longest_bound_s,
    of_each_request,
    of_the_run,
    parse_goal,
    parse_goals,
    unmeasured,
    with_implied,
)


@pytest.mark.parametrize(
    ("text", "goal", "said"),
    [
        ("p99=50ms", Goal("p99", 0.01, 50_000_000), "p99=50ms"),
        ("p99.9=80ms", Goal("p99.9", 0.001, 80_000_000), "p99.9=80ms"),
        ("P50 = 1.5 s", Goal("p50", 0.5, 1_500_000_000), "p50=1.5s"),
        ("p99.0=.5ms", Goal("p99", 0.01, 500_000), "p99=500us"),
        ("p99.99=1m", Goal("p99.99", 0.0001, 60_000_000_000), "p99.99=60s"),
        ("mean=10ms", Goal("mean", None, 10_000_000), "mean=10ms"),
        ("mean=250us", Goal("mean", None, 250_000), "mean=250us"),
        ("errors=0.1%", Goal("errors", 0.001, None), "errors=0.1%"),
        ("errors=0.002", Goal("errors", 0.002, None), "errors=0.2%"),
        ("errors=0", Goal("errors", 0.0, None), "errors=0"),
        ("error_rate=0.1%", Goal("errors", 0.001, None), "errors=0.1%"),
        ("e2e_p99=5s", Goal("p99", 0.01, 5_000_000_000), "p99=5s"),
        ("response_mean=5s", Goal("mean", None, 5_000_000_000), "mean=5s"),
        ("e2e=5s", Goal("e2e", None, 5_000_000_000), "e2e=5s"),
        (
            "ttft_p99=200ms",
            Goal("ttft_p99", 0.01, measure="ttft", limit=200_000_000),
            "ttft_p99=200ms",
        ),
        (
            "TPOT_P95 = 50 ms",
            Goal("tpot_p95", 0.05, measure="tpot", limit=50_000_000),
            "tpot_p95=50ms",
        ),
        (
            "itl_p99.9=80ms",
            Goal("itl_p99.9", 0.001, measure="itl", limit=80_000_000),
            "itl_p99.9=80ms",
        ),
        (
            "ttft_sent_p50=1s",
            Goal("ttft_sent_p50", 0.5, measure="ttft_sent", limit=10**9),
            "ttft_sent_p50=1s",
        ),
        ("ttft_mean=1s", Goal("ttft_mean", measure="ttft", limit=10**9), "ttft_mean=1s"),
        ("ttft=200ms", Goal("ttft", measure="ttft", limit=200_000_000), "ttft=200ms"),
        (
            "decode_rate=20",
            Goal("decode_rate", measure="decode_rate", limit=20_000),
            "decode_rate=20",
        ),
        (
            "decode_rate_p95=12.5",
            Goal("decode_rate_p95", 0.05, measure="decode_rate", limit=12_500),
            "decode_rate_p95=12.5",
        ),
        (
            "decode_rate=20 tokens/s",
            Goal("decode_rate", measure="decode_rate", limit=20_000),
            "decode_rate=20",
        ),
        (
            "output_tokens_p50=300",
            Goal("output_tokens_p50", 0.5, measure="output_tokens", limit=300),
            "output_tokens_p50=300",
        ),
    ],
)
def test_a_bound_is_read_and_said(text, goal, said):
    assert parse_goal(text) == goal
    assert str(goal) == said
    assert parse_goal(said) == goal


def test_several_are_separated_by_commas_or_repeated():
    assert [str(goal) for goal in parse_goals(["p99=50ms, errors=1%", "mean=5ms"])] == [
        "p99=50ms",
        "errors=1%",
        "mean=5ms",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p99=50", "with its unit"),
        ("p99=0ms", "above 0"),
        ("p99=-1ms", "with its unit"),
        ("p99=fast", "with its unit"),
        ("mean=3h", "with its unit"),
        ("p100=5ms", "p99=50ms"),
        ("p0=5ms", "p99=50ms"),
        ("p99", "p99=50ms"),
        ("", "p99=50ms"),
        ("errors=100%", "below 100 %"),
        ("errors=-1%", "below 100 %"),
        ("errors=nan", "below 100 %"),
        ("eror=1%", "did you mean 'errors'?"),
        ("men=1ms", "did you mean 'mean'?"),
        ("tfft_p99=1ms", "did you mean 'ttft_p99'?"),
        ("tpott=1ms", "did you mean 'tpot'?"),
        ("ttft_p100=5ms", "p99=50ms"),
        ("ttft", "p99=50ms"),
        ("goodpt=90%", "did you mean 'goodput'?"),
        ("goodput=0%", "above 0 up to 100 %"),
        ("goodput=101%", "above 0 up to 100 %"),
        ("goodput=95%", "a bound that good requests keep as well"),
        ("decode_rate=fast", "a number of tokens/s above 0, such as decode_rate=20"),
        ("decode_rate=20ms", "a number of tokens/s above 0"),
        ("ttft_p99=20", "a time above 0 with its unit (us, ms, s or m), such as ttft_p99=50ms"),
        ("itl=80ms", "a percentile of it, such as itl_p99=80ms"),
    ],
)
def test_what_is_no_bound_is_refused_with_what_is(text, expected):
    with pytest.raises(Faults) as refused:
        parse_goal(text)
    assert expected in str(refused.value)
    assert str(refused.value).startswith("--slo is")


def test_all_faults_are_said_at_once():
    with pytest.raises(Faults) as refused:
        parse_goals(["p99=50, mean=5ms", "mean=6ms,what=1"])
    assert len(refused.value.faults) == 3
    assert "bounded twice" in str(refused.value)


def test_one_bound_is_not_two():
    with pytest.raises(Faults, match="one bound"):
        parse_goal("p99=50ms,mean=5ms")


def test_failed_requests_are_bounded_even_where_nobody_says_so():
    goals = with_implied(parse_goals(["p50=5ms"]))
    assert [str(goal) for goal in goals] == ["p50=5ms", "errors=1%"]
    assert goals[1].implied
    stated = parse_goals(["errors=5%"])
    assert with_implied(stated) == stated


def test_each_request_is_bounded_by_what_is_bounded_of_each_or_by_the_highest_percentile():
    goals = parse_goals(
        ["ttft_p50=100ms,ttft_p99=200ms,tpot_p95=50ms,tpot=60ms,itl_p99=80ms,mean=1s,errors=1%"]
    )
    assert [str(goal) for goal in of_each_request(goals)] == ["ttft_p99=200ms", "tpot=60ms"]
    assert bounds_of(goals) == (Bound("ttft", 200_000_000), Bound("tpot", 60_000_000))
    assert bounds_of(parse_goals(["p99=5s,decode_rate=20"])) == (
        Bound("response", 5_000_000_000),
        Bound("decode_rate", 20_000),
    )
    assert bounds_of(parse_goals(["mean=1s"])) == ()


def test_of_each_request_the_share_that_keeps_it_is_judged():
    goals = with_implied(parse_goals(["ttft=200ms,decode_rate=20"]))
    assert [str(goal) for goal in of_the_run(goals)] == ["goodput=95%"]
    assert goals[-1].implied
    stated = with_implied(parse_goals(["ttft=200ms,goodput=90%"]))
    assert [str(goal) for goal in stated] == ["ttft=200ms", "goodput=90%"]
    whole = parse_goals(["ttft=200ms,goodput=100%"])[1]
    assert (whole.share, str(whole)) == (0.0, "goodput=100%")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("p99=50ms", "p99 <= 50 ms"),
        ("errors=0", "no errors"),
        ("ttft_p99=200ms", "ttft p99 <= 200 ms"),
        ("ttft=200ms", "ttft of each request <= 200 ms"),
        ("decode_rate_p95=20", "decode rate p95 >= 20 tokens/s"),
        ("decode_rate=20", "decode rate of each request >= 20 tokens/s"),
    ],
)
def test_a_bound_in_words(text, words):
    assert parse_goal(text).words == words


def test_only_times_are_waited_for():
    assert longest_bound_s(parse_goals(["decode_rate=20,ttft=200ms,errors=1%"])) == 0.2


def test_a_bound_of_what_is_not_measured_is_refused():
    goals = parse_goals(["p99=5ms,ttft_p99=200ms,errors=1%,input_tokens_p50=3"])
    (fault,) = unmeasured(goals, ("input_tokens",), "embeddings")
    assert (fault.value, "of embeddings: the response time" in str(fault)) == (
        "ttft_p99=200ms",
        True,
    )
