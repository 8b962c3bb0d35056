"""What a node says of itself: plain data, read by whoever compares nodes.

Each is None where it cannot be read. `machine` is equal for processes on one machine; `cores` are
those of its quota; `environment` has the variables for threads and accelerators, as they are in the
node's process; `open_files` is how many it may have.
"""

from __future__ import annotations

import hashlib
import os
import platform
import resource
import socket
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from qs.engine.distributed.places.node_process import machine_id
from qs.engine.machine import (
    FrequencyLog,
    folders_of,
    free_memory,
    text,
    usable_cores,
    usable_cpus,
)

KEYS = (
    "host",
    "machine",
    "address",
    "pid",
    "python",
    "implementation",
    "versions",
    "kernel",
    "cpu_model",
    "cpus",
    "cores",
    "governor",
    "mhz",
    "memory_bytes",
    "free_memory_bytes",
    "shm_bytes",
    "shm_free_bytes",
    "load_1m",
    "wall_ns",
    "monotonic_ns",
    "environment",
    "open_files",
)


PACKAGES = ("numpy", "uvloop", "hdrhistogram", "ray")
# Variables that say how many threads a library has, which devices it sees, or how it places them.
_STARTS = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "TF_NUM_", "MALLOC_")
_DEVICES = (
    "ASCEND_RT_VISIBLE_DEVICES",
    "CUDA_VISIBLE_DEVICES",
    "GPU_DEVICE_ORDINAL",
    "HABANA_VISIBLE_MODULES",
    "HIP_VISIBLE_DEVICES",
    "NEURON_RT_VISIBLE_CORES",
    "NVIDIA_VISIBLE_DEVICES",
    "ONEAPI_DEVICE_SELECTOR",
    "ROCR_VISIBLE_DEVICES",
    "TPU_VISIBLE_CHIPS",
    "ZE_AFFINITY_MASK",
)
_LONGEST = 200
_CPUS = Path("/sys/devices/system/cpu")


def facts(pid: int, address: str) -> dict[str, Any]:
    """What this process can say now, for the node's process `pid`, which has its environment;
    `address` is where it connects from.
    """
    cpus = usable_cpus()
    memory, free = _memory()
    shm, shm_free = _shm()
    return {
        "host": socket.gethostname(),
        "machine": hashlib.sha256(machine_id().encode()).hexdigest()[:16],
        "address": address,
        "pid": pid,
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "versions": {
            "qs": getattr(sys.modules.get("qs"), "__version__", None),
            **{name: _version(name) for name in PACKAGES},
        },
        "kernel": f"{platform.system()} {platform.release()}",
        "cpu_model": _cpu_model(),
        "cpus": len(cpus),
        "cores": usable_cores(),
        "governor": _governors(cpus),
        "mhz": _mhz(cpus),
        "memory_bytes": memory,
        "free_memory_bytes": free,
        "shm_bytes": shm,
        "shm_free_bytes": shm_free,
        "load_1m": _load(),
        "wall_ns": time.time_ns(),
        "monotonic_ns": time.perf_counter_ns(),
        "environment": {
            name: value[:_LONGEST]
            for name, value in sorted(os.environ.items())
            if name.startswith(_STARTS) or name in _DEVICES
        },
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }


_TEXTS = (
    "host",
    "machine",
    "address",
    "python",
    "implementation",
    "kernel",
    "cpu_model",
    "governor",
)
_TABLES = ("versions", "environment")
_MOST_ENTRIES = 200


def taken(told: Any) -> dict[str, Any]:
    """The facts that a node told, which may have told anything: texts of one line, finite numbers
    and tables of texts under their keys, and None for what is no such thing.
    """
    found = told if isinstance(told, dict) else {}
    return {key: _taken(key, found.get(key)) for key in KEYS}


def _taken(key: str, value: Any) -> Any:
    if key in _TEXTS:
        return _line(value)
    if key in _TABLES:
        if not isinstance(value, dict):
            return None
        entries = [*value.items()][:_MOST_ENTRIES]
        return {_line(name): _line(each) for name, each in entries if isinstance(name, str)}
    known = type(value) in (int, float) and abs(value) < 1 << 63  # which NaN is not
    return value if known else None


def _line(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    return "".join(each if each.isprintable() else " " for each in value[:_LONGEST])


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except Exception:  # not there, or what is there is broken
        return None


def _cpu_model() -> str | None:
    for line in (text(Path("/proc/cpuinfo")) or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() in ("model name", "cpu model") and value.strip():
            return value.strip()
    return platform.processor() or platform.machine() or None


def _governors(cpus: frozenset[int]) -> str | None:
    """Those that the usable CPUs have; usually one."""
    paths = (_CPUS / f"cpu{cpu}/cpufreq/scaling_governor" for cpu in cpus)
    return ", ".join(sorted({found for path in paths if (found := text(path))})) or None


def _mhz(cpus: frozenset[int]) -> float | None:
    log = FrequencyLog(cpus)
    log.look()
    return log.base_mhz or max(log.seen_mhz, default=None)


def _memory() -> tuple[int | None, int | None]:
    """Bytes of the machine, and how many this process may still take."""
    told = {}
    for line in (text(Path("/proc/meminfo")) or "").splitlines():
        name, _, rest = line.partition(":")
        amount, *unit = rest.split() or [""]
        if amount.isdigit() and unit == ["kB"]:
            told[name] = int(amount) * 1024
    free = [told.get("MemAvailable"), free_memory(folders_of("memory"))]
    return told.get("MemTotal"), min((each for each in free if each is not None), default=None)


def _shm() -> tuple[int | None, int | None]:
    try:
        about = os.statvfs("/dev/shm")
    except OSError:
        return None, None
    return about.f_blocks * about.f_frsize, about.f_bavail * about.f_frsize


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None
