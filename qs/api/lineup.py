"""Several backends that `qs.run` or `qs.load` has measured in turn, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from qs.api.result import Result
from qs.api.table import table
from qs.lineup.reporting import Reported
from qs.lineup.writing import headings_of, lines_of, to_dict


class Lineup:
    """Backends, compared.

    Attributes:
        results: backend -> its own result, in the order in which they were named
        page: the comparison's page, if it was drawn
    """

    def __init__(self, reported: Reported, results: dict[str, Result]):
        self._lineup = reported.lineup
        self.results = results
        self.page: Path | None = reported.page

    @property
    def sentence(self) -> str:
        """Which is faster at which batch size, with intervals."""
        from qs.lineup.saying import sentence

        return sentence(self._lineup)

    @property
    def verdict(self) -> str:
        """The worst of the backends' verdicts."""
        from qs.result.verdict import worst

        return str(worst(each.side.result.verdict for each in self.results.values()))

    def leaders(self) -> dict[str, list[str]]:
        """Case -> the backends that no other one is faster than, as far as can be told."""
        return {case.name: case.leaders for case in self._lineup.cases}

    def to_dict(self) -> dict[str, Any]:
        """What comparison.json holds."""
        return to_dict(self._lineup)

    def __getitem__(self, backend: str) -> Result:
        return self.results[backend]

    def __repr__(self) -> str:
        return f"<{', '.join(self.results)}: {self.sentence}>"

    def _repr_html_(self) -> str:
        drawn = table(headings_of(self._lineup), lines_of(self._lineup))
        return str(Markup("<div><p><strong>{}</strong></p>{}</div>").format(self.sentence, drawn))
