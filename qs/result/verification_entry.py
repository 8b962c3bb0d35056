"""Whether the answers given under load were right."""

from __future__ import annotations

from qs.result.part import Count, Number, Part


class WorstAnswer(Part):
    """The answer that differs most from the one given when idle."""

    request: Count = None
    worker: str | None = None  # "2.0": instance 2, its first worker
    sample: Count = None
    output: str | None = None
    apart: Number = None
    why: str | None = None


class VerificationEntry(Part):
    """Answers under load against those given when idle."""

    mode: str | None = None
    requests: int = 0
    checked: int = 0
    unchecked: int = 0
    wrong: int = 0
    worst: WorstAnswer | None = None
    tolerance: Number = None
    idle_repeat: Number = None
    note: str | None = None
    not_verified: str | None = None
