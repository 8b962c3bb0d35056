"""The compile result of a run: compiled now in the published order (questions, pre_optimize, data
set, batch sizes, compile), or taken from an artifact; then checked, recorded, and left on disk.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from qs.artifact.batch import refusal
from qs.base.names import check_plain
from qs.base.words import span
from qs.config.interact import parse_profile
from qs.contract.model_formats import formats_read_by
from qs.environments.folder import shown_model
from qs.evaluate import artifacts
from qs.evaluate.backend import Backend
from qs.evaluate.journal import Journal
from qs.evaluate.prepare import Prepared
from qs.evaluate.served import as_answers
from qs.interact.asking import answers_of, silence
from qs.interact.settling import Settled
from qs.models.formats import ONNX, PT, SAVED_MODEL, recognised
from qs.result.result import Kind

# Options that answer a backend's question of the same name: what was typed is not asked.
ANSWERING = ("clients", "instances", "intra_op_threads", "iterations", "pool", "seed")


@dataclass(frozen=True)
class Compiled:
    """What compiling led to."""

    configs: dict[str, Any]
    raw: dict[str, Any]  # the compile result as the backend gave it, with its own keys
    versions: dict[str, str]
    dataset: dict[str, Any]
    best_batch_sizes: list[int] | None
    seconds: float
    warnings: tuple[str, ...]


async def obtain(
    backend: Backend, prepared: Prepared, resolved: dict[str, Any], journal: Journal
) -> Compiled:
    """Compile, or take what --compiled names; the record and the files say which."""
    record, artifact = journal.record, prepared.artifact
    with journal.stage("compile"):
        if artifact is None:
            compiled = await compile_model(
                backend, prepared, resolved, journal.view.line, keep_answers=journal.keep_answers
            )
        else:
            compiled = await _taken(backend, prepared, resolved, artifact, journal)
        record.compile_s, record.versions, record.dataset = (
            compiled.seconds,
            compiled.versions,
            compiled.dataset,
        )
        precision = _judge(compiled, prepared, journal)
        if artifact is None:
            record.artifacts = await asyncio.to_thread(_leave, compiled, prepared, journal)
        else:
            record.compiled_from = str(artifact.path)
            record.artifacts = list(artifact.about.get("files", ()))
    how = (
        f"compiled in {span(compiled.seconds)}"
        if artifact is None
        else f"compiled before ({artifact.path})"
    )
    status = (record.compile_result or {}).get("compile_status")
    journal.view.line(f"{how} to {precision}: {status or 'no status'}")
    return compiled


def _judge(compiled: Compiled, prepared: Prepared, journal: Journal) -> str:
    """Check the compile result and record it; the precision that it was compiled to."""
    from qs.config.compile_result import check_compile_result

    record = journal.record
    typed, warnings = check_compile_result(
        compiled.raw, f"{prepared.hardware}'s compile result"
    ).result()
    record.compile_result = typed.to_configs()
    for text in (*compiled.warnings, *warnings, *typed.warnings):
        journal.warn(text)
    if typed.fallbacks:
        names = ", ".join(map(str, typed.fallbacks))
        journal.warn(
            f"{len(typed.fallbacks)} of {len(typed.segments)} segments run on the CPU (fallback): "
            f"{names}"
        )
    if typed.compile_status is not None and not typed.succeeded:
        record.reasons.append(
            f"compile status is {typed.compile_status!r}, not every subgraph compiled"
        )
    precision = str(typed.compile_precision or prepared.model_info.model_precision)
    journal.compiled_to(check_plain(precision, "precision").lower())
    return precision


def _stated(prepared: Prepared) -> dict[str, Any]:
    """What a load test's options say of the inputs of an artifact that was compiled before."""
    if prepared.described is None:
        return {}
    ranges = prepared.model_info.to_configs().get("input_range")
    return {"input_range": ranges} if ranges else {}


async def _taken(
    backend: Backend,
    prepared: Prepared,
    resolved: dict[str, Any],
    artifact: artifacts.Artifact,
    journal: Journal,
) -> Compiled:
    """What compile_model answers, from an artifact: the runtime gets the configs that it was
    compiled with.
    """
    about = artifact.about
    configs = configs_for(prepared, resolved)
    configs["interact_info"] = about.get("answers") or {}
    # where this machine has the data set's files, not the one that compiled
    noted = with_model(about.get("model_info") or {}, configs["model_info"], prepared)
    configs["model_info"] = with_files(configs["model_info"] | noted | _stated(prepared), resolved)
    journal.keep_answers(
        configs["interact_info"], dict.fromkeys(configs["interact_info"], "compiled with")
    )
    versions = await backend.versions(artifact.raw)
    before, warnings = about.get("versions") or {}, []
    for name, version in versions.items():
        if before.get(name) not in (None, version):
            warnings.append(
                f"compiled with the {name} version {before[name]!r}, now it is {version!r}"
            )
    dataset = await backend.set_dataset(configs)
    sizes = about.get("batch_sizes")
    if sizes and not prepared.request.batch_sizes:
        configs["workload"]["batch_sizes"] = list(sizes)
    return Compiled(
        configs,
        artifact.raw,
        versions,
        dataset,
        sizes,
        float(about.get("seconds") or 0.0),
        tuple(warnings),
    )


def _leave(compiled: Compiled, prepared: Prepared, journal: Journal) -> list[dict[str, Any]]:
    about = {
        "task": prepared.request.task,
        "hardware": prepared.hardware,
        "model": prepared.model_info.model,
        "qs_version": journal.record.qs_version,
        "compiled": journal.record.started.isoformat(),
        "seconds": compiled.seconds,
        "versions": compiled.versions,
        "answers": compiled.configs["interact_info"],
        "batch_sizes": list(compiled.configs["workload"].get("batch_sizes") or ()),
        "model_info": compiled.configs["model_info"],
    }
    return artifacts.leave(
        journal.folder.compile_result, compiled.raw, about, prepared.work, journal.warn
    )


async def compile_model(
    backend: Backend,
    prepared: Prepared,
    resolved: dict[str, Any],
    say: Callable[[str], None],
    keep_answers: Callable[[dict[str, Any], dict[str, str]], None] = lambda answers, origins: None,
) -> Compiled:
    """Run the steps of the published order up to and including `compile`.

    `keep_answers` gets the answers and their origins as soon as they are settled: what a person
    typed outlives a compiler that fails.
    """
    configs = configs_for(prepared, resolved)
    await backend.versions()  # before an hour's compile: whether it can state them
    profile = await backend.interact_profile(configs)
    settled, warnings = await _settled(profile, prepared, say)
    configs["interact_info"] = settled.answers
    keep_answers(settled.answers, settled.origins)
    configs = await backend.pre_optimize(configs)
    dataset = await backend.set_dataset(configs)
    best = await backend.best_batch_sizes(configs)
    if best and not prepared.request.batch_sizes:
        configs["workload"]["batch_sizes"] = list(best)
        say(f"batch sizes from the backend's own analysis: {', '.join(map(str, best))}")
    elif prepared.request.best_batch_sizes:
        warnings.append(
            "--batch_sizes best: the backend has no analysis of batch sizes; those of the task "
            "are measured"
        )
    begin = time.perf_counter()
    raw = await backend.compile(configs)
    seconds = time.perf_counter() - begin
    versions = await backend.versions(raw)
    return Compiled(
        configs,
        raw,
        versions,
        dataset,
        list(best) if best else None,
        seconds,
        tuple(warnings),
    )


async def _settled(
    raw: Any, prepared: Prepared, say: Callable[[str], None]
) -> tuple[Settled, list[str]]:
    """The answers to the backend's questions, asked at a terminal if there is one; and warnings."""
    request = prepared.request
    profile, warnings = parse_profile(raw, f"the interact profile of {prepared.hardware}")
    source = str(request.answers) if request.answers else None
    settled = await answers_of(
        profile,
        prepared.given_answers,
        source,
        silence(request.no_input),
        say,
        {name: getattr(request, name) for name in ANSWERING} | as_answers(request.remote),
    )
    return settled, [*warnings, *settled.warnings]


def configs_for(prepared: Prepared, resolved: dict[str, Any]) -> dict[str, Any]:
    """The published `configs`, before any answer: the batch sizes of the command line stand in the
    workload already.
    """
    workload = prepared.workload.to_configs()
    request = prepared.request
    asked = {
        "clients": request.clients,
        "iterations": request.iterations,
        "batch_sizes": list(request.batch_sizes) if request.batch_sizes else None,
        "instances": request.instances,
    }
    workload |= {name: value for name, value in asked.items() if value is not None}
    workload |= _possible(workload.get("batch_sizes"), prepared)
    model_info = with_files(prepared.model_info.to_configs(), resolved) | {
        "model_path": _given_path(prepared, resolved)
    }
    if prepared.described is None:
        model_info["model_format"] = resolved["format"]
    # A sweep that names no batch sizes wants the backend's analysis of them; a backend may look
    # here for it.
    wanted = {
        "command": request.kind.value,
        "analyse_batch_sizes": request.best_batch_sizes
        or (request.kind is Kind.SWEEP and not request.batch_sizes),
        "remote": dict(request.remote),
    }
    return {"workload": workload, "model_info": model_info, "interact_info": {}, "qs": wanted}


def _given_path(prepared: Prepared, resolved: dict[str, Any]) -> str:
    """Where the backend finds the model. One that says what it reads gets the file itself, and so
    does one with a format of its own; of all others, some write beside it.
    """
    path, kind = str(resolved["path"]), resolved.get("format")
    if prepared.described is not None or formats_read_by(prepared.backend.path):
        return path
    if kind not in (ONNX, PT, SAVED_MODEL) or (kind == ONNX and resolved.get("data")):
        return path  # (ONNX Runtime refuses weights that a link leads to)
    content = json.dumps([resolved.get("sha256"), resolved.get("data"), path])
    return str(shown_model(prepared.work, Path(path), sha256(content.encode()).hexdigest()))


def _possible(sizes: list[int] | None, prepared: Prepared) -> dict[str, list[int]]:
    """Without the batch sizes that a file is known not to take: they become lines of the report,
    and need no compiling.
    """
    batch = (prepared.described or {}).get("batch")
    found = [size for size in sizes or () if refusal(batch, size) is None]
    return {"batch_sizes": found} if found else {}


def with_model(noted: dict[str, Any], given: dict[str, Any], prepared: Prepared) -> dict[str, Any]:
    """The model info that a compile result notes, with a path that is there and the format of what
    is: where the model lies on this machine, if the one that compiled had it elsewhere.
    """
    path = noted.get("model_path")
    if prepared.described is not None or not isinstance(path, str):
        return noted
    if not os.path.exists(path):
        return noted | {key: given[key] for key in ("model_path", "model_format")}
    found = recognised(Path(path))
    return noted if found is None else noted | {"model_format": found}


def with_files(model_info: dict[str, Any], resolved: dict[str, Any]) -> dict[str, Any]:
    """The model info with `dataset_files`, name -> path, where the data set's own sources gave
    some: its loader reads them there.
    """
    files = {name: each["path"] for name, each in resolved.get("dataset_files", {}).items()}
    return model_info | {"dataset_files": files} if files else model_info
