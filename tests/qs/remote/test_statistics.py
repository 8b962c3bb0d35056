"""Triton's statistics: what two readings of them come to, whatever the server sends."""

from __future__ import annotations

import pytest

from qs.remote.counting import Counted, step, steps, total
from qs.remote.reading_statistics import of_message
from qs.remote.statistics import BadStatistics, means_of, of_json

MS = 1_000_000


def answer(requests: int, version: str = "1", name: str = "m", **more):
    """Of a server that took 1 ms to queue, 2 to compute and 4 in all for each request so far, and
    formed batches of 4.
    """

    def times(ms: float) -> dict[str, int]:
        return {"count": requests, "ns": int(requests * ms * MS)}

    return {
        "model_stats": [
            {
                "name": name,
                "version": version,
                "last_inference": 1,
                "inference_count": requests,
                "execution_count": requests // 4,
                "inference_stats": {
                    "success": times(4),
                    "fail": {"count": 0, "ns": 0},
                    "queue": times(1),
                    "compute_input": times(0.25),
                    "compute_infer": times(2),
                    "compute_output": times(0.5),
                },
                "batch_stats": [
                    {"batch_size": 4, "compute_infer": {"count": requests // 4, "ns": 1}}
                ],
                **more,
            }
        ]
    }


def means(*requests: int):
    read = [of_json(answer(each), "m") for each in requests]
    whole = total(steps(a, b) for a, b in zip(read, read[1:]))
    return means_of(whole), whole.restarts


def test_means_are_of_the_requests_between_two_readings():
    found, restarts = means(100, 200, 500)
    assert restarts == 0
    assert (found.requests, found.failed, found.items, found.executions) == (400, 0, 400, 100)
    assert found.batch_sizes == {4: 100}
    assert found.mean_batch_size == 4
    assert (found.request_ms, found.queue_ms, found.compute_infer_ms) == (4, 1, 2)
    assert found.compute_ms == pytest.approx(2.75)
    assert found.cache_hits is None and found.cache_hit_ms is None


def test_a_restart_counts_from_0():
    found, restarts = means(1_000, 1_200, 40, 100)
    assert restarts == 1
    assert found.requests == 200 + 100
    assert found.request_ms == 4


def test_nothing_counted_has_no_means():
    found, _ = means(7, 7)
    assert found.requests == 0
    assert found.request_ms is None and found.mean_batch_size is None


def test_a_version_that_is_gone_restarted_and_a_new_one_counts_from_0():
    before, after = of_json(answer(10), "m"), of_json(answer(7, version="2"), "m")
    counted = steps(before, after)
    assert counted.restarts == 1
    assert means_of(counted).requests == 7


@pytest.mark.parametrize(
    ("before", "after", "by", "restarts"),
    [
        ({}, {"n": 3}, {"n": 3}, 0),
        ({"n": 3}, {"n": 3}, {"n": 0}, 0),
        ({"n": 3, "ns": 9}, {"n": 2, "ns": 10}, {"n": 2, "ns": 10}, 1),
        ({"n": 3, "gone": 1}, {"n": 4}, {"n": 4}, 1),
    ],
)
def test_a_step_of_counters(before, after, by, restarts):
    assert step(before, after) == Counted(by, restarts)


@pytest.mark.parametrize(
    "sent",
    [
        None,
        [],
        "model_stats",
        {},
        {"model_stats": "many"},
        {"model_stats": [3]},
        {"model_stats": []},
        answer(1, name="another"),
        answer(1, inference_count=-1),
        answer(1, inference_count=True),
        answer(1, inference_count=1.5),
        answer(1, execution_count="a lot"),
        answer(1, inference_count=1 << 80),
        answer(1, inference_stats=[]) | {"model_stats": [{"name": "m", "inference_stats": 3}]},
        answer(1, inference_stats={"queue": 5}),
        answer(1, inference_stats={"queue": {"count": None}}),
        answer(1, batch_stats={"a": 1}),
        answer(1, batch_stats=["x"]),
        answer(1, batch_stats=[{"batch_size": 1, "compute_infer": 2}]),
    ],
)
def test_what_is_no_answer_of_the_extension_is_said_so(sent):
    with pytest.raises(BadStatistics):
        of_json(sent, "m")


def test_a_server_that_counts_little_is_read_as_far_as_it_goes():
    found = of_json({"model_stats": [{"name": "m", "inference_count": "12"}]}, "m")
    assert found[""]["items"] == 12


def test_a_message_over_grpc_says_the_same():
    from google.protobuf.json_format import ParseDict

    from qs.remote.protocols.kserve_messages import messages

    message = ParseDict(answer(8), messages().ModelStatisticsResponse())
    # What is 0 is not sent: such counters are not there.
    sent = of_message(message.SerializeToString(), "m")
    known = of_json(answer(8), "m")
    assert sent["1"] == {name: value for name, value in known["1"].items() if name in sent["1"]}
    assert means_of(steps({}, sent)).request_ms == 4
    with pytest.raises(BadStatistics, match="ModelStatisticsResponse"):
        of_message(b"\x0a\xff\xff", "m")
