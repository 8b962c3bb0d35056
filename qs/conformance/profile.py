"""The interact profile: the questions in NAME.json, and those that get_interact_profile gives, are
ones that can be asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qs.conformance.outcome import Outcome, Problem, judged

if TYPE_CHECKING:
    from qs.conformance.bench import Bench

NAME, ABOUT = "profile", "the questions of the interact profile can be asked and have defaults"
NEEDS: tuple[str, ...] = ("contract",)
HOST = True


async def check(bench: Bench) -> Outcome:
    from qs.evaluate.compiling import configs_for

    configs = configs_for(bench.prepared, bench.resolved)
    raw = await bench.call("interact_profile", "get_interact_profile", configs=configs)
    return judge(raw, bench.folder / f"{bench.folder.name}.json")


def judge(raw: Any, file: Path) -> Outcome:
    """`raw` is what get_interact_profile gave."""
    from qs.base.errors import UserError
    from qs.config.interact import Profile, load_interact, parse_profile

    problems: list[Problem] = []
    notes: list[str] = []
    profile = Profile()
    for source, read in (
        (file.name, lambda: load_interact(file)),
        ("get_interact_profile()", lambda: parse_profile(raw, "get_interact_profile()")),
    ):
        try:
            profile, warnings = read()
        except UserError as error:
            problems.append(
                Problem(" ".join(str(error).split()), f"mend the questions of {source}")
            )
            continue
        problems += [Problem(text, f"mend the questions of {source}") for text in warnings]
        notes += [
            f"{question.name} has no default: without a terminal it is left out"
            for question in profile.questions
            if question.default is None
        ]
    count = len(profile.questions)
    good = f"{count} question{'' if count == 1 else 's'}" if count else "it asks nothing"
    return judged(problems, "; ".join([good, *dict.fromkeys(notes)]), blocks=False)
