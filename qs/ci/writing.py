"""What a gate came to, in the forms that people and CI servers read: lines for a terminal, Markdown
short enough for a comment on a pull request, JUnit XML.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as xml

from qs.base.words import counted, number, signed_percent, span
from qs.ci.report import CiFigure, CiReport
from qs.render.junit import add_case, add_gates, document, xml_text
from qs.render.markdown import escaped, gate_lines, table
from qs.result.gate import GateOutcome

MOST_LINES = 40  # of a table in a comment


def lines(report: CiReport) -> Iterator[str]:
    """For a terminal, the verdict last."""
    for figure in report.figures:
        yield (
            f"{figure.case}: {figure.name} {number(figure.old)} -> {number(figure.new)} "
            f"{figure.unit}, {_change(figure)}"
        )
    yield from (f"note: {text}" for text in report.notes)
    yield from (f"fail_if: {entry.sentence}" for entry in report.gates)
    yield from (f"reason: {text}" for text in report.reasons)
    yield f"{_measured(report)}"
    yield f"gate: {report.headline}"
    if report.decide:
        yield f"  to decide: {report.decide}"


def markdown(report: CiReport) -> str:
    said = [f"### {escaped(report.title)}: {escaped(report.headline)}", ""]
    said += [f"- {escaped(reason)}" for reason in report.reasons]
    if report.gates:
        said += ["", *gate_lines(report.gates[:MOST_LINES])]
    if report.decide:
        said += ["", f"To decide: `{report.decide}`"]
    if report.figures:
        said += ["", "<details><summary>All figures</summary>", "", *_figures(report), ""]
        said += ["</details>"]
    said += ["", "<details><summary>How it was measured</summary>", ""]
    said += [f"- old: {escaped(report.old)}", f"- new: {escaped(report.new)}"]
    said += [f"- {escaped(report.how)}", f"- {escaped(_measured(report))}"]
    said += [f"- {escaped(text)}" for text in report.notes]
    return "\n".join([*said, "", "</details>", ""])


def junit(report: CiReport) -> bytes:
    suite = xml.Element("testsuite", name=xml_text(f"qs ci: {report.title}"))
    place = "qs.ci"
    said = "\n".join(lines(report))
    case = add_case(suite, place, "measurement", report.spent_s, report.reasons)
    xml.SubElement(case, "system-out").text = xml_text(said)
    add_gates(suite, place, report.gates)
    return document(suite)


def _figures(report: CiReport) -> list[str]:
    rows = [
        [each.case, each.name, f"{number(each.old)} {each.unit}", number(each.new), _change(each)]
        for each in report.figures[:MOST_LINES]
    ]
    left = len(report.figures) - len(rows)
    made = table(["case", "figure", "old", "new", "change"], rows)
    return [*made, "", f"and {left} more"] if left else made


def _change(figure: CiFigure) -> str:
    if figure.change is None:
        return "change unknown"
    said = signed_percent(figure.change / 100.0)
    if figure.low is None or figure.high is None:
        return said
    return f"{said} ({figure.low:+.1f} .. {figure.high:+.1f})"


def _measured(report: CiReport) -> str:
    if not report.interleaved:
        return f"the new one was measured once, in {span(report.spent_s)}"
    rounds = counted(report.rounds, "round")
    return f"{rounds} in {span(report.spent_s)}, budget {span(report.budget_s)}"


def sentences(report: CiReport) -> Sequence[str]:
    """What matters, for standard error where nothing else is printed."""
    return [
        f"--fail_if {entry.sentence}"
        for entry in report.gates
        if entry.outcome is not GateOutcome.NOT
    ]
