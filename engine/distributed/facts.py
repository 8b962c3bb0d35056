"""What a node says of itself: plain data, read by whoever compares nodes.

Keys, each missing or None where it cannot be read:

host, machine (equal for processes on one machine), pid, python, implementation, versions (by
package), kernel, cpu_model, cpus (usable), cores (of its quota), governor, mhz, memory_bytes,
free_memory_bytes, shm_bytes, shm_free_bytes, load_1m, wall_ns, monotonic_ns, environment (variables
for threads and accelerators, as they are in the node process), open_files (how many it may have).
"""

from __future__ import annotations

from typing import Any

KEYS = (
    "host",
    "machine",
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


def facts() -> dict[str, Any]:
    """What this process can say now."""
    return dict.fromkeys(KEYS)
