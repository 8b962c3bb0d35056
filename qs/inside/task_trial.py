"""A task's model and data on trial: do they go together, and what does the metric say of a few
items.

Runs in a process of our own: the code of a data set, and ONNX Runtime, may do as they like there.
Each method answers {"status", "reason", "fix"} as plain data; qs.conformance shows it.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.base.words import counted, number
from qs.inside import samples
from qs.inside.imports import upstream_imports
from qs.inside.loading import load_dataset_classes
from qs.inside.preparing import KEYS, clearly_better
from qs.inside.reference import Graph, open_graph
from qs.models import Resolved, resolve, resolve_data
from qs.models.converting import to_onnx
from qs.models.formats import ONNX
from qs.models.request import ModelRequest
from qs.tensors.generated import input_specs

PASS, FAIL, SKIP = "pass", "fail", "skip"
ITEMS = 8  # whose feeds are looked at one by one
SCORED = 64  # that the metric is computed on, at least
COMPARED = 24  # that several preparations are scored with
Seen = dict[str, str]


def seen(status: str, reason: str, fix: str = "") -> Seen:
    return {"status": status, "reason": reason, "fix": fix}


def _unsaid(*_: object) -> None:
    """Progress that nobody sees."""


class TaskTrial:
    """One task. `model` and `data` come first, in this order."""

    def __init__(self, model_info: dict[str, Any], root: str, folder: str | None) -> None:
        self.info, self.root, self.folder = model_info, root, folder
        self._graph: Graph | None = None
        self._dataset: Any = None
        self._items = 0
        self._offline = False

    def model(self, offline: bool) -> Seen:
        """Whether there is a file, and it takes what the model info says."""
        self._offline = offline
        try:
            found = resolve(self.info, Path(self.root), 0, offline=offline)
            graph = found.path if found.format == ONNX else found.export
            if graph is None:
                graph = self._converted(found)
            self._graph = open_graph(str(graph), self.info, [])
        except UserError as error:
            keys = f"model_path, inputs or outputs in model_zoo/{self.info['model']}.json"
            fix = f"do as it says, or correct {keys}"
            return seen(FAIL, str(error), fix)
        stated = f"{found.path.name} takes {self._inputs()}"
        if self._graph.notes:
            notes = "; ".join(map(str, self._graph.notes))
            return seen(PASS, f"{stated}; {notes}")
        return seen(PASS, stated)

    def _converted(self, found: Resolved) -> Path:
        request = ModelRequest(self.info, Path(self.root), 0, _unsaid, _unsaid)
        return to_onnx(found.path, found.format, request).path

    def _inputs(self) -> str:
        return ", ".join(
            f"{spec.name} {spec.type} {list(spec.shape)}" for spec in input_specs(self.info)
        )

    def data(self) -> Seen:
        """Whether the data set can be read, and how many items it has."""
        name = self.info.get("dataset_name")
        if not name:
            return seen(SKIP, "the model info names no data set: a run generates its inputs")
        if self.folder is None:
            fix = f"make it with qs new-task, or set dataset_name to null for {self.info['model']}"
            return seen(FAIL, f"there is no data set {name} in any workspace", fix)
        with self._said() as fault:
            files = resolve_data(Path(self.folder), offline=self._offline)
            if files:
                self.info["dataset_files"] = {key: each["path"] for key, each in files.items()}
            data = samples.open_data(self.info, self.folder, False, 0, self.root)
            if data.kind != "dataset":
                return seen(FAIL, data.why, "put the files there")
            self._dataset, self._items = data.dataset, int(data.items or 0)
            return seen(PASS, f"{counted(self._items, 'item')} in {self.folder}")
        return fault

    def items(self) -> Seen:
        """Whether the first items fit the model's inputs, one by one and as a batch."""
        lines = []
        with self._said() as fault:
            self._dataset.rebatch(1)
            count = min(ITEMS, int(self._dataset.get_batch_count()))
            feeds = [samples.feeds_of(self._dataset.get_samples(at)) for at in range(count)]
            for spec in input_specs(self.info):
                for at, item in enumerate(feeds):
                    wrong = _misfit(spec.name, item, spec.batch_shape(1), spec.dtype)
                    if wrong:
                        return seen(FAIL, f"item {at}: {wrong}", self._keys())
                lines.append(_range(spec.name, [item[spec.name] for item in feeds]))
            assert self._graph is not None
            self._graph.run(feeds[0])
            return seen(PASS, f"the first {counted(count, 'item')}: {'; '.join(lines)}")
        return fault

    def labels(self) -> Seen:
        """Whether there are labels, and how they are spread."""
        targets = getattr(self._dataset, "targets", None)
        with self._said() as fault:
            if not isinstance(targets, np.ndarray) or targets.ndim != 1 or not targets.size:
                sample = self._dataset.get_samples(0)
                if not isinstance(sample, (tuple, list)):
                    return seen(SKIP, "there are no labels: accuracy is not measured")
                return seen(PASS, f"the first one is {np.asarray(sample[1]).ravel()[:1]}")
            if targets.dtype.kind not in "iu":
                spread = (number(float(each)) for each in (targets.min(), targets.max()))
                return seen(PASS, f"numbers from {' to '.join(spread)}")
            return self._classes(targets)
        return fault

    def _classes(self, targets: np.ndarray) -> Seen:
        values, counts = np.unique(targets, return_counts=True)
        names: list[str] = getattr(self._dataset, "classes", None) or []
        most = int(values[counts.argmax()])
        called = names[most] if most < len(names) else str(most)
        share = f"{counts.max() / counts.sum():.0%}"
        said = f"{len(values)} class{'es' * (len(values) > 1)}, the largest {called}: {share}"
        if values[0] < 0:
            fix = "state FIRST_LABEL in data_loader.py: the number of the first class"
            return seen(FAIL, f"labels go from {values[0]} to {values[-1]}", fix)
        absent = sorted(set(range(len(names))) - set(values.tolist()))
        if absent:
            said += f"; no items of {len(absent)} classes, such as {names[absent[0]]}"
        return seen(PASS, said)

    def metric(self) -> Seen:
        """The metric of a share of the items, by the reference."""
        with self._said() as fault:
            _, checker_class = load_dataset_classes(Path(str(self.folder)))
            if checker_class is None:
                return seen(SKIP, "there is no test_accuracy.py: accuracy is not measured")
            try:
                found, evidence = self._scored(checker_class())
            except (UserError, ValueError):  # a rare class may have no item among so few
                found, evidence = self._scored(checker_class(), 10 * SCORED)
            said = ", ".join(_with_interval(name, value, evidence) for name, value in found.items())
            count = evidence.get("Items", "")
            return seen(PASS, f"{said} ({counted(count, 'item')})" if count else said)
        return fault

    def preparation(self) -> Seen:
        """Of pictures: whether another usual preparation scores clearly better than the stated
        one.
        """
        dataset = self._dataset
        if not all(hasattr(dataset, key) for key in KEYS):
            return seen(SKIP, "the data is no pictures of qs.contract.PictureItems")
        with self._said() as fault:
            _, checker_class = load_dataset_classes(Path(str(self.folder)))
            if checker_class is None:
                return seen(SKIP, "there is nothing to score by")
            better, words = clearly_better(lambda: self._scored(checker_class(), COMPARED), dataset)
            fix = f"state that in {self.folder}/data_loader.py, if the model was trained so"
            return seen(FAIL, words, fix) if better else seen(PASS, words)
        return fault

    def _scored(self, checker: Any, most: int = SCORED) -> tuple[dict[str, Any], dict[str, Any]]:
        """(Metrics, evidence) of about so many items."""
        self._dataset.rebatch(1)
        checker.configs = dict(self.info)
        checker.dataloader = self._dataset
        checker.runtime_backend = self
        checker.save_outputs = lambda outputs: ""  # nothing is kept of a trial
        percent = min(100.0, 100.0 * most / max(self._items, 1))
        if not hasattr(self._dataset, "share"):  # checkers written for ByteMLPerf
            percent = max(1, round(percent))
        found = checker.calculate_acc(percent)
        found = found if isinstance(found, dict) else {"Accuracy": found}
        return found, getattr(checker, "evidence", None) or {}

    def predict(self, feeds: Any) -> dict[str, np.ndarray]:
        """What a checker calls: the reference, in the backend's place."""
        assert self._graph is not None
        return self._graph.run(feeds)[0]

    def _keys(self) -> str:
        return f"correct the keys in {self.folder}/data_loader.py"

    @contextmanager
    def _said(self) -> Iterator[Seen]:
        """What goes wrong within becomes a fault, in the dict that it yields."""
        fault: Seen = {}
        try:
            with upstream_imports(roots=[self.root]):
                yield fault
        except UserError as error:
            fault |= seen(FAIL, str(error), self._keys())
        except Exception as error:  # the user's code, and runtimes, raise what they like
            why = " ".join(str(error).split())[:300] or type(error).__name__
            fault |= seen(FAIL, f"{type(error).__name__}: {why}", f"look at {self._place(error)}")

    def _place(self, error: BaseException) -> str:
        folder = Path(str(self.folder)).resolve()
        frames = traceback.extract_tb(error.__traceback__)
        own = [each for each in frames if Path(each.filename).is_relative_to(folder)]
        if not own:
            return str(folder / "data_loader.py")
        return f"{own[-1].filename}, line {own[-1].lineno}"


def _misfit(name: str, item: Mapping[str, Any], shape: tuple[int, ...], dtype: np.dtype) -> str:
    """Why a feed is not what the input takes; empty if it is."""
    if name not in item:
        return f"there is no {name}, only {', '.join(item)}"
    array = np.asarray(item[name])
    if tuple(array.shape) != tuple(shape):
        return f"{name} has shape {list(array.shape)}; the model takes {list(shape)}"
    if array.dtype.kind != dtype.kind:  # a backend may cast to another width
        return f"{name} is {array.dtype}; the model takes {dtype}"
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return f"{name} has values that are not finite"
    return ""


def _range(name: str, arrays: list[np.ndarray]) -> str:
    if arrays[0].dtype.kind not in "biuf":
        return f"{name}: text, such as {str(arrays[0].ravel()[0])[:40]!r}"
    values = np.concatenate([np.asarray(array).ravel() for array in arrays])
    low, high = (number(float(each)) for each in (values.min(), values.max()))
    constant = ", all the same" if values.min() == values.max() else ""
    return f"{name} from {low} to {high}{constant}"


def _with_interval(name: str, value: Any, evidence: Mapping[str, Any]) -> str:
    interval = (evidence.get("Confidence Intervals") or {}).get(name)
    if interval is None:
        return f"{name} {number(value)}"
    return f"{name} {number(value)} [{number(interval[0])}, {number(interval[1])}]"
