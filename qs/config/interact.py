"""The interact profile: a backend's questions to the user, and how their answers are read.

A profile comes from `backends/XXX/XXX.json` or from the backend itself; without one, nothing is
asked. Only the questions are checked here: qs.interact shows the dialogs and settles the answers.
Answers are read strictly: "12" is a whole number, and true is not one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StrictBool, StrictStr

from qs.base import jsonc
from qs.base.errors import Fault, Faults, UserError
from qs.base.names import nearest
from qs.config.checking import Checkable, check

DIALOGS = ("Yes/No Dialog", "Radiolist Dialog", "Input Dialog")
TYPES = ("bool", "int", "float", "str")
_IN_WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
}


class _Unreadable:
    def __repr__(self) -> str:
        return "unreadable"


UNREADABLE = _Unreadable()
MOST_QUESTIONS = 1000
_BOOLS = {"true": True, "yes": True, "false": False, "no": False}


def read_as(kind: str, value: object) -> object:
    """`value` as a bool, int, float or str (`kind`), or UNREADABLE. A string may hold any of the
    others.
    """
    if kind == "str":
        plain = isinstance(value, (int, float)) and not isinstance(value, bool)
        return str(value) if plain else value if isinstance(value, str) else UNREADABLE
    if kind == "bool":
        if isinstance(value, str):
            return _BOOLS.get(value.strip().lower(), UNREADABLE)
        return value if isinstance(value, bool) else UNREADABLE
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return UNREADABLE
    try:
        number = float(value) if kind == "float" else int(value)
    except (ValueError, OverflowError):
        return UNREADABLE
    if kind == "int":
        return number if isinstance(value, str) or number == value else UNREADABLE
    return number if math.isfinite(number) else UNREADABLE


class Question(Checkable):
    """One question. It is skipped unless all earlier answers that `depends` names are truthy."""

    name: Annotated[StrictStr, Field(min_length=1)]
    note: StrictStr = ""
    dialog_type: Literal["Yes/No Dialog", "Radiolist Dialog", "Input Dialog"]
    type: Literal["bool", "int", "float", "str"]
    default: Any = None
    options: list[Any] | None = None
    depends: StrictStr | None = None
    # false: nobody is asked; a file of answers may state it, else its default holds
    ask: StrictBool = True

    ALLOWED: ClassVar[Mapping[str, str]] = {
        "name": "a string, not empty",
        "note": "a string, shown to the user",
        "dialog_type": ", ".join(DIALOGS),
        "type": ", ".join(TYPES),
        "options": "a list of choices",
        "depends": "names of earlier questions, comma-separated, or null",
        "ask": "true or false",
    }
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {"dialog_type": DIALOGS, "type": TYPES}

    @property
    def needs(self) -> tuple[str, ...]:
        """The names in `depends`."""
        return tuple(name.strip() for name in (self.depends or "").split(",") if name.strip())

    @property
    def choices(self) -> tuple[Any, ...] | None:
        """The options as values of the question's type; None: any value will do."""
        if self.dialog_type != "Radiolist Dialog" or not self.options:
            return None
        return tuple(read_as(self.type, option) for option in self.options)

    @property
    def allowed(self) -> str:
        """In words, what may be answered."""
        if self.choices is None:
            return _IN_WORDS[self.type]
        return "one of " + ", ".join(str(choice) for choice in self.choices)

    @property
    def preset(self) -> object:
        """The default as a value of the question's type; None: it has no default."""
        return None if self.default is None else read_as(self.type, self.default)

    def read(self, value: object) -> object:
        """An answer as a value of the question's type ("12" as 12), or UNREADABLE."""
        answer = read_as(self.type, value)
        return UNREADABLE if self.choices is not None and answer not in self.choices else answer


@dataclass(frozen=True)
class Profile:
    """A backend's questions in order. `settled`: answers that the backend gave in their place."""

    questions: tuple[Question, ...] = ()
    source: str = "the interact profile"
    settled: Mapping[str, Any] = field(default_factory=dict)


def load_interact(path: str | Path) -> tuple[Profile, list[str]]:
    """The profile in a file, and warnings. A missing or an empty file asks nothing."""
    text = jsonc.read_text(path) if Path(path).exists() else ""
    if not text.strip():
        return Profile(source=str(path)), []
    return parse_profile(jsonc.loads(text, str(path)), str(path))


def parse_profile(raw: object, source: str = "the interact profile") -> tuple[Profile, list[str]]:
    """What `get_interact_profile` returned, or a file held, as a typed profile, and warnings.

    `raw` is a list of questions, one question, None, or a flat object of ready answers, as some
    vendors return. Raises Faults with everything that is wrong with the questions.
    """
    if raw is None:
        return Profile(source=source), []
    if isinstance(raw, dict) and "dialog_type" not in raw:
        warnings = (
            [f"{source}: holds answers in place of questions; they are used as they are"]
            if raw
            else []
        )
        return Profile(source=source, settled=dict(raw)), warnings
    entries = [raw] if isinstance(raw, dict) else raw
    if not isinstance(entries, (list, tuple)):
        raise UserError(
            f"{source}: holds {type(raw).__name__}; allowed: a list of questions, or nothing"
        )
    questions: list[Question] = []
    faults: list[Fault] = []
    warnings = []
    if len(entries) > MOST_QUESTIONS:
        raise UserError(
            f"{source}: holds {len(entries):,} questions; at most {MOST_QUESTIONS} are asked"
        )
    for number, entry in enumerate(entries):
        place = f"[{number}]"
        if not isinstance(entry, dict):
            faults.append(Fault(source, place, entry, "an object, one question"))
            continue
        checked = check(Question, _with_guesses(entry), source, prefix=f"{place}.")
        faults += checked.faults
        if checked.value is None:
            continue
        question = checked.value
        faults += _own_faults(question, source, place, questions)
        warnings += _warnings(question, source, [known.name for known in questions])
        questions.append(question)
    if faults:
        raise Faults(faults)
    return Profile(tuple(questions), source), warnings


def _with_guesses(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Some keys are missing from published fragments; they follow from `dialog_type`."""
    guessed = dict(entry)
    if "type" not in guessed:
        guessed["type"] = "bool" if guessed.get("dialog_type") == DIALOGS[0] else "str"
    return guessed


def _own_faults(
    question: Question, source: str, place: str, earlier: list[Question]
) -> list[Fault]:
    faults = []
    if any(question.name == other.name for other in earlier):
        faults.append(
            Fault(source, f"{place}.name", question.name, "a name that no earlier question has")
        )
    if question.dialog_type == "Radiolist Dialog":
        if not question.options:
            faults.append(
                Fault(source, f"{place}.options", question.options, "a list of choices, not empty")
            )
        for option in question.options or ():
            if read_as(question.type, option) is UNREADABLE:
                faults.append(Fault(source, f"{place}.options", option, _IN_WORDS[question.type]))
    if question.default is not None and read_as(question.type, question.default) is UNREADABLE:
        faults.append(Fault(source, f"{place}.default", question.default, question.allowed))
    return faults


def _warnings(question: Question, source: str, earlier: list[str]) -> list[str]:
    warnings = []
    for name in question.needs:
        if name not in earlier:
            near = nearest(name, earlier)
            meant = f"; did you mean {near!r}?" if near else ""
            warnings.append(
                f"{source}: {question.name} depends on {name!r}, which is not an earlier "
                f"question{meant} (it is never asked)"
            )
    if question.choices and question.default is not None:
        if question.preset not in question.choices:
            warnings.append(
                f"{source}: the default of {question.name} is {question.preset!r}, not "
                f"{question.allowed}"
            )
    return warnings
