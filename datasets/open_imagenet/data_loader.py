"""ImageNet's validation pictures: `val/` with the pictures, and `val_map.txt` with a line `name
class` (0..999) for each; or `val/<class folder>/`.

The class of a folder is its place in sorted order, as for WordNet ids (n01440764 is 0). Standard
preprocessing: shorter edge to 256/224 of the model's size (bilinear), then the centre; NCHW is
scaled to 0..1 and by the published means and deviations of RGB; NHWC (TensorFlow's ResNet-50) has
0..255 less the means of RGB. `preprocessing` in the model info, {"mean": [3], "std": [3], "scale":
number}, overrides that. Needs Pillow in the backend's environment.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from qs.contract.item_dataset import ItemDataset
from qs.contract.pictures import opened, pillow, resized_and_cropped
from qs.contract.tools import Fault, Faults, UserError, text_lines

TORCH = {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
TENSORFLOW = {"scale": 1.0, "mean": (123.68, 116.779, 103.939), "std": (1.0, 1.0, 1.0)}
PICTURES = {".jpeg", ".jpg", ".png"}


class DataLoader(ItemDataset):
    """config is the model info; its first input takes the pictures, [1, 3, size, size] or [1, size,
    size, 3].
    """

    FOLDER = Path(__file__).resolve().parent

    def preprocess(self):
        (folder,) = self.find("val")
        pillow(self.name())
        (self.input,) = self.inputs()[:1]
        _, *shape = self.shape(self.input)
        self.channels_first = shape[0] == 3
        self.size = shape[-1] if self.channels_first else shape[0]
        self.how = {
            **(TORCH if self.channels_first else TENSORFLOW),
            **(self.config.get("preprocessing") or {}),
        }
        if any(each.is_dir() for each in folder.iterdir()):
            listed = from_folders(folder)
        else:
            (names,) = self.find("val_map.txt")
            listed = from_list(folder, names)
        self.paths, self.strata = (
            [path for path, _ in listed],
            np.array([number for _, number in listed]),
        )
        self.items = len(self.paths)
        self.rebatch(1, skip=False)

    def feeds(self, items):
        shorter = round(self.size * 256 / 224)
        pixels = np.stack(
            [
                resized_and_cropped(opened(self.paths[item], self.name()), shorter, self.size)
                for item in items
            ]
        )
        values = (
            pixels.astype(np.float64) * self.how["scale"] - np.array(self.how["mean"])
        ) / np.array(self.how["std"])
        if self.channels_first:
            values = values.transpose(0, 3, 1, 2)
        return {self.input: np.ascontiguousarray(values, dtype=np.float32)}

    def label(self, items):
        return self.strata[items]


def from_folders(folder: Path) -> list[tuple[Path, int]]:
    """(picture, class), from one folder per class."""
    classes = sorted(each for each in folder.iterdir() if each.is_dir())
    listed = [
        (path, number)
        for number, each in enumerate(classes)
        for path in sorted(each.iterdir())
        if path.suffix.lower() in PICTURES
    ]
    if not listed:
        raise UserError(f"{folder}: its folders have no pictures ({', '.join(sorted(PICTURES))})")
    return listed


def from_list(folder: Path, names: Path) -> list[tuple[Path, int]]:
    """(picture, class), from a text file; Faults names the first wrong line."""
    listed = []
    for number, line in text_lines(names):
        if not line.strip():
            continue
        name, _, label = line.strip().rpartition(" ")
        if not name or not re.fullmatch(r"[0-9]{1,3}", label):
            allowed = "a picture's name and its class, 0 to 999"
            raise Faults([Fault(str(names), f"line {number}", line.strip(), allowed)])
        path = _picture(folder, name.strip())
        if path is None:
            allowed = f"the name of a picture in {folder}"
            raise Faults([Fault(str(names), f"line {number}", name, allowed)])
        listed.append((path, int(label)))
    if not listed:
        raise UserError(f"{names}: names no pictures")
    return listed


def _picture(folder: Path, name: str) -> Path | None:
    """The file of that name below the folder."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or not name.isprintable():
        return None
    try:
        return folder / path if (folder / path).is_file() else None
    except OSError:  # a name that is too long
        return None
