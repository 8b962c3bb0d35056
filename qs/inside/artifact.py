"""Reads a model file in a process of our own: its inputs, one inference that tries what had to be
guessed, and the user's own items.

If a fault of the runtime takes this process down, nothing is lost with it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from qs.artifact import inputs as reading
from qs.artifact import model_info_of, states
from qs.artifact.inputs import Input
from qs.artifact.item_files import FLAG
from qs.artifact.model_info import name_of
from qs.artifact.user_data import count_faults, left_out, read_items
from qs.base import jsonc
from qs.base.errors import Fault, Faults, UserError
from qs.base.names import nearest
from qs.evaluate.artifacts import ARTIFACT
from qs.inside import feeding
from qs.tensors.generated import NUMPY_TYPES, input_specs, split_names
from qs.tensors.onnx_data import data_files
from qs.tensors.onnx_io import file_tensors
from qs.tensors.onnx_words import sentence

ONNX = ".onnx"
TRIES_S = 60.0


class ArtifactService:
    """Stateless; all its answers are plain data."""

    def describe(self, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What a model file, or a compile result, says of itself.

        asked   the user's own {"shapes", "types", "ranges", "states", "batch_sizes", "data",
                "fill", "probe"}

        Returns {"path", "name", "kind", "format", "precision", "inputs", "outputs", "states",
        "batch_sizes", "notes", "open_s", "tried_s"}. Faults if something does not fit the file,
        UserError if the file says too little or cannot be run.
        """
        file = Path(path)
        if file.suffix.lower() == ".json":
            found = _of_compile_result(file)
        elif file.suffix.lower() == ONNX:
            found = _of_onnx(file, asked)
        else:
            found = _of_unknown(file, asked)
        feeding.check(asked, found["inputs"])
        found["notes"] += feeding.notes(asked, found["inputs"])
        for each in found["inputs"]:
            if each["name"] in (asked.get("ranges") or {}):
                each["range"] = list(asked["ranges"][each["name"]])
        return found

    def read_data(
        self, description: Mapping[str, Any], given: Mapping[str, str], out_folder: str
    ) -> dict[str, Any]:
        """The user's own items: {"files": {input: .npy}, "notes"}. Faults if something does not
        fit.
        """
        specs = input_specs(model_info_of(description, "data", Path("data")))
        described = {each["name"]: each for each in description["inputs"]}
        position = {spec.name: at for at, spec in enumerate(specs)}
        faults, arrays = [], {}
        for name, path in given.items():
            if name not in position:
                faults.append(reading.unknown_input(FLAG, name, list(position)))
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
        return {"files": files, "notes": left_out(given, position)}


def _of_onnx(file: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    _check_types(asked)
    began = time.perf_counter()
    session = _open(file)
    open_s = time.perf_counter() - began
    tensors, outputs = file_tensors(session.get_inputs()), file_tensors(session.get_outputs())
    if not tensors:
        raise UserError(f"{file} takes no input: there is nothing to load-test it with")
    fixed, sizes = reading.fixed_batch(tensors), list(asked.get("batch_sizes") or ())
    only = sizes[0] if len(sizes) == 1 else fixed if not sizes else None
    shapes = dict(asked.get("shapes") or {})
    inputs = reading.described(tensors, shapes, only, str(file))
    feeding.check(asked, [asdict(each) for each in inputs])
    of_data = feeding.data_shapes(asked, inputs)
    if of_data:
        inputs = reading.described(tensors, {**of_data, **shapes}, only, str(file))
    graph = _graph(file)
    inputs, switches = feeding.with_switches(inputs, graph, asked)
    fed_back = (
        feeding.unclaimed(states.pairs(inputs, outputs), asked)
        if asked.get("states") is None
        else states.stated(asked["states"], inputs, outputs)
    )
    tried_s = None
    notes = []
    if asked.get("probe") and (fed_back or any(each.guessed for each in inputs)):
        inputs, results, tried_s = _tried(session, file, inputs, fed_back, only or 1, asked)
        mismatched = [
            name
            for name, output in fed_back.items()
            if not _alike(inputs, name, results[output], only or 1)
        ]
        if mismatched and asked.get("states") is not None:
            raise Faults(
                Fault(
                    "--state",
                    name,
                    fed_back[name],
                    "an output of the input's shape",
                    hint=f"it is {list(results[fed_back[name]].shape)}",
                )
                for name in mismatched
            )
        fed_back = {name: output for name, output in fed_back.items() if name not in mismatched}
    elif any(each.guessed for each in inputs):
        notes.append("guessed shapes were not tried")
    notes += reading.notes_on([each for each in inputs if each.range != feeding.FALSE]) + switches
    notes += [
        f"the output {output} is fed back into {name}, by their names (--no_state: not)"
        for name, output in fed_back.items()
        if asked.get("states") is None
    ]
    return {
        "path": str(file),
        "name": name_of(file),
        "kind": "onnx",
        "format": "onnx",
        "precision": _precision(graph),
        "inputs": [asdict(each) for each in inputs],
        "outputs": list(dict.fromkeys(tensor.name for tensor in outputs)),
        "states": fed_back,
        "batch_sizes": sizes or ([fixed] if fixed else []),
        "notes": notes,
        "open_s": open_s,
        "tried_s": tried_s,
    }


def _open(file: Path) -> Any:
    import onnxruntime

    data_files(file)  # a plain message if weights are missing
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    settings.log_severity_level = 4  # a guess that cannot be run is not an error
    try:
        return onnxruntime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
        raise UserError(f"{file} cannot be read as an ONNX model: {sentence(error)}") from None


def _tried(
    session: Any,
    file: Path,
    inputs: list[Input],
    fed_back: Mapping[str, str],
    batch_size: int,
    asked: Mapping[str, Any],
) -> tuple[list[Input], dict[str, np.ndarray], float]:
    """The first guesses that can be run, the results, and how long that took. UserError if none
    can.
    """
    names = [output.name for output in session.get_outputs()]
    began, first_fault = time.perf_counter(), None

    def run(feeds: Mapping[str, np.ndarray]) -> Any:
        return session.run(names, {name: _object(array) for name, array in feeds.items()})

    for guess in [inputs, *reading.other_guesses(inputs)]:
        feeds = feeding.trial_feeds(guess, asked, fed_back, batch_size)
        started = time.perf_counter()
        try:
            results = run(feeds)
            return guess, dict(zip(names, results)), time.perf_counter() - started
        except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
            said = sentence(error)
        fault = feeding.value_fault(run, feeds, asked, file, said)
        if fault is not None:
            raise fault
        first_fault = first_fault or said
        if time.perf_counter() - began > TRIES_S:
            break
    open_ones = [each for each in inputs if each.guessed]
    flags = (
        " ".join(f"--shape {each.name}={','.join(map(str, each.shape))}" for each in open_ones)
        or "--data and --range"
    )
    guessed = "; ".join(str(each) for each in inputs)
    raise UserError(
        f"{file}: no inference succeeded with shapes that were guessed ({guessed}); "
        f"state what it takes, such as {flags}. ONNX Runtime said: {first_fault}"
    )


def _object(array: np.ndarray) -> np.ndarray:
    return array.astype(object) if array.dtype.kind == "U" else array


def _alike(inputs: Sequence[Input], name: str, result: Any, batch_size: int) -> bool:
    (each,) = (each for each in inputs if each.name == name)
    spec = input_specs(
        model_info_of(
            {"inputs": [asdict(each)], "outputs": [], "format": "", "precision": ""}, "x", Path("x")
        )
    )[0]
    return (
        tuple(np.shape(result)) == spec.batch_shape(batch_size)
        and np.asarray(result).dtype == spec.dtype
    )


def _graph(file: Path) -> Any:
    import onnx

    return onnx.load(str(file), load_external_data=False).graph


def _precision(graph: Any) -> str:
    """What most of the weights are stored as: FP32, FP16, INT8."""
    import onnx

    counts: dict[str, int] = {}
    names = {
        onnx.TensorProto.FLOAT: "FP32",
        onnx.TensorProto.DOUBLE: "FP64",
        onnx.TensorProto.FLOAT16: "FP16",
        onnx.TensorProto.BFLOAT16: "BF16",
        onnx.TensorProto.INT8: "INT8",
        onnx.TensorProto.UINT8: "INT8",
    }
    for weight in graph.initializer:
        if weight.data_type in names:
            size = int(np.prod(weight.dims, dtype=np.int64)) if weight.dims else 1
            counts[names[weight.data_type]] = counts.get(names[weight.data_type], 0) + size
    return max(counts, key=lambda name: counts[name], default="FP32")


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
        "kind": "compile result",
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
        "batch_sizes": list(about.get("batch_sizes") or sizes),
        "notes": [],
        "open_s": None,
        "tried_s": None,
    }


def _of_unknown(file: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """A format that only its backend reads: the inputs are what the user states."""
    shapes, types = asked.get("shapes") or {}, asked.get("types") or {}
    if not shapes or set(shapes) - set(types):
        missing = sorted(set(shapes) - set(types))
        what = f"the type of {', '.join(missing)}" if missing else "its inputs"
        format_name = "a folder" if file.is_dir() else f"a {file.suffix or 'nameless'} file"
        raise UserError(
            f"{file}: {format_name} does not say here what it takes, only ONNX files and "
            f"compile results do; state {what}: --shape images=1,3,224,224 --type images=FLOAT32"
        )
    _check_types(asked)
    inputs, switches = feeding.with_switches(
        [
            Input(name, types[name], tuple(shape), tuple(shape), 0 if shape else None)
            for name, shape in shapes.items()
        ],
        None,
        asked,
    )
    return {
        "path": str(file),
        "name": name_of(file),
        "kind": "folder" if file.is_dir() else "file",
        "format": file.suffix.lower().lstrip(".") or "folder",
        "precision": "FP32",
        "inputs": [asdict(each) for each in inputs],
        "outputs": sorted(set((asked.get("states") or {}).values())),
        "states": dict(asked.get("states") or {}),
        "batch_sizes": list(asked.get("batch_sizes") or ()),
        "notes": switches,
        "open_s": None,
        "tried_s": None,
    }


def _check_types(asked: Mapping[str, Any]) -> None:
    faults = [
        Fault("--type", name, given, ", ".join(NUMPY_TYPES), nearest=nearest(given, NUMPY_TYPES))
        for name, given in (asked.get("types") or {}).items()
        if given not in NUMPY_TYPES
    ]
    if faults:
        raise Faults(faults)
