"""Memory of the cases: what each took at most, and a batch size that would not fit is left out
before the kernel ends something.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from qs.evaluate.expectation import Footprint
from tests.qs.evaluate.test_predict_timeout import CASE
from tests.qs.small_backend import run_changed, write

GB = 10**9
RAN_OUT = "qs.evaluate.expectation.Footprint.ran_out"


class Machine:
    """A /proc with one process of id 7."""

    def __init__(self, root):
        self.root = root
        (root / "7").mkdir()

    def says(self, available, now, peak):
        (self.root / "meminfo").write_text(
            f"MemTotal: 1 kB\nMemAvailable:   {int(available * GB / 1024)} kB\n"
        )
        (self.root / "7" / "status").write_text(
            f"Name:\tx\nVmHWM:\t{int(peak * GB / 1024)} kB\nVmRSS:\t{int(now * GB / 1024)} kB\n"
        )


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def measured(footprint, machine, batch_size, loaded, peak, available=20):
    case = replace(CASE, batch_size=batch_size, requested_batch_size=batch_size)
    machine.says(available, loaded, loaded)
    footprint.loaded(7)
    machine.says(available, loaded, peak)
    assert footprint.ended(7, case) == pytest.approx(peak * GB, rel=1e-6)


def of(batch_size, **changes):
    return replace(CASE, batch_size=batch_size, requested_batch_size=batch_size, **changes)


def test_nothing_is_held_back_where_nothing_is_known(machine):
    footprint = Footprint(machine.root)
    assert footprint.lacking(None, of(1000)) is None
    assert footprint.lacking(7, of(1000)) is None
    assert footprint.ended(None, of(1)) is None
    machine.says(1, 1, 1)
    assert footprint.lacking(7, of(1000)) is None


def test_from_one_case_it_grows_from_what_was_loaded(machine):
    footprint = Footprint(machine.root)
    measured(footprint, machine, 4, loaded=1, peak=3)
    machine.says(10, 3, 3)
    assert footprint.lacking(7, of(20)) is None  # 1 + 5 x 2 = 11 GB of 13
    assert footprint.lacking(7, of(24)) == (
        "it would need about 13 GB of memory, and 13 GB can be had (batch size 4 took 3 GB); "
        "fewer --clients take less"
    )


def test_from_two_cases_it_grows_along_the_line_through_both(machine):
    footprint = Footprint(machine.root)
    measured(footprint, machine, 4, loaded=1, peak=3)
    measured(footprint, machine, 8, loaded=3, peak=4)  # a quarter of a GB each
    machine.says(5, 4, 4)
    assert footprint.lacking(7, of(20)) is None  # 7 GB of 9
    assert "about 8.5 GB" in footprint.lacking(7, of(26))


@pytest.mark.parametrize("other", [{"clients": 2}, {"pool": "inline"}])
def test_other_clients_and_pools_take_other_memory(machine, other):
    footprint = Footprint(machine.root)
    measured(footprint, machine, 4, loaded=1, peak=3)
    machine.says(1, 3, 3)
    assert footprint.lacking(7, of(100)) is not None
    assert footprint.lacking(7, of(100, **other)) is None


def test_a_real_process(tmp_path):
    footprint, pid = Footprint(), os.getpid()
    footprint.loaded(pid)
    peak = footprint.ended(pid, of(1))
    assert peak is None or peak > 1_000_000
    assert footprint.lacking(pid, of(1)) is None


def test_whether_the_kernel_ended_something(machine):
    footprint = Footprint(machine.root)
    assert not footprint.ran_out  # no such file
    (machine.root / "vmstat").write_text("nr_free_pages 1\noom_kill 2\n")
    footprint.loaded(None)
    assert not footprint.ran_out
    (machine.root / "vmstat").write_text("nr_free_pages 1\noom_kill 3\n")
    assert footprint.ran_out


ENDED = """
def predict(self, feeds):
    import signal
    if self.batch_size > 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"logits": np.zeros((self.batch_size, 10), np.float32)}
"""


@pytest.mark.parametrize(("memory", "verdict"), [(True, "VALID"), (False, "INVALID")])
def test_a_process_that_was_ended_for_lack_of_memory_had_a_batch_that_does_not_fit(
    tmp_path, memory, verdict
):
    """It ends itself as the kernel would; whether the kernel counts a kill is said for it."""
    root = write(tmp_path, predict=ENDED, batch_sizes=[1, 4], iterations=2, clients=1)
    status, result, said = run_changed(root, RAN_OUT, memory)
    assert (status, result["Verdict"]) == (0 if memory else 3, verdict), said
    assert [row["BS"] for row in result["Performance"]] == ([1] if memory else [1, 4])
    assert [failure["Outcome"] for failure in result["Failures"]] == ["crashed"]
    left_out = [
        text
        for text in result["Warnings"]
        if "batch size 4 (2 of 2): not measured: it does not fit" in text
    ]
    assert len(left_out) == memory


def test_a_run_in_which_nothing_fits_is_not_valid(tmp_path):
    root = write(tmp_path, predict=ENDED, batch_sizes=[4], iterations=2, clients=1)
    status, result, said = run_changed(root, RAN_OUT, True)
    assert (status, result["Verdict"], result.get("Performance", [])) == (3, "INVALID", []), said
    assert result["Reasons"] == ["nothing was measured: no batch size fits into memory"]


GREEDY = """
def predict(self, feeds):
    held = np.ones(self.batch_size * 8_000_000)  # 64 MB an item
    return {"logits": np.zeros((self.batch_size, 10), np.float32) + np.float32(held[0] - 1)}
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="needs Linux's /proc")
def test_a_batch_size_that_does_not_fit_is_left_out_and_said(tmp_path):
    """As if 600 MB were left: 16 items need 1,024 MB."""
    root = write(tmp_path, predict=GREEDY, batch_sizes=[1, 4, 16], iterations=2, clients=1)
    free = "qs.evaluate.expectation.Footprint._free"
    status, result, said = run_changed(root, free, lambda self, pid: 600_000_000)
    assert (status, result["Verdict"]) == (0, "VALID"), said
    one, four = result["Performance"]
    assert four["Peak Memory Bytes"] - one["Peak Memory Bytes"] == pytest.approx(3 * 64e6, rel=0.5)
    (warning,) = [
        text for text in result["Warnings"] if "does not fit" in text or "not measured" in text
    ]
    assert warning.startswith("batch size 16 (3 of 3): not measured: it would need about ")
    assert "batch size 4 took" in warning and warning in said
