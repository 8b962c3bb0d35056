"""A task's data inside a host, as batches of any size: its data set, or generated items if it has
none, or the user's own items for a model file.

Left out: scoring (the data set's AccuracyChecker) and the order in which the engine submits
samples.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np

from qs.base.errors import NoItems
from qs.contract.data_loader import Dataset
from qs.contract.trial_feeds import is_shared
from qs.contract.trial_feeds import joined_items as joined
from qs.inside.loading import load_dataset_classes
from qs.inside.stated_feeds import stated
from qs.tensors.generated import GeneratedItems, input_specs, is_switch

# Distinct batches that the performance phase cycles through: more than caches hold, and few enough
# that their memory is bounded whatever the data set.
MOST_BATCHES = 64
MOST_BYTES = 256 << 20
GENERATED_ITEMS = 64
GIVEN = "given"

Feeds = dict[str, np.ndarray]


@dataclass(frozen=True)
class TaskData:
    """One task's data, behind the interface of a data set."""

    dataset: Any
    name: str
    # None for generated data
    items: int | None
    # "dataset", "generated" or "given": the user's own items for a model file
    kind: str
    # the reason for the latter two
    why: str
    seed: int
    # input -> its batch dimension, where that is not the first; None: there is none
    axes: Mapping[str, int | None] = field(default_factory=dict)
    # whether all of it is submitted, in its order, however much that is
    all: bool = False

    def about(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "items": self.items,
            "kind": self.kind,
            "why": self.why,
            "seed": self.seed,
        }


class GeneratedDataset(Dataset):
    """Generated items behind the interface of a data set, so that vendors' code needs no second
    way.

    `source(seed)` makes the endless list that they are taken from; `origins` says of an input where
    its values come from.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        seed: int,
        source: Callable[[int], Any] | None = None,
        origins: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(config)
        self._origins = dict(origins or {})
        self.fake_seed = seed
        self.items = GENERATED_ITEMS
        self.source = source or partial(GeneratedItems, input_specs(config))
        self._generated = self.source(seed)
        self.rebatch(1, skip=False)

    def name(self) -> str:
        return "fake_dataset"

    def rebatch(self, new_bs: int, skip: bool = True) -> None:
        self.cur_bs = int(new_bs)
        self.batch_num = max(1, self.items // self.cur_bs)
        self.batched_data = _Batches(self._generated, self.cur_bs, self.batch_num)

    def get_id(self, sample_id: int) -> list[int]:
        return list(range(sample_id * self.cur_bs, (sample_id + 1) * self.cur_bs))

    def generated_batch(self, size: int) -> Feeds:
        """The first `size` items as one batch."""
        return self._generated.feeds(0, size)

    def origin_of(self, name: str) -> str:
        """Where an input's values come from, and what would feed it others."""
        known = self._origins.get(name)
        return known or f"generated; input_range.{name} of the model info bounds them"


class _Batches(Sequence):
    """Batches made when asked for: large batches of images would not all fit into memory."""

    def __init__(self, generated: Any, size: int, count: int) -> None:
        self._generated, self._size, self._count = generated, size, count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Feeds: ...
    @overload
    def __getitem__(self, index: slice) -> list[Feeds]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(index)
        return self._generated.feeds(index % self._count * self._size, self._size)


def open_data(
    model_info: Mapping[str, Any],
    dataset_folder: str | None,
    fake: bool,
    seed: int | None,
    workspace_root: str = "",
) -> TaskData:
    """The task's data set, preprocessed; generated data if `fake` says so, if there is no data set,
    or if its files are missing.

    `workspace_root` is where a missing data set belongs. Missing files are a FileNotFoundError of
    the data set's code; its other exceptions go through, since they are faults. NoItems for a
    data set without any.
    """
    if seed is None:
        seed = secrets.randbelow(1 << 31)
    named = model_info.get("dataset_name")
    why = ""
    if fake:
        why = "fake_data is true in the workload"
    elif not named or named == "fake_dataset":
        why = "the model names no data set"
    elif dataset_folder is None:
        place = Path(workspace_root, "datasets", str(named))
        why = (
            f"there is no data set {named} on this machine; put its folder, with "
            f"data_loader.py, test_accuracy.py and its files, at {place}"
        )
    else:
        try:
            dataset = _load(model_info, dataset_folder, seed)
            items = _counted(dataset, str(named), dataset_folder)
            axes = model_info.get("input_batch_axis") or {}
            return TaskData(dataset, str(named), items, "dataset", "", seed, axes)
        except FileNotFoundError as error:
            missing = error.filename
            where = f"{missing} is missing; put it there" if missing else str(error)
            why = f"the files of the data set {named} are not on this machine: {where}"
    dataset = GeneratedDataset(model_info, seed)
    fixed = [spec.name for spec in input_specs(model_info) if is_switch(spec) and not spec.range]
    if fixed:
        why += f"; {', '.join(fixed)} is false in every query (input_range states another)"
    return TaskData(dataset, "generated", None, "generated", why, seed)


class GivenItems:
    """An endless list of items with the interface of GeneratedItems. The user's own items start
    again at their end.

    given   see open_given; `arrays` are own items that were read already
    """

    def __init__(
        self,
        model_info: Mapping[str, Any],
        given: Mapping[str, Any],
        seed: int,
        arrays: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.specs = input_specs(model_info)
        self.arrays = dict(arrays or {}) | {
            name: np.load(path, allow_pickle=False)
            for name, path in (given.get("files") or {}).items()
        }
        self._zero = set(given.get("states") or {})
        if given.get("fill") == "zeros":
            self._zero |= {spec.name for spec in self.specs} - set(given.get("ranged") or ())
        self._generated = GeneratedItems(
            [
                spec
                for spec in self.specs
                if spec.name not in self.arrays and spec.name not in self._zero
            ],
            seed,
        )

    def about(self) -> str:
        """Which inputs are not the user's own, if some are."""
        drawn = ", ".join(spec.name for spec in self._generated.specs)
        zero = ", ".join(
            spec.name
            for spec in self.specs
            if spec.name in self._zero and spec.name not in self.arrays
        )
        said = [f"{drawn}: generated"] if drawn else []
        return "; ".join(said + ([f"{zero}: zeros"] if zero else []))

    def feeds(self, start: int, count: int) -> Feeds:
        drawn = self._generated.feeds(start, count) if self._generated.specs else {}
        feeds = {}
        for spec in self.specs:
            if spec.name in self.arrays:
                items = self.arrays[spec.name]
                feeds[spec.name] = spec.joined(items[np.arange(start, start + count) % len(items)])
            elif spec.name in self._zero:
                feeds[spec.name] = np.zeros(spec.batch_shape(count), spec.dtype)
            else:
                feeds[spec.name] = drawn[spec.name]
        return feeds

    def batches(self, batch_size: int, count: int) -> Iterator[Feeds]:
        for index in range(count):
            yield self.feeds(index * batch_size, batch_size)


def open_given(
    model_info: Mapping[str, Any], given: Mapping[str, Any], seed: int | None
) -> TaskData:
    """A model file's data without a data set: the user's own items for the inputs that have some,
    zeros for states, generated items for the rest.

    given   {"files": {input: .npy of [items, *shape at batch size 1]}, "fill": "random" or "zeros",
            "states": {input: output}, "ranged": inputs that are drawn even if the rest is zeros,
            "advice": {input: what feeds it other values}, "of": what has no data set,
            "prompts": as qs.inside.served_prompts.make_prompts returns them}.
            States begin at zero and are fed back by qs.inside.targets.
    """
    if seed is None:
        seed = secrets.randbelow(1 << 31)
    if given.get("prompts"):
        return _open_prompts(model_info, given["prompts"], seed)
    items = GivenItems(model_info, given, seed)
    dataset = GeneratedDataset(
        model_info,
        seed,
        lambda own: GivenItems(model_info, given, own),
        dict(given.get("advice") or {}) | dict.fromkeys(items.arrays, "your own"),
    )
    lengths = {len(array) for array in items.arrays.values()}
    kind = GIVEN if lengths else "generated"
    why = items.about() if lengths else f"{given.get('of', 'a model file')} has no data set"
    if not lengths and given.get("fill") == "zeros":
        why += f"; {items.about()}"
    return TaskData(dataset, kind, max(lengths) if lengths else None, kind, why, seed)


def _open_prompts(model_info: Mapping[str, Any], made: Mapping[str, Any], seed: int) -> TaskData:
    from qs.inside.served_prompts import PromptDataset, Prompts

    dataset = PromptDataset(model_info, Prompts.read(made["file"]))
    about = made["about"]
    kind = "generated" if about.get("kind") == "synthetic" else GIVEN
    seed = seed if about.get("seed") is None else int(about["seed"])
    name = str(about.get("name") or "prompts")
    return TaskData(dataset, name, dataset.items, kind, name, seed, all=True)


class Task:
    """The data that a service works with, and the batches last taken of it."""

    def __init__(
        self,
        data: TaskData,
        dataset_folder: str | None = None,
        states: Mapping[str, str] | None = None,
    ) -> None:
        self.data, self.dataset_folder = data, dataset_folder
        self.states = dict(states or {})  # input -> output of the previous call that feeds it
        self._taken: tuple[tuple, list[Feeds]] | None = None

    def batches(self, batch_size: int, wanted: Any) -> list[Feeds]:
        """Those to cycle through. `wanted` is {"count", "seed"} of a QS config, or a count; kept
        for one batch size at a time.
        """
        count, seed = wanted, None
        if isinstance(wanted, Mapping):
            count, seed = wanted.get("count"), wanted.get("seed")
        key = (batch_size, count, seed)
        if self._taken is None or self._taken[0] != key:
            self._taken = None  # its memory is freed before the next is taken
            self._taken = (key, batches(self.data, batch_size, count, seed))
        return self._taken[1]


def batches(
    data: TaskData, batch_size: int, most: int | None = None, seed: int | None = None
) -> list[Feeds]:
    """Distinct batches to cycle through: up to `most` (64, or `all`) or 256 MB of them, at least
    one.

    `seed` replaces the data's own for generated batches. A data set with fewer items than one batch
    fills it by beginning again from its first item.
    """
    usual = data.dataset.items if data.all else MOST_BATCHES
    most = usual if most is None else max(1, most)
    if data.kind != "dataset":
        # not through the data set, which has only as many items as a vendor's loop needs
        source: Iterator[Feeds] = data.dataset.source(data.seed if seed is None else seed).batches(
            batch_size, most
        )
    else:
        source = _rebatched(data.dataset, batch_size, data.axes)
    taken: list[Feeds] = []
    held = 0
    for feeds in source:
        held += sum(np.asarray(array).nbytes for array in feeds.values())
        if taken and held > MOST_BYTES:
            break
        taken.append(feeds)
        if len(taken) >= most:
            break
    return taken


def single_items(data: TaskData, count: int) -> list[Feeds]:
    """The first `count` items, each as a batch of one; fewer if the data set has fewer."""
    data.dataset.rebatch(1)
    if data.items is not None:
        count = min(count, int(data.dataset.get_batch_count()))
    else:
        return list(data.dataset.source(data.seed).batches(1, count))
    return [feeds_of(data.dataset.get_samples(index)) for index in range(count)]


def sharing(items: Sequence[Feeds], axes: Mapping[str, int | None]) -> list[Feeds]:
    """The items with what all items of a batch share as it is in the first one."""
    shared = {
        name: array for name, array in items[0].items() if is_shared(array, axes.get(name, 0))
    }
    return [{**item, **shared} for item in items]


def feeds_of(sample: Any) -> Feeds:
    """get_samples returns feeds, or (feeds, labels)."""
    return sample[0] if isinstance(sample, (tuple, list)) else sample


def _rebatched(dataset: Any, batch_size: int, axes: Mapping[str, int | None]) -> Iterator[Feeds]:
    dataset.rebatch(batch_size)
    count = int(dataset.get_batch_count())
    for index in range(count):
        yield feeds_of(dataset.get_samples(index))
    if count == 0:
        dataset.rebatch(1)
        items = int(dataset.get_batch_count())
        if items == 0:
            raise ValueError("the data set has no items")
        singles = [feeds_of(dataset.get_samples(index % items)) for index in range(batch_size)]
        yield joined(singles, axes)


def _counted(dataset: Any, named: str, folder: str) -> int:
    """The number of items of a data set that has some. One that counts batches alone has as many
    as batches of one.
    """
    items = int(dataset.get_item_count() or 0)
    if items < 1:
        dataset.rebatch(1)
        items = int(dataset.get_batch_count() or 0)
    if items < 1:
        raise NoItems(
            f"the data set {named} has no items ({folder}): its get_item_count() and, in batches "
            "of 1, its get_batch_count() give 0; allowed: at least 1 item"
        )
    return items


def _load(model_info: Mapping[str, Any], folder: str, seed: int) -> Any:
    loader, _ = load_dataset_classes(Path(folder))
    dataset = loader(dict(model_info))
    dataset.fake_seed = seed
    dataset.preprocess()
    with suppress(AttributeError):  # a class whose objects take no attributes
        dataset.get_samples = stated(dataset.get_samples, input_specs(model_info))
    return dataset
