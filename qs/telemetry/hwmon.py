"""Sensors of the kernel's hardware monitoring (/sys/class/hwmon): power in uW, energy in uJ, and
the temperature of processors and accelerators.

Which part of the machine a chip's sensor tells of is known by its driver's name. A driver that is
not known here is shown, and counted in no sum.
"""

from __future__ import annotations

from pathlib import Path

from qs.telemetry.channel import Channel, Opened, Part, Unit, Unreadable
from qs.telemetry.files import NumberFile, Numbers, folders, reason, text

FOLDER = "sys/class/hwmon"
NONE = "the kernel shows no sensor of power (no /sys/class/hwmon/*/power* or energy*)"
MOST = 32  # sensors
# Chips whose sensor measures the power of the whole, by their drivers.
PARTS = {
    "power_meter": Part.MACHINE,
    "amdgpu": Part.ACCELERATOR,
    "i915": Part.ACCELERATOR,
    "xe": Part.ACCELERATOR,
    "habanalabs": Part.ACCELERATOR,
    "fam15h_power": Part.PACKAGE,
}
# What these measure counts only beside this file: the sensor of graphics that are part of a
# processor tells of all of that.
DISCRETE = {"amdgpu": "power1_cap"}
# Of those: which of their sensors is the whole ("" has no label).
WHOLE = ("", "ppt", "pkg", "card", "total")
SOCKET = "esocket"  # amd_energy: a counter for each socket beside those of the cores
# Drivers whose temperature tells of what computes, and the labels that do.
HOT = {
    "coretemp": ("package",),
    "k10temp": ("tctl", "tdie"),
    "zenpower": ("tdie",),
    "amdgpu": ("edge", "junction"),
}


def open_hwmon(root: Path) -> Opened:
    """Every sensor of power or energy that can be read, and some temperatures."""
    found: list[tuple[Channel, NumberFile, float]] = []
    unreadable: list[Unreadable] = []
    counted: set[str] = set()  # chips whose power counts already
    for chip in folders(root / FOLDER):
        driver = text(chip / "name") or chip.name
        for path in _sensors(chip, driver):
            label = _label(path)
            name = f"{driver} {chip.name.removeprefix('hwmon')}" + (f" {label}" if label else "")
            try:
                file = NumberFile(path)
            except ValueError:
                unreadable.append(Unreadable(f"hwmon {name}", f"{path.name} holds no number"))
                continue
            except OSError as error:
                unreadable.append(Unreadable(f"hwmon {name}", reason(error)))
                continue
            if len(found) == MOST:
                file.close()
                break
            made, factor = _channel(path, driver, label, name)
            if made.part is not Part.ASIDE and not _socket(label):
                if chip.name in counted:
                    made = Channel(made.name, made.unit, Part.ASIDE, made.counter)
                counted.add(chip.name)
            found.append((made, file, factor))
    if not any(channel.unit is Unit.WATT for channel, _, _ in found) and not unreadable:
        unreadable.append(Unreadable("hwmon", NONE))
    return Opened(Numbers(found) if found else None, tuple(unreadable[:MOST]))


def _sensors(chip: Path, driver: str) -> list[Path]:
    """Counters of energy first: they miss nothing."""
    numbers = [
        path
        for pattern in ("energy*_input", "power*_average", "power*_input")
        for path in sorted(chip.glob(pattern))
    ]
    # Of a chip that shows both, the average is the better reading of the same sensor.
    numbers = [
        path
        for path in numbers
        if not path.name.startswith("power")
        or path.name.endswith("_average")
        or path.with_name(path.name.replace("_input", "_average")) not in numbers
    ]
    hot = HOT.get(driver, ())
    warm = [
        path
        for path in sorted(chip.glob("temp*_input"))
        if any(_label(path).lower().startswith(word) for word in hot)
    ]
    return numbers + warm


def _label(path: Path) -> str:
    return text(path.with_name(f"{path.name.partition('_')[0]}_label"))


def _socket(label: str) -> bool:
    return label.lower().startswith(SOCKET)


def _channel(path: Path, driver: str, label: str, name: str) -> tuple[Channel, float]:
    """The channel of a sensor, and the factor of its numbers."""
    file = path.name
    if file.startswith("temp"):
        return Channel(name, Unit.CELSIUS), 1e-3
    counter = file.startswith("energy")
    whole = label.lower() in WHOLE
    discrete = driver not in DISCRETE or path.with_name(DISCRETE[driver]).exists()
    part = PARTS.get(driver, Part.ASIDE) if whole and discrete else Part.ASIDE
    if driver == "amd_energy" and _socket(label):
        part = Part.PACKAGE
    return Channel(name, Unit.WATT, part, counter), 1e-6
