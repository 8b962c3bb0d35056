"""The machine and package versions of a measurement. Read once, before the measured phase."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from qs.engine import machine as engine_machine

PACKAGES = ("numpy", "onnxruntime", "onnx", "hdrhistogram", "uvloop")


def cpu_name() -> str:
    """The processor's name according to the kernel, else to the platform module."""
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
    """Versions of the installed packages that may affect a measurement."""
    return {name: found for name in PACKAGES if (found := _version(name))}


def describe() -> dict[str, object]:
    """The report's `Host` section, as plain data."""
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
