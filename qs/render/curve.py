"""The curve of response time against rate, as a picture: PNG or SVG, by the file's ending.
matplotlib is imported when one is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.words import number
from qs.limit.goals import Goal, parse_goals

NS_PER_MS = 1e6
FORMATS = (".png", ".svg")
# Dark enough on white, and told apart by those who do not see red and green (Okabe and Ito's
# colours).
COLOURS = ("#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#CC79A7")
HOLDING, FAILING = "#009E73", "#D55E00"


def draw_curve(limit: dict[str, Any], path: Path, title: str | None = None) -> None:
    """Draw what `Limit.to_dict` says. Above: percentiles and mean of the response time by rate, the
    bounds and the limit; below: what was answered. Raises UserError for an ending other than .png
    and .svg, or where nothing was measured.
    """
    if Path(path).suffix.lower() not in FORMATS:
        raise UserError(f"{path}: a picture of a curve is a .png or an .svg file")
    curve = limit["curve"]
    if not curve:
        raise UserError(f"{path}: there is no curve to draw, as nothing was measured")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _draw_times(above, curve, parse_goals(limit["goals"]))
    _draw_throughput(below, curve)
    for axes in (above, below):
        _mark_limit(axes, limit, labelled=axes is above)
        axes.grid(True, which="both", alpha=0.25)
        axes.set_xlim(0, curve[-1]["rate_per_s"] * 1.05)
    above.set_title(title or ", ".join(limit["goals"]))
    above.legend(loc="upper left", fontsize="small")
    below.legend(loc="upper left", fontsize="small")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _draw_times(axes: Any, curve: Sequence[dict[str, Any]], goals: Sequence[Goal]) -> None:
    columns = [name for name in curve[0] if name.startswith("p") and name.endswith("_ns")]
    for name, colour in zip(["mean_ns", *columns], ("#555555", *COLOURS * 3)):
        rates, times = _series(curve, name)
        label = name.removesuffix("_ns")
        axes.plot(
            rates,
            times,
            "--" if label == "mean" else "-",
            color=colour,
            marker="o",
            markersize=3,
            label=label,
        )
    for goal in goals:
        if goal.bound_ns is not None:
            axes.axhline(goal.bound_ns / NS_PER_MS, color="black", linewidth=1, linestyle=":")
            axes.annotate(
                f" {goal}",
                (1, goal.bound_ns / NS_PER_MS),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
                fontsize="small",
            )
    axes.set_yscale("log")
    axes.set_ylabel("response time (ms)")
    axes.yaxis.set_major_formatter(lambda value, _: number(value))


def _draw_throughput(axes: Any, curve: Sequence[dict[str, Any]]) -> None:
    rates = [point["rate_per_s"] for point in curve]
    axes.plot(rates, rates, ":", color="black", linewidth=1, label="asked for")
    axes.plot(
        rates,
        [point["answered_per_s"] for point in curve],
        "-o",
        color=COLOURS[0],
        markersize=3,
        label="answered",
    )
    axes.set_ylabel("requests/s")
    axes.set_xlabel("rate of Poisson arrivals (requests/s)")


def _mark_limit(axes: Any, limit: dict[str, Any], labelled: bool) -> None:
    rate, fails = limit["rate_per_s"], limit["fails_per_s"]
    if rate is not None:
        said = f"limit: {number(rate, 4)}/s" + ("" if limit["confirmed"] else " (not confirmed)")
        axes.axvline(rate, color=HOLDING, linewidth=2, label=said if labelled else None)
    if fails is not None:
        axes.axvline(
            fails,
            color=FAILING,
            linewidth=1,
            linestyle="--",
            label=f"fails: {number(fails, 4)}/s" if labelled else None,
        )


def _series(curve: Sequence[dict[str, Any]], name: str) -> tuple[list[float], list[float]]:
    """Rates and times in ms of the points that have this figure."""
    points = [point for point in curve if point.get(name)]
    return [point["rate_per_s"] for point in points], [point[name] / NS_PER_MS for point in points]
