"""What machine and which versions a result was measured with. Read once, before the measured phase;
it changes nothing.
"""

from __future__ import annotations

import os
import platform
from importlib import metadata

PACKAGES = ("numpy", "onnxruntime", "onnx", "hdrhistogram", "uvloop")


def cpu_name() -> str:
    """The processor's name as the kernel states it, else what the platform says."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.lower().startswith(("model name", "cpu model")):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def usable_cpus() -> list[int]:
    """The CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


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
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
