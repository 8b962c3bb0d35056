"""Charts for notebooks: the report's own specifications, drawn as SVG without a browser."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.result.row import Row
from qs.result.story import NamedCase

WIDTH, HEIGHT = 620, 300


class Chart:
    """A picture, and the Vega-Lite specification (`spec`) that it is drawn from."""

    def __init__(self, spec: dict[str, Any]):
        self.spec = spec

    @property
    def svg(self) -> str:
        import vl_convert

        return vl_convert.vegalite_to_svg(self.spec)

    def save(self, path: str | Path) -> None:
        """Write it as .svg or .png. Raises qs.UserError for another ending."""
        from qs.render.pictures import draw

        draw(self.spec, Path(path))

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<chart: {self.spec.get('description', 'no description')}>"


def percentiles(cases: Sequence[tuple[NamedCase, Callable[[Row], str | None]]]) -> Chart:
    """Response time by percentile, a line for each case. Raises UserError if there is none."""
    from qs.render.html.charts import latency_by_percentile
    from qs.render.html.curves import percentile_points

    points = [point for case, log_of in cases for point in percentile_points([case], log_of)]
    if not points:
        raise UserError("there is nothing to plot: no case has its latencies beside the result")
    return Chart(_of_a_size(latency_by_percentile(points)))


def _of_a_size(spec: dict[str, Any]) -> dict[str, Any]:
    """A page's chart is as wide as its box; a picture has a width of its own, and no zoom."""
    spec = copy.deepcopy(spec)
    spec |= {"width": WIDTH, "height": HEIGHT}
    return spec
