"""The user's own items of the inputs, from files or folders of them: which files, in what shape, of
what type, and whether the inputs' numbers of items go together.

Everything becomes one array [items, *shape at batch size 1] of the input's type; casts that lose
information are refused (qs.tensors.casting). Images are scaled to the input's height and width, and
to [0, 1] for inputs of floats; other preprocessing is up to the user.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from qs.artifact.item_files import (
    CONTENTS,
    FLAG,
    NUMBERS,
    PICTURES,
    READERS,
    Raw,
    data_fault,
)
from qs.base.errors import Fault, Faults, UserError
from qs.base.names import as_typed
from qs.tensors.casting import Bent, cast
from qs.tensors.contents import names_files
from qs.tensors.generated import InputSpec
from qs.tensors.npy import npy_shape

MOST_ITEMS = 100_000
_TEST_SET = re.compile(r"(test_)?data_set_\d+$")
_TEST_INPUT = re.compile(r"input_(\d+)\.pb$")


def read_items(
    spec: InputSpec, path: Path, position: int = 0, most: int | None = None
) -> np.ndarray:
    """All items in a file or folder, or at least the first `most`. `position` is the input's among
    the model's, which the files of ONNX test sets are named by. Raises Faults for content that does
    not fit this input.
    """
    items: list[np.ndarray] = []
    for file in files_of(spec.name, path, position)[0]:
        items.append(_items(spec, file))
        if most is not None and sum(map(len, items)) >= most:
            break
    whole = np.concatenate(items)
    if not len(whole):
        raise data_fault(spec.name, path, "at least one item")
    if len(whole) > MOST_ITEMS:
        raise data_fault(spec.name, path, f"at most {MOST_ITEMS} items", f"it has {len(whole)}")
    return whole


def item_shape(
    spec: InputSpec, declared: Sequence[int | str | None], path: Path, position: int = 0
) -> tuple[int, ...] | None:
    """The shape at batch size 1 that the data has, for an input with dynamic dimensions; None where
    it does not tell, or does not fit what is declared. Pictures are scaled and tell nothing.
    """
    file = files_of(spec.name, path, position)[0][0]
    suffix = file.suffix.lower()
    if suffix in (*PICTURES, *CONTENTS, ".txt", ".raw", ".bin"):
        return None
    try:
        if suffix == ".npy":
            raw, stacked = npy_shape(file), False
        else:
            read = _read(spec, file)
            raw, stacked = read.array.shape, read.stacked
    except UserError:
        return None  # whoever reads the items says it
    batched = spec.batch_axis == 0
    candidates = [raw[1:]] if stacked else [raw, raw[1:]]
    if batched:
        candidates += [(1, *each) for each in list(candidates)]
        candidates.insert(0, (1, *raw[1:]))
    for candidate in candidates:
        if len(candidate) == len(declared) and all(
            candidate[at] == size if isinstance(size, int) and size > 0 else candidate[at] >= 0
            for at, size in enumerate(declared)
        ):
            if batched and not _is_fixed(declared[0]) and candidate[0] != 1:
                continue
            return tuple(candidate)
    return None


def _is_fixed(size: int | str | None) -> bool:
    return isinstance(size, int) and size > 0


def advice(name: str) -> str:
    """What feeds an input other values than generated ones."""
    flags = as_typed("--range", name, "LOW,HIGH"), as_typed(FLAG, name, "FILE")
    return f"state what it takes with {flags[0]}, {flags[1]} or --fill zeros"


def count_faults(arrays: Mapping[str, np.ndarray]) -> list[Fault]:
    """Items go together by their place, so each input needs as many, or one for all."""
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values()) - {1}) < 2:
        return []
    allowed = "the same number of items for each input, or one that goes with all"
    return [Fault(FLAG, "", ", ".join(f"{name}: {n}" for name, n in counts.items()), allowed)]


def files_of(name: str, path: Path, position: int = 0) -> tuple[list[Path], list[Path]]:
    """(The files of an input's items in order, those in the folder that cannot be read). Raises
    Faults if there are none.
    """
    if not path.exists():
        raise data_fault(name, path, "an existing file or folder")
    if not path.is_dir():
        if path.suffix.lower() not in READERS:
            raise data_fault(name, path, f"a file that ends in {', '.join(NUMBERS)}")
        if not path.is_file():
            raise data_fault(name, path, "a regular file or a folder")
        return [path], []
    inside = _listed(name, path)
    sets = [each for each in inside if each.is_dir() and _TEST_SET.match(each.name)]
    inputs = [each for each in inside if _TEST_INPUT.match(each.name)]
    if inputs:
        return [_of_test_set(name, path, position)], []
    if sets:
        return [_of_test_set(name, each, position) for each in sorted(sets, key=_natural)], []
    files = [each for each in inside if each.is_file() and not each.name.startswith(".")]
    # Documents beside numbers (a README.html) are no items.
    found = [each for each in files if each.suffix.lower() in NUMBERS] or [
        each for each in files if each.suffix.lower() in CONTENTS
    ]
    if not found:
        raise data_fault(name, path, f"a folder with files that end in {', '.join(NUMBERS)}")
    return sorted(found), [each for each in files if each not in found]


def left_out(given: Mapping[str, str], positions: Mapping[str, int]) -> list[str]:
    """A note for each folder with files that are not read."""
    notes = []
    for name, path in given.items():
        found, others = files_of(name, Path(path), positions.get(name, 0))
        if others:
            endings = ", ".join(sorted({each.suffix.lower() or each.name for each in others})[:8])
            notes.append(
                f"{FLAG} {name}: {len(others)} of the {len(others) + len(found)} files in {path} "
                f"are left out, since they are no {', '.join(NUMBERS)}: {endings}"
            )
    return notes


def on_pictures(given: Mapping[str, str], specs: Sequence[InputSpec]) -> list[str]:
    """A note for each input that is fed pictures: how they are prepared."""
    notes = []
    for position, spec in enumerate(specs):
        if spec.name not in given:
            continue
        files, _ = files_of(spec.name, Path(given[spec.name]), position)
        if spec.dtype.kind != "U" and any(file.suffix.lower() in PICTURES for file in files):
            scaled = ", scaled to 0..1" if spec.dtype.kind == "f" else ""
            notes.append(
                f"{FLAG} {spec.name}: pictures are stretched to the input's size, RGB (or grey)"
                f"{scaled}; mean, std, BGR, cropping and accuracy: qs new-task"
            )
    return notes


def _listed(name: str, folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise data_fault(name, folder, "a readable folder", error.strerror) from None


def _natural(path: Path) -> tuple[int, str]:
    return int(re.findall(r"\d+", path.name)[-1]), path.name


def _of_test_set(name: str, folder: Path, position: int) -> Path:
    """The input's file in a test set of ONNX: the one whose tensor has its name, else by place."""
    import onnx

    files = sorted((each for each in folder.glob("input_*.pb")), key=_natural)
    for file in files:
        tensor = onnx.TensorProto()
        try:
            tensor.ParseFromString(file.read_bytes())
        except Exception:  # protobuf's own DecodeError; its reader says it
            continue
        if tensor.name == name:
            return file
    numbered = {_natural(file)[0]: file for file in files}
    if position not in numbered:
        allowed = f"a test set with input_{position}.pb, or a tensor called {name}"
        listed = ", ".join(file.name for file in files) or "no input_*.pb"
        raise data_fault(name, folder, allowed, f"it has {listed}")
    return numbered[position]


def _items(spec: InputSpec, file: Path) -> np.ndarray:
    raw = _read(spec, file)
    shaped = _shaped(spec, raw, file)
    try:
        return cast(shaped, spec.dtype, spec.type)
    except Bent as error:
        raise data_fault(spec.name, file, error.allowed, error.found) from None


def _read(spec: InputSpec, file: Path) -> Raw:
    try:
        raw = READERS[file.suffix.lower()](spec, file)
        if raw.array.dtype.kind == "U" and not raw.files and names_files(raw.array):
            raise UserError("it has half of a surrogate pair, which is no character")
        return raw
    except Faults:
        raise
    except UserError as error:
        raise data_fault(spec.name, file, "a readable file", str(error)) from None
    except Exception as error:
        # Parsers of other people's files raise dozens of classes (RecursionError, MemoryError,
        # SyntaxError of a header); whatever it is, it is this file.
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise data_fault(spec.name, file, "a readable file", why) from None


def _shaped(spec: InputSpec, raw: Raw, file: Path) -> np.ndarray:
    """[items, *shape]: from several items along the batch dimension, from one item, or from one
    without a leading dimension of 1.
    """
    array, shape = raw.array, spec.shape
    size = int(np.prod(shape, dtype=np.int64))
    if raw.stacked and array.shape[1:] != shape:
        flat = array.ndim == 2 or array.shape[1:] == shape[1:]
        if flat and int(np.prod(array.shape[1:], dtype=np.int64)) == size:
            return array.reshape(-1, *shape)
    elif array.shape == shape and not raw.stacked:
        return array[None]
    elif array.ndim == len(shape) + 1 and array.shape[1:] == shape:
        return array
    elif (
        shape
        and array.ndim == len(shape)
        and array.shape[1:] == shape[1:]
        and shape[0]
        and array.shape[0] % shape[0] == 0
    ) or (array.ndim == 1 and size == 1):
        return array.reshape(-1, *shape)
    elif shape and shape[0] == 1 and array.shape == shape[1:]:
        return array.reshape(1, *shape)
    wanted = f"items of shape {list(shape)}, one or several along the first dimension"
    if size and not array.size:
        wanted = f"at least one item of shape {list(shape)}"
    raise data_fault(spec.name, file, wanted, f"it has {list(array.shape)}")
