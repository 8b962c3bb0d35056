"""Files of data that were damaged by chance: whatever is done to their bytes, a reader either takes
them or gives one error of the user's that names the file. Seeded, so that a failure is repeated.
"""

from __future__ import annotations

import importlib.util
import json
import random
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from qs.artifact.user_data import read_items
from qs.base.errors import UserError
from qs.tensors.generated import InputSpec
from qs.tensors.onnx_data import data_files

ROOT = Path(__file__).parents[3]
ROW = InputSpec("x", (1, 3), "INT64")
TEXT = InputSpec("x", (1, 1), "STRING")
EACH = 60
NASTY = (
    *(b"\x00", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", "²".encode(), b'"', b"\\u0000", b"\r"),
    *(b"nan", b"1e999", b"-", b"9" * 400, b"[" * 3000, b"{", b"}", b"(", b"'", b"\n\n", b"../"),
    *(b"PK\x01\x02", b"PK\x05\x06", b"\x93NUMPY", b"'|O'", b"(9223372036854775807,)"),
)


def mutants(content: bytes, seed: int):
    """Bytes flipped, cut, doubled, moved and replaced by what parsers trip over."""
    rng = random.Random(seed)
    yield from (b"", content[:1], content[: len(content) // 2], content + content)
    for _ in range(EACH):
        made = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(made) + 1)
            how = rng.randrange(4)
            if how == 0 and at < len(made):
                made[at] = rng.randrange(256)
            elif how == 1:
                made[at : at + rng.randint(1, 40)] = b""
            elif how == 2:
                made[at:at] = made[at : at + rng.randint(1, 200)]
            else:
                made[at : at + rng.choice((0, 1, 8))] = rng.choice(NASTY)
        yield bytes(made)


def _module(folder: str):
    """The data set's module, with its folder as a package."""
    name = f"broken_files_{folder}"
    if name not in sys.modules:
        for full, file in ((name, "__init__.py"), (f"{name}.data_loader", "data_loader.py")):
            path = ROOT / "datasets" / folder / file
            spec = importlib.util.spec_from_file_location(
                full, path, submodule_search_locations=[str(path.parent)]
            )
            module = importlib.util.module_from_spec(spec)
            sys.modules[full] = module
            if path.exists():
                spec.loader.exec_module(module)
    return sys.modules[f"{name}.data_loader"]


def _npy(path):
    np.save(path, np.arange(6).reshape(2, 3))


def _npz(path):
    np.savez_compressed(path, x=np.arange(6).reshape(2, 3), y=np.zeros(2))


def _pb(path):
    tensor = numpy_helper.from_array(np.arange(3).reshape(1, 3), "x")
    path.write_bytes(tensor.SerializeToString())


def _json(path):
    path.write_text(json.dumps({"data": [{"x": {"content": [1, 2, 3], "shape": [3]}}]}))


def _png(path):
    from PIL import Image

    Image.new("RGB", (8, 8), (9, 8, 7)).save(path)


def _pictures(path):
    from qs.contract.pictures import opened

    opened(path, "open_imagenet")
    return read_items(InputSpec("x", (1, 3, 8, 8), "FLOAT32"), path)


CAIL = {"A": "one", "B": "two", "C": "three", "label": "B"}
CRITEO = "1," + ",".join(map(str, range(13))) + "," + ",".join(f"{at:08x}" for at in range(26))

READERS = {
    "npy": ("a.npy", _npy, lambda path: read_items(ROW, path)),
    "npz": ("a.npz", _npz, lambda path: read_items(ROW, path)),
    "pb": ("input_0.pb", _pb, lambda path: read_items(ROW, path)),
    "json": ("a.json", _json, lambda path: read_items(ROW, path)),
    "txt": ("a.txt", lambda path: path.write_text("one\ntwo\n"), lambda p: read_items(TEXT, p)),
    "png": ("a.png", _png, _pictures),
    "external": ("m.onnx", _pb, data_files),
    "cail": (
        "cail2019.jsonl",
        lambda path: path.write_text(f"{json.dumps(CAIL)}\n" * 2),
        lambda path: _module("open_cail2019").read_pairs(path),
    ),
    "criteo_csv": (
        "eval.csv",
        lambda path: path.write_text(f"{CRITEO}\n" * 3),
        lambda path: _module("open_criteo_kaggle").from_csv(path),
    ),
    "criteo_npy": (
        "label.npy",
        lambda path: np.save(path, np.array([0, 1, 1])),
        lambda path: _criteo(path),
    ),
    "imagenet_list": (
        "val_map.txt",
        lambda path: path.write_text("a.png 3\na.png 999\n"),
        lambda path: _imagenet(path),
    ),
}


def _criteo(label):
    for name, columns in (("numeric", 13), ("categorical", 52)):
        np.save(label.with_name(f"{name}.npy"), np.ones((3, columns), np.int64))
    numeric, categorical = (label.with_name(f"{each}.npy") for each in ("numeric", "categorical"))
    return _module("open_criteo_kaggle").from_arrays(numeric, categorical, label)


def _imagenet(names):
    folder = names.with_name("val")
    folder.mkdir(exist_ok=True)
    (folder / "a.png").write_bytes(b"")
    return _module("open_imagenet").from_list(folder, names)


@pytest.mark.parametrize("kind", READERS)
def test_a_broken_file_is_one_error_of_the_users(kind, tmp_path):
    name, write, read = READERS[kind]
    path = tmp_path / name
    write(path)
    read(path)
    content, refused = path.read_bytes(), 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number, mutant in enumerate(mutants(content, seed=len(kind))):
            path.write_bytes(mutant)
            try:
                read(path)
            except UserError as error:
                refused += 1
                assert name in str(error), (number, str(error))
                assert len(str(error)) < 1200
    assert refused > EACH // 4 or kind in ("txt", "external")


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("cail", b'{"A": "a", "B": "b", "C": "c", "label": "D"}\n', "line 1, label"),
        ("cail", b'{"text1": "a", "text2": "b", "label": true}\n', "line 1, label"),
        ("cail", b'{"text1": "a", "text2": 3, "label": 1}\n', "line 1, text2"),
        ("cail", b'{"text1": "a"}\n\xff\n', "line 1, text2"),
        ("cail", f"{json.dumps(CAIL)}\n".encode() + b'{"A": "\xff"}\n', "line 2 is not UTF-8"),
        ("criteo_csv", f"{CRITEO}\n".replace(",5,", ",nan,").encode(), "line 1, column 7"),
        ("criteo_csv", f"{CRITEO}\n".replace(",5,", ",1e39,").encode(), "line 1, column 7"),
        ("criteo_csv", CRITEO.encode() + b"\n0,\xfe\n", "line 2 is not UTF-8"),
        ("imagenet_list", "a.png ²\n".encode(), "line 1"),
        ("imagenet_list", b"a.png 1000\n", "0 to 999"),
        ("imagenet_list", b"a.png 1\n../val/a.png 2\n", "line 2"),
        ("imagenet_list", b"a\x00.png 1\n", "line 1"),
    ],
)
def test_a_broken_record_is_named_with_its_line_and_key(kind, content, said, tmp_path):
    name, write, read = READERS[kind]
    write(tmp_path / name)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        read(tmp_path / name)
    assert said in str(error.value) and name in str(error.value)


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, np.nan, 1], [0, 1]])
def test_arrays_of_criteo_hold_what_they_should(labels, tmp_path):
    np.save(tmp_path / "label.npy", np.array(labels))
    with pytest.raises(UserError, match="label.npy"):
        _criteo(tmp_path / "label.npy")
