"""A model file that declares its inputs and is not run here: what it left open is guessed, and not
tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qs.artifact.batch import no_other_size
from qs.artifact.guesses import first_guess
from qs.artifact.inputs import TYPES, Facts, read, with_items
from qs.artifact.model_info import name_of
from qs.artifact.notes import notes_on
from qs.base.errors import UserError
from qs.inside import feeding
from qs.tensors.onnx_io import FileTensor


def declared(
    file: Path,
    model_format: str,
    tensors: Sequence[FileTensor],
    outputs: Sequence[str],
    asked: Mapping[str, Any],
    precision: str = "FP32",
    facts: Facts | None = None,
) -> dict[str, Any]:
    """See ArtifactService.describe. UserError if there are no inputs, or one that numpy has no type
    for.
    """
    if not tensors:
        raise UserError(f"{file} takes no input: there is nothing to load-test it with")
    for each in tensors:
        if each.type.removeprefix("tensor(").removesuffix(")") not in TYPES:
            raise UserError(f"{file}: its input {each.name} is a {each.type}, which numpy has not")
    asked = {**asked, "data": feeding.named(asked.get("data"), [each.name for each in tensors])}
    sizes = list(asked.get("batch_sizes") or ())
    reading = read(
        tensors,
        asked.get("shapes") or {},
        str(file),
        asked=asked.get("batch_axis") or (),
        batch_sizes=sizes,
        facts=facts or Facts(),
    )
    no_other_size(reading.batch, sizes)
    inputs = first_guess(reading)
    feeding.check(asked, [asdict(each) for each in inputs])
    items = feeding.data_shapes(asked, inputs)
    if items:
        inputs = first_guess(with_items(reading, items))
    given = {*(asked.get("ranges") or ()), *(asked.get("data") or ())}
    notes = ["guessed shapes were not tried"] if any(each.guessed for each in inputs) else []
    return {
        "path": str(file),
        "name": name_of(file),
        "kind": "file",
        "format": model_format,
        "precision": precision,
        "inputs": [asdict(each) for each in inputs],
        "outputs": list(dict.fromkeys(outputs)),
        "states": dict(asked.get("states") or {}),
        "batch": reading.batch.to_dict(),
        "batch_sizes": sizes or ([reading.batch.only] if reading.batch.only else []),
        "notes": [*notes, *notes_on(inputs, reading.batch, given)],
        "open_s": None,
        "tried_s": None,
    }
