"""`qs run` over nodes that are processes of this machine, one of which may not see its files; and
over a real Ray cluster that is started for it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from qs.engine.distributed import ProcessPlaces, open_nodes
from qs.nodes import fleet
from tests.qs.environments.packages import repack, write_wheel
from tests.qs.program import ROOT, qs_process
from tests.qs.small_backend import folder_of, run
from tests.qs.test_nodes_cases import AMOUNT, row_of, vendor

TASK = "digits-cnn-onnx-fp32"


def namespaces() -> bool:
    """Whether a process may have mounts of its own here."""
    found = shutil.which("unshare")
    return (
        found is not None
        and not subprocess.run([found, "-m", "true"], capture_output=True, check=False).returncode
    )


@pytest.fixture
def placed(monkeypatch):
    """Has commands open node processes; `placed(hidden=...)`: the second does not see a folder."""

    def over(hidden: Path | None = None, cache: Path | None = None) -> None:
        script = f'mount -t tmpfs none "{hidden}" && exec "$@"'
        prefixes = [] if hidden is None else [(), ("unshare", "-m", "sh", "-c", script, "sh")]
        environments = [] if cache is None else [{}, {"QS_CACHE": str(cache)}]

        def opened(asked: Any, shipped: Any, say: Any) -> Any:
            return open_nodes(ProcessPlaces(asked.nodes, shipped, prefixes, environments), say=say)

        monkeypatch.setattr(fleet, "opened_nodes", opened)

    return over


def loading(root: Path, code: str) -> None:
    """Have the backend run a line when it loads."""
    runtime = root / "backends/TINY/runtime_backend_tiny.py"
    head = "    def load(self, batch_size):\n"
    runtime.write_text(runtime.read_text().replace(head, f"{head}        {code}\n"))


@pytest.mark.skipif(not namespaces(), reason="needs mounts of its own")
def test_a_node_that_has_no_file_of_ours_is_brought_them(tmp_path, placed):
    """Backend, model and a file that is larger than what Ray stages, each found where it is told
    there.
    """
    there = tmp_path / "there"
    root = vendor(there)
    weights = root / "backends/TINY/weights.bin"
    weights.write_bytes(os.urandom(5 << 20))
    (root / "model_zoo").mkdir()
    shutil.copy(ROOT / f"model_zoo/{TASK}.json", root / "model_zoo")
    shutil.copytree(ROOT / "model_zoo/digits", root / "model_zoo/digits")
    told = "self.configs['segments'][0]['compiled_model'][0]['compiled_obj']"
    own = "Path(__file__).with_name('weights.bin')"
    loading(root, f"print('loaded', {told}, len(open({told}, 'rb').read()), {own}.stat().st_size)")
    placed(there, tmp_path / "cache2")
    status, result, said = run(root, "--nodes", 2, "--clients", 2, *AMOUNT)
    assert status == 0, said
    assert [node["completed"] for node in row_of(result)["Nodes"]] == [20, 20]
    [log] = folder_of(root).glob("*.log")
    lines = [line for line in log.read_text().splitlines() if line.startswith("loaded")]
    paths = {line.split()[1] for line in lines}
    assert len(paths) == 2 and {line.split()[3] for line in lines} == {str(5 << 20)}, lines
    assert "sending weights.bin (5.24 MB) to 1 node" in said
    kept = [each.stat().st_size for each in (tmp_path / "cache2/shipped").iterdir()]
    # the model was not known yet when the others were staged
    assert sorted(kept) == [(ROOT / f"model_zoo/digits/{TASK}.onnx").stat().st_size, 5 << 20]
    left = [each.name for each in (tmp_path / "cache2").iterdir()]
    assert left == ["shipped"], left


KILL = "if on_node and self.calls == 30 and first('killed'): os.kill(os.getppid(), 9)"
LONGER = ("--duration", 2, "--warmup", 0, "--no_calibrate")


@pytest.mark.slow
def test_a_node_that_is_lost_in_a_case_is_named_and_the_next_case_goes_on(tmp_path, placed):
    placed()
    root = vendor(tmp_path, KILL, batch_sizes=[1, 2])
    status, result, said = run(root, "--nodes", 2, "--clients", 4, *LONGER)
    assert status == 3, said
    one, two = result["Performance"]
    assert one["Nodes Lost"] == 1 and one["Verdict"] == "INVALID"
    assert one["Outcome"] == "crashed", one["Errors By Kind"]
    assert any("signal SIGKILL" in (node["lost"] or "") for node in one["Nodes"])
    assert two["Completed"] > 0


@pytest.mark.slow
def test_another_node_takes_over_what_was_left(tmp_path, placed):
    placed()
    root = vendor(tmp_path, KILL)
    options = ("--nodes", 2, "--clients", 4, "--on_loss", "replace", "--duration", 6)
    status, result, said = run(root, *options, *LONGER[2:])
    assert status == 3, said
    nodes = row_of(result)["Nodes"]
    assert [node["replaces"] for node in nodes if node["replaces"]], nodes
    [follower] = [node for node in nodes if node["replaces"]]
    assert follower["completed"] > 0


@pytest.mark.slow
def test_each_node_builds_or_finds_the_backends_environment(tmp_path, placed, monkeypatch):
    """One has this machine's cache, the other one of its own."""
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))
    placed(cache=tmp_path / "cache2")
    root = vendor(tmp_path / "ws", "import iniconfig; assert iniconfig.__version__ == '0.1'")
    wheels = tmp_path / "wheels"
    write_wheel(wheels, "iniconfig", "0.1")
    repack("numpy", wheels)
    asked = f"--no-index\n--find-links {wheels}\niniconfig==0.1\nnumpy\n"
    (root / "backends/TINY/requirements.txt").write_text(asked)
    status, result, said = run(root, "--nodes", 2, "--clients", 2, *AMOUNT)
    assert status == 0, said
    there = [node["facts"]["backend"]["environment"] for node in row_of(result)["Nodes"]]
    assert {each["key"] for each in there} == {result["Environment"]["Key"]}
    assert [each["created"] for each in there] == [False, True]


@pytest.mark.slow
def test_two_nodes_of_a_cluster_that_is_started_for_the_run(tmp_path):
    pytest.importorskip("ray")
    ran = qs_process(
        *("run", "--task", TASK, "--hardware_type", "CPU", "--nodes", 2, "--ray", "local"),
        *("--batch_sizes", 1, "--duration", "0.5s", "--no_input", "--out", tmp_path),
        cwd=tmp_path,
        RAY_ADDRESS="",
    )
    assert ran.returncode == 0, ran.stderr
    page = next(tmp_path.glob("CPU/*/report.html")).read_text()
    assert "clients 1 to" in page
    assert "over 2 nodes" in ran.stderr


def test_the_backends_folder_is_where_its_report_is(tmp_path, placed):
    """What a compiler left under a relative name is found by that name on each node."""
    placed()
    misdeed = "assert Path('left/by.compiler').read_text() == 'x', os.getcwd()"
    root = vendor(tmp_path, misdeed)
    compiler = root / "backends/TINY/compile_backend_tiny.py"
    text = compiler.read_text()
    head = "    def compile(self, configs, dataloader=None):\n"
    made = (
        "        Path('left').mkdir(exist_ok=True)\n"
        "        Path('left/by.compiler').write_text('x')\n"
    )
    compiler.write_text(text.replace(head, head + made))
    status, _, said = run(root, "--nodes", 2, "--clients", 2, *AMOUNT)
    assert status == 0, said
    assert (folder_of(root) / "work/left/by.compiler").exists()
    assert not os.path.lexists(folder_of(root) / "work/backend.log")
