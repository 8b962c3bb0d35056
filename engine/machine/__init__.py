"""What the machine is and what it did meanwhile: cores, control groups, CPU times, frequencies.

The names below are for everybody; what else the modules hold is the engine's own.
"""

from __future__ import annotations

from qs.engine.machine.cgroup import cpu_folders, folders_of, free_memory, quota_cores
from qs.engine.machine.cores import host_cpus, usable_cores, usable_cpus
from qs.engine.machine.frequency import FrequencyLog
from qs.engine.machine.reading import number, text
from qs.engine.machine.times import HostTimes, host_times, sharpen_timer

__all__ = [
    "FrequencyLog",
    "HostTimes",
    "cpu_folders",
    "folders_of",
    "free_memory",
    "host_cpus",
    "host_times",
    "number",
    "quota_cores",
    "sharpen_timer",
    "text",
    "usable_cores",
    "usable_cpus",
]
