"""The energy counters of x86 processors (Running Average Power Limit), as Linux shows them in
/sys/class/powercap: of each package, of its cores, of the memory, of the whole platform.

The processor computes them with a model of itself, except for what its maker measures. Since
CVE-2020-8694 only root may read them, unless the system's administrator allows it.
"""

from __future__ import annotations

from pathlib import Path

from qs.telemetry.channel import Channel, Opened, Part, Unit, Unreadable
from qs.telemetry.files import NumberFile, Numbers, folders, reason, text

FOLDER = "sys/class/powercap"
UJ = 1e-6
NONE = "the kernel shows no energy counters (no /sys/class/powercap/intel-rapl*)"
# The same counters may be shown twice: by registers of the CPU, and by those mapped into memory.
PATTERNS = ("intel-rapl:*", "intel-rapl-mmio:*", "amd-rapl:*")
PARTS = {"package": Part.PACKAGE, "dram": Part.DRAM, "psys": Part.PLATFORM}


def open_rapl(root: Path) -> Opened:
    """Every domain that can be read; the others with the reason."""
    found: list[tuple[Channel, NumberFile, float]] = []
    unreadable: dict[str, str] = {}
    seen: set[str] = set()
    for pattern in PATTERNS:
        for folder in folders(root / FOLDER, pattern):
            name = _name(root, folder)
            if name in seen:
                continue
            try:
                file = NumberFile(folder / "energy_uj")
            except OSError as error:
                unreadable.setdefault(name, reason(error))
                continue
            except ValueError:
                unreadable.setdefault(name, "energy_uj holds no number")
                continue
            seen.add(name)
            part = PARTS.get(name.partition("-")[0], Part.ASIDE)
            wraps = text(folder / "max_energy_range_uj")
            wraps_at = float(wraps) * UJ if wraps.isdigit() and int(wraps) else None
            found.append((Channel(name, Unit.WATT, part, True, wraps_at), file, UJ))
    left = {name: why for name, why in unreadable.items() if name not in seen}
    if not found and not left:
        return Opened(None, (Unreadable("RAPL", NONE),))
    if not found and len(set(left.values())) == 1:
        return Opened(None, (Unreadable("RAPL", next(iter(left.values()))),))
    missing = tuple(Unreadable(f"RAPL {name}", why) for name, why in left.items())
    return Opened(Numbers(found) if found else None, missing)


def _name(root: Path, folder: Path) -> str:
    """package-0, psys, or a part of a package: dram-0, core-1. Packages of several sockets have
    domains of equal names.
    """
    name = text(folder / "name") or folder.name
    parts = folder.name.split(":")
    if len(parts) < 3:
        return name
    package = text(root / FOLDER / ":".join(parts[:2]) / "name").removeprefix("package-")
    return f"{name}-{package or parts[1]}"
