"""The model info (`model_zoo/<model>.json`): a model's file, inputs and outputs, data set and
largest batch.

Keys that are no rule's are kept: published files carry vendors' own. Finding the model's file is
qs.models' part.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, StrictStr

from qs.base import jsonc
from qs.base.names import PLAIN
from qs.config.checking import (
    Checkable,
    Checked,
    Count,
    Flag,
    PlainName,
    as_object,
    check,
    unknown_keys,
)
from qs.config.inputs import KEYS, check_inputs
from qs.config.sources import Source, check_sources

FRAMEWORKS = ("Pytorch", "Tensorflow", "Onnx")
_SPELLED = {name.casefold(): name for name in FRAMEWORKS}


def _framework(value: object) -> object:
    spelled = _SPELLED.get(value.casefold()) if isinstance(value, str) else None
    if spelled is None:
        raise ValueError("not a known framework")
    return spelled


def _version(value: object) -> object:
    return (
        str(value) if type(value) in (int, float) else value
    )  # 1.12 is often written without quotes


def _path(value: str) -> str:
    if "\0" in value:
        raise ValueError("NUL")
    return value


class ModelInfo(Checkable):
    """What is known of a model before it is loaded. Shapes are at batch 1; batch b multiplies the
    first.
    """

    model: PlainName
    model_path: Annotated[StrictStr, Field(min_length=1), AfterValidator(_path)]
    framework: Annotated[str, BeforeValidator(_framework)]
    framework_version: Annotated[StrictStr | None, BeforeValidator(_version)] = None
    model_format: Annotated[StrictStr, Field(min_length=1)]
    model_precision: Annotated[StrictStr, Field(min_length=1)] = "FP32"
    dataset_name: Annotated[PlainName | None, BeforeValidator(lambda value: value or None)] = None
    max_batch_size: Count | None = None
    is_quantized: Flag = False
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    input_shape: dict[str, tuple[int, ...]] = {}
    input_type: dict[str, str] = {}
    input_range: dict[str, tuple[float, float]] = {}
    sources: tuple[Source, ...] = ()

    _stated: dict[str, Any] = PrivateAttr(default_factory=dict)

    ALLOWED: ClassVar[Mapping[str, str]] = {
        "model": PLAIN,
        "model_path": "a path relative to the workspace, or an absolute one",
        "framework": ", ".join(FRAMEWORKS),
        "framework_version": "a version, as a string",
        "model_format": "the format's name, such as 'pt', 'saved_model' or 'onnx'",
        "model_precision": "the precision's name, such as 'FP32'",
        "dataset_name": f"the name of a folder in datasets/ ({PLAIN}), or null for generated inputs",
        "max_batch_size": "a whole number >= 1",
        "is_quantized": "true or false",
    }
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {"framework": FRAMEWORKS}
    ALIASES: ClassVar[Mapping[str, str]] = {"name": "model"}

    def batch_shape(self, name: str, batch_size: int) -> tuple[int, ...]:
        """The shape of an input at a batch size: [26, 2] becomes [26 * b, 2]."""
        first, *others = self.input_shape[name]
        return (first * batch_size, *others)

    def to_configs(self) -> dict[str, Any]:
        """The published spelling: names and types as comma-separated strings, further keys as they
        were.
        """
        plain = {
            key: getattr(self, key)
            for key in type(self).model_fields
            if key not in (*KEYS, "sources") or key in self._stated
        }
        plain |= {
            "inputs": ",".join(self.inputs),
            "outputs": ",".join(self.outputs),
            "input_shape": {name: list(shape) for name, shape in self.input_shape.items()},
            "input_type": ",".join(self.input_type[name] for name in self.inputs),
        }
        plain |= {
            key: self._stated[key] for key in ("sources", "input_range") if key in self._stated
        }
        return {**plain, **self.extra_keys}


def load_model_info(path: str | Path) -> tuple[ModelInfo, list[str]]:
    """The model info in a file, and warnings. Faults names everything that is wrong with it, at
    once.
    """
    return check_model_info(jsonc.read(path), str(path)).result()


def check_model_info(raw: object, file: str) -> Checked[ModelInfo]:
    """The same, for a value that was read already, with faults returned and not raised."""
    stated = as_object(raw, file, "model info")
    apart = (*KEYS, "sources")
    checked = check(
        ModelInfo, {key: value for key, value in stated.items() if key not in apart}, file
    )
    inputs = check_inputs(stated, file)
    sources, source_faults = check_sources(stated.get("sources"), file)
    faults = (*checked.faults, *inputs.faults, *source_faults)
    described = {key: getattr(inputs, key) for key in KEYS} | {"sources": sources}
    right = {**checked.right, **described}
    warnings = tuple(unknown_keys(ModelInfo, stated, file, only_near=True))
    if faults or checked.value is None:
        return Checked(None, right, faults, warnings)
    value = checked.value.model_copy(update=described)
    value._stated = {key: stated[key] for key in apart if key in stated}
    return Checked(value, right, (), warnings)
