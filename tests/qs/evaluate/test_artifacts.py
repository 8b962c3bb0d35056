"""Compile results as artifacts: paths made absolute, files stated with their digest, and refused
when they are not what was compiled.
"""

from __future__ import annotations

import hashlib
import json

import pytest

from qs.base.errors import UserError
from qs.evaluate.artifacts import ARTIFACT, digest, leave, take

ABOUT = {"hardware": "XXX", "model": "m"}


def compiled(obj, **more):
    return {
        "compile_status": "success",
        "segments": [{"compiled_model": [{"compiled_obj": obj}]}],
        **more,
    }


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "work"
    (folder / "weights").mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"model")
    (folder / "weights" / "w0").write_bytes(b"zero")
    return folder


def test_what_names_a_file_is_found_again(work, tmp_path):
    path = tmp_path / "reports" / "compile-fp32.json"
    raw = compiled(
        "model.bin",
        cache="weights/w0",
        extra={"folders": ["./weights"]},
        model="weights",
        note="a/b",
    )
    files = leave(path, raw, ABOUT, work)
    assert [(each["key"], each["path"], each["bytes"]) for each in files] == [
        ("segments[0].compiled_model[0].compiled_obj", str(work / "model.bin"), 5),
        ("cache", str(work / "weights" / "w0"), 4),
        ("extra.folders[0]", str(work / "weights"), 4),
    ]
    assert files[0]["sha256"] == hashlib.sha256(b"model").hexdigest()
    taken = take(path, "XXX", "m")
    assert taken.raw == compiled(
        str(work / "model.bin"),
        cache=str(work / "weights" / "w0"),
        extra={"folders": [str(work / "weights")]},
        model="weights",  # no path, though a folder is called so
        note="a/b",
    )
    assert ARTIFACT not in taken.raw and taken.about["hardware"] == "XXX"
    assert raw["cache"] == "weights/w0"  # the backend's own dict is as it was


@pytest.mark.parametrize("place", ["reports", "reports/XXX/m"])
def test_it_is_found_in_its_folder_and_in_the_report_folder(work, tmp_path, place):
    leave(tmp_path / place / "compile-int8.json", compiled("model.bin"), ABOUT, work)
    assert take(tmp_path / "reports", "XXX", "m").path == tmp_path / place / "compile-int8.json"
    leave(tmp_path / place / "compile-fp32.json", compiled("model.bin"), ABOUT, work)
    with pytest.raises(UserError, match="compile-fp32.json, compile-int8.json"):
        take(tmp_path / "reports", "XXX", "m")


def test_everything_that_is_wrong_is_said_at_once(work, tmp_path):
    path = tmp_path / "compile-fp32.json"
    leave(
        path,
        compiled("model.bin", cache="weights/w0", engine="<Engine object at 0x7f00>"),
        ABOUT,
        work,
    )
    (work / "model.bin").write_bytes(b"other")
    (work / "weights" / "w0").unlink()
    with pytest.raises(UserError) as error:
        take(path, "YYY", "n")
    for words in ("hardware", "model", "compiled_obj", "w0", "an object ended with the process"):
        assert words in str(error.value)


def test_a_compile_result_that_a_vendor_wrote_is_taken_too(tmp_path):
    path = tmp_path / "own.json"
    path.write_text(json.dumps(compiled("cloud://model/3")))
    assert take(path, "XXX", "m").raw == compiled("cloud://model/3")
    path.write_text("[]")
    with pytest.raises(UserError, match="not a compile result"):
        take(path, "XXX", "m")


def test_a_folders_digest_knows_names_and_contents(work):
    before = digest(work)
    (work / "weights" / "w0").rename(work / "weights" / "w1")
    renamed = digest(work)
    assert renamed[0] == before[0] and renamed[1] != before[1]
    (work / "weights" / "w1").write_bytes(b"ZERO")
    assert digest(work)[1] != renamed[1]


def test_the_digest_of_openvinos_xml_knows_its_weights(tmp_path):
    model, weights = tmp_path / "m.xml", tmp_path / "m.bin"
    model.write_text("<net/>")
    weights.write_bytes(b"12")
    before = digest(model)
    weights.write_bytes(b"13")
    assert digest(model)[0] == before[0] == 8
    assert digest(model)[1] != before[1]
