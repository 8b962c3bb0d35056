"""The base of accuracy checkers: `datasets/<name>/test_accuracy.py` defines a class
`AccuracyChecker`.

It scores a backend on its data set and saves the raw outputs, for comparison with the CPU
reference's. It does not judge which numbers are good enough.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

log = logging.getLogger("TestAccuracy")


class AccuracyChecker:
    """Base of every accuracy checker; constructed without arguments.

    The framework then sets `configs` (the compile result), `dataloader`, `runtime_backend`,
    `output_dir`, and `reference_dir` if the reference's outputs are not in the published place.
    """

    # Class attributes too, for subclasses whose __init__ does not call this one.
    configs: Any = None
    dataloader: Any = None
    runtime_backend: Any = None
    output_dir: str = ""
    reference_dir: str | None = None
    # Set by calculate_acc if the checker knows it: {"Items", "Share", "Confidence Intervals"}, as
    # the report shows them.
    evidence: dict[str, Any] | None = None

    def __init__(self) -> None:
        self.configs = None
        self.dataloader = None
        self.runtime_backend = None
        self.output_dir = ""

    def calculate_acc(self, data_percent: int) -> dict[str, Any]:
        """Run `data_percent` (1-100) percent of the batches; the metrics by name.

        Also saves the raw outputs, by `save_outputs`.
        """
        raise NotImplementedError("AccuracyChecker:calculate_acc")

    def save_outputs(self, outputs: np.ndarray | Sequence[Any]) -> str:
        """Save raw outputs as `<output_dir>/<data set's name>.npy` and return that path.

        `outputs` is one array, or one array per batch, joined along the first dimension; the last
        batch may be smaller. Batches that do not fit together (their size follows their content)
        are saved as one row of values, and what is no number as text: nothing is pickled.
        """
        if not isinstance(outputs, np.ndarray):
            batches = [np.asarray(batch) for batch in outputs]
            if not batches:
                raise ValueError("save_outputs: there are no outputs")
            batches = [np.atleast_1d(batch) for batch in batches]
            if len({batch.shape[1:] for batch in batches}) > 1:
                batches = [batch.ravel() for batch in batches]
            outputs = np.concatenate(batches)
        if outputs.dtype.kind == "O":
            outputs = outputs.astype(np.str_)
        path = self._outputs_in(self.output_dir)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, outputs, allow_pickle=False)
        return str(path)

    def calculate_diff(self) -> dict[str, Any]:
        """How much the saved outputs differ from the CPU reference's, in the published metrics.

        Both are files `<data set's name>.npy`: the backend's in `output_dir`, the reference's in
        `reference_dir`, else in the published place, `general_perf/reports/CPU/<model>` under the
        working directory. Without a reference the dict is empty. Mean Diff, Std Diff, Max Diff, Max
        Rel-Diff and Mean Rel-Diff come from qs.tensors.numeric.compare, with its other keys: NaN
        and infinite values are counted and fail the comparison; the published code took them for 0.
        If matplotlib is installed, the three distributions are drawn to
        `<output_dir>/<model>-to-<precision>.png`.
        """
        from qs.tensors import numeric

        model = self.configs["model"]
        folder = self.reference_dir or Path("general_perf", "reports", "CPU", model)
        reference_path = self._outputs_in(folder)
        if not reference_path.is_file():
            log.info("no reference outputs: %s is missing", reference_path)
            return {}
        reference = _flat(np.load(reference_path, allow_pickle=False))
        outputs = _flat(np.load(self._outputs_in(self.output_dir), allow_pickle=False))
        result = numeric.compare(reference, outputs)
        if reference.shape == outputs.shape:
            precision = str(self.configs.get("compile_precision") or "unknown").lower()
            _draw(reference, outputs, Path(self.output_dir, f"{model}-to-{precision}.png"))
        return result

    def _outputs_in(self, folder: str | Path) -> Path:
        return Path(folder, f"{self.dataloader.name()}.npy")


def _flat(outputs: np.ndarray) -> np.ndarray:
    # Checkers save the same outputs as [batches, batch, ...] or as [items, ...]: only their order
    # matters.
    return outputs.reshape(-1)


def _draw(reference: np.ndarray, outputs: np.ndarray, path: Path) -> None:
    """Histograms of the difference, the reference and the outputs, side by side, counts on a log
    scale.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        log.info("no picture of the distributions: matplotlib is not installed here")
        return
    reference, outputs = reference.astype(np.float64), outputs.astype(np.float64)
    finite = np.isfinite(reference) & np.isfinite(outputs)
    if not finite.any():
        return
    reference, outputs = reference[finite], outputs[finite]
    # Not pyplot: it keeps every figure alive and picks a window system, in somebody else's process.
    figure = Figure(figsize=(16, 8))
    FigureCanvasAgg(figure)
    panels = (("Difference", reference - outputs), ("CPU", reference), ("Backend", outputs))
    for place, (title, values) in enumerate(panels, start=1):
        axes = figure.add_subplot(1, 3, place)
        axes.hist(values, bins=min(values.size, 300), alpha=0.5)
        axes.set_yscale("log")
        axes.set_xlabel(title)
    figure.savefig(path, dpi=150)
