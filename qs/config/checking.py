"""From a raw JSON object to a typed one, with every fault at once.

The rules of one key are pydantic's, written on the models. This module turns its errors into Faults
that say in words what is allowed, settles aliases, and keeps the keys that are right when others
are wrong, so that checks across keys and files still run. Callers read the files and make those
further checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictStr,
    TypeAdapter,
    ValidationError,
)

from qs.base import bounds
from qs.base.errors import MISSING, MOST_FAULTS, Fault, Faults, UserError
from qs.base.names import PLAIN, is_plain, is_unicode, nearest


def _plain(value: str) -> str:
    if not is_plain(value):
        raise ValueError(PLAIN)
    return value


_PLAIN_PATTERN = (
    r"^[^\s./\\:]([^/\\:]*[^\s/\\:])?$"  # for schemas; the rule itself is qs.base.names'
)
PlainName = Annotated[
    StrictStr, AfterValidator(_plain), Field(json_schema_extra={"pattern": _PLAIN_PATTERN})
]
Count = Annotated[int, Field(strict=True, ge=1, le=bounds.COUNT)]
Clients = Annotated[int, Field(strict=True, ge=1, le=bounds.CLIENTS)]
Copies = Annotated[int, Field(strict=True, ge=1, le=bounds.COPIES)]
BatchSize = Annotated[int, Field(strict=True, ge=1, le=bounds.BATCH)]
BATCH_SIZES = (
    f"a list of whole numbers >= 1, not empty (each up to {bounds.BATCH:,}, at most "
    f"{bounds.CASES} of them)"
)
Flag = Annotated[bool, Field(strict=True)]


class Checkable(BaseModel):
    """Base of the typed files. Keys that are not fields are kept: vendors add their own."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        protected_namespaces=(),
        arbitrary_types_allowed=True,
        populate_by_name=True,
    )

    ALLOWED: ClassVar[Mapping[str, str]] = {}  # field -> in words, what may stand there
    CHOICES: ClassVar[Mapping[str, Sequence[str]]] = {}  # field -> names, where it has one of a few
    ALIASES: ClassVar[Mapping[str, str]] = {}  # other spelling -> field

    @property
    def extra_keys(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    def stated(self) -> dict[str, Any]:
        """The keys that were given and are not null, as plain data."""
        return self.model_dump(mode="json", exclude_unset=True, exclude_none=True)


KEY = "a key of text that UTF-8 can hold (half of a surrogate pair is none)"

M = TypeVar("M", bound=Checkable)


@dataclass(frozen=True)
class Checked(Generic[M]):
    """The result of a check: the typed value if there are no faults, and the values of the keys
    that are right.
    """

    value: M | None
    right: Mapping[str, Any]
    faults: tuple[Fault, ...] = ()
    warnings: tuple[str, ...] = ()

    def result(self) -> tuple[M, list[str]]:
        """(typed value, warnings); raises Faults."""
        if self.faults or self.value is None:
            raise Faults(self.faults)
        return self.value, list(self.warnings)


def as_object(raw: object, file: str, what: str) -> dict[str, Any]:
    """The raw value if it is a JSON object, else UserError."""
    if isinstance(raw, dict):
        return raw
    raise UserError(f"{file}: holds a {_json_kind(raw)}; allowed: one object {{...}}, the {what}")


def check(
    cls: type[M],
    raw: Mapping[str, Any],
    file: str,
    *,
    file_of: Callable[[str], str] | None = None,
    prefix: str = "",
) -> Checked[M]:
    """Check every key of a raw object against the model `cls`.

    `file_of` names the origin of a key that does not come from `file`, such as a flag; `prefix`
    precedes the keys in faults.
    """
    origin = file_of or (lambda key: file)
    settled, faults = _settle_aliases(cls, raw, file)
    for key in [key for key in settled if not is_unicode(key)]:
        faults.append(Fault(origin(prefix), f"{prefix}{key!r}", settled.pop(key), KEY))
    value = None
    try:
        value = cls.model_validate(settled)
    except ValidationError as error:
        faults += [
            _fault(cls, problem, settled, origin, prefix)
            for problem in error.errors(include_url=False)
        ]
    wrong = {fault.key.removeprefix(prefix).partition("[")[0].partition(".")[0] for fault in faults}
    if value is not None:
        right = {name: getattr(value, name) for name in cls.model_fields if name not in wrong}
    else:
        right = _right_values(cls, settled, wrong)
    return Checked(value if not faults else None, right, tuple(faults))


def unknown_keys(
    cls: type[Checkable], raw: Iterable[str], file: str, *, only_near: bool = False
) -> list[str]:
    """A warning for each unknown key, with the known one that was probably meant.

    `only_near`: only for those that look like a misspelt known key, in files where vendors' own
    keys are usual.
    """
    known = [*cls.model_fields, *cls.ALIASES]
    warnings: list[str] = []
    strange = [key for key in raw if key not in known and key != "$schema"]  # editors' own
    if len(strange) > MOST_FAULTS:
        warnings.append(f"{file}: {len(strange):,} unknown keys, the first {MOST_FAULTS} of them:")
    for key in strange[:MOST_FAULTS]:
        near = nearest(key, known, cutoff=0.85 if only_near else 0.6)
        if only_near and near is None:
            continue
        meant = f"; did you mean {near!r}?" if near else ""
        warnings.append(f"{file}: unknown key {key!r}{meant} (passed on to the backend as it is)")
    return warnings


def split(value: object) -> object:
    """A comma-separated string as a list of its parts; anything else as it is."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")] if value.strip() else []
    return value


def key_path(place: Sequence[str | int]) -> str:
    """("batch_sizes", 2) -> "batch_sizes[2]"; ("a", "b") -> "a.b"."""
    path = ""
    for part in place:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _settle_aliases(
    cls: type[Checkable], raw: Mapping[str, Any], file: str
) -> tuple[dict[str, Any], list[Fault]]:
    settled, faults = dict(raw), []
    for alias, name in cls.ALIASES.items():
        if alias not in settled:
            continue
        value = settled.pop(alias)
        if name in settled and settled[name] != value:
            faults.append(
                Fault(file, alias, value, f"the same as {name!r}, or only one of the two")
            )
        settled.setdefault(name, value)
    return settled, faults


def _fault(
    cls: type[Checkable],
    problem: Any,
    raw: Mapping[str, Any],
    origin: Callable[[str], str],
    prefix: str,
) -> Fault:
    place = problem["loc"] or ("?",)  # none for a key that pydantic cannot read as text
    field = str(place[0])
    allowed = cls.ALLOWED.get(field, problem["msg"])
    if problem["type"] == "missing":
        near = nearest(field, [key for key in raw if key not in cls.model_fields], cutoff=0.8)
        hint = f"is {near!r} a misspelling of it?" if near else None
        return Fault(origin(field), prefix + field, MISSING, allowed, hint=hint)
    near = None
    choices = cls.CHOICES.get(field)
    if choices and isinstance(problem["input"], str):
        near = nearest(problem["input"], choices)
    return Fault(origin(field), prefix + key_path(place), problem["input"], allowed, nearest=near)


def _right_values(cls: type[Checkable], raw: Mapping[str, Any], wrong: set[str]) -> dict[str, Any]:
    right: dict[str, Any] = {}
    for name, field in cls.model_fields.items():
        if name in wrong or name not in raw:
            continue
        rules = (field.annotation, *field.metadata)
        annotation: Any = cast(Any, Annotated)[rules] if field.metadata else field.annotation
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        try:
            right[name] = adapter.validate_python(raw[name])
        except ValidationError:
            continue
    return right


def _json_kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", list: "list", str: "string", int: "number", float: "number"}
    return names.get(type(value), type(value).__name__)
