"""By how much two runs of the same thing differ although nothing changed: another layout in memory,
other neighbours, another temperature.

No run shows it of itself, so intervals from within runs are too narrow to compare runs by (T.
Kalibera and R. Jones, "Rigorous benchmarking in reasonable time", ISMM 2013). Repeats show it.
Where there are few or none, it is what the machine's self-benchmark found, or an assumption;
repeats and that are weighed by their degrees of freedom (moderated variance: G. K. Smyth, "Linear
models and empirical Bayes methods", Statistical Applications in Genetics and Molecular Biology 3,
2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qs.compare.metrics import Metric

# Of throughput, where nothing is known of the machine.
ASSUMED = 0.01
FREEDOM = 4
# Tails vary more from run to run than the middle does.
TAILS = {"p90": 1.5, "p99": 2.0, "p99.9": 3.0}


@dataclass(frozen=True)
class Known:
    """Standard deviation between runs, as a share of the figure, and where it comes from."""

    share: float
    origin: str

    def of(self, metric: Metric) -> float:
        return self.share * TAILS.get(metric.name, 1.0)


NOTHING = Known(ASSUMED, f"assumed to be {ASSUMED:.0%}")


@dataclass(frozen=True)
class Between:
    """Variance of a figure's logarithm between runs, known with so many degrees of freedom."""

    variance: float
    freedom: float


def between(known: Known, metric: Metric, sides: Sequence[tuple[np.ndarray, float]]) -> Between:
    """Of each side: the logarithms of its runs' figures, and the variance of one of them that is
    explained from within the runs.
    """
    total, freedom = FREEDOM * known.of(metric) ** 2, float(FREEDOM)
    for values, within in sides:
        if values.size > 1:
            total += (values.size - 1) * max(float(values.var(ddof=1)) - within, 0.0)
            freedom += values.size - 1
    return Between(total / freedom, freedom)
