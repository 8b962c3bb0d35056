"""`--batch_sizes best`: what the CPU backend's profile once asked is an option."""

from __future__ import annotations

import click
import pytest

from qs.cli.types import BEST, BatchSizes
from tests.qs import small_backend


@pytest.mark.parametrize(
    ("typed", "sizes"), [("best", BEST), (" Best ", BEST), ("1,8", (1, 8)), ((1, 8), (1, 8))]
)
def test_the_words(typed, sizes):
    assert BatchSizes().convert(typed, None, None) == sizes


def test_other_words_are_refused():
    with pytest.raises(click.BadParameter, match="bset"):
        BatchSizes().convert("bset", None, None)


@pytest.mark.slow
@pytest.mark.parametrize(("best", "measured"), [([2, 4], [2, 4]), (None, [1])])
def test_the_backends_own_analysis_is_measured(tmp_path, best, measured):
    root = small_backend.write(tmp_path, best=best)
    _, result, said = small_backend.run(root, "--batch_sizes", "best", "--no_history")
    assert [row["BS"] for row in result["Performance"]] == measured, said
    lacking = "--batch_sizes best: the backend has no analysis of batch sizes"
    assert any(text.startswith(lacking) for text in result["Warnings"]) is (best is None)
