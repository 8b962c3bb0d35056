"""telemetry(), where a backend has it: what it states can be read, while predict runs in another
thread, and what counts up does so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from qs.conformance.outcome import Outcome, Problem, judged, skipped
from qs.conformance.service import ConformanceService
from qs.inside.stating import telemetry_of
from qs.telemetry.channel import Part, Unit
from qs.telemetry.follower import said
from qs.telemetry.series import LEAST_CELSIUS, MOST
from qs.telemetry.stated import ENERGY, POWER, checked, plain

CALLS, PAUSE_S = 3, 0.05
LONGEST_S = 1.0  # it is called about once a second
NONE = "there is no telemetry(): the report has what the machine itself shows"


def observe_telemetry(service: ConformanceService, batch_size: int) -> dict[str, Any]:
    """{"there", "fault", "seconds": of the longest call, "answers"}: what a few calls gave while
    this thread predicted.
    """
    opened = service.opened(batch_size, samples=1)
    method = telemetry_of(service.backend)
    seen: dict[str, Any] = {"there": method is not None, "fault": "", "seconds": 0.0, "answers": []}
    if method is None:
        return seen
    thread = threading.Thread(target=_ask, args=(method, seen), daemon=True)
    thread.start()
    while thread.is_alive():
        opened.raw(opened.samples[0])
    return seen


def _ask(method: Callable[[], Any], seen: dict[str, Any]) -> None:
    try:
        for _ in range(CALLS):
            begin = time.monotonic()
            answer = method()
            seen["seconds"] = max(seen["seconds"], time.monotonic() - begin)
            checked(answer)
            seen["answers"].append(plain(answer))
            time.sleep(PAUSE_S)
    except NotImplementedError:
        seen["there"] = False
    except (Exception, SystemExit) as error:
        seen["fault"] = str(error) if isinstance(error, ValueError) else f"raised {said(error)}"


def judge_telemetry(seen: dict[str, Any]) -> Outcome:
    if not seen["there"]:
        return skipped(NONE)
    if seen["fault"]:
        fix = "return a dict of finite numbers: see RuntimeBackend.telemetry"
        return judged([Problem(f"telemetry(): {seen['fault']}", fix)], "", blocks=False)
    problems = list(_strange(seen["answers"]))
    if seen["seconds"] > LONGEST_S:
        fix = "let a thread of your own read the device, and return what it read last"
        problems.append(Problem(f"a call took {seen['seconds']:.1f} s, allowed 1 s", fix))
    last = checked(seen["answers"][-1])
    shown = ", ".join(f"{channel.name} {value:g}" for channel, value in list(last.items())[:6])
    counts = [channel.name for channel in last if channel.part is Part.ACCELERATOR]
    in_power = f"{counts[-1]} counts" if counts else f"no {POWER} or {ENERGY}, so nothing counts"
    good = f"states {shown or 'nothing'}; {in_power} in the report's power"
    return judged(problems, f"{good}; {seen['seconds'] * 1e3:.1f} ms a call", blocks=False)


def _strange(answers: list[dict[str, Any]]) -> Any:
    """Values that no device has, and counters that do not count."""
    series: dict[Any, list[float]] = {}
    for answer in answers:
        for channel, value in checked(answer).items():
            series.setdefault(channel, []).append(value)
    for channel, values in series.items():
        least = {Unit.CELSIUS: LEAST_CELSIUS, Unit.OTHER: -MOST[Unit.OTHER]}.get(channel.unit, 0.0)
        most = MOST[Unit.OTHER] if channel.counter else MOST[channel.unit]
        strange = next((value for value in values if not least <= value <= most), None)
        if strange is not None:
            fix = f"state it from {least:g} to {most:g}"
            yield Problem(f"telemetry(): {channel.name} is {strange:g}", fix)
        elif channel.counter and sorted(values) != values:
            fix = "count up from the start of the process"
            yield Problem(f"telemetry(): the counter {channel.name} went backwards", fix)
