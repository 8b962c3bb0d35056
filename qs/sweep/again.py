"""The commands that a sweep recommends. Pasted, one measures what a trial measured: everything that
was typed, the setting, how long it was measured, and whatever else would settle otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from qs.base.visible import typed_word
from qs.base.words import cpu_text, typed_number
from qs.settings.request import Request
from qs.settings.settings import Settings, copies_of
from qs.settings.traffic import Traffic
from qs.sweep.grid import Axes, Combination

CLOSED = "closed_loop"
LIMIT_S = 30.0  # how long the command for a rate measures


@dataclass(frozen=True)
class Again:
    """What makes commands of the settings of one sweep."""

    # What measures the same without a setting: qs run --task T ..., qs load model.onnx ...
    one: tuple[str, ...] = ()
    # The sweep as it was typed, but for its axes, repeats and times: qs sweep --task T ...
    sweep: tuple[str, ...] = ()
    # How long a trial measured.
    seconds: float | None = None
    # --slo with the bounds, if any are stated.
    bounds: tuple[str, ...] = ()
    # What else a setting has to state, beside its axes.
    more: Callable[[Combination], Sequence[str]] = lambda combination: ()

    def setting(self, chosen: Combination) -> str | None:
        """What measures a setting once more."""
        time = () if self.seconds is None else ("--duration", seconds_word(self.seconds))
        return _line(_without(self.one, *time[:1]), chosen.flags(), self.more(chosen), time)

    def rate(self, chosen: Combination, rate_per_s: float) -> str | None:
        """What puts so many queries a second on a setting, and holds it to the bounds."""
        load = ("--rate", typed_number(rate_per_s))
        return self._held(chosen, load)

    def users(self, chosen: Combination) -> str | None:
        """What puts its clients on a setting, and holds it to the bounds."""
        return self._held(chosen, ())

    def _held(self, chosen: Combination, load: Sequence[str]) -> str | None:
        time = ("--duration", seconds_word(LIMIT_S))
        command = _without(self.one, "--duration")
        return _line(command, chosen.flags(), self.more(chosen), load, time, self.bounds)

    def tell(self, chosen: Sequence[Combination], repeats: int, seconds: float) -> str | None:
        """What sweeps these settings again, for longer."""
        times = ("--repeats", str(repeats), "--duration", seconds_word(seconds))
        return _line(self.sweep, axes_of(chosen).flags(), times)


def axes_of(chosen: Sequence[Combination]) -> Axes:
    """The smallest grid that has all of these settings."""
    return Axes(
        *(
            tuple(sorted({value for value in values if value is not None}))
            for values in zip(
                *(
                    (c.batch_size, c.clients, c.instances, c.intra_op_threads, c.pool)
                    for c in chosen
                )
            )
        )
    )


def stated(
    chosen: Combination,
    trial: Settings,
    resettled: Callable[[Request], Settings],
    asked: Request,
    cpus: Sequence[int],
) -> list[str]:
    """What a command has to state beside its axes to settle to what the trial had.

    trial      what the trial was measured with
    resettled  what a request would be measured with, by the same backend
    asked      the sweep's own request
    cpus       the CPUs that this process may use
    """
    same = replace(asked, **_values(chosen), duration=trial.duration_s.value)
    words: list[str] = []
    found = resettled(same)
    if found.scenarios.value and not trial.scenarios.value:
        words += ["--scenario", CLOSED]
        same = replace(same, traffic=Traffic(scenario=CLOSED))
    for name in ("clients", "instances", "pool", "intra_op_threads", "affinity"):
        found, wanted = resettled(same), getattr(trial, name).value
        if getattr(found, name).value == wanted:
            continue
        if name == "affinity" and wanted is None:
            # Every CPU for each of them is what no pinning comes to.
            wanted = (tuple(cpus),) * copies_of(trial)
        if wanted is None:
            continue  # the backend's own choice, which no flag states
        known: dict[str, Any] = {name: wanted}
        same = replace(same, **known)
        words += [f"--{name}", _word(wanted)]
    return words


def seconds_word(seconds: float) -> str:
    """A time as an option takes it: 3s, 0.25s."""
    return f"{typed_number(seconds)}s"


def _values(chosen: Combination) -> dict[str, Any]:
    """The axes as the options of a request."""
    axes = {name: value for name, value in chosen.to_dict().items() if value is not None}
    return {"batch_sizes": (axes.pop("batch_size"),), "best_batch_sizes": False, **axes}


def _word(value: object) -> str:
    if isinstance(value, tuple):
        return "/".join(map(cpu_text, value))
    return str(value)


def _line(*parts: Sequence[str]) -> str | None:
    return " ".join(typed_word(word) for part in parts for word in part) if parts[0] else None


def _without(command: Sequence[str], *flags: str) -> list[str]:
    """The words of a command but for some flags and their values."""
    return list(_kept(command, flags))


def _kept(command: Sequence[str], flags: Sequence[str]) -> Iterator[str]:
    words = iter(command)
    for word in words:
        if word in flags:
            next(words, None)
        elif not word.startswith(tuple(f"{flag}=" for flag in flags) or ("\0",)):
            yield word
