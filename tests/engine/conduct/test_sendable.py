"""What cannot be called or sent to a process is named before anything starts."""

from __future__ import annotations

import functools
import threading

import pytest

from qs.engine import ClosedLoop, Factory, HostError, PlanError, Pool, RunPlan, run
from tests.fakes import Counter, nothing

INLINE = RunPlan(ClosedLoop(iterations=2), pool=Pool("inline"))
PROCESS = RunPlan(ClosedLoop(iterations=2), pool=Pool("process"))


def refused(plan, target, samples=None) -> str:
    with pytest.raises(PlanError) as caught:
        run(plan, target, samples)
    (fault,) = caught.value.faults
    return fault


@pytest.mark.parametrize("plan", [INLINE, PROCESS], ids=["inline", "process"])
@pytest.mark.parametrize(
    ("target", "named"),
    [(None, "None"), ("tests.fakes:nothing", "str 'tests.fakes:nothing'"), (7, "int 7")],
)
def test_what_cannot_be_called_is_named(plan, target, named):
    assert named in refused(plan, target)
    assert "Factory(" in refused(plan, target)


@pytest.mark.parametrize(
    ("target", "named"),
    [
        (lambda sample: None, "<lambda>"),
        (functools.partial(nothing), "functools.partial"),
        (Counter(), "tests.fakes.Counter"),
        (threading.Lock().acquire, "acquire"),
    ],
)
def test_what_a_process_cannot_find_is_named(target, named):
    fault = refused(PROCESS, target)
    assert fault.startswith("target: ")
    assert named in fault
    assert "Factory(" in fault


def test_an_argument_that_cannot_be_sent_is_named():
    fault = refused(PROCESS, Factory("tests.fakes:make_nothing", {"samples": [threading.Lock()]}))
    assert "'samples'" in fault
    assert "lock" in fault


def test_a_sample_that_cannot_be_sent_is_named():
    fault = refused(PROCESS, nothing, [1, 2, threading.Lock()])
    assert fault.startswith("samples: number 2")
    assert "lock" in fault


@pytest.mark.parametrize("plan", [INLINE, PROCESS], ids=["inline", "process"])
@pytest.mark.parametrize("samples", [(n for n in (1, 2)), iter([1]), map(int, "1")])
def test_samples_that_pass_only_once_are_refused(plan, samples):
    assert refused(plan, nothing, samples).startswith("samples: ")


def test_so_are_those_that_a_target_carries():
    def target(sample):
        return sample

    target.samples = (n for n in (1, 2))
    with pytest.raises(HostError, match="length"):
        run(INLINE, target)
