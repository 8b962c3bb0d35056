"""ImageNet and CIFAR-100: published file formats, preprocessing and metrics by hand, and a pickle
that would run code.
"""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
from PIL import Image

from qs.base.errors import UserError

NCHW = {
    "inputs": "x",
    "outputs": "y",
    "input_shape": {"x": [1, 3, 224, 224]},
    "input_type": "FLOAT32",
}
NHWC = {**NCHW, "input_shape": {"x": [1, 224, 224, 3]}}
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (10, 20, 30)]


def pictures(folder, names, size=(300, 280)):
    for name, colour in zip(names, COLOURS, strict=False):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(path)


def listed(published, lines="a.png 0\nb.png 1\nc.png 2\n"):
    folder = published.folder("open_imagenet")
    pictures(folder / "val", ["a.png", "b.png", "c.png"])
    (folder / "val_map.txt").write_text(lines)
    return folder


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (NCHW, [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225]),
        (NHWC, [255 - 123.68, -116.779, -103.939]),
        (
            {**NCHW, "preprocessing": {"scale": 2, "mean": [1, 2, 3], "std": [4, 4, 4]}},
            [509 / 4, -0.5, -0.75],
        ),
    ],
)
def test_standard_preprocessing(published, info, expected):
    listed(published)
    feeds, labels = published.open("open_imagenet", **info).get_samples(0)
    shape = tuple(info["input_shape"]["x"])
    assert feeds["x"].shape == shape and feeds["x"].dtype == np.float32 and labels.tolist() == [0]
    pixel = feeds["x"][0, :, 100, 100] if shape[1] == 3 else feeds["x"][0, 100, 100]
    np.testing.assert_allclose(pixel, expected, rtol=1e-5)


def test_the_middle_is_cut_out(published):
    folder = published.folder("open_imagenet")
    picture = Image.new("RGB", (512, 256), (0, 0, 0))
    picture.paste((255, 255, 255), (256, 0, 512, 256))
    (folder / "val").mkdir()
    picture.save(folder / "val" / "a.png")
    (folder / "val_map.txt").write_text("a.png 0\n")
    feeds, _ = published.open(
        "open_imagenet", **{**NCHW, "preprocessing": {"mean": [0] * 3, "std": [1] * 3}}
    ).get_samples(0)
    row = feeds["x"][0, 0, 100]
    assert row[:110].max() < 0.01 and row[114:].min() > 0.99


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4])
def test_top_1_and_top_5_by_hand(published, saved, batch_size):
    folder = published.folder("open_imagenet")
    pictures(folder / "val", ["n01/a.png", "n02/b.JPEG", "n03/c.png", "n03/d.png"])
    data = published.open("open_imagenet", **NCHW)
    assert data.strata.tolist() == [0, 1, 2, 2]
    # the label's class has, by picture, the largest output; the second largest; the sixth; the same
    # as all others
    tables = {
        0: [9, 1, 2, 3, 4, 5, 6],
        1: [9, 8, 0, 0, 0, 0, 0],
        2: [9, 8, 1, 5, 4, 3, 2],
        3: [1] * 7,
    }
    by_colour = {data.feeds([item])["x"].tobytes(): row for item, row in tables.items()}

    def predict(feeds):
        return {"y": np.array([by_colour[each[None].tobytes()] for each in feeds["x"]], np.float32)}

    metrics, evidence = published.score(data, predict, batch_size)
    assert metrics == {"Top-1": 0.25, "Top-5": 0.5}
    assert evidence["Items"] == 4 and saved("open_imagenet").shape == (4, 7)
    np.testing.assert_allclose(
        evidence["Confidence Intervals"]["Top-1"], [0.0456, 0.6994], atol=1e-4
    )


def test_a_class_for_the_background_is_left_out(published):
    listed(published, "a.png 0\n")
    data = published.open("open_imagenet", **NHWC)
    predict = lambda feeds: [np.eye(1, 1001, 1, dtype=np.float32)]  # noqa: E731
    assert published.score(data, predict)[0] == {"Top-1": 1.0, "Top-5": 1.0}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            "a.png zero\n",
            "val_map.txt: line 1 is 'a.png zero'; allowed: a picture's name and its class",
        ),
        ("a.png 0\nq.png 1\n", "val_map.txt: line 2 is 'q.png'; allowed: the name of a picture in"),
        ("\n", "val_map.txt: names no pictures"),
    ],
)
def test_a_broken_label_file(published, lines, said):
    listed(published, lines)
    with pytest.raises(UserError, match=said):
        published.open("open_imagenet", **NCHW)


def test_a_broken_picture_is_named(published):
    folder = listed(published)
    (folder / "val" / "b.png").write_bytes(b"no picture")
    data = published.open("open_imagenet", **NCHW)
    with pytest.raises(UserError, match="b.png: cannot be read as a picture"):
        data.get_samples(1)


VIDEOBERT = {
    "inputs": "image,text",
    "outputs": "output",
    "input_shape": {"image": [1, 3, 224, 224], "text": [100, 77]},
    "input_type": "FLOAT32,LONG",
}
LABELS = [7, 7, 99, 0]


def cifar_data():
    return np.arange(4, dtype=np.uint8)[:, None] * 50 + np.zeros((4, 3072), np.uint8)


def as_python(published, content=None, text=True):
    folder = published.folder("open_cifar")
    (folder / "cifar-100-python").mkdir()
    content = (
        {b"data": cifar_data(), b"fine_labels": LABELS, b"filenames": [b"a"] * 4}
        if content is None
        else content
    )
    raw = content if isinstance(content, bytes) else pickle.dumps(content, protocol=2)
    (folder / "cifar-100-python" / "test").write_bytes(raw)
    if text:
        np.save(folder / "text.npy", np.arange(7700).reshape(100, 77))
    return folder


def as_binary(published):
    folder = published.folder("open_cifar")
    (folder / "cifar-100-binary").mkdir()
    records = np.column_stack([np.zeros(4, np.uint8), np.array(LABELS, np.uint8), cifar_data()])
    (folder / "cifar-100-binary" / "test.bin").write_bytes(records.tobytes())
    np.save(folder / "text.npy", np.arange(7700).reshape(100, 77))


@pytest.mark.parametrize("write", [as_python, as_binary])
def test_both_formats_of_cifar_are_the_same_items(published, write):
    write(published)
    data = published.open("open_cifar", **VIDEOBERT)
    data.rebatch(2)
    feeds, labels = data.get_samples(1)
    assert feeds["image"].shape == (2, 3, 224, 224) and feeds["text"].shape == (200, 77)
    assert labels.tolist() == [99, 0] and feeds["text"][100, 0] == 0
    np.testing.assert_allclose(
        feeds["image"][0, 0], (100 / 255 - 0.48145466) / 0.26862954, rtol=1e-5
    )


@pytest.mark.parametrize(("batch_size", "columns"), [(1, 100), (2, 100), (2, 200), (3, 300)])
def test_cifar_top_1_and_top_5_by_hand(published, batch_size, columns):
    as_binary(published)
    data = published.open("open_cifar", **VIDEOBERT)

    def predict(feeds):
        scores = np.zeros((len(feeds["image"]), 100), np.float32)
        scores[:, 7], scores[:, 99] = (
            2,
            1,
        )  # right for two items, second for the third; the fourth's is one of 98 zeros
        return [np.tile(scores, (1, columns // 100))]

    assert published.score(data, predict, batch_size)[0] == {"Top-1": 0.5, "Top-5": 0.75}


class Malicious:
    """What a pickle can be: a call of os.system when it is read."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_malicious_pickle_runs_nothing(published, tmp_path, protocol):
    ran = tmp_path / "ran"
    as_python(published, pickle.dumps({b"data": Malicious(f"touch {ran}")}, protocol=protocol))
    with pytest.raises(
        UserError, match=r"cifar-100-python/test: refused: it calls (posix|nt)\.system"
    ):
        published.open("open_cifar", **VIDEOBERT)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"nothing pickled", "refused"),
        (pickle.dumps(eval), "it calls builtins.eval"),
        (pickle.dumps({b"data": cifar_data()}, protocol=2)[:-4000], "refused"),
        ([1], "allowed: a dict with data and fine_labels"),
        (
            {b"data": cifar_data(), b"fine_labels": [1]},
            "fine_labels is '1 labels'; allowed: 4, one a picture",
        ),
        ({b"data": cifar_data(), b"fine_labels": [1, 2, 3, 100]}, "from 0 to 99"),
        (
            {b"data": cifar_data()[:, :5], b"fine_labels": LABELS},
            r"data is 'uint8 \[4, 5\]'; allowed: uint8 \[n, 3072\]",
        ),
    ],
)
def test_a_broken_cifar_file(published, content, said):
    as_python(published, content)
    with pytest.raises(UserError, match=said):
        published.open("open_cifar", **VIDEOBERT)


def test_a_broken_binary_and_missing_texts(published):
    folder = published.folder("open_cifar")
    with pytest.raises(
        FileNotFoundError, match=r"cifar-100-python/test \(or .*test.bin\) is missing"
    ):
        published.open("open_cifar", **VIDEOBERT)
    (folder / "cifar-100-binary").mkdir()
    (folder / "cifar-100-binary" / "test.bin").write_bytes(b"x" * 3075)
    with pytest.raises(UserError, match="size is 3075; allowed: a multiple of 3074"):
        published.open("open_cifar", **VIDEOBERT)
    (folder / "cifar-100-binary" / "test.bin").write_bytes(b"\0\xff" + b"x" * 3072)
    with pytest.raises(UserError, match="record 0, fine label is 255; allowed: 0 to 99"):
        published.open("open_cifar", **VIDEOBERT)
    (folder / "cifar-100-binary" / "test.bin").write_bytes(b"\0\x07" + b"x" * 3072)
    with pytest.raises(FileNotFoundError) as told:
        published.open("open_cifar", **VIDEOBERT)
    assert told.value.filename == str(folder / "text.npy")
