"""What answers come to as OpenVINO's properties: pure, without OpenVINO."""

from __future__ import annotations

from pathlib import Path

import pytest

from qs.base.errors import Faults
from qs.inside.loading import load_backend_class

OPENVINO = Path(__file__).resolve().parents[2] / "backends" / "OPENVINO"


@pytest.fixture(scope="module")
def answers():
    """The backend's module of that name, as its runtime sees it."""
    import sys

    runtime = load_backend_class(OPENVINO, "OPENVINO", kind="runtime")
    return sys.modules[runtime.__module__.rpartition(".")[0] + ".answers"]


F32 = {"INFERENCE_PRECISION_HINT": "f32"}


@pytest.mark.parametrize(
    ("given", "how", "expected"),
    [
        # without a hint streams follow the clients, and threads the cores
        ({}, {"clients": 3}, {"NUM_STREAMS": 3, "INFERENCE_NUM_THREADS": 4}),
        ({}, {"clients": 9}, {"NUM_STREAMS": 4, "INFERENCE_NUM_THREADS": 4}),
        ({}, {"clients": 0}, {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 4}),
        ({"num_streams": 2}, {}, {"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 4}),
        (
            {"inference_num_threads": 2},
            {"clients": 3},
            {"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 2},
        ),
        (
            {},
            {"clients": 2, "threads_each": 1},
            {"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 2},
        ),
        # with one OpenVINO chooses
        ({"performance_hint": "latency"}, {}, {"PERFORMANCE_HINT": "LATENCY"}),
        ({"performance_hint": "throughput"}, {}, {"PERFORMANCE_HINT": "THROUGHPUT"}),
        (
            {"performance_hint": "throughput"},
            {"threads_each": 2},
            {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 4},
        ),
        # it has counted other CPUs, or there are other copies
        (
            {"performance_hint": "latency"},
            {"alone": False},
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": 4,
                "ENABLE_CPU_PINNING": False,
            },
        ),
        (
            {"performance_hint": "latency", "enable_cpu_pinning": "yes"},
            {},
            {"PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": True},
        ),
        (
            {"performance_hint": "latency", "enable_hyper_threading": "no"},
            {},
            {"PERFORMANCE_HINT": "LATENCY", "ENABLE_HYPER_THREADING": False},
        ),
        # what only processors have is not said to others
        ({"device": "GPU.1", "num_streams": 2}, {"clients": 3}, {"NUM_STREAMS": 2}),
        ({"device": "NPU"}, {"clients": 3}, {}),
    ],
)
def test_properties(answers, monkeypatch, given, how, expected):
    monkeypatch.setattr(answers.cores, "core_count", len)
    found = answers.properties(answers.answers_of(given), **{"clients": 1, "cpus": range(4), **how})
    assert found == F32 | expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"performance_hint": "speed"}, "none, latency, throughput"),
        ({"inference_precision": "int8"}, "f32, bf16, f16"),
        ({"num_streams": -1}, "a whole number >= 0"),
        ({"inference_num_threads": True}, "a whole number >= 0"),
        ({"batch": "7"}, "dynamic, static"),
    ],
)
def test_wrong_answers_are_named_with_what_is_allowed(answers, given, said):
    with pytest.raises(Faults) as error:
        answers.answers_of(given)
    assert said in str(error.value) and next(iter(given)) in str(error.value)
