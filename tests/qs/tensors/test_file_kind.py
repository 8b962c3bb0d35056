"""What stands in a model's place, and is none."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from qs.tensors.file_kind import foreign, no_model, url

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("m.onnx", POINTER, "a Git LFS pointer"),
        ("m.onnx", b"<!DOCTYPE html><title>404</title>", "an HTML page"),
        ("m.onnx", b"\n <html>", "an HTML page"),
        ("m.onnx", b"", "an empty file"),
        ("m.onnx", gzip.compress(b"x", mtime=0), "a gzip archive; unpack it first"),
        ("m.onnx", b"\x20\0\0\0TFL3", "a TensorFlow Lite model"),
        ("m.onnx", b"\x10\0\0\0\0\0\0\0" + b'{"a":{}}', "a safetensors file"),
        ("m.onnx", b'<?xml version="1.0"?>\n<net name="m">', "an OpenVINO model"),
        ("m.onnx", b"\x80\x02}q\x00.", "a pickle"),
        ("m.engine", b"anything", "a TensorRT engine"),
        ("m.pt", b"anything", "a PyTorch file"),
        ("m.zip", b"PK\x03\x04 cut short", "a damaged ZIP archive"),
        ("m.onnx", b"\x08\x09\x12\x04test", None),
        ("m.bin", b"anything", None),
    ],
)
def test_what_a_file_is(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    found = foreign(tmp_path / name)
    assert found is None if said is None else found.startswith(said)
    nobodys = said is not None and said[:9] in ("a Git LFS", "an HTML p", "an empty ")
    assert (no_model(tmp_path / name) is not None) == nobodys


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (["m/constants.pkl", "m/data.pkl"], "a TorchScript model"),
        (["m/data.pkl"], "a PyTorch checkpoint"),
        (["a/m.onnx"], "a ZIP archive; unpack it first and give a/m.onnx in it"),
    ],
)
def test_what_an_archive_is(tmp_path, members, said):
    with zipfile.ZipFile(tmp_path / "m.onnx", "w") as archive:
        for member in members:
            archive.writestr(member, b"x")
    assert foreign(tmp_path / "m.onnx") == said


def test_a_folder_names_the_file_in_it(tmp_path):
    assert foreign(tmp_path) == "a folder, with no .onnx file in it"
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").touch()
    assert str(tmp_path / "onnx" / "model.onnx") in foreign(tmp_path)


def test_an_address_keeps_its_slashes():
    assert url(Path("https://models.example/m.onnx")) == "https://models.example/m.onnx"
    assert url(Path("models/https/m.onnx")) is None
