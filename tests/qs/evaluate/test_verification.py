"""--verify, whole runs: a backend that answers wrongly when busy is caught in every pool, and one
that is right is not.
"""

from __future__ import annotations

import asyncio

import pytest

from qs.base.interrupt import Interrupt
from qs.evaluate import rows
from qs.evaluate.verification import Verification
from qs.result.row import Row, Verdict
from qs.settings.case import Case
from tests.qs.small_backend import run, write

WEIGHTS = "np.random.default_rng(0).normal(size=(64, 10))"
BODY = f"""
    (images,) = feeds.values()
    answer = (images.reshape(len(images), 64) @ {WEIGHTS}).astype(np.float32)
"""
RIGHT = f"def predict(self, feeds):{BODY}    return {{'logits': answer}}\n"
# The answer waits where every thread's answer waits.
RACING = (
    f"def predict(self, feeds):{BODY}    self.slot = answer\n    time.sleep(0.0005)\n    "
    f"return {{'logits': self.slot}}\n"
)
AWAITED_RIGHT = f"async def predict(self, feeds):{BODY}    return {{'logits': answer}}\n"
AWAITED_RACING = (
    "async def predict(self, feeds):\n    import asyncio"
    f"{BODY}    self.slot = answer\n    await asyncio.sleep(0.001)\n    return "
    f"{{'logits': self.slot}}\n"
)
# For a while only, so that nobody sees it who asks before or after.
FOR_A_WHILE = (
    "def predict(self, feeds):\n    self.calls = getattr(self, 'calls', 0) + 1"
    f"{BODY}    return {{'logits': answer + np.float32(100 < self.calls < 250)}}\n"
)
FEW = ("--iterations", 300, "--warmup", 1)


@pytest.mark.parametrize("mode", ["sample", "all"])
@pytest.mark.parametrize(
    ("pool", "clients", "predict", "wrong"),
    [
        ("thread", 3, RACING, True),
        ("thread", 3, RIGHT, False),
        pytest.param("process", 2, FOR_A_WHILE, True, marks=pytest.mark.slow),
        pytest.param("process", 2, RIGHT, False, marks=pytest.mark.slow),
        ("inline", 1, FOR_A_WHILE, True),
        ("async", 3, AWAITED_RACING, True),
        pytest.param("async", 3, AWAITED_RIGHT, False, marks=pytest.mark.slow),
    ],
    ids=lambda value: "" if isinstance(value, str) and len(value) > 10 else str(value),
)
def test_wrong_answers_under_load(tmp_path, mode, pool, clients, predict, wrong):
    config = {"pool": pool, "runner": "async" if pool == "async" else "backend"}
    root = write(tmp_path, config, predict=predict, clients=clients)
    status, result, said = run(root, "--verify", mode, "--quiet", *FEW)
    (row,) = result["Performance"]
    found = row["Verification"]
    assert found["mode"] == mode and found["requests"] == row["Completed"] == 300 * clients
    # a worker keeps 16; an event loop is one, whatever its clients
    assert found["checked"] == (
        300 * clients if mode == "all" else 16 * (1 if pool == "async" else clients)
    )
    if wrong:
        assert status == 3 and row["Verdict"] == "INVALID" and found["wrong"] > 0
        assert any(
            "checked answers are wrong; the worst is that of request" in text
            for text in row["Reasons"]
        ), said
        assert found["worst"]["sample"] is not None
    else:
        assert (status, row["Verdict"], found["wrong"], found["worst"]) == (0, "VALID", 0, None), (
            row["Reasons"]
        )


def test_it_is_off_unless_asked_for(tmp_path):
    status, result, _ = run(write(tmp_path, {}, predict=RACING), "--quiet", *FEW)
    assert status == 0 and "Verification" not in result["Performance"][0]


def test_a_qs_config_may_ask_for_it_and_joined_batches_are_seen(tmp_path):
    config = {
        "verify": "all",
        "batching": {"max_batch_size": 4, "max_delay_us": 1000},
        "scenarios": [
            {"name": "Server", "target_qps": 200, "latency_slo_ms": 1000, "duration_s": 1}
        ],
    }
    _, result, said = run(
        write(tmp_path, config, predict=RIGHT, clients=2), "--quiet", "--iterations", "100"
    )
    (row,) = result["Performance"]
    assert row["Verification"]["wrong"] == 0 and row["Verification"]["checked"] > 0, said
    assert result["Effective Values"]["verify"] == {"value": "all", "origin": "QS config"}


def test_an_interruption_while_answers_are_checked_keeps_the_row():
    class Hangs:
        async def verification(self, **_: object) -> dict:
            await asyncio.sleep(60)
            raise AssertionError("never asked for so long")

    case = Case("c", 1, 1, 1, 5, None, None, "thread", 1, None, ())
    row = rows.failed(case, "none").changed(verdict=Verdict.VALID, reasons=[], completed=600)

    async def judged() -> Row:
        interrupt = Interrupt()
        interrupt.guard(asyncio.current_task())
        asyncio.get_running_loop().call_later(0.01, interrupt.now)
        with interrupt.gently(), Verification("all") as watch:
            return await watch.judged(Hangs(), None, case, row, interrupt)

    found = asyncio.run(judged())
    assert found.completed == 600 and not found.valid
    assert found.reasons == ["verification: interrupted before the answers were checked"]


# The model itself, as long as it is asked no more often than that; then another answer for good.
TURNING = """
def predict(self, feeds):
    import onnxruntime
    self.calls = getattr(self, "calls", 0) + 1
    if not hasattr(self, "session"):
        made = self.configs["segments"][0]["compiled_model"][0]["compiled_obj"]
        self.session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    outputs = self.session.get_outputs()
    answer = dict(zip([each.name for each in outputs], self.session.run(None, feeds)))
    return answer if self.calls < {right} else {then}
"""
ZEROS = "{name: each * 0 for name, each in answer.items()}"


@pytest.mark.parametrize(
    ("pool", "right", "then", "verify", "said"),
    [
        pytest.param(
            *("thread", 60, ZEROS, (), "the idle backend, after the case: its answer to sample 0"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("thread", 200, ZEROS, ("--verify", "all")),
            "the idle backend, after the case: its answer",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "process",
            41,
            "{}",
            ("--verify", "all"),
            "the idle backend, before the case: sample",
            marks=pytest.mark.slow,
        ),
        pytest.param("inline", 1000, "None", (), None, marks=pytest.mark.slow),
    ],
)
def test_a_backend_right_for_the_numeric_check_only(tmp_path, pool, right, then, verify, said):
    predict = TURNING.format(right=right, then=then)
    clients = 2 if pool == "process" else 1
    root = write(tmp_path, {"pool": pool}, predict=predict, test_numeric=True, clients=clients)
    status, result, told = run(root, "--quiet", *FEW, *verify)
    (row,) = result["Performance"]
    assert row["Completed"] == 300 * clients, told
    assert not any(reason.startswith("numeric") for reason in result["Reasons"])
    assert (status, row["Verdict"]) == ((3, "INVALID") if said else (0, "VALID")), row["Reasons"]
    assert said is None or any(said in reason for reason in row["Reasons"])


@pytest.mark.parametrize(
    ("right", "completed", "said"),
    [
        (0, 0, "NoOutput: predict returned None, which holds no output"),
        (50, 300, "under load, predict returned None, which holds no output (instance 0)"),
    ],
)
def test_no_outputs_are_seen_without_any_check(tmp_path, right, completed, said):
    root = write(tmp_path, {}, predict=TURNING.format(right=right, then="None"), clients=1)
    status, result, _ = run(root, "--quiet", *FEW)
    (row,) = result["Performance"]
    assert (status, row["Verdict"], row["Completed"] or 0) == (3, "INVALID", completed)
    assert any(said in reason for reason in row["Reasons"]), row["Reasons"]
