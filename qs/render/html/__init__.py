"""report.html: one self-contained page of a result, of a comparison, or of all reports in a folder.
No request to any host.

`page` tells a result's story in sections, `charts` draws (specifications of Vega-Lite, drawn in the
browser by what `bundle` puts into the page), templates/ holds the words and the looks. Everything
that comes from elsewhere is escaped by the templates.
"""

from __future__ import annotations

from qs.render.html.page import render_page

__all__ = ["render_page"]
