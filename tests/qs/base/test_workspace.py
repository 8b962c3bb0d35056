from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import qs.base.workspace
from qs.base.errors import UserError
from qs.base.workspace import Workspaces, shipped_root

Touch = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Touch:
    """make("a", "workloads/t.json", ...) -> the folder a with these (empty) files."""

    def make(root: str, *files: str) -> Path:
        for file in files:
            path = tmp_path / root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / root

    return make


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, no variable, no shipped workspace."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    monkeypatch.delenv("QS_WORKSPACE", raising=False)
    monkeypatch.setattr(qs.base.workspace, "shipped_root", lambda: None)
    return empty


def test_the_order_is_explicit_variable_working_directory_shipped(
    make: Touch, alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = [make(name, "workloads/t.json") for name in ("explicit", "variable", "here", "shipped")]
    monkeypatch.setenv("QS_WORKSPACE", str(roots[1]))
    monkeypatch.chdir(roots[2])
    monkeypatch.setattr(qs.base.workspace, "shipped_root", lambda: roots[3])
    found = Workspaces.find(roots[0])
    assert found.roots == tuple(roots)
    for root in roots:
        assert found.task("t").root == root
        shutil.rmtree(root / "workloads")


def test_one_folder_named_twice_is_searched_once(
    make: Touch, alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make("w", "workloads/t.json")
    monkeypatch.chdir(root)
    assert Workspaces.find(Path("../w")).roots == (root,)


def test_a_working_directory_counts_only_with_one_of_the_folders(
    make: Touch, alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Workspaces.find().roots == ()
    monkeypatch.chdir(make("other", "results/x.json"))
    assert Workspaces.find().roots == ()
    root = make("mine", "datasets/d/data_loader.py")
    monkeypatch.chdir(root)
    assert Workspaces.find().roots == (root,)


def test_a_working_directory_that_was_deleted_is_left_out(
    make: Touch, alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, gone = make("w", "workloads/t.json"), make("gone", "workloads/t.json")
    monkeypatch.chdir(gone)
    shutil.rmtree(gone)
    assert Workspaces.find(root).roots == (root,)


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("general_perf", "general_perf"),
        (".", "general_perf"),
        ("repo", "repo/byte_infer_perf/general_perf"),
        ("old", "old/byte_mlperf"),
    ],
)
def test_upstream_folders_are_workspaces_as_they_are(
    make: Touch, alone: Path, given: str, root: str
) -> None:
    top = make(
        "up",
        "general_perf/workloads/t.json",
        "repo/byte_infer_perf/general_perf/workloads/t.json",
        "old/byte_mlperf/backends/GPU/compile_backend_gpu.py",
    )
    assert Workspaces.find(top / given).roots == ((top / root),)


@pytest.mark.parametrize(
    ("origin", "name", "message"),
    [
        ("--workspace", "no/such", "--workspace: .*no/such' is not a folder"),
        ("--workspace", "w/workloads/t.json", "is not a folder"),
        ("--workspace", "plain", "is not a workspace; allowed: .* workloads/"),
        ("QS_WORKSPACE", "no/such", "QS_WORKSPACE: .* is not a folder"),
        ("--workspace", "x" * 5000, "is not a folder"),
        ("--workspace", "a\0b", "is not a folder"),
    ],
)
def test_named_folders_that_are_no_workspace(
    make: Touch, alone: Path, monkeypatch: pytest.MonkeyPatch, origin: str, name: str, message: str
) -> None:
    make("w", "workloads/t.json")
    top = make("plain", "readme.txt").parent
    path = str(top / name)
    if origin == "QS_WORKSPACE":
        monkeypatch.setenv("QS_WORKSPACE", path)
    with pytest.raises(UserError, match=message):
        Workspaces.find(path if origin == "--workspace" else None)


@pytest.mark.parametrize("hardware", ["CPU", "cpu", "Cpu"])
def test_backends_are_found_in_any_case(make: Touch, hardware: str) -> None:
    root = make("w", "backends/CPU/compile_backend_cpu.py")
    assert Workspaces((root,)).backend(hardware).path == root / "backends" / "CPU"


def test_a_folder_without_code_does_not_hide_a_backend(make: Touch) -> None:
    empty, real = (
        make("a", "backends/CPU/notes.txt"),
        make("b", "backends/cpu/runtime_backend_cpu.py"),
    )
    assert Workspaces((empty, real)).backend("CPU").root == real
    assert Workspaces((empty,)).backend("CPU").path == empty / "backends" / "CPU"


def test_a_data_set_needs_its_loader(make: Touch) -> None:
    root = make("w", "datasets/digits/data_loader.py", "datasets/notes/readme.md")
    found = Workspaces((root,))
    assert found.dataset("digits").path == root / "datasets" / "digits"
    assert found.dataset("notes") is None
    assert found.dataset("open_squad") is None


def test_listings_name_what_there_is_and_the_first_wins(make: Touch) -> None:
    one = make(
        "1",
        "workloads/b.json",
        "workloads/a.json",
        "workloads/_notes.txt",
        "workloads/.hidden.json",
        "backends/GPU/compile_backend_gpu.py",
        "backends/__pycache__/x.pyc",
        "backends/runtime_backend.py",
        "datasets/d/data_loader.py",
        "datasets/data_loader.py",
        "model_zoo/m.json",
        "model_zoo/b/x.py",
    )
    two = make("2", "workloads/a.json", "workloads/c.json", "backends/gpu/runtime_backend_gpu.py")
    found = Workspaces((one, two))
    assert {name: at.root for name, at in found.list_tasks().items()} == {
        "a": one,
        "b": one,
        "c": two,
    }
    assert list(found.list_tasks()) == ["a", "b", "c"]
    assert {name: at.root for name, at in found.list_backends().items()} == {"GPU": one}
    assert list(found.list_models()) == ["m"]
    assert list(found.list_datasets()) == ["d"]


def test_an_unknown_name_tells_the_nearest_and_where_it_was_looked_for(make: Touch) -> None:
    root = make(
        "w",
        "workloads/bert-torch-fp32.json",
        "backends/CPU/compile_backend_cpu.py",
        "model_zoo/m.json",
    )
    found = Workspaces((root,))
    for look_up, name, parts in [
        (
            found.task,
            "bert-torch-fp23",
            [
                "unknown task 'bert-torch-fp23'",
                "did you mean 'bert-torch-fp32'?",
                f"looked in {root}/workloads",
            ],
        ),
        (
            found.backend,
            "CPV",
            ["unknown hardware type 'CPV'", "did you mean 'CPU'?", f"{root}/backends"],
        ),
        (found.model, "zzz", ["unknown model 'zzz'", "known: m", f"{root}/model_zoo"]),
        (
            Workspaces(()).task,
            "t",
            ["unknown task 't'", "known: none", "no folder, as no workspace"],
        ),
    ]:
        with pytest.raises(UserError) as unknown:
            look_up(name)
        for part in parts:
            assert part in str(unknown.value)


def test_a_long_list_of_known_names_is_cut(make: Touch) -> None:
    root = make("w", *(f"workloads/task-{number:03}.json" for number in range(50)))
    with pytest.raises(UserError, match="task-019 and 30 more"):
        Workspaces((root,)).task("zebra")


@pytest.mark.parametrize("name", ["../w/workloads/t", "/etc/passwd", "", "a\0b", "..", "a/b"])
def test_names_that_are_not_plain_never_reach_the_disk(make: Touch, name: str) -> None:
    found = Workspaces((make("w", "workloads/t.json"),))
    for look_up in (found.task, found.model, found.backend, found.dataset):
        with pytest.raises(UserError, match="is not a valid name"):
            look_up(name)


def test_the_shipped_workspace_has_the_cpu_backend() -> None:
    root = shipped_root()
    assert root is not None
    assert (root / "workloads").is_dir()
    assert (root / "model_zoo").is_dir()


def test_beside_an_installed_package_nothing_is_shipped_but_what_it_carries(
    make: Touch, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make("site-packages", "qs/workspace.py", "datasets/arrow.py", "backends/__init__.py")
    monkeypatch.setattr(qs.base.workspace, "__file__", str(site / "qs" / "base" / "workspace.py"))
    assert shipped_root() is None
    carried = make("site-packages/qs/_workspace", "workloads/t.json")
    assert shipped_root() == carried
