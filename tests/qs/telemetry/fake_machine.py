"""A machine's /sys and /proc as a folder, for tests: written by name, read by the real sources."""

from __future__ import annotations

import time
from pathlib import Path

from qs.telemetry.channel import Channel, Opened, Part, Unit, Unreadable

STAT = "cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 {busy} 0 0 {idle} 0 0 0 0 0 0\nintr 1 2 3\n"


def write(root: Path, **files: object) -> Path:
    """Files below `root`; a double underscore in a name stands for a slash."""
    for name, value in files.items():
        put(root, name.replace("__", "/"), value)
    return root


def put(root: Path, path: str, value: object) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{value}\n")
    return file


def rapl(root: Path, domain: str, name: str, uj: object, wraps: int = 262_143_328_850) -> Path:
    """One domain: `intel-rapl:0`, `intel-rapl:0:1`. The file of its counter."""
    folder = f"sys/class/powercap/{domain}"
    put(root, f"{folder}/name", name)
    put(root, f"{folder}/max_energy_range_uj", wraps)
    return put(root, f"{folder}/energy_uj", uj)


def chip(root: Path, number: int, driver: str, **files: object) -> Path:
    """One chip of hwmon, with its files."""
    folder = f"sys/class/hwmon/hwmon{number}"
    put(root, f"{folder}/name", driver)
    for name, value in files.items():
        put(root, f"{folder}/{name}", value)
    return root / folder


def battery(root: Path, name: str = "BAT0", status: str = "Discharging", **files: object) -> None:
    folder = f"sys/class/power_supply/{name}"
    put(root, f"{folder}/type", "Battery")
    put(root, f"{folder}/status", status)
    for file, value in files.items():
        put(root, f"{folder}/{file}", value)


class NVMLError(Exception):
    """As nvidia-ml-py raises it."""


class FakeNvml:
    """The functions of nvidia-ml-py that are called. Each GPU: power in W, energy in J (None: not
    supported), utilisation in %, memory in bytes.
    """

    NVMLError = NVMLError

    def __init__(self, *gpus: dict, fault: str = ""):
        self.gpus, self.fault = list(gpus), fault
        self.shut_down = 0

    def nvmlInit(self):
        if self.fault:
            raise NVMLError(self.fault)

    def nvmlShutdown(self):
        self.shut_down += 1

    def nvmlDeviceGetCount(self):
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, number):
        return self.gpus[number]

    def nvmlDeviceGetUUID(self, gpu):
        number = next(at for at, each in enumerate(self.gpus) if each is gpu)
        return f"GPU-{number}abc".encode()

    def _value(self, gpu, name):
        if gpu.get(name) is None:
            raise NVMLError("Not Supported")
        return gpu[name]

    def nvmlDeviceGetPowerUsage(self, gpu):
        return self._value(gpu, "power_w") * 1000

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu):
        return self._value(gpu, "energy_j") * 1000

    def nvmlDeviceGetUtilizationRates(self, gpu):
        return type("Rates", (), {"gpu": self._value(gpu, "use")})

    def nvmlDeviceGetMemoryInfo(self, gpu):
        return type("Memory", (), {"used": self._value(gpu, "memory")})


class Steady:
    """A source whose channels are steady: a counter's rate, or a gauge's value."""

    def __init__(self, rates: dict[Channel, float]):
        self.channels = tuple(rates)
        self._rates = tuple(rates.values())

    def read(self):
        now_s = time.perf_counter()
        return [
            rate * now_s if channel.counter else rate
            for channel, rate in zip(self.channels, self._rates)
        ]

    def close(self):
        pass


PACKAGE = Channel("package-0", Unit.WATT, Part.PACKAGE, counter=True)
DRAM = Channel("dram-0", Unit.WATT, Part.DRAM, counter=True)
CPUS = Channel("CPUs", Unit.PERCENT, Part.CPU_USE, counter=True)


def machine(watts: float = 50.0, dram: float = 5.0):
    """A machine that draws 55 W whatever it does, for `qs.telemetry.watching.SOURCES`."""
    return {
        "RAPL": lambda root: Opened(Steady({PACKAGE: watts, DRAM: dram})),
        "hwmon": lambda root: Opened(None, (Unreadable("hwmon", "no sensor of power"),)),
        "system": lambda root: Opened(Steady({CPUS: 60.0})),
    }
