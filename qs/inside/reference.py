"""The reference: what the fp32 ONNX graph answers, computed as plainly as possible; and where
models come from.

Runs in our own interpreter, in a process that ends afterwards and frees the memory of building or
running a large model. The session is unoptimized and single-threaded, so that it shares no fault of
an optimizer or a scheduler with the backend.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from qs.base import cache
from qs.base.errors import UserError
from qs.inside import samples
from qs.inside.agreement import batch_axis
from qs.inside.imports import upstream_imports
from qs.inside.plain import plain
from qs.inside.reference_items import Reference, batch_of, load_reference, save_reference
from qs.models import resolve, resolve_data
from qs.models.converting import to_onnx
from qs.models.request import ModelRequest
from qs.tensors.closeness import difference, too_far
from qs.tensors.digest import digests_of
from qs.tensors.onnx_io import Fed, bind_inputs, bind_outputs, file_tensors
from qs.tensors.onnx_words import sentence
from qs.tensors.outputs import arrays_of

PROGRESS_EVERY_S = 2.0
# How far one item's answer may be from its part of a batch's: sums are added in another order.
NEAR = 1e-3
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
        """qs.models.Resolved as plain data. Progress is printed, and so logged by the host. The
        model is what its source has, converted to nothing.
        """
        found = resolve(
            model_info,
            Path(workspace_root),
            seed or 0,
            _say,
            progress=printed_progress(),
            offline=offline,
        )
        return plain(found.to_dict())

    def to_onnx(self, path: str, format: str, model_info: dict[str, Any]) -> dict[str, Any]:
        """The model as ONNX: {"path", "from", "by", "check"}. UserError if it cannot be had, with
        what would help.
        """
        request = ModelRequest(model_info, Path(path).parent, 0, _say, printed_progress())
        made = to_onnx(Path(path), format, request)
        return plain(made.to_dict() | {"path": str(made.path)})

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
        batch_size: int = 1,
    ) -> dict[str, Any]:
        """Run the first `items` of the task's data one by one and write inputs and outputs to
        `out_npz`.

        Computed once for a model, its items and this ONNX Runtime, and kept in the cache. Those of
        `tensors` that exist inside the graph are written too. Outputs of a batch that are not its
        items' outputs in a row (boxes found, indices of the batch) are also computed in batches of
        `batch_size`, where the graph takes them. Inputs that all items of a batch share are the
        first item's in every item, so that the items can be put together in batches; a data set's
        own at batch size 1.

        Returns {"path", "items", "outputs": {name: shape of one item}, "seconds", "notes",
        "runtime"} and what the data is (name, kind, why, seed). UserError if the model cannot be
        run on this data.
        """
        roots = [str(Path(dataset_folder).resolve().parent.parent)] if dataset_folder else []
        with upstream_imports(roots=roots):
            data = samples.open_data(model_info, dataset_folder, fake, seed)
            feeds = samples.single_items(data, max(1, items))
        if feeds and (batch_size > 1 or data.kind != "dataset"):
            feeds = samples.sharing(feeds, model_info.get("input_batch_axis") or {})
        begin = time.perf_counter()
        computed = []

        def compute(path: Path) -> None:
            computed.append(path)
            _compute(path, model_path, model_info, feeds, tensors or [])

        key = _key(model_path, model_info, feeds, tensors or [])
        found = _kept(key, compute)
        if batch_size > 1:

            def compute_batches(path: Path) -> None:
                computed.append(path)
                batches = _batches(model_path, model_info, found, batch_size)
                save_reference(path, [], [], batches=batches)

            found = replace(found, batches=_kept(f"{key}-{batch_size}", compute_batches).batches)
        save_reference(
            out_npz, found.feeds, found.outputs, found.tensors, found.about, found.batches
        )
        return plain(
            data.about()
            | {
                "path": out_npz,
                "items": len(feeds),
                "outputs": {name: list(array.shape) for name, array in found.outputs[0].items()},
                "seconds": time.perf_counter() - begin,
                "cached": not computed,
                "notes": found.about["notes"],
                "runtime": found.about["runtime"],
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
        key: model_info.get(key)
        for key in ("inputs", "outputs", "input_shape", "input_type", "input_batch_axis")
    }
    return cache.key_of(
        {
            "model": sorted(digests_of(Path(model_path)).values()),
            "items": digest.hexdigest(),
            "declared": declared,
            "tensors": tensors,
            "runtime": onnxruntime.__version__,
            "format": 4,
        }
    )


def _kept(key: str, compute: Callable[[Path], None]) -> Reference:
    """What the cache has under that key; computed first if it is not there, or if its file is
    damaged (the archive has a CRC of each array): the backend is not to blame for that.
    """
    name = f"references/{key}"
    path = cache.build_once(name, ".npz", compute)
    try:
        return load_reference(path)
    except Exception as damage:  # an archive can be broken in many ways
        _say(f"{path} is damaged ({type(damage).__name__}: {damage}); it is computed anew")
    with cache.locked(path):
        path.unlink(missing_ok=True)
    return load_reference(cache.build_once(name, ".npz", compute))


def _compute(
    path: Path,
    model_path: str,
    model_info: dict[str, Any],
    feeds: list[samples.Feeds],
    tensors: list[str],
) -> None:
    graph = open_graph(model_path, model_info, tensors)
    answers, middles = [], []
    for item in feeds:
        try:
            answered, middle = graph.run(item)
        except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
            raise UserError(
                f"{model_path} cannot be run on this task's inputs: {sentence(error)}"
            ) from error
        answers.append(answered)
        middles.append(middle)
    about = {
        "notes": graph.notes,
        "runtime": f"ONNX Runtime {graph.version}, unoptimized, one thread",
        "axes": dict(model_info.get("input_batch_axis") or {}),
    }
    save_reference(path, feeds, answers, middles if graph.inside else [], about)


def _batches(
    model_path: str, model_info: dict[str, Any], items: Reference, batch_size: int
) -> dict[str, list[np.ndarray]]:
    """Output -> the graph's answer to each batch, for the outputs whose answer to two items is not
    what it answers to the one and to the other; none if the graph takes one item only.
    """
    graph = open_graph(model_path, model_info, [])
    try:
        pair, _ = graph.run(batch_of(items, 0, 2))
        ones = [items.outputs[at % len(items)] for at in range(2)]
        names = [
            name for name in pair if not _in_a_row(pair[name], [one.get(name) for one in ones])
        ]
        if not names:
            return {}
        answers = [
            graph.run(batch_of(items, begin, batch_size))[0]
            for begin in range(0, len(items), batch_size)
        ]
    except Exception:  # the file is fixed to one item
        return {}
    return {name: [answer[name] for answer in answers] for name in names}


def _in_a_row(both: np.ndarray, ones: list[np.ndarray | None]) -> bool:
    pieces = [np.atleast_1d(one) for one in ones if one is not None]
    if len(pieces) < len(ones) or len({each.shape for each in pieces}) != 1:
        return False
    both = np.atleast_1d(both)
    row = np.concatenate(pieces, batch_axis(pieces[0].shape, both.shape, 2))
    return row.shape == both.shape and too_far(difference({"": row}, {"": both}), NEAR) is None


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


@dataclass(frozen=True)
class Graph:
    """An open model: its session, and what of it is asked for."""

    session: Any
    bound: list[Fed]
    outputs: list[tuple[str, str]]  # name in the file, name in reports
    inside: list[str]
    notes: list[str]
    version: str

    def run(self, item: samples.Feeds) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Outputs, and tensors from inside, by name."""
        given = {fed.file: item[fed.declared].astype(fed.dtype, copy=False) for fed in self.bound}
        results = self.session.run([*(name for name, _ in self.outputs), *self.inside], given)
        answered: dict[str, np.ndarray] = {}
        for (_, reported), result in zip(self.outputs, results, strict=False):
            answered |= arrays_of(reported, result)
        return answered, dict(zip(self.inside, results[len(self.outputs) :], strict=True))


def open_graph(model_path: str, model_info: dict[str, Any], tensors: list[str]) -> Graph:
    """The model, unoptimized and on one thread. `tensors` inside it are answered too."""
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
        raise UserError(f"the reference cannot open {model_path}: {sentence(error)}") from error
    bound, notes = bind_inputs(model_info, file_tensors(session.get_inputs()), model_path)
    names = [node.name for node in session.get_outputs() if node.name not in inside]
    outputs, more = bind_outputs(model_info, names)
    return Graph(session, bound, outputs, inside, [*notes, *more], onnxruntime.__version__)
