"""Pictures: in a folder for each class, or named by a CSV file with their labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qs.contract.picture_items import (
    CHANNELS,
    in_class_folders,
    in_listing,
    is_picture,
    known_sizes,
)
from qs.contract.reading import csv_rows
from qs.scaffold.data.plan import (
    LABEL_NAMES,
    Asked,
    Described,
    Guess,
    Key,
    Plan,
    classes_key,
    existing,
    fault,
)
from qs.scaffold.data.published import PREPARATION, preparation
from qs.scaffold.data.tables import delimiter_of

FILE_NAMES = ("file", "filename", "file_name", "image", "path", "name")
LARGEST = 1024  # pixels of an edge that a size is taken from pictures for
CROPPED = 96  # from this size on, photographs are likely, which are cropped as ImageNet's are
CROP = 256 / 224


def names_pictures(path: Path, delimiter: str | None) -> bool:
    """Whether a CSV file lists pictures that lie beside it."""
    rows = csv_rows(path, delimiter or delimiter_of(path))
    header, first = next(rows, (0, []))[1], next(rows, (0, []))[1]
    at = _file_column(header)
    return bool(at is not None and first and is_picture(path.parent / first[at]))


def _file_column(header: list[str]) -> int | None:
    return next((header.index(name) for name in FILE_NAMES if name in header), None)


def plan_pictures(asked: Asked, model: Described) -> Plan:
    """What PictureItems states of these pictures. UserError for pictures and lists that cannot be
    read.
    """
    plan = Plan("PictureItems")
    asked = _as_published(asked, plan, model)
    assert asked.data is not None
    folder, listing = asked.data, None
    if folder.is_file():
        folder, listing = folder.parent, folder
    if asked.labels is not None:
        listing = existing("--labels", Path(asked.labels))
    elif listing is None and (folder / "labels.csv").is_file():
        listing = folder / "labels.csv"
    plan.keys["DATA"] = Key(plan.place(folder), "the folder of the pictures")
    if listing is None:
        plan.keys["LABELS"] = Key(None, "a CSV with labels; None: each folder in DATA is a class")
        files, labels = in_class_folders(folder)
        plan.has_labels = labels is not None
    else:
        files = _listed(asked, plan, folder, listing)
    classes_key(asked, plan)
    _shape(asked, plan, model, files)
    _values(asked, plan, model)
    return plan


def _as_published(asked: Asked, plan: Plan, model: Described) -> Asked:
    """With what the model's preprocessor_config.json states, where the user states nothing."""
    path = asked.preprocessor
    if path is None:
        path = asked.model.absolute().parent / PREPARATION
        if not path.is_file():
            return asked
        plan.guesses.append(Guess(f"pictures are prepared as {path.name} says", "--preprocessor"))
    stated = preparation(existing("--preprocessor", path))
    name = model.names[0]
    shapes = dict(asked.shapes)
    if stated.size and name not in shapes and model.is_open(name):
        item = list(model.item_shape(name))
        at = 0 if (asked.layout or _layout(tuple(item))) == "NHWC" else 1
        if len(item) == 3:
            item[at : at + 2] = stated.size
            shapes[name] = plan.shapes[name] = model.whole_shape(name, item)
    if asked.scale is None and asked.mean is None and asked.std is None:
        asked = replace(asked, scale=stated.scale, mean=stated.mean, std=stated.std)
    return replace(
        asked,
        shapes=shapes,
        resize=asked.resize or stated.resize,
        interpolation=asked.interpolation or stated.interpolation,
        channels=asked.channels or stated.channels,
    )


def _listed(asked: Asked, plan: Plan, folder: Path, listing: Path) -> list[Path]:
    delimiter = asked.delimiter or delimiter_of(listing)
    header = next(csv_rows(listing, delimiter), (0, []))[1]
    at = _file_column(header)
    if at is None:
        raise fault(
            "--labels", listing, "a CSV with the columns file,label", f"it has {', '.join(header)}"
        )
    label = next((name for name in LABEL_NAMES if name in header), None)
    if label is None:
        others = [name for name in header if name != header[at]]
        label = others[0] if len(others) == 1 else None
    plan.keys["LABELS"] = Key(plan.place(listing), "a CSV file that names pictures in DATA")
    plan.keys["COLUMNS"] = Key((header[at], label), "its columns of names and labels")
    plan.keys["DELIMITER"] = Key(delimiter)
    plan.has_labels = label is not None
    return in_listing(listing, folder, header[at], label, delimiter)[0]


def _shape(asked: Asked, plan: Plan, model: Described, files: list[Path]) -> None:
    """Size, layout and channels."""
    name = model.names[0]
    shape, sizes = model.item_shape(name), known_sizes(files)
    if name in asked.shapes:
        shape = model.item_of(name, asked.shapes[name])
    layout = asked.layout or _layout(shape)
    same = next(iter(sizes)) if len(sizes) == 1 else None
    edges = (1, 2) if layout == "NCHW" else (0, 1)
    if len(shape) == 3 and model.is_open(name) and name not in asked.shapes:
        if same is not None and max(same) <= LARGEST:
            item = list(shape)
            item[edges[0]], item[edges[1]] = same[1], same[0]
            shape = tuple(item)
            plan.shapes[name] = model.whole_shape(name, shape)
        stated = ",".join(map(str, model.whole_shape(name, shape)))
        plan.guesses.append(Guess(f"{name} takes {stated}", f"--shape {name}={stated}"))
    many = shape[0 if layout == "NCHW" else -1] if len(shape) == 3 else 1
    channels = asked.channels or ("L" if many == 1 else "RGB")
    if len(shape) == 3:
        size = shape[edges[0]], shape[edges[1]]
        plan.keys["SIZE"] = Key(None, "height and width; None: those of the input")
    elif len(shape) == 2:
        size = shape[0], shape[1]
    else:
        size = _flat_size(shape, channels, same)
        plan.keys["SIZE"] = Key(size, "height and width")
        plan.guesses.append(Guess(f"the pictures become {size[0]}x{size[1]}", "SIZE"))
    resize = asked.resize
    if resize is None:
        resize = "stretch"
        if same != (size[1], size[0]):
            if size[0] == size[1] >= CROPPED:
                resize = f"crop:{round(size[0] * CROP)}"
            plan.guesses.append(Guess(f"pictures of other sizes: {resize}", "--resize"))
    plan.keys["RESIZE"] = Key(resize, "stretch, crop, crop:256 (the shorter edge first) or pad")
    plan.keys["INTERPOLATION"] = Key(asked.interpolation or "bilinear")
    plan.keys["LAYOUT"] = Key(layout, "NCHW, or NHWC for channels last")
    plan.keys["CHANNELS"] = Key(channels, "RGB, BGR or L (grey)")
    if asked.layout is None and len(shape) == 3 and shape[0] in (1, 3) and shape[2] in (1, 3):
        plan.guesses.append(Guess(f"the layout is {layout}", "--layout"))
    if asked.channels is None and CHANNELS[channels] == 3:
        plan.guesses.append(Guess("the channels are RGB", "--channels BGR"))


def _layout(shape: tuple[int, ...]) -> str:
    last = len(shape) == 3 and shape[2] in (1, 3) and shape[0] not in (1, 3)
    return "NHWC" if last else "NCHW"


def _flat_size(
    shape: tuple[int, ...], channels: str, same: tuple[int, int] | None
) -> tuple[int, int]:
    """Height and width of pictures for an input of one dimension."""
    pixels = (shape[0] if shape else 0) // CHANNELS[channels]
    if same is not None and same[0] * same[1] == pixels:
        return same[1], same[0]
    edge = round(pixels**0.5)
    if edge and edge * edge * CHANNELS[channels] == shape[0]:
        return edge, edge
    raise fault("--data", "pictures", f"other data: an item of the input is {list(shape)}")


def _values(asked: Asked, plan: Plan, model: Described) -> None:
    floats = model.inputs[0]["type"].startswith(("FLOAT", "DOUBLE"))
    scale = asked.scale if asked.scale is not None else 1 / 255 if floats else 1.0
    plan.keys["SCALE"] = Key(scale, "what a value of 0..255 is multiplied by first")
    for key, given, usual, says in (
        ("MEAN", asked.mean, 0.0, "what is then subtracted, a number or one a channel"),
        ("STD", asked.std, 1.0, "what that is then divided by"),
    ):
        many = list(given) if given is not None else [usual]
        plan.keys[key] = Key(many[0] if len(many) == 1 else many, says)
    if floats and asked.scale is None and asked.mean is None and asked.std is None:
        plan.guesses.append(
            Guess(
                "values are scaled to 0..1, no mean, no std",
                "--normalize imagenet, or --scale, --mean, --std",
            )
        )
