"""Which models can be turned into ONNX here, and by what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qs.base.errors import UserError
from qs.models import saved_model, torchscript
from qs.models.converted import Converted
from qs.models.formats import PT, SAVED_MODEL, words
from qs.models.request import ModelRequest

# format -> (its file or folder, the request) -> ONNX, with what was checked
TO_ONNX: dict[str, Callable[[Path, ModelRequest], Converted]] = {
    PT: torchscript.to_onnx,
    SAVED_MODEL: saved_model.to_onnx,
}


def to_onnx(path: Path, format: str, request: ModelRequest) -> Converted:
    """The model as ONNX, made once and cached. UserError if there is no way to it, with what would
    be one.
    """
    convert = TO_ONNX.get(format)
    if convert is None:
        raise UserError(
            f"{path} is {words(format)}, which qs does not convert to ONNX; put an ONNX export of "
            f"the model at {path.with_suffix('.onnx')}"
        )
    return convert(path, request)
