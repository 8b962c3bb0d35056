"""What a run shows of how much the next one would differ, with nothing changed.

Drift: noise of a shared machine has no scale of its own. Neighbours come and go in milliseconds and
in minutes alike, and a run that lasts ten times as long is no steadier (1/f noise: its Allan
variance does not fall with the time that is averaged over; D. W. Allan, "Statistics of atomic
frequency standards", Proceedings of the IEEE 54, 1966). So quarters of a run differ by about as
much as runs do. What quarters differ by for noise that is short against them is taken off: on a
quiet machine nothing remains.

Other load: where other programs took more of the machine's CPU time in one run than in the other,
the figures differ for that reason alone, though each run may have been steady. Where they took as
much in both, it still is luck whether they shared a core with the target, the more so the fuller
the machine is.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qs.comparison.measured import CaseRuns, ComparedMetric, ones
from qs.comparison.noise import block_length, weights_of
from qs.result.cost_entry import CpuUseEntry
from qs.result.logs import Series

PIECES = 4
# With this many repeats, these show how much runs differ, and better.
REPEATS = 3
REPLICATES = 200
# So many times what short noise explains is taken for it all the same: chi squared / 3 exceeds it
# in one of twenty cases.
NOTABLE = 2.6
_SHORT = 20  # of a run: the longest that counts as short
# The share of the machine's CPU time that others take, to the standard error of a figure's
# logarithm: on hardware threads and on time slices alike, half of a machine costs about half.
PER_SHARE = 1.0
# The same of one run, from the square of that share: as long as a core is free, programs do not
# meet. Found by running one target on a shared machine again and again (bench/two_runs.py).
BY_LUCK = 0.6
FREEDOM = 4.0


def drift(side: CaseRuns, metric: ComparedMetric, rng: np.random.Generator) -> tuple[float, float]:
    """Variance of the logarithm of one run's figure from drift, and its degrees of freedom."""
    if side.series is None or side.runs >= REPEATS:
        return 0.0, 0.0
    found, freedom = [], 0.0
    for run in map(side.series.run, range(side.runs)):
        pieces = list(_pieces(run))
        if len(pieces) < PIECES:
            continue
        values = np.array([metric.of(each, ones(each))[0] for each in pieces])
        if not (np.isfinite(values) & (values > 0)).all():
            continue
        between = float(np.log(values).var(ddof=1))
        found.append(_beyond(between, PIECES * _of_short_noise(run, metric, rng)))
        freedom += PIECES - 1
    return (sum(found) / len(found), freedom) if found else (0.0, 0.0)


def drift_of_ratio(
    a: Series, b: Series, metric: ComparedMetric, weights: np.ndarray
) -> tuple[float, float]:
    """The same of the ratio of two runs with the same arrivals and as many cells: what the schedule
    does to both is no drift. `weights` draws the cells of both.
    """
    pieces = list(zip(_pieces(a), _pieces(b)))
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.array(
            [
                np.log(metric.of(two, ones(two))[0] / metric.of(one, ones(one))[0])
                for one, two in pieces
            ]
        )
        drawn = np.log(metric.of(b, weights) / metric.of(a, weights))
    drawn = drawn[np.isfinite(drawn)]
    if len(pieces) < PIECES or not np.isfinite(logs).all() or drawn.size < 2:
        return 0.0, 0.0
    return _beyond(float(logs.var(ddof=1)), PIECES * float(drawn.var(ddof=1))), PIECES - 1.0


def _beyond(variance: float, of_short_noise: float) -> float:
    """What short noise does not explain; nothing if it may well."""
    return variance - of_short_noise if variance > NOTABLE * of_short_noise else 0.0


def other_load(a: CaseRuns, b: CaseRuns) -> float:
    """Variance of the logarithm of a ratio from what other programs did during the runs."""
    known = [(share_of_others(each), each.runs) for each in (a, b)]
    luck = sum((BY_LUCK * share**2) ** 2 / runs for share, runs in known if share is not None)
    (ours, _), (theirs, _) = known
    more = 0.0 if ours is None or theirs is None else PER_SHARE * (ours - theirs)
    return luck + more**2


def _pieces(run: Series) -> Iterator[Series]:
    """Quarters of a run, of whole cells."""
    edges = np.linspace(0, run.cells, PIECES + 1).astype(int)
    for start, end in zip(edges, edges[1:]):
        part = slice(start, end)
        if end > start and run.counts[part].any():
            yield Series(run.lengths_s[part], run.counts[part], run.middles_ns, run.tops_ns)


def _of_short_noise(run: Series, metric: ComparedMetric, rng: np.random.Generator) -> float:
    """Variance of the logarithm of the run's figure from noise that is short against a quarter: it
    averages out in them as in the run.
    """
    influence = metric.influence(run, float(metric.of(run, ones(run))[0]))
    block = min(block_length([influence]), run.cells / _SHORT)
    values = metric.of(run, weights_of(rng, run, block, REPLICATES))
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms = np.log(values)
    logarithms = logarithms[np.isfinite(logarithms)]
    return float(logarithms.var(ddof=1)) if logarithms.size > 1 else 0.0


def share_of_others(side: CaseRuns) -> float | None:
    """Of the machine's CPU time, what other programs and other guests of the host took."""
    shares = [_share(row.cpu_use) for row in side.rows if row.cpu_use is not None]
    known = [each for each in shares if each is not None]
    return sum(known) / len(known) if known else None


def _share(use: CpuUseEntry) -> float | None:
    if use.others_s is None or not use.elapsed_s or not use.host_cpus:
        return None
    taken = (use.others_s + (use.steal_s or 0.0)) / (use.elapsed_s * use.host_cpus)
    return min(max(taken, 0.0), 1.0)
