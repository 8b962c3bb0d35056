"""Every format of a saved result, read back by another tool; older results; wrong input."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as xml

import pytest

from qs.render.formats import FORMATS
from qs.render.html.index_page import reports_page
from qs.render.markdown import markdown
from tests.qs.program import qs, refused
from tests.qs.result import made

FIXTURES = Path(__file__).parents[2] / "fixtures" / "results"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made.report("closed", tmp_path_factory.mktemp("saved"))


def drawn(folder: Path, name: str, result=None) -> bytes:
    return FORMATS[name].draw(made.told(result or made.result_of(folder), folder))


def lines(table: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.decode())))


def test_the_command_offers_what_there_is():
    from qs.cli.report import FORMATS as offered

    assert sorted(offered) == sorted(FORMATS)


def test_csv(folder):
    rows, result = lines(drawn(folder, "csv")), made.result_of(folder)
    assert [float(row["items_per_s"]) for row in rows] == [
        row["QPS"] for row in result["Performance"]
    ]
    assert rows[0]["task"] == "digits-cnn-onnx-fp32" and rows[0]["verdict"] == "VALID"
    evil = result | {"Task": "=1+1"}
    assert lines(drawn(folder, "csv", evil))[0]["task"] == "'=1+1"


def test_parquet(folder):
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(drawn(folder, "parquet")))
    assert table["completed"].to_pylist() == [
        row["Completed"] for row in made.result_of(folder)["Performance"]
    ]
    assert str(table.schema.field("p99_ms").type) == "double"


def test_the_tables_have_the_half_widths_of_the_intervals(folder):
    saved = made.result_of(folder)
    row = saved["Performance"][0]
    row["Confidence"]["Queries Per Second"]["Half Width"] = 0.1 * row["Queries Per Second"]
    row["Confidence"]["P99 Latency"]["Half Width"] = 0.5
    first = lines(drawn(folder, "csv", saved))[0]
    assert float(first["items_per_s_half_width"]) == pytest.approx(0.1 * row["QPS"])
    assert float(first["p99_half_width_ms"]) == pytest.approx(0.5)
    row["Confidence"] = None
    first = lines(drawn(folder, "csv", saved))[0]
    assert first["items_per_s_half_width"] == first["p99_half_width_ms"] == ""


def test_markdown_of_a_sweep_has_its_settings_and_ties(tmp_path):
    folder = made.report("sweep", tmp_path)
    saved = json.loads((folder / "sweep-fp32.json").read_text())
    (line,), (chosen, *_) = saved["Sweep"]["table"], saved["Sweep"]["recommendations"]
    saved["Sweep"]["table"] += [line | {"name": "bs2-c1", "QPS": 100.0, "QPS Half Width": 250.0}]
    chosen |= {"not_told_apart": ["bs1-c1", "bs2-c1"], "tell_apart": "qs sweep\n<b>"}
    text = drawn(folder, "md", saved).decode()
    shown = [each.split(" | ") for each in text.splitlines() if each.startswith("| ")]
    assert [each[0] for each in shown[:3]] == ["| setting", "| bs1-c1", "| bs2-c1"]
    assert shown[2][1:3] == ["100", "over 100 %"]
    assert "- for latency: **bs1-c1**, the least p99, 12.3 ms; not told apart: bs1-c1, bs2" in text
    assert (
        "\n    qs run --task digits-cnn-onnx-fp32 " in text
        and "apart what was not:\n\n    qs sweep <b>" in text
    )


def test_markdown(folder, tmp_path):
    text = drawn(folder, "md").decode()
    assert text.startswith("## VALID, 4 doubts: Run of digits-cnn-onnx-fp32 on CPU")
    assert "| BS 8 |" in text and "qs run --task digits-cnn-onnx-fp32" in text
    evil = markdown(made.told(made.evil(folder, tmp_path / "evil")))
    assert "<script" not in evil.replace("\\<script", "") and "\n| x" not in evil


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\u2028"])
def test_a_line_break_in_the_command_leaves_no_code_block(folder, end):
    words = ["qs", "run", "--task", f"a{end}{end}<b>bold</b>{end}[x](javascript:alert(1))"]
    text = drawn(folder, "md", made.result_of(folder) | {"Command": words}).decode()
    (line,) = [line for line in text.splitlines() if "<b>" in line]
    assert line.startswith("    qs run --task $'a")


def test_a_file_beside_the_page_is_no_script_and_no_other_place(tmp_path):
    folder = made.report("closed", tmp_path)
    names = ["javascript:alert(1);x.png", "#top.png", "what?.png", "100%.png", "ümlaut.json"]
    for name in [*names, os.fsdecode(b"not-utf-8-\xff.png")]:
        (folder / name).write_bytes(b"")
    links = re.findall(r'<a href="([^"]*)">', drawn(folder, "html").decode("utf-8"))
    beside = [link for link in links if link != "#main"]
    assert all(link.startswith("./") and not set(link) & set("#?:") for link in beside)
    assert {unquote(link) for link in beside} >= {f"./{name}" for name in names}
    assert "./not-utf-8-%FF.png" in beside


def test_a_folder_in_the_index_is_no_script(tmp_path):
    made.report("closed", tmp_path / "javascript:alert(1)")
    page, unread = reports_page(tmp_path)
    (link,) = re.findall(r'<th scope="row"[^>]*><a href="([^"]*)">', page.decode())
    assert link.startswith("./javascript%3Aalert") and not unread


def test_junit(folder):
    suite = xml.fromstring(drawn(folder, "junit"))[0]
    assert (suite.get("tests"), suite.get("failures")) == ("3", "0")
    result = made.result_of(folder)
    result["Performance"][1] |= {"Verdict": "INVALID", "Reasons": ["5 of 10 requests failed \x00"]}
    result["Reasons"] = ["numeric: output logits: NaN", "BS 8: 5 of 10 requests failed \x00"]
    suite = xml.fromstring(drawn(folder, "junit", result))[0]
    failed = {
        case.get("name"): case.find("failure").get("message")
        for case in suite
        if case.find("failure") is not None
    }
    assert failed == {
        "evaluation": "numeric: output logits: NaN",
        "BS 8": "5 of 10 requests failed ?",
    }


@pytest.mark.slow
def test_pdf(folder, tmp_path):
    content = drawn(folder, "pdf")
    assert content.startswith(b"%PDF") and len(content) > 20_000  # the charts are in it
    evil = made.evil(folder, tmp_path / "evil")
    assert drawn(folder, "pdf", evil).startswith(b"%PDF")


def test_json_is_the_result(folder):
    assert json.loads(drawn(folder, "json")) == made.result_of(folder)


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.json")), ids=lambda path: path.stem)
@pytest.mark.parametrize("name", ["html", "pdf", "md", "csv", "parquet", "junit"])
def test_older_results_are_rendered(path, name, tmp_path):
    assert len(drawn(tmp_path, name, json.loads(path.read_text()))) > 100


def test_the_command(folder, tmp_path):
    ran = qs("report", folder, "--format", "md", "--output", "-")
    assert ran.returncode == 0 and ran.stdout.startswith("## VALID")
    ran = qs("report", folder / "result-fp32.json", "--output", tmp_path / "a" / "page.html")
    page = (tmp_path / "a" / "page.html").read_text()
    assert ran.returncode == 0 and len(page) > 900_000 and not _links(page)
    ran = qs("report", "--all", folder.parent.parent)
    assert ran.returncode == 0 and "digits" in (folder.parent.parent / "index.html").read_text()


def _links(page: str) -> list[str]:
    """Those that lead out of the page."""
    return [each for each in re.findall(r'<a [^>]*href="([^"]*)"', page) if each[0] != "#"]


def test_an_index_in_another_folder_leads_to_the_reports(folder, tmp_path):
    there = tmp_path / "index.html"
    assert qs("report", "--all", folder.parent.parent, "--output", there).returncode == 0
    links = _links(there.read_text())
    assert links and all((there.parent / unquote(each)).is_file() for each in links)


def test_wrong_input_is_one_message(folder, tmp_path):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "new.json").write_text(json.dumps(made.result_of(folder) | {"schema_version": 99}))
    refused(qs("report", tmp_path / "bad.json"), "is not a JSON file")
    refused(qs("report", tmp_path / "other.json"), "a result JSON")
    refused(qs("report", tmp_path / "new.json"), "schema_version", "99")
    refused(qs("report", tmp_path / "none"), "none")
    refused(qs("report", folder, "--output", tmp_path), "a file")
    refused(qs("report", "--all", folder / "result-fp32.json"), "a folder of reports")
    refused(qs("report", folder, "--format", "xls"), "xls")


def test_a_place_that_cannot_be_written_to_is_one_message(folder, tmp_path):
    """/proc takes no files, whoever asks."""
    refused(qs("report", folder, "--output", "/proc/x.html"), "--output /proc", "cannot write")
    refused(
        qs("report", "--all", folder.parent.parent, "--output", "/proc/x.html"), "--output /proc"
    )
    refused(qs("compare", folder, folder, "--html", "/proc/x.html"), "--html /proc")
    refused(qs("history", "export", "/proc/x.csv"), "FILE /proc")


def test_the_log_read_back_by_another_tool_says_the_same(folder):
    """Every percentile of a row from its .hlog, by the HdrHistogram library."""
    from hdrh.histogram import HdrHistogram
    from hdrh.log import HistogramLogReader

    for row in made.result_of(folder)["Performance"]:
        whole = HdrHistogram(1, 3_600_000_000_000, 3)
        reader = HistogramLogReader(str(folder / row["Histogram"]), whole)
        while (interval := reader.get_next_interval_histogram()) is not None:
            whole.add(interval)
        reader.close()
        assert whole.get_total_count() == row["Completed"]
        for key, percentile in (
            ("P50 Latency", 50.0),
            ("P90 Latency", 90.0),
            ("P99 Latency", 99.0),
        ):
            assert whole.get_value_at_percentile(percentile) / 1e6 == pytest.approx(
                row[key], rel=1e-3
            )
