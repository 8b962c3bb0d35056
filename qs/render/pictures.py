"""The picture of the published report: how the differences, the reference's values and the
backend's are distributed.

Drawn by matplotlib's Agg canvas, which needs no display; not by pyplot, which keeps figures alive
and picks a window system.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qs.base.files import write_atomic

MOST_OUTPUTS = 6
PANELS = (
    ("difference", "difference (reference - backend)", "#b2182b"),
    ("reference", "reference (fp32, ONNX Runtime CPU)", "#4d4d4d"),
    ("backend", "backend", "#2166ac"),
)


def draw_distributions(outputs: Mapping[str, Mapping[str, Any]], path: Path) -> str | None:
    """Three panels an output, counts on a log scale; the file's name, None where there is nothing
    to draw.

    `outputs`: output -> panel -> {"counts", "edges"}, as qs.tensors.numeric.distributions gives
    them.
    """
    shown = dict(list(outputs.items())[:MOST_OUTPUTS])
    if not shown:
        path.unlink(missing_ok=True)
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 4.2 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(shown), len(PANELS), squeeze=False)
    for line, (name, panels) in zip(grid, shown.items(), strict=True):
        for axes, (key, title, colour) in zip(line, PANELS, strict=True):
            counts, edges = panels[key]["counts"], panels[key]["edges"]
            axes.stairs(counts, edges, fill=True, color=colour)
            axes.set_yscale("log")
            axes.set_ylim(bottom=0.7)
            axes.set_title(f"{name}: {title}" if key == "difference" else title, fontsize=13)
            axes.set_xlabel("value", fontsize=12)
            axes.set_ylabel("elements (log scale)", fontsize=12)
            axes.tick_params(labelsize=11)
            axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 4))
            axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_atomic(path, buffer.getvalue())
    return path.name
