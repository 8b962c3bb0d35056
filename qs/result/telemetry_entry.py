"""The machine's power and utilisation beside a row's numbers: what was read, of what the power is
the sum, and what could not be read.
"""

from __future__ import annotations

from qs.result.part import Count, Number, Part


class UnreadableEntry(Part):
    """What could not be read, and why."""

    what: str
    why: str


class ReadingEntry(Part):
    """One channel of one source, over the measured phase."""

    source: str
    name: str
    unit: str = ""
    kind: str = "gauge"
    counted: bool = False  # whether it is in the machine's power
    mean: Number = None
    peak: Number = None
    energy_j: Number = None
    readings: Count = None


class SeriesEntry(Part):
    """Means over windows of the measured phase; null where nothing was read."""

    at_s: list[float] = []
    power_w: list[Number] | None = None
    cpu_percent: list[Number] | None = None
    device_percent: list[Number] | None = None


class TelemetryEntry(Part):
    """Where a row's power, energy and utilisation come from."""

    phase: str = "measured"  # or "benchmark call"
    length_s: Number = None
    window_s: Number = None  # over which the peak is a mean
    energy_j: Number = None
    counted: list[str] = []
    readings: list[ReadingEntry] = []
    series: SeriesEntry | None = None
    not_readable: list[UnreadableEntry] = []
    sampler_cpu_s: Number = None  # CPU time of the threads that read
    sampler_share_of_core: Number = None
    backend_cpu_s: Number = None  # the same of the backend's telemetry()
    note: str | None = None

    @property
    def power_not_readable(self) -> str:
        """Why there is no power, in one line; "" if there is."""
        if self.energy_j is not None:
            return ""
        reasons = [f"{each.what}: {each.why}" for each in self.not_readable]
        return "; ".join(reasons) or "the system shows none"
