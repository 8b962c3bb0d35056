"""Reads CIFAR's `python version`, a pickle, with an unpickler that creates only dicts, lists, text,
bytes, numbers and numpy arrays.

A pickle may call any function by name. Here only the names in pickled arrays of numbers are
resolved; any other is refused before it is looked up, so that no code of the file's choosing runs.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np

from qs.contract.tools import UserError

_RECONSTRUCT = np.empty(0).__reduce__()[0]
_ALLOWED = {
    **{
        (module, "_reconstruct"): _RECONSTRUCT
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    },
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): lambda text, encoding: (
        text.encode("latin1") if encoding == "latin1" else _refuse(encoding)
    ),
}
MOST_BYTES = 1 << 30


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it calls {module}.{name}")
        return _ALLOWED[module, name]

    def persistent_load(self, pid):
        raise pickle.UnpicklingError("it refers to objects outside the file")


def _refuse(encoding):
    raise pickle.UnpicklingError(f"it uses the encoding {encoding!r}")


def load(path: Path) -> object:
    """The file's object. UserError for anything but plain values and arrays of numbers."""
    content = path.read_bytes()
    if len(content) > MOST_BYTES:
        raise UserError(
            f"{path}: {len(content)} bytes; CIFAR's files are smaller than {MOST_BYTES}"
        )
    try:
        value = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a broken pickle raises nearly anything
        raise UserError(
            f"{path}: refused: {error}; allowed: plain values and numpy arrays, as in CIFAR's files"
        ) from None
    return value
