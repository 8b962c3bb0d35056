"""From a model info to a file: the order of sources, the user's files, builders, one message a
fault.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from qs.base.errors import UserError
from qs.models import resolve
from qs.tensors import digest

ROOT = Path(__file__).resolve().parents[3]

BUILDER = '''
"""Writes a model of one node."""
from __future__ import annotations
import os
from dataclasses import dataclass
from pathlib import Path

@dataclass
class Config:  # dataclasses need their module while it is loaded
    width: int = 4

def build(path, seed, *, width=4):
    import onnx
    from onnx import TensorProto, helper
    log = Path(__file__).with_name("log")
    with log.open("a") as file:
        file.write("built\\n")
    config = Config(width)
    sides = ["batch", config.width]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, sides) for n in ("x", "y")]
    bias = helper.make_tensor("b", TensorProto.FLOAT, [1], [float(seed)])
    node = helper.make_node("Add", ["x", "b"], ["y"])
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [bias])
    model = helper.make_model(graph, ir_version=8)
    onnx.save_model(model, str(path))

def fails(path, seed):
    Path(path).write_bytes(b"half")
    raise ZeroDivisionError("a bug of the builder's")
'''


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


@pytest.fixture
def workspace(tmp_path):
    folder = tmp_path / "workspace"
    (folder / "model_zoo" / "builders").mkdir(parents=True)
    (folder / "model_zoo" / "builders" / "one.py").write_text(BUILDER)
    return folder


def info(*sources, model_path="model_zoo/m/m.onnx", **more):
    stated = {"model": "m", "model_path": model_path, **more}
    return stated | ({"sources": list(sources)} if sources else {})


def built(builder="builders/one.py:build", **kwargs):
    return {"kind": "build", "builder": builder, "kwargs": kwargs}


def put(path, content=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in "xy"
        ]
        graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:])
        onnx.save_model(helper.make_model(graph), str(path))
    else:
        path.write_bytes(content)
    return path


def torchscript(path):
    """What is looked at of a TorchScript archive: the names of its members."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("m/data.pkl", "m/constants.pkl", "m/code/__torch__.py"):
            archive.writestr(name, b"")
    return path


def times_built(workspace):
    log = workspace / "model_zoo" / "builders" / "log"
    return log.read_text().count("built") if log.exists() else 0


def test_the_users_file_comes_before_the_builder(workspace):
    mine = put(workspace / "model_zoo" / "m" / "m.onnx")
    found = resolve(info({"kind": "path"}, built()), workspace)
    assert (found.path, found.kind, found.synthetic, found.format) == (mine, "path", False, "onnx")
    assert found.sha256 == hashlib.sha256(mine.read_bytes()).hexdigest()
    assert found.note == f"the file {mine}"
    assert times_built(workspace) == 0


def test_without_the_users_file_the_builder_serves_and_says_so(workspace):
    said = []
    found = resolve(info({"kind": "path"}, built(width=3)), workspace, seed=7, say=said.append)
    assert (found.kind, found.synthetic, found.format) == ("build", True, "onnx")
    assert "synthetic weights from builders/one.py:build, seed 7" in found.note
    assert f"path: no file at {workspace / 'model_zoo/m/m.onnx'}" in found.note
    assert onnx.load(str(found.path)).graph.initializer[0].float_data == [7.0]
    assert len(said) == 2 and "building m" in said[0]
    assert found.to_dict()["path"] == str(found.path)


def test_a_model_info_without_sources_means_the_users_file(workspace):
    with pytest.raises(UserError, match="no file for the model m; path: no file at .*m.onnx"):
        resolve(info(), workspace)
    mine = put(workspace / "model_zoo" / "m" / "m.onnx")
    assert resolve(info(), workspace).path == mine


@pytest.mark.parametrize(
    ("model_path", "place"),
    [
        (
            "general_perf/model_zoo/m/m.onnx",
            "workspace/model_zoo/m/m.onnx",
        ),  # published spelling, workspace itself
        ("general_perf/model_zoo/m/m.onnx", "workspace/general_perf/model_zoo/m/m.onnx"),
        (
            "model_zoo/m/m.onnx",
            "model_zoo/m/m.onnx",
        ),  # the working directory, where the workspace is read-only
        (
            "model_zoo/m/m.pt",
            "workspace/model_zoo/m/m.onnx",
        ),  # an export beside the original's place
    ],
)
def test_places_of_the_users_file(workspace, tmp_path, model_path, place):
    mine = put(tmp_path / place)
    assert resolve(info({"kind": "path"}, built(), model_path=model_path), workspace).path == mine


def test_an_absolute_model_path_is_itself(workspace, tmp_path):
    mine = put(tmp_path / "elsewhere" / "mine.onnx")
    assert resolve(info(model_path=str(mine)), workspace).path == mine


def test_an_export_beside_the_torchscript_is_a_second_form_of_it(workspace):
    torchscript(workspace / "model_zoo" / "m" / "m.pt")
    put(workspace / "model_zoo" / "m" / "m.onnx")
    found = resolve(info(model_path="model_zoo/m/m.pt"), workspace)
    assert found.path.name == "m.pt" and found.export == workspace / "model_zoo/m/m.onnx"
    assert found.to_dict()["export"] == str(found.export)


@pytest.mark.parametrize("content", [b"", b"\x80\x02}q\x00.", b"version https://git-lfs.github"])
def test_an_export_serves_where_the_original_cannot_and_why_is_said(workspace, content):
    place = put(workspace / "model_zoo" / "m" / "m.pt", content)
    export = put(workspace / "model_zoo" / "m" / "m.onnx")
    found = resolve(info(model_path="model_zoo/m/m.pt", model_format="pt"), workspace)
    assert (found.path, found.format, found.export) == (export, "onnx", None)
    assert found.note.startswith(f"the ONNX export {export}, in place of what cannot be used: ")
    assert str(place) in found.note
    put(export, b"")
    with pytest.raises(UserError, match=r"m.onnx is empty"):
        resolve(info(model_path="model_zoo/m/m.pt"), workspace)


def test_a_folder_with_more_in_it_than_a_model_has_is_refused(workspace, monkeypatch):
    monkeypatch.setattr(digest, "MOST_FILES", 3)
    for name in "abcd":
        put(workspace / "model_zoo" / "m" / name, b"x")
    with pytest.raises(UserError, match="m holds more than 3 files"):
        resolve(info(model_path="model_zoo/m", model_format="of-its-own"), workspace)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.onnx", b"", "is empty"),
        (
            "m.onnx",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "Git LFS pointer",
        ),
        ("m.pt", b"\x80\x02}q\x00.", "is not a TorchScript archive"),
        ("m.pb", b"something", "nothing says of which format .*m.pb is: state it as model_format"),
        ("m.xml", b"<net/>", "has no m.bin beside it"),
        ("m.pt2", b"PK", "no archive of torch.export"),
    ],
)
def test_a_users_file_that_cannot_be_used_is_never_replaced_in_silence(
    workspace, name, content, message
):
    put(workspace / "model_zoo" / "m" / name, content)
    with pytest.raises(UserError, match=message):
        resolve(info({"kind": "path"}, built(), model_path=f"model_zoo/m/{name}"), workspace)
    assert times_built(workspace) == 0


def test_a_saved_model_is_its_folder(workspace):
    place = workspace / "model_zoo" / "m" / "saved"
    put(place / "saved_model.pb", b"x")
    put(place / "variables" / "variables.index", b"y")
    stated = info(model_path="model_zoo/m/saved", model_format="saved_model")
    found = resolve(stated, workspace)
    assert (found.path, found.format, found.export) == (place, "saved_model", None)
    assert found.note == f"the folder {place}"
    assert list(found.data) == ["saved/saved_model.pb", "saved/variables/variables.index"]
    put(place / "variables" / "variables.index", b"z")
    assert resolve(stated, workspace).sha256 != found.sha256
    put(place.with_suffix(".onnx"))
    assert resolve(stated, workspace).export == place.with_suffix(".onnx")


@pytest.mark.parametrize(
    ("name", "content", "stated", "message"),
    [
        ("saved/else.pb", b"x", "saved_model", "saved is a folder without saved_model.pb"),
        ("saved/saved_model.pb", b"", "saved_model", "saved_model.pb is empty"),
        (
            "saved/saved_model.pb",
            b"version https://git-lfs.github.com/spec/v1",
            "saved_model",
            "Git LFS",
        ),
        ("saved/saved_model.pb", b"x", "onnx", None),  # what it is counts
        ("saved/m.onnx", b"x", "onnx", r"saved is a folder; ONNX is one file \(.onnx\)"),
        ("saved", b"x", "saved_model", "saved is a file; a saved_model is a folder"),
        ("saved", b"x", "onnx", r"model_format states ONNX \(.onnx\), and .*saved is not"),
        ("saved", b"x", "of-its-own", None),
        ("saved", b"", "of-its-own", "is empty"),
        ("saved/what", b"x", "of-its-own", None),
    ],
)
def test_what_a_file_or_folder_has_to_be(workspace, name, content, stated, message):
    put(workspace / "model_zoo" / "m" / name, content)
    asked = info({"kind": "path"}, built(), model_path="model_zoo/m/saved", model_format=stated)
    if message is None:
        right = stated if stated == "of-its-own" else "saved_model"
        assert resolve(asked, workspace).format == right
        return
    with pytest.raises(UserError, match=message) as refused:
        resolve(asked, workspace)
    assert "\n" not in str(refused.value) and times_built(workspace) == 0


def test_a_pickled_pt_is_refused_unread(workspace):
    path = workspace / "model_zoo" / "m" / "m.pt"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(
        path, "w"
    ) as archive:  # what torch.save writes; this pickle would make a file
        archive.writestr("m/data.pkl", b"cos\nsystem\n(S'touch executed'\ntR.")
    with pytest.raises(UserError, match="pickled objects, not TorchScript"):
        resolve(info(model_path="model_zoo/m/m.pt"), workspace)
    assert not Path("executed").exists()


def test_what_is_built_is_kept_until_its_source_kwargs_or_seed_change(workspace):
    first = resolve(info(built()), workspace)
    assert resolve(info(built()), workspace) == first
    assert times_built(workspace) == 1
    others = [
        resolve(info(built(width=5)), workspace),
        resolve(info(built()), workspace, seed=1),
    ]
    file = workspace / "model_zoo" / "builders" / "one.py"
    file.write_text(file.read_text() + "\n# edited\n")
    others.append(resolve(info(built()), workspace))
    assert len({found.path for found in [first, *others]}) == 4
    assert times_built(workspace) == 4


def test_what_a_builder_imports_from_beside_it_is_part_of_its_key(workspace):
    folder = workspace / "model_zoo" / "builders"
    (folder / "deep.py").write_text("SIZE = 3\n")
    (folder / "shared.py").write_text("from .deep import SIZE\n")
    (folder / "two.py").write_text(
        "from pathlib import Path\nfrom .shared import SIZE\n"
        "def build(path, seed):\n    Path(path).write_bytes(b'x' * SIZE)\n"
    )
    first = resolve(info(built("builders/two.py:build")), workspace)
    assert first.path.read_bytes() == b"xxx"
    (folder / "deep.py").write_text("SIZE = 30\n")
    second = resolve(info(built("builders/two.py:build")), workspace)
    assert second.path.read_bytes() == b"x" * 30
    assert not [name for name in sys.modules if name.startswith("_qs_builders_")]


def test_two_processes_at_once_build_once(workspace, cache):
    code = (
        "import sys; from qs.models import resolve\n"
        f"found = resolve({info(built())!r}, {str(workspace)!r})\n"
        "print(found.sha256)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    answers = {process.communicate(timeout=60)[0] for process in processes}
    assert answers == {resolve(info(built()), workspace).sha256 + "\n"}
    assert times_built(workspace) == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (built("builders/none.py:build"), "there is no builder file"),
        (built("builders/one.py"), "not of the form"),
        (built("builders/one.py:a.b"), "not of the form"),
        (built("../../outside.py:build"), "lies outside"),
        (built("builders/one.py:missing"), "has no function missing"),
        (built(hight=3), "does not take these kwargs: .*hight"),
        ({"kind": "ftp"}, "unknown kind of source 'ftp'; known: path, url, pypi, build"),
    ],
)
def test_a_source_that_cannot_be_is_one_message(workspace, source, message):
    with pytest.raises(UserError, match=message):
        resolve(info(source), workspace)


def test_a_builders_bug_keeps_its_traceback_and_leaves_nothing(workspace, cache):
    with pytest.raises(ZeroDivisionError):
        resolve(info(built("builders/one.py:fails")), workspace)
    assert [path for path in (cache / "models").iterdir() if path.suffix != ".lock"] == []


def test_a_large_files_digest_is_remembered_until_the_file_changes(workspace, monkeypatch):
    monkeypatch.setattr(digest, "LARGE_BYTES", 10)
    mine = put(workspace / "model_zoo" / "m" / "m.onnx")
    before = resolve(info(), workspace).sha256
    with monkeypatch.context() as patch:
        patch.setattr(digest, "read_sha256", lambda path: pytest.fail("read again"))
        assert resolve(info(), workspace).sha256 == before
    mine.write_bytes(mine.read_bytes() + b"\x00")
    assert (
        resolve(info(), workspace).sha256 == hashlib.sha256(mine.read_bytes()).hexdigest() != before
    )


@pytest.mark.parametrize("damaged", [b"", b"0" * 20, b"\xff\xfe", b"0" * 64, b"z" * 97])
def test_a_damaged_note_of_a_digest_is_taken_anew(tmp_path, cache, monkeypatch, damaged):
    monkeypatch.setattr(digest, "LARGE_BYTES", 10)
    mine = put(tmp_path / "m.onnx")
    right = hashlib.sha256(mine.read_bytes()).hexdigest()
    assert digest.sha256_of(mine) == right
    (note,) = (cache / "digests").glob("*.sha256")
    kept = note.read_bytes()
    note.write_bytes(damaged)
    assert digest.sha256_of(mine) == right and note.read_bytes() == kept
    note.write_bytes(kept[:3] + (b"1" if kept[3:4] == b"0" else b"0") + kept[4:])
    assert digest.sha256_of(mine) == right


@pytest.mark.slow
def test_the_zoos_bert_is_built_and_the_digits_are_the_committed_file():
    for name, kind in (("digits-cnn-onnx-fp32", "path"), ("bert-torch-fp32", "build")):
        stated = json.loads((ROOT / "model_zoo" / f"{name}.json").read_text())
        found = resolve(stated, ROOT)
        assert (found.kind, found.synthetic) == (kind, kind == "build")
        graph = onnx.load(str(found.path)).graph
        assert [value.name for value in graph.input] == stated["inputs"].split(",")
        assert [value.name for value in graph.output] == stated["outputs"].split(",")
        for value in graph.input:
            batch, *rest = value.type.tensor_type.shape.dim
            assert (
                batch.dim_param
                and [side.dim_value for side in rest] == stated["input_shape"][value.name][1:]
            )
    found.path.unlink()
