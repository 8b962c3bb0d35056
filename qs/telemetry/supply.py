"""What a battery gives while it discharges (/sys/class/power_supply): the power of a whole laptop,
its screen included. Nothing is told of a machine at the mains.
"""

from __future__ import annotations

from pathlib import Path

from qs.telemetry.channel import NAN, Channel, Opened, Part, Unit, Unreadable
from qs.telemetry.files import NumberFile, folders, reason, text

FOLDER = "sys/class/power_supply"
MAINS = "the battery is not discharging, so that it does not tell the machine's power"


class Battery:
    """One battery: power_now in uW, or the product of its current and its voltage."""

    def __init__(self, folder: Path):
        self.channels = (Channel(folder.name, Unit.WATT, Part.MACHINE),)
        names = (
            ("power_now",) if (folder / "power_now").exists() else ("current_now", "voltage_now")
        )
        self._factor = 1e-6 if len(names) == 1 else 1e-12
        self._files = [NumberFile(folder / name) for name in names]
        self._status = folder / "status"

    def read(self) -> list[float]:
        if text(self._status) != "Discharging":
            return [NAN]
        value = self._factor
        for file in self._files:
            value *= abs(file.read())  # some drivers give a discharge as a negative current
        return [value]

    def close(self) -> None:
        for file in self._files:
            file.close()


def open_supply(root: Path) -> Opened:
    """The first battery that is discharging. A machine without one has nothing to say here."""
    unreadable: list[Unreadable] = []
    for folder in folders(root / FOLDER):
        if text(folder / "type") != "Battery" or text(folder / "scope") == "Device":
            continue  # a mains adapter, a mouse
        if text(folder / "status") != "Discharging":
            unreadable.append(Unreadable(f"battery {folder.name}", MAINS))
            continue
        try:
            return Opened(Battery(folder), tuple(unreadable))
        except ValueError:
            unreadable.append(Unreadable(f"battery {folder.name}", "it states no power"))
        except OSError as error:
            unreadable.append(Unreadable(f"battery {folder.name}", reason(error)))
    return Opened(None, tuple(unreadable))
