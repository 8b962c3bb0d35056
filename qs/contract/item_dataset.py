"""A data set defined item by item, and a checker that scores each item once, whatever the batch
size.

A subclass provides the feeds and label of items; batches, shares, ids and the file of raw outputs
come from here. Items may be read on demand, so a data set need not fit into memory. Items of one
`group` (the pieces of a long text, the two halves of a pair) are scored together, and a share takes
all of a group or none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qs.contract import scoring
from qs.contract.data_loader import Dataset
from qs.contract.test_accuracy import AccuracyChecker
from qs.tensors.generated import split_names
from qs.tensors.outputs import named_outputs


class ItemDataset(Dataset):
    """A subclass's `preprocess` sets `items`, `groups` and `strata`, and ends with `rebatch(1,
    skip=False)`.
    """

    FOLDER: Path
    """The data set's own folder."""
    groups: np.ndarray | None = None
    """The group of each item, ascending from 0; None: each item is a group."""
    strata: np.ndarray | None = None
    """The class of each group, for shares that represent every class; None: no classes."""
    drawn = True
    """Whether shares are drawn, by the run's seed; False: they are the leading part."""

    def feeds(self, items: Any) -> dict[str, np.ndarray]:
        """Input name -> array of these items, in this order."""
        raise NotImplementedError("ItemDataset:feeds")

    def label(self, items: Any) -> Any:
        """The labels of these items, as get_samples returns them."""
        raise NotImplementedError("ItemDataset:label")

    def name(self) -> str:
        return self.FOLDER.name

    def rebatch(self, new_bs: int, skip: bool = True) -> None:
        if skip and new_bs == self.cur_bs and self.batch_num:
            return
        self.cur_bs = int(new_bs)
        self.batch_num = self.items // self.cur_bs

    def get_samples(self, sample_id: int) -> Any:
        if not 0 <= sample_id < self.batch_num:
            raise ValueError(f"there is no batch {sample_id}, only {self.batch_num} batches")
        items = self.get_id(sample_id)
        return self.feeds(items), self.label(items)

    def get_id(self, sample_id: int) -> list[int]:
        return list(range(sample_id * self.cur_bs, (sample_id + 1) * self.cur_bs))

    def share(self, percent: float | None) -> tuple[np.ndarray, np.ndarray, scoring.Share]:
        """(items, groups, how they were chosen) for `percent` percent of the groups."""
        groups = np.arange(self.items) if self.groups is None else self.groups
        count = int(groups[-1]) + 1 if len(groups) else 0
        chosen, how = scoring.take_share(
            count, percent, self.fake_seed if self.drawn else None, self.strata
        )
        return np.flatnonzero(np.isin(groups, chosen)), chosen, how

    def find(self, *names: str) -> list[Path]:
        """The data set's files: from its sources, else in $QS_DATASETS/<its name> or its own
        folder.

        FileNotFoundError names all that are missing.
        """
        places = [self.FOLDER]
        if os.environ.get("QS_DATASETS"):
            places.insert(0, Path(os.environ["QS_DATASETS"], self.FOLDER.name))
        fetched = self.config.get("dataset_files") or {}  # from the data set's sources.json
        found = [
            Path(fetched[name])
            if name in fetched
            else next((place / name for place in places if (place / name).exists()), None)
            for name in names
        ]
        missing = [
            str(places[0] / name) for name, path in zip(names, found, strict=True) if path is None
        ]
        if len(missing) == 1:
            raise FileNotFoundError(2, "No such file or directory", missing[0])
        if missing:
            raise FileNotFoundError(
                f"{', '.join(missing[:-1])} and {missing[-1]} are missing; put them there"
            )
        return [path for path in found if path is not None]

    def inputs(self) -> list[str]:
        """The model's input names."""
        return split_names(self.config["inputs"])

    def shape(self, name: str) -> list[int]:
        """The shape of an input at batch size 1."""
        return [int(size) for size in self.config["input_shape"][name]]

    def alone(self) -> bool:
        """Whether a call holds one item, since no input has a batch dimension."""
        axes = self.config.get("input_batch_axis") or {}
        return all(name in axes and axes[name] is None for name in self.inputs())

    def batches(self, items: Sequence[int]) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """(items, feeds) of full batches over these items; the last batch is filled up from the
        first items.
        """
        wanted = np.asarray(items)
        for begin in range(0, len(wanted), self.cur_bs):
            real = wanted[begin : begin + self.cur_bs]
            yield (
                real,
                self.feeds(
                    np.resize(wanted, begin + self.cur_bs)[begin:]
                    if len(real) < self.cur_bs
                    else real
                ),
            )


class ItemChecker(AccuracyChecker):
    """Runs the chosen items and passes their outputs to `score`, which a subclass defines."""

    def score(
        self, outputs: Mapping[str, np.ndarray], items: np.ndarray, groups: np.ndarray
    ) -> Scored:
        """Metrics of the outputs, which have one row per item."""
        raise NotImplementedError("ItemChecker:score")

    def calculate_acc(self, data_percent: int) -> dict[str, Any]:
        """The metrics; `evidence` then has the number of scored groups, the share and the
        intervals.
        """
        items, groups, how = self.dataloader.share(data_percent)
        names = split_names(
            (self.configs or {}).get("outputs") or self.dataloader.config.get("outputs")
        )
        answers: dict[str, list[np.ndarray]] = {}
        alone = self.dataloader.cur_bs == 1 and self.dataloader.alone()
        for real, feeds in self.dataloader.batches(items):
            outputs = named_outputs(self.runtime_backend.predict(feeds), names)
            for name, array in outputs.items():
                array = np.asarray(array)[None] if alone else array
                answers.setdefault(name, []).append(
                    _rows(array, len(real), self.dataloader.cur_bs, name)
                )
        outputs = {name: np.concatenate(pieces) for name, pieces in answers.items()}
        self.save_outputs(next(iter(outputs.values())))
        scored = self.score(outputs, items, groups)
        self.evidence = {
            "Items": len(groups),
            "Share": how.to_dict(),
            "Confidence Intervals": {name: interval for name, (_, interval, _) in scored.items()},
            "Interval Sources": {
                name: scoring.SOURCES[source] for name, (_, _, source) in scored.items()
            },
        }
        return {name: round(float(value), 5) for name, (value, _, _) in scored.items()}


# metric -> (value, [low, high], a key of scoring.SOURCES)
Scored = dict[str, tuple[float, list[float], str]]


def proportion(right: np.ndarray) -> tuple[float, list[float], str]:
    """The share of right items, for `score`."""
    right = np.asarray(right, dtype=bool)
    return float(right.mean()), scoring.wilson(int(right.sum()), right.size), "wilson"


def rank_of_label(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many other classes score at least as high as the label's own: 0 is top-1. Rows that are
    not finite rank last.

    An equal score ranks before the label: answers that are all the same are not right.
    """
    scores = np.asarray(scores, dtype=np.float64)
    own = scores[np.arange(len(scores)), labels][:, None]
    ranks = (scores >= own).sum(axis=1) - 1
    return np.where(np.isfinite(scores).all(axis=1), ranks, scores.shape[1])


def _rows(array: np.ndarray, real: int, batch_size: int, name: str) -> np.ndarray:
    array = np.asarray(array)
    if not array.ndim or len(array) != batch_size:
        raise ValueError(
            f"output {name} has shape {list(array.shape)} for a batch of {batch_size} items"
        )
    return array[:real]
