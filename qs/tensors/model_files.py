"""Which files a model or a folder consists of."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from qs.base.errors import UserError
from qs.tensors.onnx_data import data_files


class TooLarge(UserError):
    """A folder with more in it than could be meant; in words."""


def weights_beside(model: Path) -> list[Path]:
    """The files beside an ONNX file, or OpenVINO's .xml, that are part of it. If one is missing,
    whoever opens the model says so.
    """
    if model.suffix.lower() == ".xml":
        weights = model.with_suffix(".bin")
        return [weights] if weights.is_file() else []
    try:
        return data_files(model) if model.suffix.lower() == ".onnx" else []
    except (UserError, OSError, ValueError):
        return []


def files_below(
    folder: Path,
    most_files: int,
    most_bytes: int,
    *,
    left_out: Collection[str] = (),
    linked: bool = False,
) -> Iterator[Path]:
    """The regular files of a folder, by name. TooLarge if there are more of them, or of their
    bytes, than allowed.

    left_out   names of folders that are passed over
    linked     whether folders are entered that a link leads to, each once
    """
    count = total = 0
    seen: set[tuple[int, int]] = set()
    for at, folders, names in os.walk(folder, followlinks=linked):
        try:
            about = os.stat(at)
        except OSError:  # gone meanwhile
            continue
        if (about.st_dev, about.st_ino) in seen:  # a link to what it lies in
            folders[:] = []
            continue
        seen.add((about.st_dev, about.st_ino))
        folders[:] = sorted(name for name in folders if name not in left_out)
        for name in sorted(names):
            file = Path(at, name)
            try:
                facts = file.stat()
            except OSError:  # a link to nothing, or gone meanwhile
                continue
            if not stat.S_ISREG(facts.st_mode):
                continue
            count, total = count + 1, total + facts.st_size
            if count > most_files or total > most_bytes:
                raise TooLarge(
                    f"{folder} holds more than {most_files:,} files or {most_bytes >> 30} GiB"
                )
            yield file
