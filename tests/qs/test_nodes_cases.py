"""`qs run`, `load` and `sweep` over nodes that are objects of this process: what is brought there,
what each node's backend is told, and what becomes of one that fails. The engine's own part, and
nodes that are processes, are tested elsewhere.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qs.nodes import fleet
from tests.qs import small_backend
from tests.qs.nodes.nodes_here import NodesHere
from tests.qs.program import qs, refused
from tests.qs.small_backend import run, write

PREDICT = """
calls = 0

def predict(self, feeds):
    type(self).calls += 1
    on_node = Path.cwd().parent.name.startswith("qs-node-")
    {misdeed}
    time.sleep(0.0005)
    return {{"logits": np.zeros((self.batch_size, 10), np.float32)}}
"""
# Whether this process is the first that asks.
FIRST = """
from pathlib import Path

def first(name):
    try:
        (Path({root!r}) / name).mkdir()
    except FileExistsError:
        return False
    return True
"""


@pytest.fixture
def opened(monkeypatch) -> list[NodesHere]:
    """Nodes as many as are asked for; two for "all". Those that were opened."""
    found: list[NodesHere] = []

    def nodes(asked: Any, shipped: Any, say: Any) -> NodesHere:
        made = NodesHere(2 if isinstance(asked.nodes, str) else asked.nodes, shipped)
        found.append(made)
        return made

    monkeypatch.setattr(fleet, "opened_nodes", nodes)
    return found


def vendor(root: Path, misdeed: str = "pass", config: Any = None, **workload: Any) -> Path:
    config = {"pool": "thread"} if config is None else config
    made = write(root, predict=PREDICT.format(misdeed=misdeed), config=config, **workload)
    runtime = root / "backends/TINY/runtime_backend_tiny.py"
    runtime.write_text(FIRST.format(root=str(root)) + runtime.read_text())
    return made


def row_of(result: dict) -> dict:
    [row] = result["Performance"]
    return row


AMOUNT = ("--iterations", 20, "--warmup", 0, "--no_calibrate")


def test_a_case_is_shared_out_and_its_report_counts_every_node(tmp_path, opened):
    root = vendor(tmp_path)
    status, result, said = run(root, "--nodes", 2, "--clients", 4, *AMOUNT)
    assert status == 0, said
    row = row_of(result)
    assert row["Completed"] == 4 * 20 and row["Node Count"] == 2
    assert [node["name"] for node in row["Nodes"]] == ["node-1", "node-2"]
    assert [node["completed"] for node in row["Nodes"]] == [40, 40]
    assert result["Instance Count"] == 2 and result["Device Count"] == 2
    assert [node["facts"]["backend"]["versions"] for node in row["Nodes"]] == [
        {"compile": "1", "runtime": "1"}
    ] * 2
    assert row["Nodes"][0]["facts"]["backend"]["environment"]["interpreter"]
    assert "over 2 nodes: node-1, node-2" in said
    assert len(opened) == 1


@pytest.mark.slow
def test_what_the_task_states_holds_for_each_node_and_what_is_typed_is_the_total(tmp_path, opened):
    config = {"pool": "thread", "clients": 3, "instances": 2}
    root = vendor(tmp_path, config=config)
    _, result, said = run(root, "--nodes", 2, *AMOUNT)
    row = row_of(result)
    assert (row["Clients"], row["Instances"]) == (6, 4), said
    _, result, _ = run(root, "--nodes", "all", "--per_node", "clients=5", *AMOUNT)
    row = row_of(result)
    assert (row["Clients"], row["Instances"], row["Completed"]) == (10, 4, 200)
    assert result["Effective Values"]["clients"] == {"value": 10, "origin": "command line"}


@pytest.mark.slow
def test_one_node_works_too(tmp_path, opened):
    _, result, _ = run(vendor(tmp_path), "--nodes", 1, "--clients", 1, *AMOUNT)
    row = row_of(result)
    assert (row["Node Count"], row["Completed"], result["Instance Count"]) == (1, 20, 1)


def test_a_backend_that_dies_on_one_node_is_named_and_replaced_for_the_next_case(tmp_path, opened):
    death = "if on_node and self.calls == 5 and first('died'): os.kill(os.getpid(), 9)"
    root = vendor(tmp_path, death, batch_sizes=[1, 2])
    status, result, said = run(root, "--nodes", 2, "--clients", 2, *AMOUNT)
    assert status == 3, said
    one, two = result["Performance"]
    assert one["Outcome"] == "crashed" and one["Verdict"] == "INVALID"
    [failure] = result["Failures"]
    assert failure["Message"].startswith("node node-") and "signal SIGKILL" in failure["Message"]
    assert two["Verdict"] == "VALID" and two["Completed"] == 40


LOADING = (
    "if Path.cwd().parent.name.startswith('qs-node-') and first('load'): raise OSError('gone')"
)


def failing_to_load(root: Path) -> Path:
    made = vendor(root, batch_sizes=[1, 2])
    runtime = made / "backends/TINY/runtime_backend_tiny.py"
    text = runtime.read_text()
    head = "    def load(self, batch_size):\n"
    runtime.write_text(text.replace(head, f"{head}        {LOADING}\n"))
    return made


def test_a_node_that_cannot_load_is_left_out_with_its_reason(tmp_path, opened):
    root = failing_to_load(tmp_path)
    status, result, said = run(root, "--nodes", 2, "--clients", 2, *AMOUNT)
    assert status == 0, said
    assert "is left out: OSError: node node-" in said
    assert [row["Completed"] for row in result["Performance"]] == [40, 40]
    assert [len(row["Nodes"]) for row in result["Performance"]] == [1, 1]


def test_the_first_fault_names_its_node(tmp_path, opened):
    root = vendor(tmp_path / "one", "if on_node and first('fault'): raise ValueError('mine')")
    status, result, said = run(root, "--nodes", 2, "--clients", 2, *AMOUNT)
    assert status == 3, said
    fault = row_of(result)["Reasons"][-1]
    assert fault.startswith("the first fault on node node-"), fault
    assert "ValueError: mine (" in fault


@pytest.mark.slow
def test_a_loading_that_hangs_names_its_node(tmp_path, opened):
    root = failing_to_load(tmp_path)
    runtime = root / "backends/TINY/runtime_backend_tiny.py"
    runtime.write_text(runtime.read_text().replace("raise OSError('gone')", "time.sleep(1000)"))
    options = ("--nodes", 2, "--clients", 2, "--on_loss", "stop", "--load_timeout", "15s")
    status, result, said = run(root, *options, *AMOUNT)
    assert status == 3, said
    [reason] = result["Performance"][0]["Reasons"]
    assert reason.startswith("load batch size 1: node node-"), reason
    assert reason.endswith(": load did not end within 15 s")


@pytest.mark.slow
def test_with_on_loss_stop_it_ends_the_case_and_no_other(tmp_path, opened):
    root = failing_to_load(tmp_path)
    status, result, said = run(root, "--nodes", 2, "--clients", 2, "--on_loss", "stop", *AMOUNT)
    assert status == 3, said
    one, two = result["Performance"]
    assert "load batch size 1: OSError: node node-" in one["Reasons"][0]
    assert len(two["Nodes"]) == 2


def test_answers_are_verified_on_each_node_and_a_wrong_one_is_named(tmp_path, opened):
    answer = "{'logits': np.ones((self.batch_size, 10), np.float32)}"
    wrong = f"if on_node and self.calls == 9 and first('wrong'): return {answer}"
    root = vendor(tmp_path, wrong)
    options = ("--nodes", 2, "--clients", 2, "--verify", "all")
    status, result, said = run(root, *options, *AMOUNT)
    row = row_of(result)
    assert row["Verification"]["checked"] == 40, said
    assert row["Verification"]["wrong"] == 1
    assert " of node node-" in row["Verification"]["worst"]["worker"]
    assert row["Verdict"] == "INVALID" and status == 3
    status, result, said = run(root, *options, *AMOUNT)
    assert (status, row_of(result)["Verification"]["wrong"]) == (0, 0), said


@pytest.mark.slow
def test_answers_without_outputs_are_named_by_node(tmp_path, opened):
    empty = "if on_node and self.calls > 2: return {}"
    status, result, _ = run(vendor(tmp_path, empty), "--nodes", 2, "--clients", 2, *AMOUNT)
    reasons = row_of(result)["Reasons"]
    assert any("node node-1: " in reason for reason in reasons), reasons
    assert status != 0


@pytest.mark.slow
def test_processes_of_their_own_are_set_up_on_the_nodes(tmp_path, opened):
    root = vendor(tmp_path, config={"pool": "process"})
    status, result, said = run(root, "--nodes", 2, "--clients", 4, *AMOUNT)
    assert status == 0, said
    row = row_of(result)
    assert (row["Completed"], row["Instances"]) == (80, 4)


@pytest.mark.slow
def test_a_backend_that_times_itself_is_refused_with_what_to_do(tmp_path, opened):
    root = vendor(tmp_path)
    runtime = root / "backends/TINY/runtime_backend_tiny.py"
    text = runtime.read_text()
    runtime.write_text(text.replace("return True", "return 'no' == 'yes'"))
    status, result, said = run(root, "--nodes", 2, *AMOUNT)
    assert status == 2 and "--engine always" in said
    status, result, said = run(root, "--nodes", 2, "--engine", "always", *AMOUNT)
    assert status == 0, said
    assert row_of(result)["Node Count"] == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--scenario", "single_stream"), "one stream of queries"),
        (("--pool", "inline", "--clients", 1), "--pool"),
        (("--engine", "never"), "a backend that times itself"),
        (("--in_process",), "--in_process"),
        (("--compile_only",), "--compile_only"),
    ],
)
def test_what_means_one_machine_is_refused_before_anything_starts(tmp_path, opened, options, words):
    root = vendor(tmp_path)
    status, result, said = run(root, "--nodes", 2, *options)
    assert (status, result, opened) == (2, None, []), said
    assert words in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--clients", 1), "--clients is 1; allowed: 2 or more with --nodes 2"),
        (("--clients", 2, "--instances", 1), "--instances is 1; allowed: 2 or more with --nodes 2"),
    ],
)
def test_fewer_clients_or_copies_than_nodes_are_refused(tmp_path, opened, options, words):
    status, _, said = run(vendor(tmp_path), "--nodes", 2, *options, *AMOUNT)
    assert status == 2 and words in said


@pytest.mark.slow
def test_one_stream_that_the_qs_config_states_is_refused_too(tmp_path, opened):
    config = {"pool": "thread", "scenarios": [{"name": "SingleStream"}], "clients": 1}
    status, _, said = run(vendor(tmp_path, config=config), "--nodes", 2)
    assert status == 2 and "one stream of queries" in said


@pytest.mark.slow
def test_open_loop_rates_are_totals(tmp_path, opened):
    root = vendor(tmp_path)
    options = ("--rate", 400, "--arrivals", "even", "--duration", 1, "--clients", 4)
    status, result, said = run(root, "--nodes", 2, *options, "--warmup", 0, "--no_calibrate")
    assert status == 0, said
    row = row_of(result)
    assert row["Completed"] == 400
    assert [node["completed"] for node in row["Nodes"]] == [200, 200]


def test_a_sweep_opens_its_nodes_once(tmp_path, opened):
    root = vendor(tmp_path)
    ran = qs(
        *small_backend.arguments(root, "sweep", "--nodes", 2, "--clients", "2,4"),
        *("--batch_sizes", 1, "--duration", "0.2s", "--repeats", 1, "--no_calibrate"),
        cwd=root,
    )
    assert ran.returncode == 0, ran.stderr
    assert len(opened) == 1
    [file] = small_backend.folder_of(root).glob("sweep-*.json")
    lines = json.loads(file.read_text())["Sweep"]["table"]
    assert [line["verdict"] for line in lines] == ["VALID", "VALID"]


@pytest.mark.slow
def test_the_backends_log_of_each_node_is_kept(tmp_path, opened):
    root = vendor(tmp_path, "print('hello from', 'a node' if on_node else 'here')")
    run(root, "--nodes", 2, "--clients", 2, *AMOUNT)
    [log] = small_backend.folder_of(root).glob("*.log")
    text = log.read_text()
    assert "the backend's log of node node-2" in text and "hello from a node" in text


def test_no_nodes_is_one_message(tmp_path, monkeypatch):
    from qs.engine.distributed import NodesError

    class Nobody(NodesHere):
        async def __aenter__(self) -> NodesHere:
            raise NodesError("no cluster answers at 10.0.0.1:6379")

    monkeypatch.setattr(fleet, "opened_nodes", lambda *_: Nobody(1))
    root = vendor(tmp_path)
    ran = qs(*small_backend.arguments(root, "run", "--nodes", 2), cwd=root)
    refused(ran, "no cluster answers at 10.0.0.1:6379")


def test_a_dry_run_says_how_each_case_would_be_split(tmp_path, opened):
    root = vendor(tmp_path)
    arguments = small_backend.arguments(root, "run", "--clients", 5, "--dry_run")
    ran = qs(*arguments, "--nodes", 2, cwd=root)
    assert ran.returncode == 0, ran.stderr
    assert "bs1-c5: clients 1 to 3 of 5; clients 4 to 5 of 5" in ran.stdout + ran.stderr
    ran = qs(*arguments, "--nodes", "all", cwd=root)
    assert "all nodes of the cluster, which were not looked for" in ran.stdout + ran.stderr
    ran = qs(*arguments, "--nodes", 6, cwd=root)
    refused(ran, "--clients is 5; allowed: 6 or more with --nodes 6")
    assert opened == []


@pytest.mark.parametrize(
    ("method", "answer", "words"),
    [
        ("load", {"loaded_batch_size": "many"}, "does not say what it has loaded"),
        ("load", {"loaded_batch_size": 3, "seconds": 1, "takes_threads": 1}, "other batch sizes"),
        ("load", ["nonsense"], "does not say what it has loaded"),
        ("look", None, None),
        ("look", {"lacking": ["no such file", 7, None]}, None),
        ("set_up", "nonsense", None),
        ("set_up", {"versions": [1], "environment": 7, "notes": {"a": 1}}, None),
        ("noted", "nonsense", None),
    ],
)
@pytest.mark.slow
def test_a_node_that_answers_nonsense_costs_the_case_at_most(
    tmp_path, monkeypatch, method, answer, words
):
    class Lying(NodesHere):
        async def call(self, asked: str, deadline_s: float, **how: Any) -> list[Any]:
            answers = await super().call(asked, deadline_s, **how)
            return [answer, *answers[1:]] if asked == method else answers

    monkeypatch.setattr(fleet, "opened_nodes", lambda asked, shipped, say: Lying(2, shipped))
    status, result, said = run(vendor(tmp_path), "--nodes", 2, "--clients", 2, *AMOUNT)
    assert status in ((0,) if words is None else (2, 3)), said
    assert words is None or words in said + str(result)
