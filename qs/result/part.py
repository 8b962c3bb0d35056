"""What every part of a saved result has in common: typed attributes, published keys in the file.

An attribute's name says its unit (`wall_s`), the key in the file is the published one ("Wall
Time"). Keys that are not known here are kept, since data sets and vendors add their own, and a key
that was absent stays absent: absence says that a version or a mode of measuring has no such figure,
null that it was not measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    ValidationError,
    WithJsonSchema,
    model_serializer,
)

# An int stays an int: 5 in a file is not 5.0 after it was read and written again.
Number = Annotated[int | float, WithJsonSchema({"type": "number"})] | None
Count = int | None
Self = TypeVar("Self", bound="Part")
Tolerant = TypeVar("Tolerant", bound="Lenient")


class Word(str, Enum):
    """One of a few published words: equal to its text, and printed as it."""

    __str__ = str.__str__

    def __format__(self, spec: str) -> str:
        return str.__format__(self, spec)


class Part(BaseModel):
    """A section of the result."""

    model_config = ConfigDict(
        extra="allow", populate_by_name=True, protected_namespaces=(), frozen=True
    )

    def to_dict(self) -> dict[str, Any]:
        """Plain data under the published keys, without those that were never set."""
        return self.model_dump(by_alias=True, exclude_unset=True, warnings=False)

    def numbers(self) -> dict[str, int | float]:
        """Its numbers under their published keys, without those of nested parts."""
        return {
            name: value
            for name, value in self.to_dict().items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        }

    def changed(self: Self, **changes: Any) -> Self:
        """A copy with other values of these attributes, validated like new ones."""
        fields = type(self).model_fields
        known = {name: getattr(self, name) for name in self.model_fields_set if name in fields}
        return type(self)(**(self.model_extra or {}), **known | changes)


class Lenient(Part):
    """A section that vendors and data sets fill."""

    _strange: dict[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    def lenient(cls: type[Tolerant], plain: Mapping[str, Any]) -> Tolerant:
        """From what a vendor or a data set made. A strange value must not cost the result of a long
        run: what is not of the declared type is kept for the file, and readers find nothing there.
        """
        try:
            return cls.model_validate(plain)
        except ValidationError as error:
            strange = {each["loc"][0] for each in error.errors() if each["loc"]}
        known = {name: value for name, value in plain.items() if name not in strange}
        asked = {
            field.alias or name for name, field in cls.model_fields.items() if field.is_required()
        }
        made = cls.model_validate(known | dict.fromkeys(asked & strange))
        for name, field in cls.model_fields.items():
            if (field.alias or name) in strange:
                made.model_fields_set.discard(name)
        made._strange = {name: value for name, value in plain.items() if name in strange}
        return made

    @model_serializer(mode="wrap")
    def _whole(self, plainly: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return plainly(self) | self._strange


def lenient(part: type[Lenient]) -> BeforeValidator:
    """Reads a section as `Lenient.lenient` does, so that what could be written can be read."""
    return BeforeValidator(
        lambda plain: part.lenient(plain) if isinstance(plain, Mapping) else plain
    )


def key(published: str, default: Any = ...) -> Any:
    """A field that the file calls `published`; required unless it has a default."""
    return Field(default, alias=published, title=published)
