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


class PartingEntry(Part):
    """Where one answer under load leaves the idle one."""

    sample: Count = None
    piece: Count = None  # from 1
    of: Count = None
    idle: str = ""
    busy: str = ""


class TextsEntry(Part):
    """Texts under load that are those of the idle server to the last character."""

    compared: int = 0
    same: int = 0
    share: Number = None
    low: Number = None  # of its 95 % interval
    high: Number = None
    unit: str = "word"  # or token: what pieces are
    earliest: Count = None  # the first piece that differs, of those that differ
    median: Count = None
    example: PartingEntry | None = None
    idle_same: bool | None = None  # whether the idle server answers a prompt twice the same


class ScoreEntry(Part):
    """How many prompts were answered rightly, by what they say is right."""

    name: str
    items: int = 0
    right: int = 0
    unread: int = 0  # answers that make no choice: wrong ones
    value: Number = None
    low: Number = None  # of its 95 % interval
    high: Number = None


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
    texts: TextsEntry | None = None
    score: ScoreEntry | None = None
    note: str | None = None
    not_verified: str | None = None
