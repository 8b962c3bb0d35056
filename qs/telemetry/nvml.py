"""NVIDIA's management library, through nvidia-ml-py: power, energy, utilisation and memory of each
GPU. The package is an extra of ours ("nvidia"), and the library comes with the driver.

The GPUs are those that CUDA_VISIBLE_DEVICES names, all where it is not set.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from qs.telemetry.channel import NAN, Channel, Opened, Part, Unit, Unreadable

NAME = "NVML"
VISIBLE = "CUDA_VISIBLE_DEVICES"
MOST = 16  # GPUs
MISSING = (
    "there is an NVIDIA driver, but not the package nvidia-ml-py: "
    "pip install 'quicksilver-perf[nvidia]'"
)
DRIVER = "proc/driver/nvidia"
PERMILLE = 1e-3


class Gpus:
    """The GPUs that were found. The library is shut down when they are let go of."""

    def __init__(self, nvml: Any, handles: Mapping[int, Any]):
        self._nvml = nvml
        readers: list[tuple[Channel, Callable[[], float]]] = []
        for number, handle in handles.items():
            readers += self._of(f"GPU {number}", handle)
        self.channels: Sequence[Channel] = tuple(channel for channel, _ in readers)
        self._readers = [read for _, read in readers]

    def _of(self, name: str, handle: Any) -> list[tuple[Channel, Callable[[], float]]]:
        nvml = self._nvml
        energy: tuple[Channel, Callable[[], float]] = (
            Channel(name, Unit.WATT, Part.ACCELERATOR, counter=True),
            lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) * PERMILLE,
        )
        power: tuple[Channel, Callable[[], float]] = (
            Channel(name, Unit.WATT, Part.ACCELERATOR),
            lambda: nvml.nvmlDeviceGetPowerUsage(handle) * PERMILLE,
        )
        use: tuple[Channel, Callable[[], float]] = (
            Channel(f"{name} use", Unit.PERCENT, Part.DEVICE_USE),
            lambda: float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
        )
        memory: tuple[Channel, Callable[[], float]] = (
            Channel(f"{name} memory", Unit.BYTES),
            lambda: float(nvml.nvmlDeviceGetMemoryInfo(handle).used),
        )
        found = [each for each in (use, memory) if self._answers(each[1])]
        # The counter is there since Volta, and misses nothing between two readings.
        first = next((each for each in (energy, power) if self._answers(each[1])), None)
        return found if first is None else [first, *found]

    def _answers(self, read: Callable[[], float]) -> bool:
        try:
            read()
        except self._nvml.NVMLError:
            return False
        return True

    def read(self) -> list[float]:
        return [self._one(read) for read in self._readers]

    def _one(self, read: Callable[[], float]) -> float:
        try:
            return read()
        except self._nvml.NVMLError:
            return NAN

    def close(self) -> None:
        self._nvml.nvmlShutdown()


def open_nvml(root: Path, nvml: Any = None, environ: Mapping[str, str] | None = None) -> Opened:
    """The GPUs that are visible. `nvml` stands in for the library's module."""
    if nvml is None:
        try:
            nvml = importlib.import_module("pynvml")
        except ImportError:
            if (root / DRIVER).exists():
                return Opened(None, (Unreadable(NAME, MISSING),))
            return Opened(None)  # without a driver there is nothing to be said
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return Opened(None, (Unreadable(NAME, f"the driver's library: {error}"),))
    try:
        gpus = Gpus(nvml, _visible(nvml, os.environ if environ is None else environ))
    except BaseException as error:
        nvml.nvmlShutdown()
        if isinstance(error, nvml.NVMLError):
            return Opened(None, (Unreadable(NAME, f"the driver's library: {error}"),))
        raise
    silent = [
        Unreadable(f"{NAME} GPU {number}", "it tells no power")
        for number in gpus_of(gpus.channels, Unit.PERCENT) - gpus_of(gpus.channels, Unit.WATT)
    ]
    if gpus.channels:
        return Opened(gpus, tuple(silent))
    nvml.nvmlShutdown()
    return Opened(None, (Unreadable(NAME, "it shows no GPU"),))


def gpus_of(channels: Sequence[Channel], unit: Unit) -> set[int]:
    """The numbers of the GPUs that have a channel of this unit."""
    return {int(each.name.split()[1]) for each in channels if each.unit is unit}


def _visible(nvml: Any, environ: Mapping[str, str]) -> dict[int, Any]:
    """Number -> handle. CUDA takes numbers, or beginnings of unique names, and stops at the first
    that it does not know.
    """
    count = min(nvml.nvmlDeviceGetCount(), MOST)
    every = {number: nvml.nvmlDeviceGetHandleByIndex(number) for number in range(count)}
    stated = environ.get(VISIBLE)
    if stated is None:
        return every
    names = {number: _text(nvml.nvmlDeviceGetUUID(handle)) for number, handle in every.items()}
    chosen: dict[int, Any] = {}
    for word in filter(None, (part.strip() for part in stated.split(","))):
        known = [
            number
            for number in every
            if word == str(number)
            or (word.startswith(("GPU-", "MIG-")) and names[number].startswith(word))
        ]
        if not known:
            break
        chosen[known[0]] = every[known[0]]
    return chosen


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
