"""PyTorch's files, read without PyTorch, for backends that run them: what they are, what they take,
and whether loading them would run code.
"""

from __future__ import annotations

from qs.tensors.exported_code import check_exported
from qs.tensors.generated import input_specs
from qs.tensors.onnx_io import Doubt, Fed, FileTensor
from qs.tensors.torch_archive import EXPORTED, TORCHSCRIPT, exported
from qs.tensors.torch_archive import check_kind as check_archive

__all__ = [
    "EXPORTED",
    "TORCHSCRIPT",
    "Doubt",
    "Fed",
    "FileTensor",
    "check_archive",
    "check_exported",
    "exported",
    "input_specs",
]
