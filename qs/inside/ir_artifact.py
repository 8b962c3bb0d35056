"""What an OpenVINO model (.xml with its .bin) says of its inputs, read from the XML alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qs.artifact.inputs import Facts
from qs.base.errors import UserError
from qs.inside.untried import declared
from qs.tensors.openvino_xml import read_xml


def of_openvino(file: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """See ArtifactService.describe. UserError for a damaged file, or one without its weights."""
    if not file.with_suffix(".bin").is_file():
        raise UserError(f"{file} has no {file.with_suffix('.bin').name} beside it: the weights")
    found = read_xml(file)
    facts = Facts(unranked=frozenset(found.unranked))
    return declared(file, "openvino", found.inputs, found.outputs, asked, found.precision, facts)
