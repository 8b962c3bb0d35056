"""The workload of a task (`workloads/<task>.json`): which model, which tests, how much load.

Absent keys have defaults; unknown ones warn and are passed on. qs.config.task checks whether the
batch sizes fit the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, PrivateAttr, StrictStr

from qs.base import bounds
from qs.base.names import PLAIN, check_plain
from qs.config.checking import (
    BATCH_SIZES,
    BatchSize,
    Checkable,
    Checked,
    Clients,
    Count,
    Flag,
    PlainName,
    as_object,
    check,
    unknown_keys,
)


def _not_empty(sizes: tuple[int, ...]) -> tuple[int, ...]:
    if (
        not sizes or len(sizes) > bounds.CASES
    ):  # Field(min_length=1) would also count wrong sizes as absent, and fault one mistake twice
        raise ValueError("empty, or too many")
    return sizes


class Workload(Checkable):
    """What a task asks for. At every batch size `clients` submit `iterations` batches each, or as
    many as there is time for in `duration` seconds; a file that states neither leaves it to the
    program.
    """

    task: StrictStr  # the file's name; not a key of the file
    model: PlainName
    test_perf: Flag = True
    test_accuracy: Flag = True
    test_numeric: Flag = True
    clients: Clients = 3
    iterations: Count = 100
    duration: (
        Annotated[float, Field(strict=True, gt=0, le=bounds.SECONDS, allow_inf_nan=False)] | None
    ) = None
    batch_sizes: Annotated[
        tuple[BatchSize, ...], AfterValidator(_not_empty), Field(json_schema_extra={"minItems": 1})
    ] = (1,)
    fake_data: Flag = False
    data_percent: Annotated[int, Field(strict=True, ge=1, le=100)] = 100
    compile_only: Flag = False

    _given: frozenset[str] = PrivateAttr(default=frozenset())

    ALLOWED: ClassVar[Mapping[str, str]] = {
        "task": PLAIN,
        "model": f"the name of a file in model_zoo/ without .json: {PLAIN}",
        **dict.fromkeys(
            ("test_perf", "test_accuracy", "test_numeric", "fake_data", "compile_only"),
            "true or false",
        ),
        "clients": f"a whole number >= 1, up to {bounds.CLIENTS:,}",
        "iterations": "a whole number >= 1, per client",
        "duration": "seconds above 0 that each batch size is measured, in place of iterations",
        "batch_sizes": BATCH_SIZES,
        "data_percent": "a whole number from 1 to 100",
    }
    ALIASES: ClassVar[Mapping[str, str]] = {"batchsizes": "batch_sizes", "name": "model"}

    @property
    def given(self) -> frozenset[str]:
        """The keys that the file or a flag states; the others have their defaults."""
        return self._given

    def to_configs(self) -> dict[str, Any]:
        """The published spelling, defaults filled in, unknown keys as they were."""
        left_out = {"task"} if self.duration is not None else {"task", "duration"}
        known = {key: getattr(self, key) for key in type(self).model_fields if key not in left_out}
        return {**known, "batch_sizes": list(self.batch_sizes), **self.extra_keys}


def check_workload(
    raw: object, file: str, task: str, overrides: Mapping[str, Any] | None = None
) -> Checked[Workload]:
    """The workload of a task, with its faults and warnings.

    `overrides` (key -> value, None: not given) replace the file's values and are checked like them;
    faults name them by their flag, `--clients`.
    """
    check_plain(task, "task")
    stated = as_object(raw, file, "workload")
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    replaced = {*given, *(alias for alias, key in Workload.ALIASES.items() if key in given)}
    values = {key: value for key, value in stated.items() if key not in replaced and key != "task"}
    values |= {"task": task} | given
    if not {"model", "name"} & values.keys():
        values["model"] = task

    def origin(key: str) -> str:
        return f"--{key}" if key in given else file

    checked = check(Workload, values, file, file_of=origin)
    warnings = unknown_keys(Workload, [key for key in stated if key != "task"], file)
    if "task" in stated:
        warnings.append(f"{file}: unknown key 'task'; a task is named by its file")
    sizes, repeated = _without_repeats(checked.right.get("batch_sizes", ()))
    if repeated:
        warnings.append(
            f"{origin('batch_sizes')}: batch_sizes names {repeated} more than once; each is run "
            "once"
        )
    value = checked.value
    if value is not None:
        value = value.model_copy(update={"batch_sizes": sizes}) if repeated else value
        known = {Workload.ALIASES.get(key, key) for key in stated}
        value._given = frozenset((known | given.keys()) & Workload.model_fields.keys() - {"task"})
    return Checked(value, checked.right, checked.faults, tuple(warnings))


def _without_repeats(sizes: Sequence[int]) -> tuple[tuple[int, ...], str]:
    once = tuple(dict.fromkeys(sizes))
    repeated = [str(size) for size in once if list(sizes).count(size) > 1]
    return once, ", ".join(repeated)
