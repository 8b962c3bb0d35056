"""Reads a model file in a process of our own: its inputs, one inference that tries what had to be
guessed, and the user's own items.

If a fault of the runtime takes this process down, nothing is lost with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from qs.artifact import model_info_of
from qs.artifact.batch import batch_of, compiled_batch, no_other_size
from qs.artifact.inputs import Input, stated_dimensions, unknown_input
from qs.artifact.item_files import FLAG
from qs.artifact.model_info import name_of
from qs.artifact.sides import FLAG as FLAG_OF_BATCH
from qs.artifact.sides import Tensor
from qs.artifact.user_data import count_faults, left_out, on_pictures, read_items
from qs.base import jsonc
from qs.base.errors import Fault, Faults, UserError
from qs.base.names import nearest
from qs.evaluate.artifacts import ARTIFACT
from qs.inside import feeding
from qs.inside.ir_artifact import of_openvino
from qs.inside.onnx_artifact import of_onnx
from qs.inside.saved_model_artifact import is_saved_model, of_saved_model
from qs.inside.torch_artifact import in_order, is_torchscript, of_exported
from qs.tensors.file_kind import foreign, no_model
from qs.tensors.generated import NUMPY_TYPES, input_specs, split_names

ONNX = ".onnx"
EXPORTED = ".pt2"
OPENVINO = ".xml"
COMPILED = "compile result"


class ArtifactService:
    """Stateless; all its answers are plain data."""

    def describe(self, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What a model file, or a compile result, says of itself.

        asked   the user's own {"shapes", "types", "ranges", "states", "batch_sizes",
                "batch_axis", "data", "fill", "probe"}

        Returns {"path", "name", "kind", "format", "precision", "inputs", "outputs", "states",
        "batch", "batch_sizes", "notes", "open_s", "tried_s"}. Faults if something does not fit the
        file, UserError if the file says too little or cannot be run.
        """
        file = Path(path)
        if file.suffix.lower() == ".json":
            found = _of_compile_result(file)
        elif file.suffix.lower() == ONNX:
            _check_types(asked)
            found = of_onnx(file, asked)
        elif file.suffix.lower() == EXPORTED:
            _check_types(asked)
            found = of_exported(file, asked)
        elif file.suffix.lower() == OPENVINO and no_model(file) is None:
            _check_types(asked)
            found = of_openvino(file, asked)
        elif is_saved_model(file):
            _check_types(asked)
            found = of_saved_model(file, asked)
        elif is_torchscript(file):
            asked, notes = in_order(file, asked)
            found = _of_unknown(file, asked) | {"format": "pt"}
            found["notes"] += notes
        else:
            found = _of_unknown(file, asked)
        _check_stated(asked, found)
        return self._with_ranges(found, asked)

    def _with_ranges(self, found: dict[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
        names = [each["name"] for each in found["inputs"]]
        asked = {**asked, "data": feeding.named(asked.get("data"), names)}
        feeding.check(asked, found["inputs"])
        found["notes"] += feeding.notes(asked, found["inputs"])
        for each in found["inputs"]:
            if each["name"] in (asked.get("ranges") or {}):
                each["range"] = list(asked["ranges"][each["name"]])
        return found

    def describe_served(
        self, remote: Mapping[str, Any], asked: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What a server says of its model, as `describe` does of a file, and in "served" what
        stands for a file's identity. See qs.inside.served_artifact.

        remote   see qs.settings.request.Request.remote
        """
        from qs.inside.served_artifact import of_server

        _check_types(asked)
        return self._with_ranges(of_server(remote, asked), asked)

    def read_data(
        self, description: Mapping[str, Any], given: Mapping[str, str], out_folder: str
    ) -> dict[str, Any]:
        """The user's own items: {"files": {input: .npy}, "notes"}. Faults if something does not
        fit.
        """
        specs = input_specs(model_info_of(description, "data", Path("data")))
        described = {each["name"]: each for each in description["inputs"]}
        position = {spec.name: at for at, spec in enumerate(specs)}
        given = feeding.named(given, list(position))
        faults, arrays = [], {}
        for name, path in given.items():
            if name not in position:
                faults.append(unknown_input(FLAG, name, list(position)))
                continue
            try:
                about = [described[name][key] for key in ("shape", "guessed", "declared")]
                with feeding.of_a_guess(*about):
                    arrays[name] = read_items(specs[position[name]], Path(path), position[name])
            except Faults as error:
                faults += error.faults
        faults = faults or count_faults(arrays)
        if faults:
            raise Faults(faults)
        folder = Path(out_folder)
        folder.mkdir(parents=True, exist_ok=True)
        files = {}
        for number, (name, array) in enumerate(arrays.items()):
            files[name] = str(folder / f"{number}.npy")
            np.save(files[name], array, allow_pickle=False)
        return {"files": files, "notes": [*left_out(given, position), *on_pictures(given, specs)]}


def _of_compile_result(file: Path) -> dict[str, Any]:
    """From the notes made when it was compiled, else from its own first segment."""
    content: dict[str, Any] = jsonc.read(file)  # type: ignore[assignment]  # take() has looked at it
    about = content.get(ARTIFACT) or {}
    info = about.get("model_info") or {}
    segments = content.get("segments") or []
    shapes = info.get("input_shape") or (segments[0].get("input_tensor_map") if segments else None)
    types = info.get("input_type") or content.get("input_type")
    if not shapes or not types:
        raise UserError(
            f"{file}: names no inputs with shapes (model_info, input_tensor_map of the first "
            "segment) and types (input_type)"
        )
    try:
        specs = input_specs(
            {
                "input_shape": shapes,
                "input_type": types,
                "inputs": info.get("inputs"),
                "input_range": info.get("input_range"),
                "input_batch_axis": info.get("input_batch_axis"),
            }
        )
    except ValueError as error:
        raise UserError(f"{file}: {error}") from None
    outputs = info.get("outputs") or (
        list(segments[-1].get("output_tensor_map") or ()) if segments else []
    )
    sizes = sorted(
        {
            made["compiled_bs"]
            for each in segments
            for made in each.get("compiled_model") or ()
            if made.get("compiled_bs")
        }
    )
    return {
        "path": str(file),
        "name": str(content.get("model") or name_of(file)),
        "kind": COMPILED,
        "format": str(info.get("model_format") or "compiled"),
        "framework": content.get("framework"),
        "precision": str(content.get("compile_precision") or "FP32"),
        "inputs": [
            asdict(
                Input(spec.name, spec.type, spec.shape, spec.shape, spec.batch_axis, (), spec.range)
            )
            for spec in specs
        ],
        "outputs": split_names(outputs),
        "states": {},
        "batch": compiled_batch(specs).to_dict(),
        "batch_sizes": list(about.get("batch_sizes") or sizes),
        "notes": [],
        "open_s": None,
        "tried_s": None,
    }


def _of_unknown(file: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """A format that only its backend reads: the inputs are what the user states."""
    nothing = no_model(file)
    if nothing is not None:
        raise UserError(f"{file} is no model: it is {nothing}")
    shapes, types = asked.get("shapes") or {}, asked.get("types") or {}
    if not shapes or set(shapes) - set(types):
        missing = sorted(set(shapes) - set(types))
        what = f"the type of {', '.join(missing)}" if missing else "its inputs"
        kind = foreign(file) or f"a {file.suffix or 'nameless'} file"
        raise UserError(
            f"{file} is {kind}. It does not say here what it takes, only ONNX files and "
            f"compile results do; state {what}: --shape images=1,3,224,224 --type images=FLOAT32"
        )
    _check_types(asked)
    asked = {**asked, "data": feeding.named(asked.get("data"), list(shapes))}
    sizes = list(asked.get("batch_sizes") or ())
    tensors = [Tensor(name, stated_dimensions(shape)) for name, shape in shapes.items()]
    batch = batch_of(tensors, shapes, asked.get("batch_axis") or (), sizes)
    no_other_size(batch, sizes)
    stated = []
    for name, shape in shapes.items():
        own, axis = list(shape), batch.axis(name)
        if axis is not None:
            own[axis] = max(own[axis] // (batch.only or 1), 1)
        stated.append(Input(name, types[name], tuple(shape), tuple(own), axis))
    inputs, switches = feeding.with_switches(stated, None, asked)
    doubt = batch.doubt()
    return {
        "path": str(file),
        "name": name_of(file),
        "kind": "folder" if file.is_dir() else "file",
        "format": file.suffix.lower().lstrip(".") or "folder",
        "precision": "FP32",
        "inputs": [asdict(each) for each in inputs],
        "outputs": sorted(set((asked.get("states") or {}).values())),
        "states": dict(asked.get("states") or {}),
        "batch": batch.to_dict(),
        "batch_sizes": sizes or ([batch.only] if batch.only else []),
        "notes": [*([doubt] if doubt else []), *switches],
        "open_s": None,
        "tried_s": None,
    }


def _check_stated(asked: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raises Faults for what is stated otherwise than a compile result says."""
    if found["kind"] != COMPILED:
        return
    inputs = {each["name"]: list(each["shape"]) for each in found["inputs"]}
    faults = []
    for name, shape in (asked.get("shapes") or {}).items():
        if name not in inputs:
            faults.append(unknown_input("--shape", name, list(inputs)))
        elif inputs[name] != list(shape):
            typed = ",".join(map(str, shape)) or "scalar"
            faults.append(
                Fault(f"--shape {name}", "", typed, f"{inputs[name]}, as it was compiled")
            )
    if asked.get("batch_axis"):
        faults.append(Fault(FLAG_OF_BATCH, "", "given", "no flag: it was compiled with its batch"))
    if faults:
        raise Faults(faults)


def _check_types(asked: Mapping[str, Any]) -> None:
    faults = [
        Fault("--type", name, given, ", ".join(NUMPY_TYPES), nearest=nearest(given, NUMPY_TYPES))
        for name, given in (asked.get("types") or {}).items()
        if given not in NUMPY_TYPES
    ]
    if faults:
        raise Faults(faults)
