"""A machine's /sys and /proc as a folder, for tests: written by name, read by the real sources."""

from __future__ import annotations

from pathlib import Path

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
