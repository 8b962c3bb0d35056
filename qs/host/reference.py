"""The reference: what the fp32 ONNX graph answers, computed as plainly as can be; and where models come from.

Runs in our own interpreter, in a process that ends afterwards, so that the memory of building or running a
large model goes with it. The session is unoptimized and single-threaded: an optimizer's or a scheduler's
fault must not be in both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qs.errors import UserError
from qs.host import reference_file, samples
from qs.host.plain import plain

PROGRESS_EVERY_S = 2.0


class ReferenceService:
    """Stateless; every method stands alone."""

    def resolve_model(
        self, model_info: dict[str, Any], workspace_root: str, seed: int | None = 0, offline: bool = False
    ) -> dict[str, Any]:
        """qs.sources.Resolved as plain data. What it says on the way is printed: the host logs it."""
        from qs.sources import resolve

        found = resolve(model_info, Path(workspace_root), seed or 0, _say, progress=printed_progress(), offline=offline)
        return plain(found.to_dict())

    def resolve_data(self, dataset_folder: str, offline: bool = False) -> dict[str, dict[str, str]]:
        """The files that the data set's own `sources.json` names: name -> path, sha256, note. Fetched and made here, where our libraries are."""
        from qs.sources import resolve_data

        return resolve_data(Path(dataset_folder), _say, progress=printed_progress(), offline=offline)

    def reference_outputs(
        self,
        model_path: str,
        model_info: dict[str, Any],
        dataset_folder: str | None,
        fake: bool,
        seed: int | None,
        items: int,
        out_npz: str,
    ) -> dict[str, Any]:
        """Run the first `items` of the task's data one by one and write inputs and outputs to `out_npz`.

        Returns {"path", "items", "outputs": {name: shape of one item}, "seconds", "notes", "runtime"} and
        what the data is (name, kind, why, seed). UserError where the model cannot be run on this data.
        """
        from qs.vendor.aliases import upstream_imports

        roots = [str(Path(dataset_folder).resolve().parent.parent)] if dataset_folder else []
        with upstream_imports(roots=roots):
            data = samples.open_data(model_info, dataset_folder, fake, seed)
            feeds = samples.single_items(data, max(1, items))
        begin = time.perf_counter()
        session, bound, outputs, notes, version = _open(model_path, model_info)
        answers = []
        for item in feeds:
            given = {fed.file: item[fed.declared].astype(fed.dtype, copy=False) for fed in bound}
            try:
                results = session.run([name for name, _ in outputs], given)
            except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise UserError(f"{model_path} cannot be run on this task's inputs: {reason}") from error
            answers.append(dict(zip((reported for _, reported in outputs), results, strict=True)))
        reference_file.save(out_npz, feeds, answers)
        return plain(
            data.about()
            | {
                "path": out_npz,
                "items": len(feeds),
                "outputs": {name: list(array.shape) for name, array in answers[0].items()},
                "seconds": time.perf_counter() - begin,
                "notes": notes,
                "runtime": f"ONNX Runtime {version}, unoptimized, one thread",
            }
        )


def _say(text: str) -> None:
    print(text, flush=True)


def printed_progress(
    say: Callable[[str], None] = _say, clock: Callable[[], float] = time.monotonic
) -> Callable[[int, int | None], None]:
    """What a download calls with bytes so far and in all: a line every few seconds, and none for a short one."""
    said = clock()

    def progress(done: int, total: int | None) -> None:
        nonlocal said
        if clock() - said >= PROGRESS_EVERY_S:
            said = clock()
            say(f"  {done / 1e6:,.0f}" + (f" of {total / 1e6:,.0f} MB ({done / total:.0%})" if total else " MB"))

    return progress


def _open(model_path: str, model_info: dict[str, Any]) -> tuple:
    import onnxruntime

    from qs.onnx_io import bind_inputs, bind_outputs, file_tensors

    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model_path, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"the reference cannot open {model_path}: {reason}") from error
    bound, notes = bind_inputs(model_info, file_tensors(session.get_inputs()), model_path)
    outputs, more = bind_outputs(model_info, [node.name for node in session.get_outputs()])
    return session, bound, outputs, [*notes, *more], onnxruntime.__version__
