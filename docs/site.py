"""Hooks of the documentation's site: pages that stand elsewhere in the repository, and links.

README.md is the site's first page. A link to a file that is no page of the site becomes its path,
as it is found in a checkout.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
# Page of the site -> its file in the repository.
ELSEWHERE = {
    "index.md": "README.md",
    "bench.md": "bench/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "changelog.md": "CHANGELOG.md",
    "data-sets.md": "datasets/README.md",
    "model-zoo.md": "model_zoo/README.md",
    "tests.md": "tests/README.md",
}
_LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?P<to>[^)\s]+)\)")


def on_files(files: Files, *, config: Any) -> Files:
    for page, source in ELSEWHERE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    place = page.file.src_uri
    source = ELSEWHERE.get(place, f"docs/{place}")
    return linked(markdown, source, place)


def linked(text: str, source: str, place: str) -> str:
    """The text of the file `source` with its links as the page `place` needs them."""

    def turned(link: re.Match[str]) -> str:
        to, hash_, part = link["to"].partition("#")
        if not to or "://" in to or to.startswith("mailto:"):
            return link[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), to))
        page = _page_of(path)
        if page is None:
            return f"`{path}`" if link["text"].strip("`") == path else f"{link['text']} (`{path}`)"
        relative = posixpath.relpath(page, posixpath.dirname(place) or ".")
        return f"{link['picture']}[{link['text']}]({relative}{hash_}{part})"

    return _LINK.sub(turned, text)


def _page_of(path: str) -> str | None:
    """The site's page, or picture, of a file of the repository; None if it has none."""
    for page, source in ELSEWHERE.items():
        if path == source:
            return page
    inside = path.removeprefix("docs/")
    if inside != path and (ROOT / path).is_file() and not path.endswith(".py"):
        return inside
    return None
