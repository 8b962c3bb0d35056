"""From a line-up that has ended to what it leaves beside the backends' own reports: one page, its
picture, Markdown and JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from qs.base.errors import UserError
from qs.base.files import Unwritable, why, write_atomic, write_json
from qs.comparison.sides import Side
from qs.evaluate.running import Ended
from qs.lineup.comparing import Lineup, compare_backends
from qs.lineup.page import lineup_page, picture
from qs.lineup.running import LineupEnded
from qs.lineup.writing import markdown, to_dict
from qs.render.pictures import draw
from qs.result.beside import log_of
from qs.result.story import story_of
from qs.watch.view import View

STEM = "comparison"


@dataclass(frozen=True)
class Reported:
    """The comparison, and where it lies."""

    lineup: Lineup
    folder: Path
    page: Path | None  # None: it was not drawn
    unwritten: dict[str, str] = field(default_factory=dict)  # file -> why it is missing


def report(ended: LineupEnded, view: View) -> Reported:
    """Compare what was measured, and write it. What cannot be written is noted."""
    sides = [_side(each) for each in ended.runs]
    lineup = compare_backends(ended.plan.title, sides, ended.plan.rounds)
    folder = folder_of(ended)
    unwritten: dict[str, str] = {}
    command = story_of(ended.runs[0].result).command
    page, shown = folder / f"{STEM}.html", None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{STEM}.json", to_dict(lineup))
        write_atomic(folder / f"{STEM}.md", markdown(lineup).encode())
        with view.step("drawing the page"):
            write_atomic(page, lineup_page(lineup, folder, command))
            shown = page
            spec = None if ended.plan.asked.no_picture else picture(lineup)
            if spec is not None:
                draw(spec, folder / f"{STEM}.svg")
    except (Unwritable, OSError) as error:
        said = str(error) if isinstance(error, Unwritable) else f"{folder}: {why(error)}"
        unwritten[str(folder)] = said
    except (ImportError, UserError, ValueError) as error:  # of the drawing: the figures are there
        view.warn(f"{page.name} was not drawn: {type(error).__name__}: {error}")
    return Reported(lineup, folder, shown, unwritten)


def folder_of(ended: LineupEnded) -> Path:
    """reports/CPU+OPENVINO+TORCH/<model>"""
    backends = ended.plan.backends
    first = backends[0]
    return first.request.out / "+".join(each.hardware for each in backends) / first.model_info.model


def _side(ended: Ended) -> Side:
    folder = ended.folder.path.absolute() if ended.folder else None
    find = partial(log_of, folder) if folder else _no_log
    path = ended.folder.result if ended.folder else None
    return Side(ended.record.hardware, ended.result, find, (), path)


def _no_log(name: str) -> str | None:
    return None
