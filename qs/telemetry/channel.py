"""What a source of readings is: its channels, and how they are read.

A gauge is a value of this moment (W, %). A counter goes up: that of a power counts joules, that of
a utilisation percent-seconds; its rate over a time is what a gauge would have shown on average.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

NAN = float("nan")


class Unit(Enum):
    """Of a gauge, or of a counter's rate."""

    WATT = "W"
    PERCENT = "%"
    CELSIUS = "°C"
    BYTES = "bytes"
    OTHER = ""


class Part(Enum):
    """Which part of the machine a channel tells of, and so whether it counts: see summary.py."""

    PACKAGE = "package"  # a processor's package, its cores and graphics included
    DRAM = "dram"
    PLATFORM = "platform"  # packages, memory and more, as the maker chose
    MACHINE = "machine"  # all of it: a meter at the power supply, a battery
    ACCELERATOR = "accelerator"
    CPU_USE = "cpu use"
    DEVICE_USE = "device use"
    ASIDE = "aside"  # shown, and counted nowhere: in another channel already, or no power


@dataclass(frozen=True)
class Channel:
    """One series of readings."""

    name: str
    unit: Unit
    part: Part = Part.ASIDE
    counter: bool = False
    wraps_at: float | None = None  # a counter begins at 0 again after this value
    own_unit: str = ""  # of Unit.OTHER: as the backend calls it


@dataclass(frozen=True)
class Unreadable:
    """What could not be read, and why."""

    what: str
    why: str


class Source(Protocol):
    """Open, and ready to be read."""

    @property
    def channels(self) -> Sequence[Channel]: ...

    def read(self) -> Sequence[float]:
        """A value for each channel, NaN where there is none now. May raise anything, and hang."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Opened:
    """What opening a source came to: it may be there in part."""

    source: Source | None
    unreadable: tuple[Unreadable, ...] = ()


# Opens a source below a root folder ("/"); may raise anything, and hang.
Opener = Callable[[Path], Opened]
