"""What an ONNX file says of its inputs; what it leaves open is guessed, and tried with one
inference.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from qs.artifact import model_info_of, states
from qs.artifact.batch import no_other_size
from qs.artifact.guesses import first_guess, guesses, nothing_runs
from qs.artifact.inputs import Input, Reading, read, with_items
from qs.artifact.model_info import name_of
from qs.artifact.notes import note_on_states, notes_on
from qs.base.errors import Fault, Faults, UserError
from qs.inside import feeding
from qs.inside.graph_facts import facts_of
from qs.inside.trying import Session, ValueFault, tried
from qs.tensors.file_kind import foreign
from qs.tensors.generated import input_specs
from qs.tensors.onnx_data import data_files
from qs.tensors.onnx_io import file_tensors
from qs.tensors.onnx_words import sentence


def of_onnx(file: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """See ArtifactService.describe."""
    began = time.perf_counter()
    opened = _open(file)
    open_s = time.perf_counter() - began
    tensors, outputs = file_tensors(opened.get_inputs()), file_tensors(opened.get_outputs())
    if not tensors:
        raise UserError(f"{file} takes no input: there is nothing to load-test it with")
    asked = {**asked, "data": feeding.named(asked.get("data"), [each.name for each in tensors])}
    model = _model(file)
    graph = model.graph
    sizes = list(asked.get("batch_sizes") or ())
    reading = read(
        tensors,
        asked.get("shapes") or {},
        str(file),
        asked=asked.get("batch_axis") or (),
        batch_sizes=sizes,
        facts=facts_of(graph),
    )
    batch = reading.batch
    no_other_size(batch, sizes)
    inputs = first_guess(reading)
    feeding.check(asked, [asdict(each) for each in inputs])
    items = feeding.data_shapes(asked, inputs)
    if items:
        reading = with_items(reading, items)
        inputs = first_guess(reading)
    inputs, switches = feeding.with_switches(inputs, graph, asked)
    fed_back = (
        feeding.unclaimed(states.pairs(inputs, outputs), asked)
        if asked.get("states") is None
        else states.stated(asked["states"], inputs, outputs)
    )
    tried_s = None
    notes = []
    given = feeding.given(asked, inputs)
    if asked.get("probe") and _worth_a_trial(inputs, fed_back, given):
        inputs, results, tried_s = _tried(opened, file, reading, fed_back, given, asked, graph)
        fed_back = _that_fit(inputs, fed_back, results, asked, batch.only or 1)
    elif any(each.guessed for each in inputs):
        notes.append("guessed shapes were not tried")
    notes += notes_on(inputs, batch, given) + switches
    if asked.get("states") is None:
        notes += note_on_states(fed_back)
    return {
        "path": str(file),
        "name": name_of(file),
        "kind": "onnx",
        "format": "onnx",
        "opset": next((each.version for each in model.opset_import if not each.domain), None),
        "precision": _precision(graph),
        "inputs": [asdict(each) for each in inputs],
        "outputs": list(dict.fromkeys(tensor.name for tensor in outputs)),
        "output_tensors": [asdict(tensor) for tensor in outputs],
        "states": fed_back,
        "batch": batch.to_dict(),
        "batch_sizes": sizes or ([batch.only] if batch.only else []),
        "notes": notes,
        "open_s": open_s,
        "tried_s": tried_s,
    }


def _open(file: Path) -> Any:
    import onnxruntime

    kind = foreign(file)
    if kind is not None:
        raise UserError(f"{file} is no ONNX model: it is {kind}")
    data_files(file)  # a plain message if weights are missing
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    settings.log_severity_level = 4  # a guess that cannot be run is not an error
    try:
        return onnxruntime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
        raise UserError(f"{file} cannot be read as an ONNX model: {sentence(error)}") from None


def _model(file: Path) -> Any:
    import onnx

    return onnx.load(str(file), load_external_data=False)


def _worth_a_trial(
    inputs: Sequence[Input], fed_back: Mapping[str, str], given: Collection[str]
) -> bool:
    """Whether anything was guessed: shapes, states, or what integers mean."""
    return bool(fed_back) or any(
        each.guessed or ("INT" in each.type and each.name not in given) for each in inputs
    )


def _tried(
    opened: Any,
    file: Path,
    reading: Reading,
    fed_back: Mapping[str, str],
    given: Collection[str],
    asked: Mapping[str, Any],
    graph: Any,
) -> tuple[list[Input], Mapping[str, np.ndarray], float]:
    """The first guesses that can be run, the results, and how long that took. UserError if none
    can.
    """
    batch_size = reading.batch.only or 1
    session = Session(opened)

    def feeds_of(inputs: Sequence[Input]) -> dict[str, np.ndarray]:
        return feeding.trial_feeds(inputs, asked, fed_back, batch_size)

    def ours(each: Input) -> bool:
        return each.name not in given and each.name not in fed_back

    def with_switches() -> Iterator[Sequence[Input]]:
        for guess in guesses(reading, batch_size):
            yield feeding.with_switches(guess, graph, asked)[0]

    try:
        found = tried(session, with_switches(), feeds_of, ours)
    except ValueFault as fault:
        raise feeding.values_refused(session, fault, asked, str(file)) from None
    if found.results is None:
        raise UserError(nothing_runs(reading, found.tried, str(file), found.said))
    return list(found.inputs), found.results, found.seconds


def _that_fit(
    inputs: Sequence[Input],
    fed_back: Mapping[str, str],
    results: Mapping[str, np.ndarray],
    asked: Mapping[str, Any],
    batch_size: int,
) -> dict[str, str]:
    """The states whose outputs have the inputs' shapes; Faults if the user stated one that does
    not.
    """
    mismatched = [
        name
        for name, output in fed_back.items()
        if not _alike(inputs, name, results[output], batch_size)
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
    return {name: output for name, output in fed_back.items() if name not in mismatched}


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
