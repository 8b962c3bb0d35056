"""Templates to a page: jinja2 with everything escaped, styles and scripts inlined.

The charts are drawn in the browser by Vega, Vega-Lite and Vega-Embed, which the package
vl-convert-python brings along. Making one script of them takes a second, so it is kept in the
cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from qs.base.cache import build_once
from qs.base.private import at_home, private
from qs.base.words import NOTHING, counted, half_width, number, percent, signed_percent, span
from qs.render.html.look import DARK, LIGHT
from qs.render.remedy import remedy

if TYPE_CHECKING:
    from jinja2 import Environment

# A flag with its value, or a command of ours.
FLAG = re.compile(r"--[a-z][a-z_0-9]*(?:[ =][\w.:%]*\d[\w.:%]*)?|\bqs [a-z]+\b")
FOLDER = Path(__file__).with_name("templates")


def render(template: str, charts: Mapping[str, Any], **context: Any) -> bytes:
    """The page of a template. `charts`: Vega-Lite specifications by the id of their figure in the
    template; without any the library is left out.
    """
    from markupsafe import Markup

    page = _environment().get_template(template)
    made = page.render(
        style=Markup((FOLDER / "style.css").read_text(encoding="utf-8")),
        code=Markup((FOLDER / "page.js").read_text(encoding="utf-8")),
        library=Markup(library()) if charts else Markup(""),
        charts=Markup(_inside_a_script(charts)),
        looks=Markup(_inside_a_script({"light": LIGHT, "dark": DARK} if charts else {})),
        named=sorted(charts),
        **({"live": None} | context),
    )
    return made.encode("utf-8", "replace")


@cache
def _environment() -> Environment:
    """Kept with its compiled templates: compiling one takes longer than drawing its page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup, escape

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_private,
    )
    environment.filters |= {
        "number": number,
        "half_width": half_width,
        "percent": percent,
        "signed_percent": signed_percent,
        "span": lambda value: NOTHING if value is None else span(value),
        "counted": counted,
        "short": short,
        "link": link,
        "flags": flags,
        "remedy": remedy,
        "typed": typed,
        "at_home": lambda text: Markup(escape(at_home(text))),
    }
    return environment


def _private(value: Any) -> Any:
    """Every text on a page is one to be passed on."""
    from markupsafe import Markup

    return private(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def flags(text: str) -> str:
    """A text with what is to be typed marked as such."""
    from markupsafe import Markup, escape

    return Markup(FLAG.sub(r"<code>\g<0></code>", str(escape(text))))


def typed(command: str) -> str:
    """A command whose lines break between its words."""
    from markupsafe import Markup, escape

    words = at_home(command).split(" ")
    return Markup(" ".join(f"<span>{escape(word)}</span>" for word in words))


def short(text: Any, most: int = 2_000) -> str:
    """A text that may be very long, with its middle left out."""
    text = str(text)
    return (
        text
        if len(text) <= most
        else f"{text[: most // 2]} [{len(text) - most} characters left out] {text[-most // 2 :]}"
    )


def link(name: str) -> str:
    """A relative address of a file beside the page. It begins with a dot, so that no name is taken
    for a scheme (`javascript:`), another host or a place on the page.
    """
    return f"./{quote(os.fsencode(name))}"


SEAL = "// sha256 "  # the last line of the cached script


def _digest(script: str) -> str:
    return hashlib.sha256(script.encode()).hexdigest()


def library() -> str:
    """The script that defines `window.vegaEmbed`. Raises ImportError without vl-convert-python."""

    def build(path: Path) -> None:
        import vl_convert

        script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
        path.write_text(f"{script}\n{SEAL}{_digest(script)}", encoding="utf-8")

    name = f"charts/vega-{metadata.version('vl-convert-python')}-sealed"
    path = build_once(name, ".js", build)
    text, _, seal = path.read_text(encoding="utf-8", errors="replace").rpartition(f"\n{SEAL}")
    if seal != _digest(text):  # cut short or changed: a page would have no charts, or worse
        path.unlink(missing_ok=True)
        text, _, _ = build_once(name, ".js", build).read_text("utf-8").rpartition(f"\n{SEAL}")
    # Nothing in it may end the page's own script element.
    return text.replace("</script", "<\\/script")


def _inside_a_script(value: Any) -> str:
    """JSON that cannot end the script element that it stands in."""
    text = private(json.dumps(value, separators=(",", ":"), default=str, allow_nan=False))
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text
