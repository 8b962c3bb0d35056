"""JUnit XML, for CI: a test case for the evaluation as a whole, and one for each row. Reasons for
a verdict other than VALID are failures; doubts are in the output.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as xml

from qs.render.nodes import side_table, sides_of
from qs.result.cases import NamedCase
from qs.result.columns import columns
from qs.result.gate import GateEntry, GateOutcome, overall
from qs.result.story import Story

SHOWN = columns("items_per_s", "p99_ms")
MEASURED = columns("ttft_p99_ms", "itl_p99_ms", "tpot_p99_ms", "output_tokens_per_s", "good_per_s")
MOST_NODES = 50  # of a case
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(story: Story) -> bytes:
    result = story.result
    suite = xml.Element(
        "testsuite", name=xml_text(story.title), timestamp=xml_text(result.started[:19])
    )
    place = xml_text(f"qs.{result.backend}.{result.task}")
    whole_s, own = sum(result.durations.values()), story.own_reasons
    add_case(suite, place, "evaluation", whole_s, own)
    for each in story.cases:
        row = each.row
        reasons = [] if row.valid else row.reasons
        case = add_case(suite, place, each.name, row.wall_s or 0.0, reasons, str(row.verdict))
        figures = [f"{column.heading} {getattr(row, column.name)}" for column in SHOWN]
        known = [(column.heading, column.of(row)) for column in MEASURED]
        figures += [f"{heading} {value}" for heading, value in known if value is not None]
        xml.SubElement(case, "system-out").text = xml_text(
            "\n".join([*figures, row.standing, *map(str, row.doubts), *_nodes(each)])
        )
    add_gates(suite, place, result.gates)
    return document(suite)


def _nodes(case: NamedCase) -> list[str]:
    """A line for each node, those that stand out most where there are many."""
    return [
        "; ".join(f"{name} {text}" for name, text in zip(found.headings, line))
        for side in sides_of([case], MOST_NODES)
        for found in [side_table(side)]
        for line in found.lines
    ]


def document(suite: xml.Element) -> bytes:
    """The file of one suite, with its counts."""
    failed = sum(case.find("failure") is not None for case in suite)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failed))
    suite.set("errors", "0")
    whole = xml.Element("testsuites", tests=str(len(suite)), failures=str(failed))
    whole.append(suite)
    return xml.tostring(whole, encoding="utf-8", xml_declaration=True)


def add_gates(suite: xml.Element, place: str, entries: Sequence[GateEntry]) -> None:
    """A test case for each condition of --fail_if."""
    for condition, own in _by_condition(entries).items():
        _gate(suite, place, condition, own)


def _by_condition(entries: Sequence[GateEntry]) -> dict[str, list[GateEntry]]:
    """The entries of each condition."""
    found: dict[str, list[GateEntry]] = {}
    for entry in entries:
        found.setdefault(entry.condition, []).append(entry)
    return found


def _gate(suite: xml.Element, place: str, condition: str, entries: Sequence[GateEntry]) -> None:
    """A condition that holds is a failure, one that cannot be told too, of a type of its own."""
    outcome = overall(entries)
    said = [each.sentence for each in entries]
    wrong = [each.sentence for each in entries if each.outcome is outcome]
    kind = "FAIL_IF" if outcome is GateOutcome.HOLDS else "UNCLEAR"
    reasons = [] if outcome is GateOutcome.NOT else wrong
    case = add_case(suite, place, f"fail_if {condition}", 0.0, reasons, kind)
    decide = [f"to decide: {each.decide}" for each in entries if each.decide]
    xml.SubElement(case, "system-out").text = xml_text("\n".join([*said, *decide]))


def add_case(
    suite: xml.Element,
    place: str,
    name: str,
    seconds: float,
    reasons: Sequence[str],
    kind: str = "INVALID",
) -> xml.Element:
    case = xml.SubElement(
        suite, "testcase", classname=place, name=xml_text(name), time=f"{seconds:.3f}"
    )
    if reasons:
        failure = xml.SubElement(case, "failure", message=xml_text(reasons[0]), type=kind)
        failure.text = xml_text("\n".join(reasons))
    return case


def xml_text(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return _NOT_XML.sub("?", text)
