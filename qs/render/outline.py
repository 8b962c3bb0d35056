"""A plan on the terminal, or as JSON: what `--dry_run` prints."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TextIO

from qs.base.words import span


def print_outline(plan: Mapping[str, Any], as_json: bool, stream: TextIO | None = None) -> None:
    if as_json:
        import orjson

        sys.stdout.buffer.write(
            orjson.dumps(plan, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        )
        sys.stdout.buffer.flush()
        return
    print("\n".join(lines(plan)), file=stream or sys.stdout)


def lines(plan: Mapping[str, Any]) -> list[str]:
    """Inputs, every value with its origin, every case, and how long it takes."""
    said = [f"{plan['artifact']} on {plan['hardware']}; nothing is run", "inputs, at batch size 1:"]
    for each in plan["inputs"]:
        state = plan["states"].get(each["name"])
        more = f", fed back from {state}" if state else ""
        said.append(f"  {each['name']} {each['type']} {list(each['shape'])}{more}")
    said.append("values:")
    width = max(map(len, plan["values"]))
    for name, value in plan["values"].items():
        if value["value"] is not None:
            said.append(f"  {name:<{width}}  {value['value']}  ({value['origin']})")
    said.append("cases:")
    for case in plan["cases"]:
        how_long = f"for {span(case['seconds'])}" if case["seconds"] else "until its end"
        count = f", {case['iterations']} iterations" if case["iterations"] else ""
        clients = f"{case['clients']} client{'s' * (case['clients'] != 1)}"
        said.append(
            f"  {case['name']}: {case['scenario']}, batch size {case['batch_size']}, {clients}{count}, {how_long}"
        )
    total = plan["seconds"]
    said.append(
        f"takes about {span(total)}, and loading"
        if total
        else "takes as long as its iterations do, and loading"
    )
    said.append(f"report: {plan['report']}")
    return said + [f"note: {text}" for text in plan["notes"]]
