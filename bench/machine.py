"""The machine that figures were taken on: what it is, what runs on it, what else kept it busy."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("numpy", "uvloop", "hdrhistogram", "onnxruntime", "mlcommons-loadgen")
_LOOK_S = 0.5


def facts() -> dict[str, Any]:
    """CPU, cores that this process may use, memory, system, whether the frequency may change."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return {
        "cpu": _cpu_name(),
        "usable_cores": usable,
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "governor": governor.read_text().strip() if governor.is_file() else None,
        "virtual": "hypervisor" in _cpu_info(),
    }


def versions() -> dict[str, str | None]:
    """Python, the packages involved (None if not installed), and the commit of this checkout."""
    found: dict[str, str | None] = {
        "python": f"{platform.python_implementation()} {platform.python_version()}"
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    found["commit"] = _commit()
    return found


class Load:
    """How busy others kept the CPUs, before the benchmark and over its whole length."""

    def __init__(self) -> None:
        self.before_percent = psutil.cpu_percent(_LOOK_S)
        self._began = time.monotonic()
        self._times = psutil.cpu_times()
        self._own_s = _own_cpu_s()

    def since(self) -> dict[str, float]:
        """Percent of all CPUs: used by others before and during the benchmark, and taken away by
        the hypervisor.
        """
        times = psutil.cpu_times()
        total = sum(times) - sum(self._times)
        spent = (
            total
            - (times.idle - self._times.idle)
            - (getattr(times, "iowait", 0) - getattr(self._times, "iowait", 0))
        )
        others = spent - (_own_cpu_s() - self._own_s)
        stolen = getattr(times, "steal", 0) - getattr(self._times, "steal", 0)
        return {
            "before_percent": self.before_percent,
            "others_percent": round(max(others, 0) / total * 100, 1) if total else 0.0,
            "stolen_percent": round(stolen / total * 100, 1) if total else 0.0,
        }


def _own_cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _cpu_info() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.is_file() else ""


def _cpu_name() -> str:
    for line in _cpu_info().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
