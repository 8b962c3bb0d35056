"""What our own backends and data sets use beyond the base classes, for any vendor to use: errors,
generated feeds, cached files, names of inputs and outputs.

Workspaces import qs.contract and nothing else of qs. The cache needs filelock and platformdirs in
the backend's environment, hence the import inside; the rest needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qs.base.errors import MISSING, Fault, Faults, UserError
from qs.contract.reading import text_lines
from qs.contract.trial_feeds import first_batch, value_fault
from qs.tensors.file_kind import foreign as foreign_kind
from qs.tensors.generated import generated_feeds, split_names
from qs.tensors.npy import read_npy, read_npz
from qs.tensors.onnx_data import data_files
from qs.tensors.onnx_io import (
    Fed,
    FileTensor,
    batch_fault,
    bind_inputs,
    bind_outputs,
    doubts,
    file_tensors,
    is_dynamic,
)
from qs.tensors.onnx_words import sentence as onnx_sentence
from qs.tensors.openvino_types import TYPE_OF_ELEMENT

__all__ = [
    "MISSING",
    "TYPE_OF_ELEMENT",
    "Fault",
    "Faults",
    "Fed",
    "FileTensor",
    "UserError",
    "batch_fault",
    "bind_inputs",
    "bind_outputs",
    "build_once",
    "data_files",
    "doubts",
    "file_tensors",
    "first_batch",
    "foreign_kind",
    "generated_feeds",
    "is_dynamic",
    "onnx_sentence",
    "read_npy",
    "read_npz",
    "split_names",
    "text_lines",
    "value_fault",
]


def build_once(
    key: str,
    suffix: str,
    build: Callable[[Path], None],
    sound: Callable[[Path], bool] | None = None,
) -> Path:
    """The file `<key><suffix>` in the user's cache folder; `build(temporary path)` creates it if it
    is missing, or if `sound(path)` is given and says that it is damaged.

    One process builds, the others wait; a build that fails leaves nothing behind.
    """
    from qs.base import cache

    return cache.build_once(key, suffix, build, sound)
