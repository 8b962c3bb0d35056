"""Runs the checks one after the other. One that hangs, crashes, exits or raises has failed, and the
next gets a fresh host.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from qs.base.errors import UserError
from qs.conformance.bench import Bench
from qs.conformance.outcome import FAIL, Outcome, failed, skipped
from qs.evaluate.backend import BackendFailed

# Seconds. Compilers are slow; no other check needs more than a few hundred inferences.
LIMIT_S, COMPILE_LIMIT_S = 300.0, 3600.0
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)(?:,)? in (?P<name>\S+)')


@dataclass(frozen=True)
class Result:
    """One check, and what came of it."""

    name: str
    about: str
    outcome: Outcome
    seconds: float


async def run_checks(
    bench: Bench,
    checks: Sequence[ModuleType],
    limit_s: float | None = None,
    begun: Callable[[str], None] = lambda name: None,
    ended: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Every check's result, in order. `limit_s` is for each of them (None: generous ones, longer
    for compile).
    """
    results: dict[str, Result] = {}
    try:
        for module in checks:
            begun(module.NAME)
            begin = time.perf_counter()
            outcome = _not_tried(module, results)
            if outcome is None:
                outcome = await _run(bench, module, limit_s)
            result = Result(module.NAME, module.ABOUT, outcome, time.perf_counter() - begin)
            results[module.NAME] = result
            ended(result)
    except BaseException:  # interrupted, or a bug: what runs in the host is not waited for
        bench.kill()
        raise
    finally:
        await bench.close()
    return list(results.values())


def _not_tried(module: ModuleType, results: Mapping[str, Result]) -> Outcome | None:
    """Why a check has nothing to look at, or None. A check that is not among those that run holds
    nobody up.
    """
    for need in module.NEEDS:
        if need in results and results[need].outcome.blocks:
            how = "failed" if results[need].outcome.status == FAIL else "was skipped"
            return skipped(f"not tried: {need} {how}")
    return None


async def _run(bench: Bench, module: ModuleType, limit_s: float | None) -> Outcome:
    try:
        if module.HOST:
            await bench.ready(limit_s or COMPILE_LIMIT_S)
        bench.limit(limit_s or (COMPILE_LIMIT_S if module.NAME == "compile" else LIMIT_S))
        return await module.check(bench)
    except UserError as error:
        await bench.close()
        return failed(" ".join(str(error).split()), "mend what the message names")
    except BackendFailed as failure:
        await bench.close()
        return _lost(failure, bench)


def _lost(failure: BackendFailed, bench: Bench) -> Outcome:
    place = vendor_place(failure.detail, bench.folder)
    reason = " ".join(str(failure).split())
    if place:
        return failed(
            f"{reason} ({place})",
            f"look at {place}; `qs check --log FILE` keeps all that was printed",
        )
    return failed(reason, "look at the end of the log; `qs check --log FILE` keeps it")


def vendor_place(text: str, folder: Path) -> str | None:
    """The backend's own line that a traceback, or the dump of a crash or a hang, is about:
    "file.py, line 12, in predict".

    Python's traceback has the innermost call last, faulthandler's dumps have it first.
    """
    frames = [
        frame for frame in _FRAME.finditer(text) if Path(frame["file"]).is_relative_to(folder)
    ]
    if not frames:
        return None
    frame = frames[0] if "most recent call first" in text else frames[-1]
    return f"{Path(frame['file']).relative_to(folder)}, line {frame['line']}, in {frame['name']}"
