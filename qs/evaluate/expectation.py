"""What the cases before let one expect of the next: how long a predict takes, how much memory is
needed.
"""

from __future__ import annotations

from pathlib import Path

from qs.base.words import data_size, number
from qs.settings.case import Case
from qs.settings.settings import Origin, Setting

# Room for what the expected time leaves out: caches that no longer hold a batch, neighbours, a
# warm-up that allocates.
FACTOR = 3.0
# Not all that is free can be had: fragments, and what other programs take meanwhile.
MARGIN = 1.1
_RESET_PEAK = "5"  # proc(5), /proc/pid/clear_refs


class PredictTimeout:
    """How long one predict may take if nobody stated it: two minutes, and longer if earlier cases
    of the run, or trials of the sweep, suggest it.

    With a fixed limit, the largest batch of a large model on a small machine would pass for a hang.
    What is stated, by --predict_timeout or the backend's QS config, holds as it is.
    """

    def __init__(self) -> None:
        # batch size, clients, longest service time in s
        self._seen: list[tuple[int, int, float]] = []

    def learn(self, case: Case, longest_s: float) -> None:
        """A case has ended, and its slowest query took that long after it was issued."""
        self._seen.append((case.batch_size, case.clients, longest_s))

    def of(self, case: Case, settled: Setting[float]) -> Setting[float]:
        """The limit of one predict in this case, in s: `settled` if somebody chose it or it is long
        enough, else a longer one.

        Time is expected to grow at most linearly with the batch size, and with the clients, which
        may share one device.
        """
        if settled.origin != Origin.DEFAULT:
            return settled
        expected_s = max((_scaled(case, *each) for each in self._seen), default=0.0)
        if FACTOR * expected_s <= settled.value:
            return settled
        return Setting(FACTOR * expected_s, f"{number(FACTOR)} times what earlier cases suggest")


def _scaled(case: Case, batch_size: int, clients: int, longest_s: float) -> float:
    return longest_s * max(1.0, case.batch_size / batch_size) * max(1.0, case.clients / clients)


Seen = tuple[Case, int, int]  # a case, bytes after loading, bytes at most


class Footprint:
    """Resident memory of the backend's process, and whether a case will fit: the kernel ends what
    does not, and at times others with it. Linux only; elsewhere nothing is known, and every case is
    tried.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._loaded = 0
        self._seen: list[Seen] = []
        self._kills = 0

    def loaded(self, pid: int | None) -> None:
        """The case's model is loaded; whatever is taken from now on belongs to the case."""
        self._loaded = self._status(pid, "VmRSS") or 0
        self._kills = self._killed()
        if pid is not None:
            try:
                (self._proc / str(pid) / "clear_refs").write_text(_RESET_PEAK)
            except OSError:
                # then the peak is that of the process's life, which is that of its largest batch so
                # far
                pass

    def ended(self, pid: int | None, case: Case) -> int | None:
        """The case's peak in bytes; None if it is unknown."""
        peak = self._status(pid, "VmHWM")
        if peak:
            self._seen.append((case, self._loaded, peak))
        return peak

    @property
    def ran_out(self) -> bool:
        """Whether the kernel has ended a process for lack of memory since the case was loaded."""
        return self._killed() > self._kills

    def _killed(self) -> int:
        try:
            lines = (self._proc / "vmstat").read_text().splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)

    def lacking(self, pid: int | None, case: Case) -> str | None:
        """Why the case would not fit; None if it will, or nothing like it was measured."""
        alike = sorted(
            (each for each in self._seen if _layout(each[0]) == _layout(case)), key=_size
        )
        free = self._free(pid)
        if free is None or not alike or case.batch_size <= _size(alike[-1]):
            return None
        needed = _expected(case.batch_size, alike)
        if MARGIN * needed <= free:
            return None
        largest, _, peak = alike[-1]
        return (
            f"it would need about {data_size(needed)} of memory, and {data_size(free)} can be had "
            f"(batch size {largest.requested_batch_size} took {data_size(peak)}); "
            "fewer --clients take less"
        )

    def _free(self, pid: int | None) -> int | None:
        """How large the process may grow: what is available, and what it has."""
        from qs.engine.machine import folders_of, free_memory

        available = _kilobytes(self._proc / "meminfo", "MemAvailable")
        held = self._status(pid, "VmRSS")
        if available is None or held is None:
            return None
        allowed = free_memory(folders_of("memory"))
        return held + (available if allowed is None else min(available, allowed))

    def _status(self, pid: int | None, name: str) -> int | None:
        return None if pid is None else _kilobytes(self._proc / str(pid) / "status", name)


def _layout(case: Case) -> tuple[object, ...]:
    return case.clients, case.pool, case.instances


def _size(seen: Seen) -> int:
    return seen[0].batch_size


def _expected(batch_size: int, alike: list[Seen]) -> float:
    """Memory grows with the batch: along the line through the two largest sizes, or from what was
    loaded through the only one. `alike` ascends by size.
    """
    largest, loaded, peak = alike[-1]
    smaller = [each for each in alike if _size(each) < largest.batch_size]
    size, least = (_size(smaller[-1]), smaller[-1][2]) if smaller else (0, loaded)
    slope = max(peak - least, 0) / (largest.batch_size - size)
    return peak + slope * (batch_size - largest.batch_size)


def _kilobytes(path: Path, name: str) -> int | None:
    """The line "name:   123 kB", in bytes."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    values = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(values[0]) * 1024 if values else None
