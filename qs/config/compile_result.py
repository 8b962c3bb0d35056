"""The compile result: what a backend's `compile` says it made, typed for reports and passed on to
the runtime untouched.

Vendors leave keys out and add their own: the former warn, the latter pass through. Only values of a
wrong kind are faults. The runtime backend loads what the result names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, PrivateAttr, StrictStr

from qs.base.errors import Fault
from qs.base.visible import one_line
from qs.config.checking import Checkable, Checked, Count, Flag, as_object, check, split

EXPECTED = (
    "compile_precision",
    "compile_status",
    "sg_percent",
    "segments",
    "instance_count",
    "device_count",
)


MOST_WARNINGS, LONGEST_WARNING = 20, 300

Tensors = dict[str, Any] | list[Any] | tuple[Any, ...] | str | None


class CompiledModel(Checkable):
    """One artifact of a segment. `compiled_obj` is the vendor's own: a path, a name, an object."""

    compiled_bs: Count | None = None
    compiled_obj: Any = None

    ALLOWED: ClassVar[Mapping[str, str]] = {"compiled_bs": "a whole number >= 1"}


class Segment(Checkable):
    """One subgraph. `is_fallback`: it runs on the CPU."""

    sg_idx: Annotated[int, Field(strict=True, ge=0)] | None = None
    is_fallback: Flag = False
    input_tensor_map: Tensors = None
    output_tensor_map: Tensors = None
    compiled_model: tuple[CompiledModel, ...] = ()

    ALLOWED: ClassVar[Mapping[str, str]] = {
        "sg_idx": "a whole number >= 0",
        "is_fallback": "true or false",
        **dict.fromkeys(
            ("input_tensor_map", "output_tensor_map"),
            "an object by name, a list, or comma-separated names",
        ),
        "compiled_model": "a list of {compiled_bs, compiled_obj}",
    }


class CompileResult(Checkable):
    """The keys that a report reads. None: the backend did not state it."""

    model: StrictStr | None = None
    framework: StrictStr | None = None
    compile_precision: StrictStr | None = None
    optimizations: Any = None
    instance_count: Count | None = None
    device_count: Annotated[int, Field(strict=True, ge=0)] | None = None
    input_type: Annotated[tuple[StrictStr, ...], BeforeValidator(split)] = ()
    max_batch_size: Count | None = None
    compile_status: StrictStr | None = None
    sg_percent: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None
    segments: tuple[Segment, ...] = ()

    _raw: dict[str, Any] = PrivateAttr(default_factory=dict)

    ALLOWED: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("model", "framework", "compile_precision", "compile_status"), "a string"),
        "instance_count": "a whole number >= 1, the machines",
        "device_count": "a whole number >= 0, the cards",
        "input_type": "a list of types, or one comma-separated string",
        "max_batch_size": "a whole number >= 1",
        "sg_percent": "a number from 0 to 100",
        "segments": "a list of {sg_idx, is_fallback, input_tensor_map, output_tensor_map, "
        "compiled_model}",
    }

    @property
    def succeeded(self) -> bool:
        """Whether the backend says that every subgraph compiled."""
        return (self.compile_status or "").strip().lower() == "success"

    @property
    def warnings(self) -> list[str]:
        """What the backend wants the run to say: the sentences in the list `warnings`, a key of its
        own that it need not have. Anything else under that name is left alone.
        """
        given = self._raw.get("warnings")
        if not isinstance(given, (list, tuple)):
            return []
        found = (one_line(text, LONGEST_WARNING) for text in given if isinstance(text, str))
        return [text for text in found if text][:MOST_WARNINGS]

    @property
    def fallbacks(self) -> tuple[int, ...]:
        """The numbers of the segments that run on the CPU."""
        return tuple(
            number if segment.sg_idx is None else segment.sg_idx
            for number, segment in enumerate(self.segments)
            if segment.is_fallback
        )

    @property
    def compiled_batch_sizes(self) -> tuple[int, ...]:
        """The batch sizes for which every compiled (not fallback) segment has an artifact, in
        ascending order.
        """
        sizes = [
            {made.compiled_bs for made in segment.compiled_model if made.compiled_bs}
            for segment in self.segments
            if segment.compiled_model and not segment.is_fallback
        ]
        return tuple(sorted(set.intersection(*sizes))) if sizes else ()

    def to_configs(self) -> dict[str, Any]:
        """The compile result as the backend gave it, keys of its own included."""
        return dict(self._raw)


def check_compile_result(raw: object, source: str = "the compile result") -> Checked[CompileResult]:
    """The compile result that `compile` returned, or a file held, with its faults and warnings."""
    stated = as_object(raw, source, "compile result")
    checked = check(CompileResult, stated, source)
    missing = [key for key in EXPECTED if key not in stated]
    warnings = [f"{source}: has no {', '.join(missing)}"] if missing else []
    faults: tuple[Fault, ...] = checked.faults
    if checked.value is not None:
        checked.value._raw = dict(stated)
    return Checked(checked.value, checked.right, faults, tuple(warnings))
