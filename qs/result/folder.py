"""Where the files of a result lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qs.result.result import Kind


@dataclass(frozen=True)
class ReportFolder:
    """The files of one task on one backend, all in `<out>/<HARDWARE>/<model>/`. Runs of one model
    differ by the precision in their names.
    """

    path: Path
    precision: str
    kind: Kind = Kind.RUN

    @property
    def result(self) -> Path:
        stem = self.kind if self.kind in (Kind.SWEEP, Kind.NUMERIC) else "result"
        return self.path / f"{stem}-{self.precision}.json"

    @property
    def compile_result(self) -> Path:
        return self.path / f"compile-{self.precision}.json"

    @property
    def answers(self) -> Path:
        return self.path / f"answers-{self.precision}.json"

    @property
    def page(self) -> Path:
        return self.path / ("sweep.html" if self.kind == Kind.SWEEP else "report.html")

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    def histogram(self, case: str) -> Path:
        return self.path / "latency" / f"{self._stem}-{case}.hlog"

    def forget_histograms(self) -> None:
        """Remove an earlier run's logs of this precision, lest one pass for this run's."""
        for old in (self.path / "latency").glob(f"{self._stem}-*.hlog"):
            old.unlink(missing_ok=True)

    @property
    def _stem(self) -> str:
        return f"sweep-{self.precision}" if self.kind == Kind.SWEEP else self.precision
