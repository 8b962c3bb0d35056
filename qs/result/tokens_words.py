"""What a language model's case comes to, in words and tables: the same for the terminal, the page,
Markdown and PDF.
"""

from __future__ import annotations

from qs.base.words import number
from qs.result.row import Row

# The measures of time that a reader looks for first, as they are called.
NAMED = {"ttft": "TTFT", "itl": "ITL", "tpot": "TPOT"}


def tokens_said(row: Row) -> list[str]:
    """For one line on a case: the time to a first token, and tokens a second."""
    said = []
    ttft = (row.measures or {}).get("ttft")
    if ttft is not None and ttft.p99 is not None:
        said.append(f"TTFT p99 {number(ttft.p99)} ms")
    if row.tokens is not None and row.tokens.output_per_s is not None:
        said.append(f"{number(row.tokens.output_per_s)} output tokens/s")
    return said
