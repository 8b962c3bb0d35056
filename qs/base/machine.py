"""The machine and the versions that a result was measured with. Read once, before the measured
phase; nothing is changed.
"""

from __future__ import annotations

import os
import platform
from importlib import metadata

from qs.engine import machine as engine_machine

PACKAGES = ("numpy", "onnxruntime", "onnx", "hdrhistogram", "uvloop")


def cpu_name() -> str:
    """The processor's name as the kernel states it, else as the platform module does."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.lower().startswith(("model name", "cpu model")):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def usable_cpus() -> list[int]:
    """The CPUs that this process may run on, ascending."""
    return sorted(engine_machine.usable_cpus())


def python_version() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}"


def package_versions() -> dict[str, str]:
    """Of those installed packages that may matter to a measurement."""
    return {name: found for name in PACKAGES if (found := _version(name))}


def describe() -> dict[str, object]:
    """Plain data for the report's `Host` section."""
    import psutil

    memory = psutil.virtual_memory()
    load = os.getloadavg() if hasattr(os, "getloadavg") else None
    return {
        "CPU": cpu_name(),
        "Logical CPUs": os.cpu_count(),
        "Physical Cores": psutil.cpu_count(logical=False),
        "Usable CPUs": usable_cpus(),
        "Memory Bytes": memory.total,
        "Memory Available Bytes": memory.available,
        "Load Average": list(load) if load else None,
        "System": platform.platform(),
        "Python": python_version(),
        "Packages": package_versions(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
