"""Whether the answers are right: the data set's accuracy, and numeric agreement with the reference,
the model's fp32 graph.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qs.base.errors import Fault, Faults, UserError
from qs.base.scratch import scratch
from qs.base.words import data_size
from qs.environments import Environment
from qs.environments.log import followed
from qs.evaluate.artifacts import digest
from qs.evaluate.backend import Backend
from qs.evaluate.failures import BackendFailed
from qs.evaluate.obtaining import with_files
from qs.evaluate.offering import Forms, offered
from qs.evaluate.own_process import ReferenceProcess, reference_process
from qs.evaluate.prepare import Prepared
from qs.evaluate.served import served_source
from qs.models import check_imports
from qs.models.formats import ONNX, SAVED_MODEL
from qs.result.result import Kind
from qs.tensors.digest import digests_of
from qs.tensors.generated import split_names

COMPUTING = "computing the fp32 reference"
DATA_PERCENT, NOT_MEASURED = "Data Percent", "Not Measured"
KNOWN = "Known Metrics"
PINNED_WITHIN = 0.005


async def accuracy(
    backend: Backend, prepared: Prepared, resolved: dict[str, Any], output_dir: Path
) -> dict[str, Any]:
    """The report's accuracy metrics, or {NOT_MEASURED: why}. Nothing is claimed for synthetic
    weights.
    """
    percent = prepared.workload.data_percent
    if resolved["synthetic"]:
        where = prepared.model_info.model_path
        return {
            DATA_PERCENT: percent,
            NOT_MEASURED: f"synthetic weights (drawn from seed {prepared.seed}, not trained); "
            f"put the trained model at {where} in the workspace {prepared.model.root}",
        }
    found = await backend.accuracy(percent, output_dir)
    if "not_measured" in found:
        return {DATA_PERCENT: percent, NOT_MEASURED: found["not_measured"]}
    pinned = _pinned(prepared)
    known = {KNOWN: pinned} if pinned and percent == 100 else {}
    return {DATA_PERCENT: percent, **found, **known}


def _pinned(prepared: Prepared) -> dict[str, float]:
    """What the model info says of its model's metrics."""
    pinned = prepared.model_info.to_configs().get("pinned_metrics")
    if not isinstance(pinned, dict):
        return {}
    return {
        name: value
        for name, value in pinned.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def surprises(metrics: dict[str, Any], prepared: Prepared) -> list[str]:
    """A warning for each metric that differs from the one that the model info pins."""
    pinned = _pinned(prepared)
    if metrics.get(DATA_PERCENT) != 100:
        return []
    return [
        f"{name} is {metrics[name]}, not {value} as known for this model (+-{PINNED_WITHIN}): "
        "are the answers right?"
        for name, value in pinned.items()
        if isinstance(metrics.get(name), (int, float))
        and not abs(metrics[name] - value) <= PINNED_WITHIN
    ]


async def numeric(
    backend: Backend,
    prepared: Prepared,
    resolved: dict[str, Any],
    batch_size: int,
    items: int,
    log: Path,
    compiled: dict[str, Any] | None,
    outputs: Path,
) -> dict[str, Any]:
    """Agreement with the reference: {"summary": published metrics, "outputs": per output, ...}.

    compiled   the compile result, whose segments name the tensors to be compared inside the graph
    outputs    the file that the reference's items and answers are written to
    """
    tensors = segment_tensors(compiled)
    with backend.doing(COMPUTING, None, None):
        about = await reference_outputs(
            prepared, resolved, items, outputs, log, tensors, batch_size
        )
    found = await backend.numeric(outputs, batch_size, items)
    return {
        **found,
        "reference": {name: about[name] for name in ("runtime", "seconds", "cached", "notes")},
    }


async def reference_outputs(
    prepared: Prepared,
    resolved: dict[str, Any],
    items: int,
    to: Path,
    log: Path,
    tensors: list[str],
    batch_size: int,
) -> dict[str, Any]:
    """Compute the reference's answers to the first items, or take them from the cache, and write
    them to a file.

    The reference is the model's own graph; of a quantized one the fp32 model that `reference_model`
    in its model info names.
    """
    named = _other_named(prepared)
    async with reference_process(log, prepared.work) as reference:
        other = await _other_model(reference, prepared, named) if named else resolved
        about = await reference.outputs(
            other["reference"],
            with_files(prepared.model_info.to_configs(), resolved),
            prepared.dataset.path if prepared.dataset else None,
            prepared.workload.fake_data,
            prepared.seed,
            items,
            to,
            [] if named else tensors,
            batch_size,
        )
    return (
        about | {"notes": [*about["notes"], f"the reference is the model {named}"]}
        if named
        else about
    )


async def _other_model(
    reference: ReferenceProcess, prepared: Prepared, name: str
) -> dict[str, Any]:
    """The file of another model in the workspaces, with its "reference" graph."""
    from qs.config.model_info import load_model_info

    found = prepared.workspaces.model(name)
    info, _ = load_model_info(found.path)
    model = await reference.resolve_model(
        f"the reference's model {name}",
        info.to_fetch(),
        found.root,
        prepared.seed,
        prepared.request.offline,
    )
    graph = await Forms(model, info.to_configs(), reference).onnx()
    return {**model, "reference": graph["path"]}


async def numeric_item(
    backend: Backend,
    prepared: Prepared,
    resolved: dict[str, Any],
    batch_size: int,
    items: int,
    item: int,
    log: Path,
) -> dict[str, Any]:
    """One item of that comparison again; its arrays are saved in the report's folder."""
    with scratch("qs-reference-") as folder:
        outputs = folder / "reference.npz"
        with backend.doing(COMPUTING, None, None):
            about = await reference_outputs(
                prepared, resolved, max(items, item + 1), outputs, log, [], batch_size
            )
        if item >= about["items"]:
            raise Faults(
                [
                    Fault(
                        "--item",
                        "",
                        item,
                        f"0 to {about['items'] - 1}: the data has {about['items']} items",
                    )
                ]
            )
        found = await backend.numeric_item(outputs, batch_size, item, prepared.out)
    return {
        **found,
        "reference": {name: about[name] for name in ("runtime", "seconds", "cached", "notes")},
    }


def segment_tensors(compiled: dict[str, Any] | None) -> list[str]:
    """Names in the `output_tensor_map` of the segments: a dict by name, a list, or comma-separated
    names.
    """
    found: list[str] = []
    for segment in (compiled or {}).get("segments") or ():
        named = segment.get("output_tensor_map") or ()
        found += split_names(named) if isinstance(named, str) else [str(name) for name in named]
    return list(dict.fromkeys(found))


def given_model(described: dict[str, Any]) -> dict[str, Any]:
    """As resolve_model, for a file that the user named, or a served model."""
    if described.get("served") is not None:
        return served_source(described)
    path, kind = Path(described["path"]), described["kind"]
    size, sha256 = digest(path)
    known = kind in (ONNX, SAVED_MODEL)
    data = digests_of(path) if known else {path.name: sha256}
    return {
        "path": str(path),
        "kind": "given",
        "synthetic": False,
        "format": kind,
        "sha256": data.pop(path.name),
        "data": data,
        "note": f"the given {'ONNX file' if kind == ONNX else kind}, {data_size(size)}",
    }


async def resolve_model(
    prepared: Prepared,
    log: Path,
    environment: Environment,
    say: Callable[[str], None] = lambda text: None,
    compares: bool | None = None,
) -> dict[str, Any]:
    """The model, found, fetched or built, in the form that the backend reads; or the given
    artifact. See qs.evaluate.offering.offered for the record's keys.

    "dataset_files" holds the files from the data set's own sources, by name. `say` gets a line for
    what takes time, downloads with their progress. `environment` is the backend's own, whose
    packages may convert the model; `compares` says whether the reference is needed (None: as the
    run asks).
    """
    if prepared.described is not None:
        return await asyncio.to_thread(given_model, prepared.described)
    offline = prepared.request.offline
    if prepared.dataset is not None and not prepared.workload.fake_data:
        await asyncio.to_thread(check_imports, prepared.dataset.path)
    info = prepared.model_info
    async with reference_process(log) as reference, followed(log, say):
        try:
            found = await reference.resolve_model(
                "the model", info.to_fetch(), prepared.model.root, prepared.seed, offline
            )
            model = await offered(
                Forms(found, info.to_configs(), reference),
                info.model_format,
                prepared.backend.path,
                environment,
                log,
                say,
                (prepared.compares if compares is None else compares)
                and not _other_named(prepared),
            )
            missing = no_reference(prepared, model)
            if missing is not None and prepared.request.kind is Kind.NUMERIC:
                raise UserError(f"there is no reference to compare with: {missing}")
            if prepared.dataset is None or prepared.workload.fake_data:
                return model
            files = await reference.resolve_data(prepared.dataset.path, offline)
        except BackendFailed as failure:
            raise RuntimeError(f"{failure}\n{failure.detail}") from None
    return model | {"dataset_files": files} if files else model


def no_reference(prepared: Prepared, resolved: dict[str, Any]) -> str | None:
    """Why there is no graph that the reference could be computed from; None if there is one."""
    return None if _other_named(prepared) else resolved.get("no_reference")


def _other_named(prepared: Prepared) -> str | None:
    """The other model that is this one's reference, if the model info names one."""
    named = prepared.model_info.to_configs().get("reference_model")
    return str(named) if named else None
