"""What `qs report --format` offers: a story in, the bytes of a file out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qs.base.files import to_json
from qs.render.html.page import result_page
from qs.render.junit import junit
from qs.render.markdown import markdown
from qs.render.pdf import pdf
from qs.render.table import csv_table, parquet_table, records
from qs.result.story import Story


@dataclass(frozen=True)
class Format:
    """A form that other tools open."""

    suffix: str
    draw: Callable[[Story], bytes]  # UserError if a package that it needs is missing


FORMATS = {
    "html": Format(".html", result_page),
    "pdf": Format(".pdf", pdf),
    "md": Format(".md", lambda story: markdown(story).encode()),
    "csv": Format(".csv", lambda story: csv_table(records(story.result))),
    "parquet": Format(".parquet", lambda story: parquet_table(records(story.result))),
    "junit": Format(".xml", junit),
    "json": Format(".json", lambda story: to_json(story.result.to_dict())),
}
