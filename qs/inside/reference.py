"""The reference: what the fp32 ONNX graph answers, computed as plainly as possible; and where
models come from.

Runs in our own interpreter, in a process that ends afterwards and frees the memory of building or
running a large model. The session is unoptimized and single-threaded, so that it shares no fault of
an optimizer or a scheduler with the backend.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from qs.base import cache
from qs.base.errors import UserError
from qs.inside import samples
from qs.inside.agreement import load_reference, save_reference
from qs.inside.imports import upstream_imports
from qs.inside.plain import plain
from qs.models import resolve, resolve_data
from qs.tensors.digest import digests_of
from qs.tensors.onnx_io import bind_inputs, bind_outputs, file_tensors

PROGRESS_EVERY_S = 2.0
WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"


class ReferenceService:
    """Stateless: no method depends on an earlier one."""

    def resolve_model(
        self,
        model_info: dict[str, Any],
        workspace_root: str,
        seed: int | None = 0,
        offline: bool = False,
    ) -> dict[str, Any]:
        """qs.models.Resolved as plain data. Progress is printed, and so logged by the host."""
        found = resolve(
            model_info,
            Path(workspace_root),
            seed or 0,
            _say,
            progress=printed_progress(),
            offline=offline,
        )
        return plain(found.to_dict())

    def resolve_data(self, dataset_folder: str, offline: bool = False) -> dict[str, dict[str, str]]:
        """The files that the data set's own `sources.json` names: name -> path, sha256, note. They
        are fetched and made here, where our libraries are.
        """
        return resolve_data(
            Path(dataset_folder), _say, progress=printed_progress(), offline=offline
        )

    def reference_outputs(
        self,
        model_path: str,
        model_info: dict[str, Any],
        dataset_folder: str | None,
        fake: bool,
        seed: int | None,
        items: int,
        out_npz: str,
        tensors: list[str] | None = None,
    ) -> dict[str, Any]:
        """Run the first `items` of the task's data one by one and write inputs and outputs to
        `out_npz`.

        Computed once for a model, its items and this ONNX Runtime, and kept in the cache. Those of
        `tensors` that exist inside the graph are written too.

        Returns {"path", "items", "outputs": {name: shape of one item}, "seconds", "notes",
        "runtime"} and what the data is (name, kind, why, seed). UserError if the model cannot be
        run on this data.
        """
        roots = [str(Path(dataset_folder).resolve().parent.parent)] if dataset_folder else []
        with upstream_imports(roots=roots):
            data = samples.open_data(model_info, dataset_folder, fake, seed)
            feeds = samples.single_items(data, max(1, items))
        begin = time.perf_counter()
        computed = []

        def compute(path: Path) -> None:
            computed.append(path)
            _compute(path, model_path, model_info, feeds, tensors or [])

        kept = cache.build_once(
            f"references/{_key(model_path, model_info, feeds, tensors or [])}", ".npz", compute
        )
        shutil.copyfile(kept, out_npz)
        about = load_reference(out_npz, items=1)
        return plain(
            data.about()
            | {
                "path": out_npz,
                "items": len(feeds),
                "outputs": {name: list(array.shape) for name, array in about.outputs[0].items()},
                "seconds": time.perf_counter() - begin,
                "cached": not computed,
                "notes": about.about["notes"],
                "runtime": about.about["runtime"],
            }
        )


def _say(text: str) -> None:
    print(text, flush=True)


def printed_progress(
    say: Callable[[str], None] = _say, clock: Callable[[], float] = time.monotonic
) -> Callable[[int, int | None], None]:
    """What a download calls with the bytes so far and in all: it prints a line every few seconds,
    and none for a short download.
    """
    said = clock()

    def progress(done: int, total: int | None) -> None:
        nonlocal said
        if clock() - said >= PROGRESS_EVERY_S:
            said = clock()
            say(
                f"  {done / 1e6:,.0f}"
                + (f" of {total / 1e6:,.0f} MB ({done / total:.0%})" if total else " MB")
            )

    return progress


def _key(
    model_path: str, model_info: dict[str, Any], feeds: list[samples.Feeds], tensors: list[str]
) -> str:
    """Everything that determines the answers: the model's bytes, the items' bytes, names, and who
    computes.
    """
    import onnxruntime

    digest = hashlib.sha256()
    for item in feeds:
        for name, array in item.items():
            digest.update(f"{name} {array.dtype} {array.shape} ".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    declared = {
        key: model_info.get(key) for key in ("inputs", "outputs", "input_shape", "input_type")
    }
    return cache.key_of(
        {
            "model": sorted(digests_of(Path(model_path)).values()),
            "items": digest.hexdigest(),
            "declared": declared,
            "tensors": tensors,
            "runtime": onnxruntime.__version__,
            "format": 2,
        }
    )


def _compute(
    path: Path,
    model_path: str,
    model_info: dict[str, Any],
    feeds: list[samples.Feeds],
    tensors: list[str],
) -> None:
    session, bound, outputs, inside, notes, version = _open(model_path, model_info, tensors)
    answers, middles = [], []
    for item in feeds:
        given = {fed.file: item[fed.declared].astype(fed.dtype, copy=False) for fed in bound}
        try:
            results = session.run([*(name for name, _ in outputs), *inside], given)
        except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"{model_path} cannot be run on this task's inputs: {reason}"
            ) from error
        answers.append(
            {reported: result for (_, reported), result in zip(outputs, results, strict=False)}
        )
        middles.append(dict(zip(inside, results[len(outputs) :], strict=True)))
    about = {"notes": notes, "runtime": f"ONNX Runtime {version}, unoptimized, one thread"}
    save_reference(path, feeds, answers, middles if inside else [], about)


def _with_tensors(model_path: str, tensors: list[str]) -> tuple[Any, list[str]]:
    """What a session loads (the file, or a copy in memory that also outputs those inner tensors),
    and which of them it has.
    """
    if not tensors:
        return model_path, []
    import onnx

    model = onnx.load(model_path, load_external_data=False)
    graph = model.graph
    given = {each.name for each in graph.output}
    made = {name for node in graph.node for name in node.output}
    inside = [name for name in dict.fromkeys(tensors) if name in made and name not in given]
    if not inside:
        return model_path, []
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in inside)
    return model.SerializeToString(), inside


def _open(model_path: str, model_info: dict[str, Any], tensors: list[str]) -> tuple:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    try:
        source, inside = _with_tensors(model_path, tensors)
        # Where to look for weights in separate files when the model itself comes from memory.
        settings.add_session_config_entry(WEIGHTS_FOLDER, str(Path(model_path).parent))
        session = onnxruntime.InferenceSession(source, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"the reference cannot open {model_path}: {reason}") from error
    bound, notes = bind_inputs(model_info, file_tensors(session.get_inputs()), model_path)
    names = [node.name for node in session.get_outputs() if node.name not in inside]
    outputs, more = bind_outputs(model_info, names)
    return session, bound, outputs, inside, [*notes, *more], onnxruntime.__version__
