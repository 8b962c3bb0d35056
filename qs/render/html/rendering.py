"""Templates to a page: jinja2 with everything escaped, styles and scripts inlined."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qs.base.words import number, span

FOLDER = Path(__file__).with_name("templates")


def render(template: str, charts: dict[str, Any], **context: Any) -> bytes:
    """charts: name -> Vega-Lite specification; `name` is the id of a figure in the template.
    Without any the library is left out.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from qs.render.html.bundle import script

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "span": lambda value: "n/a" if value is None else span(value),
        "short": short,
    }
    made = environment.get_template(template).render(
        style=Markup((FOLDER / "style.css").read_text(encoding="utf-8")),
        code=Markup((FOLDER / "page.js").read_text(encoding="utf-8")),
        library=Markup(script()) if charts else Markup(""),
        charts=Markup(_inside_a_script(charts)),
        named=sorted(charts),
        **context,
    )
    return made.encode("utf-8", "replace")


def short(text: Any, most: int = 2_000) -> str:
    """A text that may be very long, with its middle left out."""
    text = str(text)
    return (
        text
        if len(text) <= most
        else f"{text[: most // 2]} [{len(text) - most} characters left out] {text[-most // 2 :]}"
    )


def _inside_a_script(value: Any) -> str:
    """JSON that cannot end the script element that it stands in."""
    text = json.dumps(value, separators=(",", ":"), default=str, allow_nan=False)
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text
