"""`qs sweep` as a person uses it: real runs, killed and taken up again; the limit of a target whose
capacity is known.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.qs import small_backend
from tests.qs.limit.queues import true_limit
from tests.qs.program import command, qs, refused
from tests.qs.results import read_result
from tests.waiting import wait_for

ROOT = Path(__file__).parents[3]
DIGITS = ("--task", "digits-cnn-onnx-fp32", "--hardware_type", "CPU")
PAGE = (ROOT / "docs" / "sweep.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]

# Takes 5 ms, whatever the system's sleep is like: it sleeps until shortly before, and looks at the
# clock for the rest.
STEADY = """
def predict(self, feeds):
    until = time.perf_counter() + 0.005
    time.sleep(0.0048)
    while time.perf_counter() < until:
        time.sleep(0)
    return {"logits": np.zeros((self.batch_size, 10), np.float32)}
"""
FAILS_AT_8 = """
def predict(self, feeds):
    if self.batch_size == 8:
        raise MemoryError("batch 8 does not fit")
    time.sleep(0.0005 * self.batch_size)
    return {"logits": np.zeros((self.batch_size, 10), np.float32)}
"""


def sweep(root: Path, *options: object) -> list[str]:
    return small_backend.arguments(root, "sweep", *options)


def swept(root: Path, *options: object, status: int = 0) -> dict:
    ran = qs(*sweep(root, *options), cwd=root)
    assert ran.returncode == status, ran.stderr
    return result_in(root)


def result_in(root: Path) -> dict:
    return read_result(small_backend.folder_of(root) / "sweep-fp16.json")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("sweep")
    shutil.copy(ROOT / "model_zoo" / "digits" / "digits-cnn-onnx-fp32.onnx", made / "model.onnx")
    return made


@pytest.mark.parametrize(
    "command",
    [pytest.param(each, marks=pytest.mark.slow) for each in COMMANDS],
)
def test_a_command_of_the_page(command, place):
    ran = qs(*shlex.split(command)[1:], cwd=place)
    # A busy machine may keep no bound at any rate.
    refuted = "at no " in ran.stdout
    assert ran.returncode == (3 if "--slo" in command and refuted else 0), ran.stderr


@pytest.mark.slow
def test_all_settings_are_measured_and_the_recommended_command_runs(tmp_path):
    ran = qs(
        "sweep",
        *DIGITS,
        "--batch_sizes",
        "1,8",
        "--clients",
        "1,2",
        "--duration",
        "0.3s",
        "--repeats",
        "2",
        "--out",
        tmp_path,
        "--json",
    )
    assert ran.returncode == 0, ran.stderr
    result = read_result(tmp_path / "CPU" / "digits-cnn-onnx-fp32" / "sweep-fp32.json")
    assert json.loads(ran.stdout) == result
    found = result["Sweep"]
    assert [each["name"] for each in found["table"]] == ["bs1-c1", "bs1-c2", "bs8-c1", "bs8-c2"]
    assert len(result["Performance"]) == 8
    for each in found["table"]:
        rows = [
            row
            for row in result["Performance"]
            if (row["BS"], row["Clients"])
            == (each["setting"]["batch_size"], each["setting"]["clients"])
        ]
        assert each["trials"] == len(rows) == 2
        assert each["completed"] == sum(row["Completed"] for row in rows)
        rates = [row["QPS"] for row in rows]
        assert min(rates) * 0.99 <= each["QPS"] <= max(rates) * 1.01
    assert set(found["pareto"]) <= {each["name"] for each in found["table"]}
    assert [each["for"] for each in found["recommendations"]] == ["latency", "throughput"]
    for each in found["recommendations"]:
        assert "--duration 0.3s" in each["command"]
        again = qs(*shlex.split(each["command"])[1:])
        assert again.returncode == 0, again.stderr


def test_without_batch_sizes_the_backends_own_analysis_decides(tmp_path):
    small_backend.write(tmp_path, config={}, best=[2, 6])
    found = swept(tmp_path, "--duration", "0.2s", "--repeats", "1")
    assert [each["setting"]["batch_size"] for each in found["Sweep"]["table"]] == [2, 6]
    assert found["Effective Values"]["batch_sizes"]["origin"] == "backend"


def test_a_setting_that_fails_is_a_line_and_the_sweep_goes_on(tmp_path):
    small_backend.write(tmp_path, config={}, predict=FAILS_AT_8)
    found = swept(tmp_path, "--batch_sizes", "1,8,2", "--duration", "0.2s", "--repeats", "1")
    verdicts = {
        each["name"]: (each["verdict"], each["first_fault"]) for each in found["Sweep"]["table"]
    }
    assert [verdicts[name][0] for name in ("bs1", "bs8", "bs2")] == ["VALID", "INVALID", "VALID"]
    assert "batch 8 does not fit" in str(verdicts["bs8"][1])
    assert found["Verdict"] == "VALID" and "bs8" not in found["Sweep"]["pareto"]
    small_backend.write(tmp_path / "all", config={}, predict=FAILS_AT_8)
    assert (
        swept(
            tmp_path / "all", "--batch_sizes", "8", "--duration", "0.2s", "--repeats", "1", status=3
        )["Verdict"]
        == "INVALID"
    )


@pytest.mark.slow
def test_killed_in_the_middle_and_taken_up_again(tmp_path):
    """SIGKILL after a few trials: what was measured is there, no setting is measured twice, none is
    lost.
    """
    small_backend.write(tmp_path, config={})
    options = (
        "--batch_sizes",
        "1,2,4",
        "--clients",
        "1,2",
        "--duration",
        "0.3s",
        "--repeats",
        "2",
        "--no_history",
    )
    log = tmp_path / "log.txt"
    with log.open("w") as file:
        started = subprocess.Popen(
            command(*sweep(tmp_path, *options)),
            cwd=tmp_path,
            env=small_backend.environment(),
            stdout=file,
            stderr=file,
        )
    state = small_backend.folder_of(tmp_path) / "sweep-fp16.jsonl"
    try:
        wait_for(state, "\n", started, times=5)
        os.kill(started.pid, signal.SIGKILL)
    finally:
        started.kill()
        started.wait(30)
    before = [json.loads(line) for line in state.read_text().splitlines() if line.endswith("}")][1:]
    assert 4 <= len(before) < 12, log.read_text()
    saved = result_in(tmp_path)
    assert saved["Status"] == "running" and len(saved["Performance"]) >= len(before) - 1
    found = swept(tmp_path, *options, "--resume")
    after = [json.loads(line) for line in state.read_text().splitlines()][1:]
    assert after[: len(before)] == before
    keys = [(each["round"], each["name"]) for each in after]
    assert len(keys) == len(set(keys)) == 12
    assert [each["trials"] for each in found["Sweep"]["table"]] == [2] * 6
    assert found["Status"] == "complete" and found["Verdict"] == "VALID"
    refused(qs(*sweep(tmp_path, *options, "--resume", "--seed", "5")), "of another sweep", "seed")
    whole = state.read_bytes()
    state.write_bytes(b"[" * 100_000 + b"\n" + whole)
    refused(qs(*sweep(tmp_path, *options, "--resume")), "line 1: does not say what was swept")
    assert state.read_bytes().endswith(whole)
    state.unlink()
    os.mkfifo(state)
    refused(qs(*sweep(tmp_path, *options, "--resume")), "sweep-fp16.jsonl: is a pipe")


@pytest.mark.slow
def test_interrupted_it_goes_on_too(tmp_path):
    small_backend.write(tmp_path, config={})
    options = ("--batch_sizes", "1,2", "--duration", "1s", "--repeats", "3")
    started = subprocess.Popen(
        command(*sweep(tmp_path, *options)),
        cwd=tmp_path,
        env=small_backend.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    state = small_backend.folder_of(tmp_path) / "sweep-fp16.jsonl"
    try:
        wait_for(state, "\n", started, times=3)
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=60)
    finally:
        started.kill()
    assert started.returncode == 130, said
    assert result_in(tmp_path)["Status"] == "interrupted"
    found = swept(tmp_path, *options, "--resume")
    assert [each["trials"] for each in found["Sweep"]["table"]] == [3, 3]


@pytest.mark.slow
def test_a_budget_is_spent_on_what_promises_something(tmp_path):
    small_backend.write(tmp_path, config={}, predict=FAILS_AT_8)
    found = swept(
        tmp_path, "--batch_sizes", "1,2,3,4,5,6,7,8,9,10", "--clients", "1", "--budget", "12s"
    )
    rounds = found["Sweep"]["rounds"]
    # Measured time alone: what a trial costs besides depends on how busy the machine is.
    assert sum(each["settings"] * each["seconds_each"] for each in rounds) <= 12.0
    assert [each["settings"] for each in rounds] == [10, 5, 4]
    assert rounds[0]["seconds_each"] <= rounds[1]["seconds_each"] <= rounds[2]["seconds_each"]
    trials = {each["name"]: each["trials"] for each in found["Sweep"]["table"]}
    assert sorted(trials.values()) == [1] * 5 + [2] + [3] * 4 and trials["bs8-c1"] == 1


def test_what_cannot_be_is_one_message(tmp_path):
    refused(qs("sweep", "--hardware_type", "CPU"), "a task, a model file or the address")
    refused(qs("sweep", *DIGITS, "--slo", "p99=5"), "a time above 0 with its unit")
    refused(qs("sweep", *DIGITS, "--slo", "meen=5ms"), "did you mean")
    refused(qs("sweep", *DIGITS, "--pool", "threads"), "thread")
    refused(
        qs("sweep", *DIGITS, "--pool", "inline", "--clients", "2", "--out", tmp_path),
        "no possible setting",
    )


@pytest.mark.slow
def test_bounds_that_no_setting_keeps_are_not_met_and_not_invalid(tmp_path):
    small_backend.write(tmp_path, config={})
    options = ("--batch_sizes", "1,2", "--duration", "0.2s", "--repeats", "1", "--slo", "p50=1us")
    ran = qs(*sweep(tmp_path, *options, "--no_search"), cwd=tmp_path)
    found = result_in(tmp_path)
    assert ran.returncode == 3 and "verdict: SLO NOT MET" in ran.stdout, ran.stderr
    assert found["Verdict"] == "SLO NOT MET" and found["Sweep"]["slo_met"] is False
    assert "No setting keeps p50 <= 1 us in closed loop; the nearest is bs" in ran.stdout
    assert not any(
        each["name"] for each in found["Sweep"]["recommendations"] if each["for"] == "slo"
    )
    # the same trials, and now the search
    ran = qs(*sweep(tmp_path, *options, "--slo_budget", "3s", "--resume"), cwd=tmp_path)
    found = result_in(tmp_path)
    assert ran.returncode == 3 and found["Verdict"] == "SLO NOT MET", ran.stderr
    assert "fails (p50=1us)" in ran.stderr and "VALID" not in ran.stderr.split("highest rate")[-1]
    assert [each["trials"] for each in found["Sweep"]["table"]] == [1, 1]


def test_bounds_that_every_setting_keeps_choose_one(tmp_path):
    small_backend.write(tmp_path, config={"scenarios": [{"name": "Poisson", "target_qps": 5.0}]})
    options = ("--batch_sizes", "1,8", "--duration", "0.2s", "--repeats", "1", "--slo", "p50=9s")
    ran = qs(*sweep(tmp_path, *options, "--no_search"), cwd=tmp_path)
    found = result_in(tmp_path)
    assert ran.returncode == 0 and found["Sweep"]["slo_met"] is True, ran.stderr
    assert "Take batch size 8: " in ran.stdout and "within p50 <= 9 s in closed loop" in ran.stdout
    chosen = found["Sweep"]["recommendations"][-1]
    # the backend's own scenario is not what a sweep measures
    assert chosen["for"] == "slo" and "--scenario closed_loop" in chosen["command"]
    assert {row["Scenario"] for row in found["Performance"]} == {"closed loop"}
    assert ran.stdout.count("too short to tell:") <= 1  # once for all settings
    refused(
        qs(*sweep(tmp_path, "--no_search", "--shape", "x=1")),
        "--no_search is 'given'; allowed: given only with --slo",
        "--shape is 'given'; allowed: given only with --artifact",
    )


@pytest.mark.slow
def test_a_limit_is_found_drawn_and_has_a_command(tmp_path):
    small_backend.write(tmp_path, config={}, predict=STEADY)
    found = swept(
        tmp_path,
        "--batch_sizes",
        "1",
        "--clients",
        "2",
        "--duration",
        "0.5s",
        "--repeats",
        "1",
        "--slo",
        "p90=15ms",
        "--slo",
        "errors=1%",
        "--slo_budget",
        "30s",
    )
    limit = found["Sweep"]["limit"]
    assert limit["goals"] == ["p90=15ms", "errors=1%"] and limit["setting"] == "bs1-c2"
    assert 50 < limit["rate_per_s"] < 400  # two servers of 5 ms cannot do more
    # On a busy machine time may run out before a rate is shown to fail; then that is the reason.
    failing = any(point["verdict"] == "fails" for point in limit["points"])
    assert failing or limit["reason"]
    picture = small_backend.folder_of(tmp_path) / found["Sweep"]["curve"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    last = found["Sweep"]["recommendations"][-1]
    assert last["for"] == "limit" and "--rate" in last["command"]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_limit_of_a_known_capacity_is_the_exact_queues(tmp_path, seed):
    """Two workers of 5 ms, p99 within 20 ms, through the whole program: within a tenth of the
    simulated queue's limit.
    """
    small_backend.write(tmp_path, config={"instances": 1}, predict=STEADY)
    found = swept(
        tmp_path,
        "--batch_sizes",
        "1",
        "--clients",
        "2",
        "--duration",
        "2s",
        "--repeats",
        "1",
        "--slo",
        "p99=20ms",
        "--slo_budget",
        "100s",
        "--seed",
        seed,
    )
    service_s = found["Sweep"]["table"][0]["P50 Latency"] / 1e3
    edge = true_limit(lambda took: float((took > 0.02).mean()) <= 0.01, 2, service_s, 2 / service_s)
    limit = found["Sweep"]["limit"]
    print(f"service {service_s * 1e3:.3f} ms, simulated limit {edge:.1f}/s; {limit['sentence']}")
    assert limit["rate_per_s"] == pytest.approx(edge, rel=0.1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_is_recommended_for_bert_is_the_best_of_the_grid_by_hand(tmp_path):
    """CPU backend: the setting recommended for throughput reaches at least the best of the grid
    measured by hand, within 3 %.
    """
    bert = ("--task", "bert-torch-fp32", "--hardware_type", "CPU", "--no_input", "--out", tmp_path)
    grid = ("--batch_sizes", "1,4", "--instances", "1,2", "--duration", "8s")
    ran = qs("sweep", *bert, *grid, "--repeats", "3", "--clients", "2")
    assert ran.returncode == 0, ran.stderr
    sweep = read_result(tmp_path / "CPU" / "bert-torch-fp32" / "sweep-fp32.json")["Sweep"]
    chosen = next(each for each in sweep["recommendations"] if each["for"] == "throughput")
    by_hand: dict[str, list[float]] = {each["name"]: [] for each in sweep["table"]}
    for number in range(2):
        for each in sweep["table"]:
            setting = each["setting"]
            flags = (
                "--batch_sizes",
                setting["batch_size"],
                "--instances",
                setting["instances"],
                "--clients",
                2,
                "--duration",
                "8s",
            )
            one = qs(
                "run",
                *bert[:-1],
                tmp_path / f"{each['name']}-{number}",
                *flags,
                "--json",
                "--quiet",
                "--numeric_items",
                1,
            )
            by_hand[each["name"]].append(json.loads(one.stdout)["Performance"][0]["QPS"])
    best = max(max(rates) for rates in by_hand.values())
    print(chosen["name"], by_hand)
    assert max(by_hand[chosen["name"]]) >= 0.97 * best
