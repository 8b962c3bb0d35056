"""The charting library as one script for the page: Vega, Vega-Lite and Vega-Embed, as the package
vl-convert-python ships them.

Putting it together takes a second, so it is kept in the cache.
"""

from __future__ import annotations

from importlib import metadata


def script() -> str:
    """Defines `window.vegaEmbed`. Raises ImportError where vl-convert-python is missing."""
    from qs.base.cache import build_once

    def build(path) -> None:
        import vl_convert

        path.write_text(
            vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"), encoding="utf-8"
        )

    version = metadata.version("vl-convert-python")
    text = build_once(f"charts/vega-{version}", ".js", build).read_text(encoding="utf-8")
    return text.replace(
        "</script", "<\\/script"
    )  # nothing in it may end the page's own script element
