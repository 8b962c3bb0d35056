"""JUnit XML, for CI: a test case for each row and each check; reasons are failures, failed requests
stand in the output.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

from qs.base.files import write_atomic
from qs.render.html.page import named_rows

SUFFIX = ".xml"
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(result: Mapping[str, Any], folder: Path, out: Path) -> None:
    suite = xml.Element(
        "testsuite",
        name=_text(f"{result['Task']} on {result['Backend']}"),
        timestamp=str(result["Started"])[:19],
    )
    place = _text(f"qs.{result['Backend']}.{result['Task']}")
    of_rows = [reason for row in result.get("Performance") or [] for reason in row["Reasons"]]
    own = [
        reason for reason in result["Reasons"] if not of_rows or not reason.endswith(tuple(of_rows))
    ]
    _case(suite, place, "evaluation", sum((result.get("Durations") or {}).values()), own)
    for name, row in named_rows(result):
        reasons = row["Reasons"] if row["Verdict"] == "INVALID" else []
        case = _case(suite, place, name, row.get("Wall Time") or 0.0, reasons)
        said = [f"items/s {row.get('QPS')}", f"p99 ms {row.get('P99 Latency')}", *row["Warnings"]]
        xml.SubElement(case, "system-out").text = _text("\n".join(map(str, said)))
    failed = sum(case.find("failure") is not None for case in suite)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failed))
    suite.set("errors", "0")
    whole = xml.Element("testsuites", tests=str(len(suite)), failures=str(failed))
    whole.append(suite)
    write_atomic(out, xml.tostring(whole, encoding="utf-8", xml_declaration=True))


def _case(suite: Any, place: str, name: str, seconds: float, reasons: list[str]) -> Any:
    case = xml.SubElement(
        suite, "testcase", classname=place, name=_text(name), time=f"{seconds:.3f}"
    )
    if reasons:
        failure = xml.SubElement(case, "failure", message=_text(reasons[0]), type="INVALID")
        failure.text = _text("\n".join(reasons))
    return case


def _text(text: Any) -> str:
    """Without what XML cannot hold."""
    return _NOT_XML.sub("?", str(text))
