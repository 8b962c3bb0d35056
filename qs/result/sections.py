"""Sections of the result that stay plain dicts: what is known of their keys.

They describe the surroundings of a run, and grow as somebody wants to know more; further keys are
kept. What readers take from them has a type here, so that a file in which it has another is told as
damaged where it is read, and nowhere later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict
from typing_extensions import TypedDict

from qs.result.part import Count, Number


def _section(title: str, /, **keys: Any) -> Any:
    """A dict with these keys, any of which may be missing; an underscore stands for a space."""
    known = {key.replace("_", " "): kind for key, kind in keys.items()}
    of_keys: Any = TypedDict  # whose keys mypy could not know here
    made = of_keys(title, known, total=False)
    made.__pydantic_config__ = ConfigDict(extra="allow")
    return made


if TYPE_CHECKING:
    Host = dict[str, Any]
    Environment = dict[str, Any]
    ModelSource = dict[str, Any]
    Samples = dict[str, Any]
    Finding = dict[str, Any]
    Share = dict[str, Any]
    Numeric = dict[str, Any]
else:
    Text = str | None
    Host = _section(
        "Host",
        CPU=Text,
        Logical_CPUs=Count,
        Usable_CPUs=list[int] | None,
        Memory_Bytes=Number,
        System=Text,
        Python=Text,
        Packages=dict[str, Text] | None,
    )
    Environment = _section("Environment", Key=Text)
    ModelSource = _section(
        "ModelSource",
        note=Text,
        sha256=Text,
        data=dict[str, Text] | None,
        path=Text,
        format=Text,
        converted=dict[str, Any] | None,
        passed_over=list[str] | None,
        reference=Text,
        reference_converted=dict[str, Any] | None,
        no_reference=Text,
    )
    Samples = _section("Samples", name=Text, kind=Text, items=Count, why=Text, seed=Count)
    Finding = _section("Finding", name=Text, status=Text, value=Text, effect=Text, fix=Text)
    # Of the accuracy: which share of the data set was scored, and how each output agrees.
    Share = _section("Share", kind=Text, percent=Number, seed=Count)
    AgreementOfOutput = _section("AgreementOfOutput", failed=Text)
    Numeric = _section("Numeric", outputs=dict[str, AgreementOfOutput] | None, Not_Measured=Text)
