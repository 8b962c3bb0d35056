"""Formats: their names, and how files and folders are recognised without being opened."""

from __future__ import annotations

import zipfile

import pytest

from qs.base.errors import UserError
from qs.models.formats import check, misspelled, named, recognised, words


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ("pt", "pt"),
        ("PT", "pt"),
        (".pt", "pt"),
        ("TorchScript", "pt"),
        ("torch script", "pt"),
        ("SavedModel", "saved_model"),
        ("saved-model", "saved_model"),
        ("ONNX", "onnx"),
        ("ir", "openvino"),
        (" onnx ", "onnx"),
        ("Mlir", "Mlir"),
        ("", ""),
    ],
)
def test_a_format_has_one_name(stated, name):
    assert named(stated) == name


def test_words_and_misspellings():
    assert words("pt") == "TorchScript (.pt)"
    assert words("saved_model") == "a TensorFlow saved_model (saved_model)"
    assert words("mlir") == "mlir"
    assert [misspelled(name) for name in ("onxx", "savedmodels", "onnx", "mlir")] == [
        "onnx",
        "saved_model",
        None,
        None,
    ]


def archive(path, *names):
    with zipfile.ZipFile(path, "w") as target:
        for name in names:
            target.writestr(name, b"")
    return path


SCRIPT = ("m/data.pkl", "m/constants.pkl", "m/code/__torch__.py")


@pytest.mark.parametrize(
    ("name", "members", "found"),
    [
        ("m.pt", SCRIPT, "pt"),
        ("m.bin", SCRIPT, "pt"),
        ("m.pt2", ("m/archive_format", "m/models/model.json"), "pt2"),
        ("m.pt", ("serialized_exported_program.json", "version"), "pt2"),
        ("m.pt", ("m/data.pkl",), "pt"),  # by its name; check refuses it
        ("m.zip", ("m.onnx",), None),
    ],
)
def test_archives_show_what_they_are(tmp_path, name, members, found):
    assert recognised(archive(tmp_path / name, *members)) == found


@pytest.mark.parametrize(
    ("name", "members", "message"),
    [
        ("m.pt", ("m/data.pkl",), "pickled objects, not TorchScript, and is not loaded"),
        ("m.pt", ("m/archive_format", "m/models/model.json"), "an archive of torch.export"),
        ("m.pt2", SCRIPT, "no archive of torch.export"),
    ],
)
def test_archives_of_another_kind_are_refused(tmp_path, name, members, message):
    path = archive(tmp_path / name, *members)
    with pytest.raises(UserError, match=message):
        check(path, path.suffix[1:])


@pytest.mark.parametrize("cut", [1, 30, -30])
def test_a_torchscript_archive_cut_short_is_refused(tmp_path, cut):
    path = archive(tmp_path / "m.pt", *SCRIPT)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match="m.pt is not a TorchScript archive|pickled"):
        check(path, "pt")
