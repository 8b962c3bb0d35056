"""Which backends were named, and which options are of one backend alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from qs.base.errors import Fault, Faults
from qs.base.names import nearest
from qs.settings.request import Request

FLAG = "--hardware_type"
MOST = 8
ROUNDS = 3


def names_in(text: str) -> tuple[str, ...]:
    """The backends of `CPU,OPENVINO,TORCH`, as they were typed. Raises Faults for empty parts, for
    one that is named twice, and for too many.
    """
    names = [part.strip() for part in text.split(",")]
    faults = []
    if not all(names):
        faults.append(Fault(FLAG, "", text, "names of backends with one comma between them"))
    folded = [name.casefold() for name in names if name]
    for name in dict.fromkeys(each for each in folded if folded.count(each) > 1):
        allowed = f"each backend once; {_typed(name, names)} is named {folded.count(name)} times"
        faults.append(Fault(FLAG, "", text, allowed))
    if len(names) > MOST:
        faults.append(Fault(FLAG, "", text, f"at most {MOST} backends"))
    if faults:
        raise Faults(faults)
    return tuple(names)


def _typed(folded: str, names: Sequence[str]) -> str:
    return next(name for name in names if name.casefold() == folded)


def answers_of(given: Path | None, names: Sequence[str]) -> dict[str, Path]:
    """The answers file of each backend that has one, of `CPU=cpu.json,OPENVINO=ov.json`, by the
    backend's name as it was typed. Raises Faults.
    """
    if given is None:
        return {}
    text, form = str(given), ",".join(f"{name}=FILE" for name in names)
    known = {name.casefold(): name for name in names}
    found: dict[str, Path] = {}
    faults = []
    for part in text.split(","):
        name, equals, path = part.partition("=")
        name = name.strip()
        if not equals or not path.strip():
            hint = "backends ask different questions; those without a file take their defaults"
            faults.append(
                Fault("--answers", "", part, f"a file for each backend: {form}", hint=hint)
            )
        elif name.casefold() not in known:
            allowed = f"a backend of {FLAG}: {', '.join(names)}"
            faults.append(Fault("--answers", "", name, allowed, nearest(name, list(names))))
        elif known[name.casefold()] in found:
            faults.append(Fault("--answers", "", part, f"one file for {name}"))
        else:
            found[known[name.casefold()]] = Path(path.strip())
    if faults:
        raise Faults(faults)
    return found


def unsupported(request: Request) -> Iterator[Fault]:
    """Options that mean nothing for several backends."""
    alone = "one backend"
    stated = (
        ("--compiled", request.compiled, "a compile result is of the backend that made it"),
        ("--compile_only", request.compile_only, "nothing would be measured, so nothing compared"),
        ("--in_process", request.in_process, "a debugger is for one backend"),
        ("--raw", request.raw, "the file holds the requests of one run"),
        ("--web", request.web is not None, "the live page shows one run"),
        ("--metrics", request.metrics, "the metrics are of one run"),
    )
    for flag, value, why in stated:
        if value:
            shown = "" if value is True else str(value)
            yield Fault(flag, "", shown, alone, hint=f"{why}: measure one backend with it")
    if request.engine == "never":
        hint = "numbers that each backend took of itself are not of one clock"
        yield Fault("--engine", "", "never", "auto or always, with several backends", hint=hint)
