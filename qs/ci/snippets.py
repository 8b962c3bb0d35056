"""Ready jobs for GitHub and GitLab, as `qs ci --snippet` prints them.

Both check out the main branch beside the change, measure both in turn, and keep Markdown and JUnit.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "snippets"


def snippet_of(name: str) -> str:
    """The YAML file of "github" or "gitlab"."""
    return (FOLDER / f"{name}.yml").read_text(encoding="utf-8")
