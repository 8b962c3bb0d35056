"""HDR histograms filled by vectorised numpy: 1 ns to 1 h, three significant digits.

The counts are laid out as HdrHistogram lays them out, and `record` leaves the very counts that the
hdrhistogram package's `record_value` would have left, at a few nanoseconds a value instead of six
hundred. Encoding, logs and every other exchange with HdrHistogram goes through that package
(`to_hdr`), and it is imported only there.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

LOWEST_NS = 1
HIGHEST_NS = 3_600_000_000_000
SIGNIFICANT_DIGITS = 3
# The percentiles of a summary.
REPORTED = (50.0, 90.0, 95.0, 99.0, 99.9, 99.99)

# HdrHistogram's layout for that range: 2,048 sub-buckets (the power of two at or above 2 x 10^3),
# each further bucket holding the upper half of them at twice the width, and 32 buckets until an
# hour fits.
SUB_BUCKET_BITS = 11
HALF_BITS = SUB_BUCKET_BITS - 1
SUB_BUCKET_MASK = (1 << SUB_BUCKET_BITS) - 1
BUCKETS = 32
COUNTS = (BUCKETS + 1) << HALF_BITS
TRACKABLE_LIMIT_NS = 1 << (SUB_BUCKET_BITS + BUCKETS - 1)
_FLOAT_EXPONENT_BIAS = 1023


def index_of(value_ns: int) -> int:
    """The count that one value adds to."""
    bucket = (value_ns | SUB_BUCKET_MASK).bit_length() - SUB_BUCKET_BITS
    return (bucket << HALF_BITS) + (value_ns >> bucket)


def indices_of(values_ns: np.ndarray) -> np.ndarray:
    """`index_of` for an int64 array whose values lie in [0, TRACKABLE_LIMIT_NS).

    The bucket is the position of the highest set bit, which is the exponent of the value as a
    float64: exact here, because trackable values need 43 of a float64's 53 bits.
    """
    exponent = (values_ns | SUB_BUCKET_MASK).astype(np.float64).view(np.int64)
    exponent >>= 52
    exponent -= _FLOAT_EXPONENT_BIAS + HALF_BITS
    index = values_ns >> exponent
    exponent <<= HALF_BITS
    index += exponent
    return index


def lowest_value_of(index: int) -> int:
    """The least value that is counted at `index`."""
    bucket = max((index >> HALF_BITS) - 1, 0)
    return (index - (bucket << HALF_BITS)) << bucket


def highest_value_of(index: int) -> int:
    """The greatest value that is counted at `index`: what a percentile reports."""
    bucket = max((index >> HALF_BITS) - 1, 0)
    return lowest_value_of(index) + (1 << bucket) - 1


def _buckets_of(index: np.ndarray) -> np.ndarray:
    return np.maximum((np.asarray(index, np.int64) >> HALF_BITS) - 1, 0)


def samples_needed(percentile: float) -> int:
    """How many samples a percentile needs before it says more than "at least the maximum".

    With n samples the maximum is an upper bound of the p-quantile with probability 1 - p^n (order
    statistics; S. S. Wilks, "Determination of sample sizes for setting tolerance limits", Annals of
    Mathematical Statistics 12, 1941). We ask for 95 %: 59 samples for p95, 299 for p99, 2,995 for
    p99.9. The bound is the same below the median by symmetry.
    """
    share = max(percentile, 100.0 - percentile) / 100.0
    if share >= 1.0:
        return 1
    return math.ceil(math.log(0.05) / math.log(share))


class Histogram:
    """Counts of values in ns, with the exact minimum, maximum and sum beside them.

    `out_of_range` counts the values that HdrHistogram cannot hold (negative, or above about 1.2 h):
    they are in no percentile and never silently lost.
    """

    __slots__ = ("counts", "count", "min_ns", "max_ns", "sum_ns", "out_of_range")

    def __init__(self, counts: np.ndarray | None = None):
        self.counts = np.zeros(COUNTS, np.int64) if counts is None else counts
        self.count = 0
        self.min_ns = 0
        self.max_ns = 0
        self.sum_ns = 0
        self.out_of_range = 0

    @classmethod
    def from_counts(cls, index: np.ndarray, counts: np.ndarray) -> Histogram:
        """A histogram of sparse counts at ascending indices; minimum, maximum and sum are as exact
        as the counts are (three digits).
        """
        histogram = cls()
        if index.size:
            histogram.counts[index] = counts
            histogram.count = int(counts.sum())
            lowest, highest = cls.bottoms_ns(index), cls.tops_ns(index)
            histogram.min_ns, histogram.max_ns = int(lowest[0]), int(highest[-1])
            # Python's integers: the sum of an hour's values may not fit into 64 bits.
            middles = ((lowest + highest) // 2).tolist()
            histogram.sum_ns = sum(map(operator.mul, middles, counts.tolist()))
        return histogram

    # The layout is the same for every histogram, so these take indices of `counts`, of any number
    # and in any order, such as an interval's `index`.

    @staticmethod
    def bottoms_ns(index: np.ndarray) -> np.ndarray:
        """The lowest value counted at each index: int64 ns, in the shape of `index`."""
        index = np.asarray(index, np.int64)
        bucket = _buckets_of(index)
        return (index - (bucket << HALF_BITS)) << bucket

    @staticmethod
    def tops_ns(index: np.ndarray) -> np.ndarray:
        """The highest value counted at each index, which is what a percentile reports: int64 ns,
        in the shape of `index`.
        """
        return Histogram.bottoms_ns(index) + (np.int64(1) << _buckets_of(index)) - 1

    @staticmethod
    def middles_ns(index: np.ndarray) -> np.ndarray:
        """The middle of the values counted at each index: float64 ns, in the shape of `index`."""
        return Histogram.bottoms_ns(index) + ((np.int64(1) << _buckets_of(index)) - 1) / 2.0

    @staticmethod
    def width_ns_at(value_ns: float) -> int:
        """How far apart, in ns, two values may lie and still be counted together with this one:
        highest less lowest, 0 below 2,048 ns.
        """
        return (1 << max((index_of(int(value_ns)) >> HALF_BITS) - 1, 0)) - 1

    def record(self, values_ns: np.ndarray) -> None:
        """Count an int64 array of values."""
        if not values_ns.size:
            return
        least, most = int(values_ns.min()), int(values_ns.max())
        if least < 0 or most >= TRACKABLE_LIMIT_NS:
            fits = (values_ns >= 0) & (values_ns < TRACKABLE_LIMIT_NS)
            self.out_of_range += int(values_ns.size - np.count_nonzero(fits))
            self.record(values_ns[fits])
            return
        first = index_of(least)
        index = indices_of(values_ns)
        if values_ns.size < 512:
            np.add.at(self.counts, index, 1)
        else:
            index -= first
            found = np.bincount(index)
            self.counts[first : first + found.size] += found
        self._extend(values_ns.size, least, most, int(values_ns.sum()))

    def merge(self, other: Histogram) -> None:
        """Add the other's values: the result is what one histogram would have held."""
        self.out_of_range += other.out_of_range
        if other.count:
            span = other.span
            self.counts[span] += other.counts[span]
            self._extend(other.count, other.min_ns, other.max_ns, other.sum_ns)

    @property
    def span(self) -> slice:
        """Where counts above 0 may lie. Most of a histogram is empty, and reading all of it takes
        tens of microseconds.
        """
        return (
            slice(index_of(self.min_ns), index_of(self.max_ns) + 1) if self.count else slice(0, 0)
        )

    def _extend(self, count: int, least: int, most: int, total: int) -> None:
        self.min_ns = min(self.min_ns, least) if self.count else least
        self.max_ns = max(self.max_ns, most)
        self.count += count
        self.sum_ns += total

    @property
    def mean_ns(self) -> float:
        """The exact mean, not one of bucket middles; 0.0 when empty."""
        return self.sum_ns / self.count if self.count else 0.0

    def percentile_ns(self, percentile: float) -> int:
        """The value at a percentile (0 to 100) by HdrHistogram's definition, within [min_ns,
        max_ns]; 0 when empty. It needs no least count (`supports`, `reported_ns`).
        """
        value = self.value_at(percentile)
        return 0 if value is None else min(max(value, self.min_ns), self.max_ns)

    def value_at(self, percentile: float) -> int | None:
        """The percentile by the counts alone, as HdrHistogram gives it; None when empty."""
        if not self.count:
            return None
        rank = max(int(min(percentile, 100.0) * self.count / 100 + 0.5), 1)
        index = int(np.searchsorted(np.cumsum(self.counts), rank))
        return highest_value_of(index) if percentile else lowest_value_of(index)

    def supports(self, percentile: float) -> bool:
        """Whether there are enough values for this percentile (`samples_needed`)."""
        return self.count >= samples_needed(percentile)

    def reported_ns(self, percentile: float) -> int | None:
        """The percentile if the count supports it, else None, which prints as n/a."""
        return self.percentile_ns(percentile) if self.supports(percentile) else None

    def summary(self) -> dict[str, Any]:
        """Count, minimum, mean, maximum and percentiles in ns; a percentile the count does not
        support is None.
        """
        return {
            "count": self.count,
            "min_ns": self.min_ns,
            "mean_ns": self.mean_ns,
            "max_ns": self.max_ns,
            **{f"p{percentile:g}_ns": self.reported_ns(percentile) for percentile in REPORTED},
            "out_of_range": self.out_of_range,
        }

    def to_hdr(self):
        """The same values as an `hdrh.histogram.HdrHistogram`."""
        from hdrh.histogram import HdrHistogram

        hdr = HdrHistogram(LOWEST_NS, HIGHEST_NS, SIGNIFICANT_DIGITS)
        filled = np.flatnonzero(self.counts)
        for index in filled.tolist():
            hdr.counts[index] = int(self.counts[index])
        if filled.size:
            hdr.total_count = int(self.counts.sum())
            hdr.min_value = self.min_ns
            hdr.max_value = self.max_ns
        return hdr
