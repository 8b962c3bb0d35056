"""From a backend's questions to the flat `interact_info`, whoever answers: a file, a person, or the
defaults.

One generator serves all of them. It knows neither terminal nor file; it yields the questions that
are still open.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from qs.base.errors import Fault, Faults
from qs.base.names import nearest
from qs.base.words import number
from qs.config.interact import UNREADABLE, Profile, Question

ANSWERS, TERMINAL, DEFAULT, BACKEND = "answers file", "terminal", "default", "backend"
LINE = "command line"
ANSWER_WITHIN_S = 60.0  # a question with a default waits for its first key no longer
UNANSWERED = f"{DEFAULT}, not answered within {number(ANSWER_WITHIN_S)} s"
SOURCE = "the answers"


class _NotAnswered:
    def __repr__(self) -> str:
        return "not answered"


NOT_ANSWERED = _NotAnswered()


@dataclass
class Settled:
    """Question name -> answer, and the origin of each. Skipped questions are in neither."""

    answers: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def put(self, name: str, answer: object, origin: str) -> None:
        self.answers[name], self.origins[name] = answer, origin

    @property
    def by_default(self) -> dict[str, Any]:
        """The answers that nobody gave."""
        return self.of(DEFAULT)

    @property
    def unanswered(self) -> dict[str, Any]:
        """Those whose question was shown to nobody who answered."""
        return self.of(UNANSWERED)

    def of(self, origin: str) -> dict[str, Any]:
        """The answers of one origin."""
        return {name: each for name, each in self.answers.items() if self.origins[name] == origin}


def settling(
    profile: Profile,
    given: Mapping[str, Any] | None = None,
    source: str = SOURCE,
    typed: Mapping[str, Any] | None = None,
) -> Generator[Question, object, Settled]:
    """Yields each question that neither `given` nor an option of that name in `typed` answers; send
    its answer, None for the default, or NOT_ANSWERED for the default of a question that was shown.

    A question whose `depends` do not hold is skipped, and so is one with neither answer nor
    default. Raises Faults, before the first question, if a given answer has no question, or is not
    of its type or among its options; messages call the origin of the answers `source`.
    """
    given = given or {}
    faults = answer_faults(profile, given, source)
    if faults:
        raise Faults(faults)
    settled = Settled()
    for name, answer in profile.settled.items():
        settled.put(name, given.get(name, answer), ANSWERS if name in given else BACKEND)
    for question in profile.questions:
        name = question.name
        if not all(settled.answers.get(need) for need in question.needs):
            if name in given:
                settled.warnings.append(
                    f"{source}: {name} was not asked, as {question.depends} does not hold"
                )
            continue
        if name in given:
            settled.put(name, question.read(given[name]), ANSWERS)
            continue
        answer = question.read((typed or {}).get(name))
        if answer is not UNREADABLE:
            settled.put(name, answer, LINE)
            continue
        answer = (yield question) if question.ask else None
        if answer is not None and answer is not NOT_ANSWERED:
            settled.put(name, answer, TERMINAL)
        elif question.preset is not None:
            settled.put(name, question.preset, DEFAULT if answer is None else UNANSWERED)
        elif question.ask:
            settled.warnings.append(
                f"{profile.source}: {name} has neither default nor answer; it is left out"
            )
    return settled


def settle(
    profile: Profile,
    given: Mapping[str, Any] | None = None,
    source: str = SOURCE,
    typed: Mapping[str, Any] | None = None,
) -> Settled:
    """The given answers, and defaults for the rest. Raises Faults, as `settling` does."""
    walk = settling(profile, given, source, typed)
    try:
        while True:
            walk.send(None)
    except StopIteration as end:
        return end.value


async def settle_asking(
    profile: Profile,
    given: Mapping[str, Any] | None,
    source: str,
    ask: Callable[[Question], Awaitable[object]],
    typed: Mapping[str, Any] | None = None,
) -> Settled:
    """The given answers, and `ask` for the rest. Raises Faults before anything is asked."""
    answer = None
    with closing(settling(profile, given, source, typed)) as walk:
        while True:
            try:
                question = walk.send(answer)
            except StopIteration as end:
                return end.value
            answer = await ask(question)


def answer_faults(profile: Profile, given: Mapping[str, Any], source: str) -> list[Fault]:
    """Everything that is wrong with given answers: unknown questions, and invalid values."""
    questions = {question.name: question for question in profile.questions}
    known = [*questions, *profile.settled]
    names = "the name of a question: " + (", ".join(known) or "there is none")
    faults = []
    for name, value in given.items():
        if name not in known:
            faults.append(Fault(source, name, value, names, nearest=nearest(name, known)))
        elif name in questions and questions[name].read(value) is UNREADABLE:
            question = questions[name]
            choices = [str(choice) for choice in question.choices or ()]
            near = nearest(value, choices) if isinstance(value, str) else None
            faults.append(Fault(source, name, value, question.allowed, nearest=near))
    return faults
