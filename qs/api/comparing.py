"""`qs.comparison`: two or more results, and whether they differ by more than noise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qs.api.chart import Chart
from qs.api.result import Result, frame, load_result
from qs.api.table import comparison_table
from qs.comparison.comparing import MARGIN, Compared, compare_results
from qs.comparison.noise import known_spread
from qs.comparison.verdict import ComparedCase

if TYPE_CHECKING:
    import pandas

COLUMNS = (
    "case",
    "figure",
    "unit",
    "a",
    "b",
    "change",
    "low",
    "high",
    "verdict",
)


class Comparison:
    """What `qs compare` says: each case, figure by figure."""

    def __init__(self, compared: Compared, results: tuple[Result, ...]):
        self._compared = compared
        self._results = results

    @property
    def verdict(self) -> str:
        """B against A: slower, faster, mixed, same, or cannot tell."""
        return self._compared.headline.verdict

    @property
    def sentence(self) -> str:
        """The verdict, with the cases by theirs."""
        return self._compared.headline.sentence()

    @property
    def cases(self) -> list[ComparedCase]:
        """The compared cases, each with a verdict and its differences."""
        return self._compared.cases

    def to_dict(self) -> dict[str, Any]:
        """What `qs compare --json` prints."""
        return self._compared.to_dict()

    def to_frame(self) -> pandas.DataFrame:
        """A row for each figure of each case; `change`, `low` and `high` (its 95 % interval) are
        shares: 0.05 is 5 % more in B. Raises ImportError without pandas.
        """
        return frame(
            [
                (
                    case.title,
                    each.metric.name,
                    each.metric.unit,
                    each.a,
                    each.b,
                    each.change,
                    each.low,
                    each.high,
                    each.verdict,
                )
                for case in self.cases
                for each in case.differences
            ],
            list(COLUMNS),
        )

    def plot(self) -> Chart:
        """The percentile curves of the first two results over each other."""
        return self._results[0].plot(self._results[1])

    def __repr__(self) -> str:
        return f"<comparison: {self.sentence}>"

    def _repr_html_(self) -> str:
        return comparison_table(self.sentence, self.cases, self.plot)


def compare(
    a: Result | str | Path,
    b: Result | str | Path,
    *others: Result | str | Path,
    margin: float = MARGIN,
    anyway: bool = False,
) -> Comparison:
    """Compare results case by case; A is the baseline. Each is a result, or what `load_result`
    takes. Differences up to `margin` (a share) do not matter; `anyway` compares what is unlike or
    INVALID. Raises qs.UserError for what cannot be compared.
    """
    results = tuple(
        each if isinstance(each, Result) else load_result(each) for each in (a, b, *others)
    )
    sides = [each.side for each in results]
    known = known_spread([side.result for side in sides])
    return Comparison(compare_results(sides, margin, anyway, known), results)
