"""Tables for spreadsheets: no cell is a formula, and no text ends a row."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree as xml

import pytest

from qs.base.errors import UserError
from qs.history import record
from qs.history.entries import Wanted
from qs.history.exporting import export
from qs.render.formats import FORMATS
from qs.render.table import csv_table, parquet_table, records
from qs.result.saved import typed
from tests.qs.evaluate.llm_made import llm_result, llm_row
from tests.qs.result import made

KINDS = {"text": str, "count": int}
FORMULAS = ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", " =1", "\n=1", "\x0b=1", "\u00a0=1", "＝1"]
ENDS = ["\r", "\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"]


def cells(content: bytes) -> list[list[str]]:
    """As the least clever of readers takes it: by any line's end, quoted or not."""
    return [row for line in content.decode().splitlines() for row in csv.reader([line])]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_is_no_formula(text):
    ((_, _), (cell, count)) = cells(csv_table([{"text": text, "count": -1}], KINDS))
    assert cell.startswith("'") and count == "-1"


@pytest.mark.parametrize("end", ENDS)
def test_no_line_end_within_a_text_begins_a_row(end):
    table = csv_table([{"text": f'a"{end}=1+1,{end}b', "count": 1}], KINDS)
    assert cells(table)[1:] == [['a" =1+1, b', "1"]]


def test_every_format_of_a_hostile_result(tmp_path, monkeypatch):
    result = made.result_of(made.REPORTS / "closed")
    text = "\r=cmd|' /C calc'!A0\x00\x1b[2J\ufffe\x85"
    result |= {"Task": text, "Host Info": text, "Started": text, "Runtime Version": text}
    result["Performance"][0] |= {"Reasons": [text], "Verdict": "INVALID", "Pool": text}
    result["Warnings"], result["Reasons"] = [text], [text]
    story = made.told(result)
    for row in cells(FORMATS["csv"].draw(story)):
        assert not any(cell.lstrip().startswith("=") for cell in row)
    suite = xml.fromstring(FORMATS["junit"].draw(story))[0]
    assert "=cmd" in suite.get("timestamp", "")
    monkeypatch.setenv("QS_DATA", str(tmp_path))
    record(typed(result | {"Started": "2026-11-29T10:00:00+00:00"}, "made"), None)
    assert export(tmp_path / "h.csv", Wanted()) == 2
    rows = list(csv.reader(io.StringIO((tmp_path / "h.csv").read_bytes().decode(), newline="")))
    assert len(rows) == 3 and len({len(row) for row in rows}) == 1
    assert not any(cell.lstrip().startswith("=") for row in rows for cell in row)


def test_a_whole_number_that_parquet_cannot_hold_is_named():
    pytest.importorskip("pyarrow")
    assert parquet_table([{"text": "", "count": 2**63 - 1}], KINDS)
    with pytest.raises(UserError, match="count is 9223372036854775808"):
        parquet_table([{"text": "", "count": 2**63}], KINDS)


def test_a_language_models_columns_show_up_only_where_they_have_values():
    model = records(made.small([llm_row(llm_result()).to_dict()]))
    header = csv_table(model).decode().splitlines()[0].split(",")
    assert {"ttft_p50_ms", "ttft_p99_ms", "tpot_p99_ms", "itl_p99_ms", "good_per_s"} <= set(header)
    assert "output_tokens_per_s" in header
    other = csv_table(records(made.small([{"QPS": 5.0}]))).decode().splitlines()[0]
    assert "ttft" not in other and "tokens" not in other
