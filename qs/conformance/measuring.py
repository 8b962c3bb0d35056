"""QS mode: is_qs_mode_supported says yes or no, and the QS config is one that the engine can drive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qs.conformance.outcome import FAIL, Outcome, Problem, failed, judged

if TYPE_CHECKING:
    from qs.conformance.bench import Bench
    from qs.conformance.service import ConformanceService

NAME, ABOUT = "qs_config", "generate_qs_config gives a config that the engine can drive"
NEEDS: tuple[str, ...] = ("compile",)
HOST = True
ORIGIN = "generate_qs_config()"


def observe(service: ConformanceService) -> dict[str, Any]:
    supported = service.backend.is_qs_mode_supported()
    config = service.backend.generate_qs_config() if supported else None
    return {
        "supported": bool(supported),
        "said": repr(supported),
        "is_bool": isinstance(supported, bool),
        "config": config,
    }


def judge(seen: dict[str, Any]) -> Outcome:
    from qs.base.errors import Faults, UserError
    from qs.config.qs_config import parse_qs_config

    problems = []
    if not seen["is_bool"]:
        problems.append(
            Problem(f"is_qs_mode_supported() gives {seen['said']}", "return True or False")
        )
    if not seen["supported"]:
        return judged(problems, "QS mode is not supported: benchmark() is called", blocks=False)
    config = seen["config"] or {}
    try:
        parse_qs_config(config, ORIGIN)
    except Faults as faults:
        problems += [
            Problem(str(fault), f"mend {fault.key} in {ORIGIN}") for fault in faults.faults
        ]
    except UserError as error:
        problems.append(Problem(str(error), f"let {ORIGIN} return a dict"))
    stated = (
        ", ".join(f"{key} {value}" for key, value in config.items())
        if isinstance(config, dict)
        else ""
    )
    return judged(problems, stated or "all left to defaults", blocks=False)


async def check(bench: Bench) -> Outcome:
    """The runner and the batch sizes that a good config names are those of all further checks."""
    from qs.base.errors import UserError
    from qs.config.qs_config import parse_qs_config

    seen = await bench.observe("measuring", "generate_qs_config")
    bench.supports_qs = seen["supported"]
    outcome = judge(seen)
    if outcome.status == FAIL or not seen["supported"]:
        return outcome
    try:
        await bench.drive(parse_qs_config(seen["config"] or {}, ORIGIN))
    except UserError as error:
        return failed(" ".join(str(error).split()), f"mend what it names in {ORIGIN}", blocks=False)
    return outcome
