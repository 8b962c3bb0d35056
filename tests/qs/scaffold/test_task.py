"""A task of each kind of data: written, read, fed and scored as a run does it, in this process."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

from qs.base.errors import UserError
from qs.base.workspace import Workspaces
from qs.config.task import load_task
from tests.qs.scaffold.tasks import checked, guesses, linear, new_task, save

ROOT = Path(__file__).parents[3]
COLOURS = {"blue": (10, 20, 250), "green": (20, 240, 30), "red": (250, 30, 20)}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QS_WORKSPACE", raising=False)


def pictures(folder: Path, count: int = 8, size: tuple[int, int] = (8, 8)) -> Path:
    """Plain pictures, a folder a colour."""
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for at in range(count):
            kind = ("png", "jpg", "webp")[at % 3]
            made = Image.new("RGB", size, tuple(max(0, part - at) for part in colour))
            made.save(folder / name / f"{at:03}.{kind}")
    return folder


def of_colours(path: Path, shape=("N", 3, 8, 8)) -> Path:
    """The class of the channel with the largest value: 0 is blue, 1 green, 2 red."""
    last = shape[-1] == 3
    weights = np.zeros((3, 8, 8, 3)) if not last else np.zeros((8, 8, 3, 3))
    for channel in range(3):
        place = (..., channel, 2 - channel) if last else (channel, ..., 2 - channel)
        weights[place] = 1
    return linear(path, weights.reshape(-1, 3), "image", shape)


def ruff(folder: Path) -> None:
    for words in (["check", "-q"], ["format", "-q", "--check"]):
        config = ["--config", str(ROOT / "pyproject.toml")]
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *words, *config, str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


def passed(root: Path, *, skipped: tuple[str, ...] = ("preparation",)) -> str:
    """What the metric says, after all checks."""
    found = checked(root)
    assert {name: each["status"] for name, each in found.items()} == {
        name: "skip" if name in skipped else "pass" for name in found
    }, found
    assert len(found) == 6
    load_task(Workspaces.find(root), "mine")
    ruff(root / "datasets")
    return found["metric"]["reason"]


def test_pictures_in_folders(tmp_path):
    model = of_colours(tmp_path / "ws" / "colours.onnx")
    written = new_task(tmp_path / "ws", model, pictures(tmp_path / "ws" / "val"))
    assert passed(tmp_path / "ws", skipped=()).startswith("Top-1 1 [0.862, 1]")
    said = guesses(written)
    assert "blue, green, red: --classes" in said
    assert "scaled to 0..1" in said and "--normalize imagenet" in said
    text = (tmp_path / "ws/datasets/mine/data_loader.py").read_text()
    assert 'DATA = "../../val"' in text and "SCALE = 1 / 255" in text
    info = json.loads((tmp_path / "ws/model_zoo/mine.json").read_text())
    assert info["model_path"] == "colours.onnx"
    # the workspace can be moved, with all that lies in it
    shutil.move(tmp_path / "ws", tmp_path / "moved")
    assert passed(tmp_path / "moved", skipped=())


def test_wrong_channel_order_is_found(tmp_path):
    model = of_colours(tmp_path / "m.onnx")
    new_task(tmp_path / "ws", model, pictures(tmp_path / "val", 8), channels="BGR")
    found = checked(tmp_path / "ws")["preparation"]
    assert found["status"] == "fail"
    assert found["reason"] == (
        'Top-1 is 0.333 as stated, 1 with SCALE = 1 / 255, MEAN = 0.0, STD = 1.0, CHANNELS = "RGB"'
    )


def test_pictures_without_labels_are_measured_and_not_scored(tmp_path):
    folder = pictures(tmp_path / "val") / "red"
    written = new_task(tmp_path / "ws", of_colours(tmp_path / "m.onnx"), folder)
    names = [path.name for path in written.paths]
    assert names == ["mine.json", "mine.json", "data_loader.py"]
    found = checked(tmp_path / "ws")
    assert found["items"]["status"] == "pass"
    assert {found[name]["status"] for name in ("labels", "metric", "preparation")} == {"skip"}
    assert json.loads((tmp_path / "ws/workloads/mine.json").read_text())["test_accuracy"] is False


def test_a_task_written_anew_has_no_file_of_the_old_one(tmp_path):
    folder, model = pictures(tmp_path / "val"), of_colours(tmp_path / "m.onnx")
    new_task(tmp_path / "ws", model, folder)
    assert (tmp_path / "ws/datasets/mine/test_accuracy.py").exists()
    new_task(tmp_path / "ws", model, folder / "red", force=True)
    assert not (tmp_path / "ws/datasets/mine/test_accuracy.py").exists()


def test_labels_that_begin_at_1(tmp_path):
    np.savez(tmp_path / "v.npz", x=np.eye(3), labels=[1, 2, 3])
    model = linear(tmp_path / "m.onnx", np.eye(3))
    written = new_task(tmp_path / "ws", model, tmp_path / "v.npz", metrics=["top1"])
    assert "the labels begin at 1: FIRST_LABEL" in guesses(written)
    assert passed(tmp_path / "ws").startswith("Top-1 1 [")


def test_a_torchscript_file_has_stated_inputs_and_outputs(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("m/code/x.py", "")
    np.savez(tmp_path / "v.npz", x=np.eye(3), labels=[0, 1, 2])
    stated = {"shapes": {"x": (1, 3)}, "types": {"x": "FLOAT32"}}
    new_task(tmp_path / "ws", tmp_path / "m.pt", tmp_path / "v.npz", outputs=["y"], **stated)
    info = json.loads((tmp_path / "ws/model_zoo/mine.json").read_text())
    assert (info["framework"], info["outputs"]) == ("Pytorch", ["y"])
    assert info["input_shape"] == {"x": [1, 3]}
    load_task(Workspaces.find(tmp_path / "ws"), "mine")
    shutil.rmtree(tmp_path / "ws")
    refused(tmp_path, "--outputs", model=tmp_path / "m.pt", **stated)


def test_pictures_listed_in_a_csv_channels_last_and_copied(tmp_path):
    folder = pictures(tmp_path / "val", size=(20, 10))
    rows = [f"{file.relative_to(folder)};{file.parent.name}" for file in folder.rglob("*.*")]
    listing = folder / "labels.csv"
    listing.write_text("\ufefffile;label\n" + "\n".join(sorted(rows)), "utf-8")
    model = of_colours(tmp_path / "m.onnx", ("N", 8, 8, 3))
    written = new_task(
        tmp_path / "ws", model, listing, copy_data=True, classes="blue,green,red", resize="pad"
    )
    shutil.rmtree(folder)
    assert passed(tmp_path / "ws", skipped=()).startswith("Top-1 1 [")
    text = (tmp_path / "ws/datasets/mine/data_loader.py").read_text()
    assert 'LAYOUT = "NHWC"' in text and 'DELIMITER = ";"' in text and 'DATA = "val"' in text
    assert "RGB: --channels BGR" in guesses(written)


def test_arrays_by_name_one_hot_and_flat(tmp_path):
    random = np.random.default_rng(0)
    weights = random.normal(size=(12, 4))
    values = random.integers(0, 255, (40, 3, 4), dtype=np.uint8)
    labels = (values.reshape(40, -1) @ weights).argmax(axis=1)
    np.savez(tmp_path / "val.npz", x=values, labels=np.eye(4)[labels])
    model = linear(tmp_path / "m.onnx", weights)
    new_task(tmp_path / "ws", model, tmp_path / "val.npz", scale=1 / 255)
    assert passed(tmp_path / "ws").startswith("Top-1 1 [0.912, 1]")
    text = (tmp_path / "ws/datasets/mine/data_loader.py").read_text()
    # In as many lines as the length of the path asks for.
    (inputs,) = re.findall(r"INPUTS = (\{.*?\}) *$", text, re.MULTILINE | re.DOTALL)
    assert ast.literal_eval(inputs) == {"x": (f"{tmp_path}/val.npz", "x")}
    assert 'SCALE = {"x": 1 / 255}' in text


def test_arrays_in_files_of_their_own_with_numbers_to_predict(tmp_path):
    random = np.random.default_rng(0)
    weights, values = random.normal(size=(3, 1)), random.normal(size=(50, 3))
    np.save(tmp_path / "x.npy", values.astype(np.float32))
    np.save(tmp_path / "y.npy", (values @ weights)[:, 0] + random.normal(size=50) * 0.1)
    model = linear(tmp_path / "m.onnx", weights)
    written = new_task(
        tmp_path / "ws", model, data_of={"x": tmp_path / "x.npy"}, labels=str(tmp_path / "y.npy")
    )
    assert passed(tmp_path / "ws").startswith("RMSE 0.0")
    assert "the labels are numbers: rmse" in guesses(written)


def test_a_shape_that_the_model_leaves_open_is_the_datas(tmp_path):
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["scores"], axes=[2], keepdims=0),
    ]
    model = save(
        tmp_path / "m.onnx",
        nodes,
        {"x": (TensorProto.FLOAT, ["N", 2, "length"])},
        {"scores": ["N", 2]},
        {},
    )
    np.savez(tmp_path / "v.npz", x=np.eye(2)[:, :, None] * np.ones((2, 2, 77)), labels=[0, 1])
    new_task(tmp_path / "ws", model, tmp_path / "v.npz")
    info = json.loads((tmp_path / "ws/model_zoo/mine.json").read_text())
    assert info["input_shape"] == {"x": [1, 2, 77]}
    assert passed(tmp_path / "ws").startswith("Accuracy 1 [")


def test_a_table(tmp_path):
    """Numbers with decimal commas, categories as text, two inputs, names of classes."""
    random = np.random.default_rng(0)
    towns, sizes = ["Köln", "Ötz", "Łódź"], random.normal(size=60).round(2)
    town = random.integers(0, 3, 60)
    right = (sizes + (town == 1) * 2) > 1
    rows = [
        f"{towns[at]};{str(size).replace('.', ',')};{'yes' if yes else 'no'}"
        for at, size, yes in zip(town, sizes, right)
    ]
    table = tmp_path / "val.csv"
    table.write_text("town;size;bought\n" + "\n".join(rows) + "\n", "utf-8-sig")
    nodes = [
        helper.make_node("Gather", ["effect", "towns"], ["effects"]),
        helper.make_node("Add", ["effects", "sizes"], ["sum"]),
        helper.make_node("Sub", ["sum", "one"], ["logit"]),
    ]
    inputs = {"towns": (TensorProto.INT64, ["N", 1]), "sizes": (TensorProto.FLOAT, ["N", 1])}
    weights = {"effect": np.array([0.0, 2.0, 0.0]), "one": np.array([1.0])}
    model = save(tmp_path / "m.onnx", nodes, inputs, {"logit": ["N", 1]}, weights)
    written = new_task(tmp_path / "ws", model, table, metrics=["auc", "f1"])
    said = passed(tmp_path / "ws")
    assert said.startswith("AUC 1 [1, 1], F1 1 [")
    assert "the texts of town are numbered as sorted: --codes" in guesses(written)
    assert "become probabilities by sigmoid: --activation" in guesses(written)
    codes = json.loads((tmp_path / "ws/datasets/mine/codes.json").read_text("utf-8"))
    assert codes == {"town": towns}


def test_a_table_of_numbers_with_decimal_commas_to_predict(tmp_path):
    rows = [f"{at},5;1.000,25;{at + 2001},0" for at in range(20)]
    (tmp_path / "v.csv").write_text("a;b;price\n" + "\n".join(rows))
    model = linear(tmp_path / "m.onnx", np.array([[1.0], [2.0]]))
    written = new_task(tmp_path / "ws", model, tmp_path / "v.csv")
    assert "the label is the last column, price: --labels" in guesses(written)
    assert "the labels are numbers: rmse" in guesses(written)
    assert passed(tmp_path / "ws") == "RMSE 0 [0, 0] (20 items)"


@pytest.mark.parametrize("file", ["val.jsonl", "val.csv"])
def test_texts(tmp_path, file):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    lines = [{"text": "Good film", "label": "pos"}, {"text": "a BAD, bad film", "label": "neg"}]
    rows = [f'"{line["text"]}"; {line["label"]}' for line in lines * 5]
    (tmp_path / "val.csv").write_text("\n".join(["text;label", *rows]))
    (tmp_path / "val.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines * 5))
    effect = np.zeros((7, 2))
    effect[4, 1] = effect[5, 0] = 1
    nodes = [
        helper.make_node("Gather", ["effect", "input_ids"], ["effects"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "two"], ["shaped"]),
        helper.make_node("Mul", ["effects", "shaped"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "one"], ["logits"], keepdims=0),
    ]
    ids = (TensorProto.INT64, ["N", "sequence"])
    weights = {"effect": effect, "one": np.array([1]), "two": np.array([2])}
    model = save(
        tmp_path / "m.onnx",
        nodes,
        {"input_ids": ids, "attention_mask": ids},
        {"logits": ["N", 2]},
        weights,
    )
    written = new_task(tmp_path / "ws", model, tmp_path / file, length=16)
    assert passed(tmp_path / "ws").startswith("Accuracy 1 [")
    assert "vocab.txt: --tokenizer" in guesses(written)


def test_a_model_alone_has_a_task_that_measures_generated_inputs(tmp_path):
    new_task(tmp_path / "ws", linear(tmp_path / "m.onnx", np.eye(3)))
    info = json.loads((tmp_path / "ws/model_zoo/mine.json").read_text())
    workload = json.loads((tmp_path / "ws/workloads/mine.json").read_text())
    assert info["dataset_name"] is None and workload["test_accuracy"] is False
    assert not (tmp_path / "ws" / "datasets").exists()


def test_a_model_without_a_batch_dimension(tmp_path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["scores"])]
    model = save(
        tmp_path / "m.onnx",
        nodes,
        {"x": (TensorProto.FLOAT, [3])},
        {"scores": [2]},
        {"w": np.array([[1.0, 0], [0, 1], [0, 0]])},
    )
    np.savez(tmp_path / "v.npz", x=np.eye(3)[[0, 1, 0]], labels=[0, 1, 1])
    new_task(tmp_path / "ws", model, tmp_path / "v.npz", metrics=["top1"])
    assert passed(tmp_path / "ws").startswith("Top-1 0.667 [")


def test_nothing_is_written_over(tmp_path):
    model = linear(tmp_path / "m.onnx", np.eye(3))
    new_task(tmp_path / "ws", model)
    mine = tmp_path / "ws/workloads/mine.json"
    mine.write_text("{}")
    with pytest.raises(UserError, match="already exist.*--force"):
        new_task(tmp_path / "ws", model)
    assert mine.read_text() == "{}"
    new_task(tmp_path / "ws", model, force=True)
    assert json.loads(mine.read_text())["model"] == "mine"


def refused(tmp_path, words, name="mine", **stated) -> None:
    from qs.scaffold.data.plan import Asked
    from qs.scaffold.task import write_task
    from tests.qs.scaffold.tasks import described

    root = tmp_path / "ws"
    root.mkdir(exist_ok=True)
    model = stated.pop("model", None) or linear(tmp_path / "m.onnx", np.eye(3))
    with pytest.raises(UserError) as raised:
        write_task(Asked(name, model, into=root, **stated), described)
    assert words in str(raised.value), str(raised.value)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "plain name"),
        ("../x", "plain name"),
        ("a.b", "did you mean 'a-b'"),
        ("-x", "did you mean 'x'"),
        ("digits-cnn-onnx-fp32", "already exists, at"),
        ("Digits-CNN-onnx-fp32", "already exists, at"),
        ("x" * 61, "at most 60"),
    ],
)
def test_names_that_cannot_be(tmp_path, name, words):
    refused(tmp_path, words, name)


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"metrics": ["top-11"]}, "did you mean 'top1'"),
        ({"metrics": ["top1", "rmse"]}, "not both"),
        ({"model": Path("nothing.onnx")}, "--model is 'nothing.onnx'"),
        ({"data": Path("nothing.npz")}, "--data is 'nothing.npz'"),
        ({"data": Path("m.onnx")}, "--kind states which"),
        ({"kind": "images", "data": Path("m.onnx")}, "arrays, pictures, table, text"),
    ],
)
def test_options_that_cannot_be(tmp_path, stated, words):
    refused(tmp_path, words, **stated)


ARRAYS = [
    ({"x": np.eye(3)}, {"labels": "lables"}, "--labels is 'lables'"),
    ({"x": np.eye(3), "labels": [0, 1]}, {}, "there are 2 labels for 3 items"),
    ({"x": np.eye(3), "labels": [0, 1, 0.5]}, {"metrics": ["top1"]}, "allowed: whole numbers"),
    ({"x": np.eye(3), "labels": [0, 1, np.nan]}, {"metrics": ["rmse"]}, "not finite"),
    ({"x": np.eye(3), "labels": ["a", "", "b"]}, {}, "item 1 has no label"),
    ({"x": np.eye(3), "labels": ["a", "b", "c"]}, {"classes": "a,bb"}, "none of the 2 classes"),
    ({"x": np.eye(3), "labels": [[0, 1], [1, 1], [1, 0]]}, {}, "row 1 does not have one 1"),
    ({"x": np.eye(4), "labels": [0, 1, 2, 0]}, {}, "the input x takes items of [3]"),
    ({"x": np.empty((0, 3)), "labels": []}, {}, "there are no items"),
    ({"a": np.eye(3), "b": np.eye(3)}, {}, "arrays named as the inputs: x"),
    ({"x": np.array([{}, {}, {}]), "labels": [0, 1, 2]}, {}, "pickled"),
]


@pytest.mark.parametrize(("arrays", "stated", "words"), ARRAYS, ids=range(len(ARRAYS)))
def test_arrays_that_do_not_fit_leave_nothing_behind(tmp_path, arrays, stated, words):
    np.savez(tmp_path / "v.npz", **arrays)
    refused(tmp_path, words, data=tmp_path / "v.npz", **stated)


def test_files_of_one_name_are_not_copied_over_each_other(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "v.npy", np.eye(3))
    stated = {"data_of": {"x": tmp_path / "a/v.npy"}, "labels": str(tmp_path / "b/v.npy")}
    refused(tmp_path, "--copy_data is 'v.npy'", copy_data=True, **stated)


def test_transposed_pictures_in_arrays_are_not_reshaped(tmp_path):
    np.savez(tmp_path / "v.npz", image=np.zeros((2, 8, 8, 3)), labels=[0, 1])
    model = of_colours(tmp_path / "m.onnx")
    refused(tmp_path, "in another order", model=model, data=tmp_path / "v.npz")


def test_an_archive_that_is_none(tmp_path):
    (tmp_path / "v.npz").write_bytes(b"PK\x03\x04 no archive")
    refused(tmp_path, "v.npz: cannot be read", data=tmp_path / "v.npz")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "v.csv: is empty"),
        ("a,b,c,label\n1,2,3\n", "line 2 has 3 cells, and the header 4"),
        ("a,b,a,label\n1,2,3,0\n", "the column 'a' occurs twice"),
        ("a,b,c,label\n1,,3,0\n", "state MISSING for empty cells); here: --missing"),
        ("a,b,c,d,label\n1,2,3,4,0\n", "3 columns for x"),
        ("a,b,c,label\n", "there are no items"),
        ('a,b,c,label\n1,2,"3,0\n', "cannot be read as CSV"),
        ("a,b,c,label\n1,2,inf,0\n", "line 2: c is 'inf'"),
    ],
)
def test_tables_that_do_not_fit(tmp_path, text, words):
    (tmp_path / "v.csv").write_text(text)
    refused(tmp_path, words, data=tmp_path / "v.csv", labels="label")


def test_folders_that_are_no_pictures(tmp_path):
    model = of_colours(tmp_path / "m.onnx")
    folder = tmp_path / "val"
    folder.mkdir()
    refused(tmp_path, "holds no pictures", model=model, data=folder)
    pictures(folder, 2)
    shutil.copyfile(folder / "blue" / "000.png", folder / "loose.png")
    refused(tmp_path, "loose.png lie beside the folders", model=model, data=folder)
    (folder / "loose.png").unlink()
    (folder / "empty").mkdir()
    refused(tmp_path, "the folders empty hold no pictures", model=model, data=folder)
    (folder / "empty").rmdir()
    (folder / "blue" / "000.png").write_bytes(b"no picture")
    refused(tmp_path, "000.png: cannot be read as a picture", model=model, data=folder)
    (folder / "labels.csv").write_text("file,label\nred/000.png,red\nred/000.png,red\n")
    refused(tmp_path, "line 3 names red/000.png again", model=model, data=folder)
    (folder / "labels.csv").write_text("file,label\nred/9.png,red\n")
    refused(tmp_path, "lacks 1 pictures", model=model, data=folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there are no items in it"),
        ("[1]\n", "no JSON object"),
        ('{"words": "x"}\n', "--text"),
        ('{"text": "x", "label": 1}\n{"txt": "y", "label": 1}\n', "line 2 has no 'text'"),
        ('{"text": "x", "label": 1}\n{"text": 3, "label": 1}\n', "allowed: a text"),
        ('{"text": "x", "label": 1}\n{"text": "y", "label": null}\n', "label is None"),
        ('{"text": "x", "label": 1}\n{"text": "y", "label": "b"}\n', "allowed: one kind"),
        ('{"text": "x", "label": 1}\n{nope\n', "line 2 is no JSON"),
    ],
)
def test_texts_that_do_not_fit(tmp_path, text, words):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n")
    (tmp_path / "v.jsonl").write_text(text)
    ids = (TensorProto.INT64, ["N", 8])
    nodes = [helper.make_node("Cast", ["input_ids"], ["scores"], to=TensorProto.FLOAT)]
    model = save(tmp_path / "m.onnx", nodes, {"input_ids": ids}, {"scores": ["N", 8]}, {})
    refused(tmp_path, words, model=model, data=tmp_path / "v.jsonl")
