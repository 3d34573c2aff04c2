"""Does a series rise? Theil and Sen's slope, with the confidence that Kendall's statistic gives.

The slope is the median of the slopes between all pairs of points, so spikes do not move it. A rise is one whose lower bound
(99 %) still means more, over the whole time watched, than the tolerance: noise gives no sure slope, and a sure
slope that comes to nothing is no leak.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

BINS = 120  # points that are compared; more samples are joined into medians
LEAST = 12  # points below which nothing is said
_Z = 2.576  # of the normal distribution: 99 % between -z and z


@dataclass(frozen=True, slots=True)
class Trend:
    """Of a series over `hours`: `slope` per hour, sure to lie between `low` and `high`; `level` is the median."""

    level: float
    slope: float
    low: float
    high: float
    hours: float

    @property
    def rise(self) -> float:
        """What it has risen by over the time watched, at least (99 %)."""
        return max(self.low, 0.0) * self.hours


def fit(samples: Sequence[tuple[float, float]]) -> Trend | None:
    """Fit (hours, value) pairs in the order of time; None when they are too few."""
    points = _joined(samples)
    if len(points) < LEAST:
        return None
    slopes = sorted(
        (b - a) / (later - earlier) for (earlier, a), (later, b) in combinations(points, 2)
    )
    n, count = len(points), len(slopes)
    spread = _Z * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low, high = int((count - spread) / 2), math.ceil((count + spread) / 2)
    return Trend(
        level=statistics.median(value for _, value in points),
        slope=statistics.median(slopes),
        low=slopes[max(low, 0)],
        high=slopes[min(high, count - 1)],
        hours=points[-1][0] - points[0][0],
    )


def _joined(samples: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    size = max(1, len(samples) // BINS)
    bins = [samples[at : at + size] for at in range(0, len(samples) - size + 1, size)]
    return [
        (statistics.median(when for when, _ in each), statistics.median(value for _, value in each))
        for each in bins
    ]
