"""Vendor code that hangs, crashes, exits or shouts: a report each, in bounded time, with what was
measured before.

Every case is `qs run` on a real vendor folder, whose code has a process of its own. Without
warm-up, so that the n-th call is the n-th that is measured.
"""

from __future__ import annotations

import json
import time

import pytest

from tests.qs import program, small_backend
from tests.qs.small_backend import folder_of, run, write

BODY = """
calls = 0

def predict(self, feeds):
    type(self).calls += 1
    {misdeed}
    time.sleep(0.0005)
    return {{"logits": np.zeros((self.batch_size, 10), np.float32)}}
"""
PLAN = ("--clients", 1, "--iterations", 30, "--warmup", 0, "--predict_timeout", "2s")


def misbehaving(root, misdeed: str, **workload):
    return write(root, predict=BODY.format(misdeed=misdeed), config={"pool": "thread"}, **workload)


@pytest.mark.parametrize(
    ("misdeed", "completed", "kind", "outcome", "said"),
    [
        (
            "if self.calls >= 7: raise ValueError('worn out')",
            6,
            "ValueError",
            "raised",
            "24 of 30 requests failed",
        ),
        (
            "time.sleep(1000) if self.calls == 20 else None",
            19,
            "hung",
            "timed out",
            "--predict_timeout",
        ),
        (
            "__import__('ctypes').string_at(0) if self.calls == 20 else None",
            19,
            "died",
            "crashed",
            "SIGSEGV",
        ),
        ("os._exit(3) if self.calls == 20 else None", 19, "died", "exited", "exit status 3"),
        (
            "__import__('sys').exit(0) if self.calls == 20 else None",
            29,
            "SystemExit",
            "raised",
            "1 SystemExit",
        ),
    ],
    ids=["raises", "hangs", "segfaults", "exits at once", "exits"],
)
def test_a_predict_that_fails_is_a_report_with_what_was_measured(
    tmp_path, misdeed, completed, kind, outcome, said
):
    begin = time.monotonic()
    status, result, _ = run(misbehaving(tmp_path, misdeed), *PLAN)
    assert time.monotonic() - begin < 120
    assert (status, result["Status"], result["Verdict"]) == (3, "complete", "INVALID")
    (row,) = result["Performance"]
    # of a process that ended, the last slice's answers may have been lost with it
    assert completed - 2 <= row["Completed"] <= completed
    assert (kind in row["Errors By Kind"], row["Outcome"]) == (True, outcome)
    assert any(said in reason for reason in result["Reasons"]), result["Reasons"]
    assert row["QPS"] > 0 and row["AVG Latency"] > 0
    lost = outcome != "raised"
    assert [failure["Outcome"] for failure in result["Failures"]] == ([outcome] if lost else [])
    if outcome == "crashed":
        assert "string_at" in (folder_of(tmp_path) / "backend.log").read_text()
        assert (
            "predict" in result["Failures"][0]["Log Tail"]
            or "engine" in result["Failures"][0]["Log Tail"]
        )


@pytest.mark.parametrize(
    ("misdeed", "outcome"),
    [
        ("os._exit(3) if self.batch_size == 2 else None", "exited"),
        pytest.param(
            "time.sleep(1000) if self.batch_size == 2 else None",
            "timed out",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_loss_in_one_batch_size_costs_no_other(tmp_path, misdeed, outcome):
    status, result, _ = run(misbehaving(tmp_path, misdeed, batch_sizes=[1, 2, 4]), *PLAN)
    assert status == 3
    assert [(row["BS"], row["Outcome"]) for row in result["Performance"]] == [
        (1, "done"),
        (2, outcome),
        (4, "done"),
    ]
    assert [row["Completed"] for row in result["Performance"]] == [30, 0, 30]
    assert [row["Verdict"] for row in result["Performance"]] == ["VALID", "INVALID", "VALID"]
    assert [failure["Batch Size"] for failure in result["Failures"]] == [2]


@pytest.mark.slow
def test_a_hang_in_the_comparison_is_found_and_the_rest_is_measured(tmp_path):
    hangs = "time.sleep(1000) if self.calls == 3 else None"
    root = misbehaving(tmp_path, hangs, test_numeric=True)
    status, result, _ = run(root, *PLAN[:2], "--iterations", 2, *PLAN[4:])
    assert status == 3
    assert "predict gave no answer in time" in result["Accuracy"]["Numeric"]["Not Measured"]
    assert [row["Completed"] for row in result["Performance"]] == [2]
    assert (
        "Timeout" in result["Failures"][0]["Log Tail"]
        or "watchdog" in result["Failures"][0]["Log Tail"]
    )


@pytest.mark.slow
def test_a_megabyte_a_call_is_valid_and_its_log_is_bounded(tmp_path):
    root = misbehaving(tmp_path, "print(self.calls, 'x' * (1 << 20))")
    options = ("--clients", 1, "--iterations", 60, "--warmup", 0, "--json")
    ran = program.qs_process(*small_backend.arguments(root, "run", *options), cwd=root)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert json.loads(ran.stdout)["Performance"][0]["Completed"] == 60
    assert "xxx" not in ran.stderr
    log = (folder_of(root) / "backend.log").read_bytes()
    assert len(log) < 20 << 20
    assert log.startswith(b"1 xxx")
    assert b"bytes are left out here" in log
    assert b"60 xxx" in log[-(2 << 20) :]


@pytest.mark.parametrize(
    ("step", "option", "limit_s"),
    [
        ("compile", "--compile_timeout", 3),
        # holds for the start of the process too, which a busy machine delays
        pytest.param("load", "--load_timeout", 6, marks=pytest.mark.slow),
        pytest.param("benchmark", "--benchmark_timeout", 3, marks=pytest.mark.slow),
    ],
)
def test_a_step_that_hangs_is_named_with_its_flag(tmp_path, step, option, limit_s):
    root = misbehaving(tmp_path, "pass")
    folder = root / "backends" / "TINY"
    kind = "compile" if step == "compile" else "runtime"
    file = folder / f"{kind}_backend_tiny.py"
    text = file.read_text()
    if step == "benchmark":
        text += "\n    def benchmark(self, dataloader):\n        print('about to hang')\n"
        text += "        time.sleep(1000)\n"
        text = text.replace("return True", "return False")
    else:
        name = f"def {step}(self, " + (
            "configs, dataloader=None):" if step == "compile" else "batch_size):"
        )
        hang = (
            "\n        print('about to hang', flush=True)\n        __import__('time').sleep(1000)"
        )
        assert name in text
        text = text.replace(name, name + hang)
    file.write_text(text)
    begin = time.monotonic()
    status, result, _ = run(root, *PLAN, option, f"{limit_s}s")
    assert time.monotonic() - begin < 120
    assert (status, result["Verdict"]) == (3, "INVALID")
    (failure,) = result["Failures"]
    assert failure["Outcome"] == "timed out"
    assert f"within {limit_s} s" in failure["Message"] and option in failure["Message"]
    assert "about to hang" in failure["Log Tail"]


def test_a_backend_that_takes_the_process_for_its_own_is_measured(tmp_path):
    rude = (
        "os.chdir('/'); __import__('signal').signal(15, lambda *_: None) if "
        "threading.current_thread() is "
        "threading.main_thread() else None; threading.Thread(target=time.sleep, "
        "args=(600,)).start() if self.calls == 1 else None"
    )
    begin = time.monotonic()
    status, result, said = run(
        misbehaving(tmp_path, rude, test_numeric=False, batch_sizes=[1, 2]), *PLAN
    )
    assert status == 0, said
    assert time.monotonic() - begin < 120
    assert [row["Completed"] for row in result["Performance"]] == [30, 30]
