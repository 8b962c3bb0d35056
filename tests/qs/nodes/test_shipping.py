"""What nodes need of this machine's files, and where it is there."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from qs.base.errors import UserError
from qs.nodes import arriving, shipping
from qs.nodes.arriving import Arrivals
from qs.nodes.goods import Goods, Moved
from qs.nodes.shipping import Needed, goods_of, stage
from qs.tensors.model_files import TooLarge


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def workspace(tmp_path) -> Path:
    """A workspace with a backend, a data set, a large model, and what does not belong there."""
    root = tmp_path / "there" / "ws"
    for name, content in {
        "backends/ACME/runtime_backend_acme.py": b"import tools\n",
        "backends/ACME/own/kernel.bin": b"\1\2\3",
        "backends/ACME/__pycache__/x.pyc": b"stale",
        "backends/OTHER/secret.py": b"not ours",
        "datasets/digits/data_loader.py": b"pass\n",
        "model_zoo/m.json": b"{}",
        "tools/convert.py": b"pass\n",
        "model_zoo/m.onnx": b"x" * (2 << 20),
    }.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (root / "backends/ACME/run.sh").write_text("#!/bin/sh\n")
    (root / "backends/ACME/run.sh").chmod(0o755)
    (tmp_path / "there" / "work").mkdir()
    return root


def needed(root: Path, **more: Any) -> Needed:
    return Needed(
        backend=root / "backends/ACME",
        roots=[root],
        files=[root / "model_zoo/m.json", root / "datasets/digits"],
        work=root.parent / "work",
        **more,
    )


def paths(goods: Goods, root: Path) -> list[str]:
    files = [file.path for group in goods.groups for file in group.files]
    return sorted(os.path.relpath(path, root) for path in files)


def told(root: Path) -> dict[str, Any]:
    return {
        "set_dataset": {"configs": {"model_info": {"model_path": str(root / "model_zoo/m.onnx")}}}
    }


def test_what_is_needed_is_the_backend_the_tasks_files_and_what_was_told(workspace):
    goods, notes = goods_of(needed(workspace), told(workspace))
    assert paths(goods, workspace) == [
        "backends/ACME/own/kernel.bin",
        "backends/ACME/run.sh",
        "backends/ACME/runtime_backend_acme.py",
        "datasets/digits/data_loader.py",
        "model_zoo/m.json",
        "model_zoo/m.onnx",
        "tools/convert.py",
    ]
    assert notes == []
    [run] = [each for each in goods.files.values() if each.path.endswith("run.sh")]
    assert run.runs


def test_compile_outputs_in_the_working_folder_and_given_items_are_needed(workspace, tmp_path):
    work = workspace.parent / "work"
    (work / "compiled").mkdir()
    (work / "compiled/engine.bin").write_bytes(b"engine")
    (work / "general_perf").symlink_to(workspace)
    for digest in ("aaaa", "bbbb"):
        (work / "models" / digest / "m").mkdir(parents=True)
        (work / "models" / digest / "m" / "m.onnx").symlink_to(workspace / "model_zoo/m.onnx")
        (work / "models" / digest / "m" / "tuned.json").write_text(digest)
    given = tmp_path / "given" / "x.npy"
    given.parent.mkdir()
    given.write_bytes(b"npy")
    known = {
        "configure_runtime": {
            "model": str(work / "models/aaaa/m/m.onnx"),
            "file": "compiled/engine.bin",
        },
        "set_dataset": {"given": {"files": {"x": str(given)}}},
    }
    goods, _ = goods_of(needed(workspace), known)
    found = {group.places[0]: group for group in goods.groups}
    own = found[str(work)]
    assert own.work
    assert sorted(os.path.relpath(file.path, work) for file in own.files) == [
        "compiled/engine.bin",
        "models/aaaa/m/m.onnx",
        "models/aaaa/m/tuned.json",
    ]
    assert found[str(given)].files[0].sha256 == sha(b"npy")


def test_weights_beside_a_model_go_with_it(tmp_path, workspace):
    model = tmp_path / "own" / "net.xml"
    model.parent.mkdir()
    model.write_text("<net/>")
    model.with_suffix(".bin").write_bytes(b"weights")
    goods, _ = goods_of(needed(workspace), {"load": {"path": str(model)}})
    [group] = [each for each in goods.groups if str(model) in each.places]
    assert group.places == (str(model), str(model.with_suffix(".bin")))


@pytest.mark.parametrize(
    "path",
    [
        *("/usr", "/", "/proc/self", "/dev/null", "/etc", "/usr/lib", "/tmp", "relative", "/no"),
        *(os.path.join(sys.prefix, "lib"), os.path.expanduser("~"), os.getcwd()),
    ],
)
def test_folders_of_the_system_and_what_is_not_there_are_not_sent(workspace, path):
    plain, _ = goods_of(needed(workspace), {})
    goods, _ = goods_of(needed(workspace), {"compile": {"lib": path}})
    assert goods == plain


def test_a_folder_that_the_workspace_lies_in_is_not_sent(workspace):
    plain, _ = goods_of(needed(workspace), {})
    goods, _ = goods_of(needed(workspace), {"compile": {"where": str(workspace.parent)}})
    assert goods == plain


def test_a_folder_that_holds_too_much_is_left_out_with_the_reason(workspace, tmp_path, monkeypatch):
    many = tmp_path / "many"
    many.mkdir()
    for at in range(12):
        (many / str(at)).touch()
    monkeypatch.setattr(shipping, "MOST_FILES", 10)
    goods, notes = goods_of(needed(workspace), {"compile": {"lib": str(many)}})
    assert not any(str(many) in group.places for group in goods.groups)
    assert notes == [
        f"{many} holds more than 10 files or 256 GiB; it is not sent to the nodes, which need it "
        "at the same path"
    ]
    (workspace / "datasets/digits/a").mkdir()
    for at in range(12):
        (workspace / "datasets/digits/a" / str(at)).touch()
    with pytest.raises(TooLarge, match="datasets/digits holds more than 10 files"):
        goods_of(needed(workspace), {})


def test_folders_that_link_to_each_other_end(workspace):
    (workspace / "datasets/digits/loop").symlink_to(workspace / "datasets/digits")
    goods, _ = goods_of(needed(workspace), {})
    assert "datasets/digits/data_loader.py" in paths(goods, workspace)


def test_values_of_headers_are_named_and_never_in_what_is_shown(workspace, tmp_path, monkeypatch):
    monkeypatch.setenv("ACME_KEY", "hush")
    key = tmp_path / "key"
    key.write_text("hush")
    asked = {"headers": {"a": "@env:ACME_KEY", "b": f"@file:{key}", "c": "@env:MISSING_KEY"}}
    goods, _ = goods_of(needed(workspace), {"configure_runtime": {"asked": asked}})
    assert goods.variables == {"ACME_KEY": "hush"}
    assert goods.secrets == (str(key),)
    assert "hush" not in repr(goods)
    assert not any(file.path == str(key) for file in goods.files.values())
    key.unlink()
    with pytest.raises(UserError, match="files with secrets are not sent"):
        Arrivals(tmp_path / "node").look(goods)


def test_only_small_files_are_staged_and_by_their_content(workspace, tmp_path):
    goods, _ = goods_of(needed(workspace), told(workspace))
    folder = tmp_path / "staged"
    folder.mkdir()
    stage(folder, goods)
    staged = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert all(sha(content) == name for name, content in staged.items())
    assert len(staged) == len(goods.files) - 1  # but the model


def test_a_file_that_cannot_be_read_is_named(workspace, monkeypatch):
    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shipping, "sha256_of", refuse)
    with pytest.raises(UserError, match="which nodes need, cannot be read: Permission denied"):
        goods_of(needed(workspace), {})


# On the node.


def pieces_of(goods: Goods) -> dict[str, bytes]:
    return {file.sha256: Path(file.path).read_bytes() for file in goods.files.values()}


def elsewhere(root: Path) -> None:
    """From now on this is another machine: the files of the driver's are not here."""
    root.parent.rename(root.parent.with_name("gone"))


def send(arrivals: Arrivals, lacking: list[str], contents: dict[str, bytes]) -> None:
    for sha256 in lacking:
        content = contents[sha256]
        half = len(content) // 2
        arrivals.take(sha256, content[:half], False)
        arrivals.take(sha256, content[half:], True)


def test_on_the_same_machine_everything_is_used_where_it_is(workspace, tmp_path):
    (workspace.parent / "work/engine.bin").write_bytes(b"engine")
    goods, _ = goods_of(needed(workspace), told(workspace))
    arrivals = Arrivals(tmp_path / "node")
    assert arrivals.look(goods) == ([], 0)
    moved = arrivals.laid_out(goods)
    assert moved.path(str(workspace / "model_zoo/m.onnx")) == str(workspace / "model_zoo/m.onnx")
    assert not list((tmp_path / "node/tree").iterdir())
    assert (tmp_path / "node/work/engine.bin").read_bytes() == b"engine"


def test_on_another_machine_the_files_are_sent_once_and_laid_out_as_they_were(workspace, tmp_path):
    (workspace.parent / "work/engine.bin").write_bytes(b"engine")
    goods, _ = goods_of(needed(workspace), told(workspace))
    contents = pieces_of(goods)
    elsewhere(workspace)
    arrivals = Arrivals(tmp_path / "node")
    lacking, size = arrivals.look(goods)
    assert set(lacking) == set(contents) and size == sum(map(len, contents.values()))
    send(arrivals, lacking, contents)
    assert arrivals.look(goods) == ([], 0)
    moved = arrivals.laid_out(goods)
    tree = tmp_path / "node" / "tree"
    there = moved.path(str(workspace / "backends/ACME/run.sh"))
    assert there == f"{tree}{workspace}/backends/ACME/run.sh"
    assert os.access(there, os.X_OK)
    model = Path(moved.path(str(workspace / "model_zoo/m.onnx")))
    assert model.stat().st_size == 2 << 20 and not model.is_symlink()
    assert (tmp_path / "node/work/engine.bin").read_bytes() == b"engine"
    assert moved.path(str(workspace.parent / "work/x")) == str(tmp_path / "node/work/x")
    # another run finds them in the cache
    assert Arrivals(tmp_path / "another").look(goods) == ([], 0)


def test_what_ray_has_staged_need_not_be_sent(workspace, tmp_path):
    goods, _ = goods_of(needed(workspace), told(workspace))
    staged = tmp_path / "staged"
    staged.mkdir()
    stage(staged, goods)
    contents = pieces_of(goods)
    elsewhere(workspace)
    lacking, _ = Arrivals(tmp_path / "node", staged).look(goods)
    assert [len(contents[each]) for each in lacking] == [2 << 20]


def test_another_file_of_that_name_is_not_used_and_both_hashes_are_said(workspace, tmp_path):
    goods, _ = goods_of(needed(workspace), told(workspace))
    contents = pieces_of(goods)
    loader = workspace / "datasets/digits/data_loader.py"
    right = sha(loader.read_bytes())
    loader.write_bytes(b"evil\n")
    arrivals = Arrivals(tmp_path / "node")
    lacking, _ = arrivals.look(goods)
    assert lacking == [right]
    [note] = arrivals.notes
    assert str(loader) in note and sha(b"evil\n") in note and right in note
    send(arrivals, lacking, contents)
    moved = arrivals.laid_out(goods)
    # all of that workspace is where one of its files had to be made
    assert Path(moved.path(str(loader))).read_bytes() == b"pass\n"
    assert Path(moved.path(str(workspace / "model_zoo/m.onnx"))).read_bytes()[:1] == b"x"
    assert moved.path(str(workspace / "model_zoo")) != str(workspace / "model_zoo")


def test_what_arrives_otherwise_than_it_was_sent_is_refused_with_both_hashes(workspace, tmp_path):
    goods, _ = goods_of(needed(workspace), told(workspace))
    elsewhere(workspace)
    arrivals = Arrivals(tmp_path / "node")
    lacking, _ = arrivals.look(goods)
    with pytest.raises(UserError) as refused:
        arrivals.take(lacking[0], b"something else", True)
    assert lacking[0] in str(refused.value) and sha(b"something else") in str(refused.value)
    assert list((tmp_path / "cache/shipped").iterdir()) == []
    with pytest.raises(UserError, match="is not here: it is not at its path"):
        arrivals.laid_out(goods)


def test_a_kept_file_that_somebody_changed_is_sent_again(workspace, tmp_path):
    goods, _ = goods_of(needed(workspace), told(workspace))
    contents = pieces_of(goods)
    elsewhere(workspace)
    first = Arrivals(tmp_path / "node")
    send(first, first.look(goods)[0], contents)
    kept = tmp_path / "cache/shipped" / sha(b"\1\2\3")
    kept.write_bytes(b"\3\2\1")
    lacking, _ = Arrivals(tmp_path / "another").look(goods)
    assert lacking == [sha(b"\1\2\3")] and not kept.exists()


def test_a_full_disk_is_named_before_anything_is_sent(workspace, tmp_path, monkeypatch):
    goods, _ = goods_of(needed(workspace), told(workspace))
    elsewhere(workspace)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(arriving.shutil, "disk_usage", lambda path: usage._replace(free=1 << 20))
    with pytest.raises(UserError, match=r"shipped has 0.00105 GB free, .* set QS_CACHE"):
        Arrivals(tmp_path / "node").look(goods)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_fills_while_a_file_arrives_is_named(workspace, tmp_path, monkeypatch):
    goods, _ = goods_of(needed(workspace), told(workspace))
    elsewhere(workspace)
    arrivals = Arrivals(tmp_path / "node")
    [sha256, *_], _ = arrivals.look(goods)
    store = tmp_path / "cache/shipped"
    real = arriving.uuid.uuid4()
    (store / f".part-{real.hex}").symlink_to("/dev/full")
    monkeypatch.setattr(arriving.uuid, "uuid4", lambda: real)
    with pytest.raises(UserError, match="cannot write to .*shipped: No space left on device; free"):
        arrivals.take(sha256, b"piece", True)


def test_a_disk_that_does_not_keep_what_is_written_is_named(workspace, tmp_path, monkeypatch):
    goods, _ = goods_of(needed(workspace), told(workspace))
    contents = pieces_of(goods)
    elsewhere(workspace)
    arrivals = Arrivals(tmp_path / "node")
    send(arrivals, arrivals.look(goods)[0], contents)

    def lying(found: str, there: Path) -> None:
        Path(there).write_bytes(b"zeros")

    monkeypatch.setattr(arriving.shutil, "copyfile", lying)
    with pytest.raises(UserError, match="this disk does not keep what is written"):
        arrivals.laid_out(goods)


def test_the_declared_source_is_asked_before_a_file_is_sent(workspace, tmp_path, monkeypatch):
    model = workspace / "model_zoo/m.onnx"
    digest = sha(model.read_bytes())
    entry = {"kind": "url", "url": "https://example.com/m.onnx", "sha256": digest.upper()}
    path = {"kind": "path"}
    goods, _ = goods_of(needed(workspace, sources=[path, entry]), told(workspace))
    assert goods.files[digest].sources == (entry,)
    fetched = tmp_path / "fetched.onnx"
    shutil.copyfile(model, fetched)
    elsewhere(workspace)
    asked = []

    def obtained(entry: Any, name: str, offline: bool) -> Path:
        asked.append(entry["url"])
        if offline:
            raise arriving.NotHere("offline")
        return fetched

    monkeypatch.setattr(arriving, "obtained", obtained)
    assert digest not in Arrivals(tmp_path / "node").look(goods)[0]
    assert digest in Arrivals(tmp_path / "node", offline=True).look(goods)[0]
    assert asked == [entry["url"]] * 2


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/ws", "/t/ws"),
        ("/ws/a/b", "/t/ws/a/b"),
        ("/wso/a", "/wso/a"),
        ("/ws/reports/work", "/n/work"),
        ("/ws/reports/work/x", "/n/work/x"),
        ("/ws/kept/x", "/ws/kept/x"),
        ("ws/a", "ws/a"),
        ("", ""),
    ],
)
def test_the_innermost_place_says_where_a_path_is(path, there):
    moved = Moved.of({"/ws": "/t/ws", "/ws/reports/work": "/n/work", "/ws/kept": "/ws/kept"})
    assert moved.path(path) == there
    assert moved.plain({"a": [path, 1, None, {"b": (path,)}]}) == {
        "a": [there, 1, None, {"b": (there,)}]
    }
