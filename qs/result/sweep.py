"""What a sweep adds to a result: its settings with their figures, what is recommended, and the
limit that was found.

The figures of a line have the names of a row's, so that a column reads either. Every key may be
missing in a file that an older version wrote.
"""

from __future__ import annotations

from typing import Any

from qs.result.part import Count, Number, Part, key
from qs.result.verdict import DoubtEntry, Verdict

_NAMED = 6  # as many settings of a tie are named; more are counted


class SweepSetting(Part):
    """One combination of the axes; null: not an axis of this sweep."""

    batch_size: Count = None
    clients: Count = None
    instances: Count = None
    intra_op_threads: Count = None
    pool: str | None = None


class SweepLine(Part):
    """All trials of one setting together; latencies are in ms."""

    name: str
    setting: SweepSetting = SweepSetting()
    trials: Count = None
    # Measured time, and answered queries, of the valid trials.
    seconds: Number = None
    completed: Count = None
    errors: Count = None
    verdict: Verdict
    first_fault: str | None = None
    reasons: list[str] = []
    doubts: list[DoubtEntry] = []
    # Of the valid trials' throughputs, against their median; null for a single trial.
    spread_percent: Number = None
    items_per_s: Number = key("QPS", None)
    mean_ms: Number = key("AVG Latency", None)
    p50_ms: Number = key("P50 Latency", None)
    p90_ms: Number = key("P90 Latency", None)
    p99_ms: Number = key("P99 Latency", None)
    p99_9_ms: Number = key("P99.9 Latency", None)
    # Half the width of the 95 % interval of the throughput, and of the response time that settings
    # are ranked by, in their units; null: unknown.
    items_per_s_half_width: Number = key("QPS Half Width", None)
    ranked_half_width_ms: Number = key("Ranked Latency Half Width", None)
    # Of a language model: output tokens/s of all users and of the median one.
    output_per_s: Number = None
    user_per_s: Number = None
    # Requests/s that kept every bound.
    good_per_s: Number = None
    # Whether each bound that was judged by the trials held as measured, by its name; and whether
    # all bounds did. Null: none was stated.
    held: dict[str, bool] = {}
    within: bool | None = None

    @property
    def valid(self) -> bool:
        return self.verdict is Verdict.VALID

    @property
    def uncertain(self) -> float | None:
        """Half the width of the throughput's 95 % interval, as a share of it."""
        if self.items_per_s_half_width is None or not self.items_per_s:
            return None
        return self.items_per_s_half_width / self.items_per_s


class Recommendation(Part):
    """A setting to take, with the command that measures it again. No name: none meets the bounds,
    and `why` says so.
    """

    purpose: str = key("for")
    name: str | None = None
    setting: SweepSetting | None = None
    why: str = ""
    command: str | None = None
    # All settings that may be the best for this purpose, this one among them; empty if it alone is.
    not_told_apart: list[str] = []
    # The command that would tell them apart.
    tell_apart: str | None = None

    @property
    def tie(self) -> str:
        """not told apart: bs8-c1, bs8-c2; empty if one is the best."""
        names = self.not_told_apart
        more = len(names) - _NAMED
        left = f" and {more} more" if more > 0 else ""
        return f"not told apart: {', '.join(names[:_NAMED])}{left}" if names else ""


class CurvePoint(Part):
    """One load of a limit's curve: a rate, or over concurrency so many users and the rate that they
    made. Percentiles of the response time are further keys (p99_ns), those of bounded measures too
    (ttft_p99_ns).
    """

    rate_per_s: float
    users: Count = None
    due_per_s: Number = None
    answered_per_s: Number = None
    verdict: str = ""
    mean_ns: Number = None
    output_per_s: Number = None
    user_per_s: Number = None
    good_per_s: Number = None

    @property
    def times_ns(self) -> dict[str, float | None]:
        """Mean and percentiles of the response time, by name (mean, p99), in rising order."""
        times = {"mean_ns": self.mean_ns} | (self.model_extra or {})
        return {
            name.removesuffix("_ns"): value
            for name, value in times.items()
            if name.endswith("_ns") and isinstance(value, (int, float, type(None)))
        }


class LimitEntry(Part):
    """The highest rate within the bounds, as qs.limit found it, without its trials. Over
    concurrency `..._users` are what was looked for, and the rates those that they made.
    """

    setting: str | None = None
    over: str = "rate"
    rate_per_s: Number = None
    users: Count = None
    holds_users: Count = None
    fails_users: Count = None
    likely_users: Number = None
    # That the server did otherwise at one load, by more than chance; "": it did not.
    unstable: str = ""
    confirmed: bool = False
    # Whether even the lowest rate that was tried fails.
    refuted: bool = False
    holds_per_s: Number = None
    fails_per_s: Number = None
    likely_per_s: Number = None
    confidence: Number = None
    reason: str | None = None
    spent_s: Number = None
    settings: dict[str, Any] = {}
    goals: list[str] = []
    notes: list[str] = []
    confirmation: dict[str, Any] | None = None
    points: list[dict[str, Any]] = []
    curve: list[CurvePoint] = []
    sentence: str = ""


class InteractivityPoint(Part):
    """One load: all that a server gave, against what each of its users got."""

    load: str
    """In words: 4 users, 3.2 requests/s."""
    users: Count = None
    rate_per_s: Number = None
    output_per_s: Number = None
    """Output tokens/s of all users."""
    user_per_s: Number = None
    """Of the median request, from its first token to its last."""
    good_per_s: Number = None
    within: bool | None = None
    """Whether the bounds held as measured."""
    pareto: bool = False
    """Whether no other load gives more in one figure, and as much in the other."""


class SweepRound(Part):
    """How many settings were measured in one round, and for how long each."""

    settings: Count = None
    seconds_each: Number = None


class SweepEntry(Part):
    """The section of a sweep."""

    axes: dict[str, list[Any]] = {}
    method: str = ""
    rounds: list[SweepRound] = []
    # The published key of the response time that settings are ranked by.
    ranked_by: str = ""
    table: list[SweepLine] = []
    # Names of the settings that none beats in both figures.
    pareto: list[str] = []
    recommendations: list[Recommendation] = []
    goals: list[str] = []
    # Whether the goals hold; null: there are none, or it was not shown either way.
    slo_met: bool | None = None
    # What the sweep comes to, in a sentence.
    answer: str = ""
    limit: LimitEntry | None = None
    # Of a language model: every load that was measured, by rising tokens/s of all users.
    interactivity: list[InteractivityPoint] = []
    # The picture's name in the report's folder.
    curve: str | None = None
