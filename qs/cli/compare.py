"""`qs compare`: two or more results, case by case. qs.comparison does the work."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from qs.cli.basic_types import FilePath
from qs.cli.commands import INVALID, UNCLEAR, VALID
from qs.cli.helping import Command
from qs.cli.types import SharePercent


@click.command("compare", cls=Command, short_help="Compare results, case by case.")
@click.argument("results", nargs=-1, metavar="[A] [B] [C]...")
@click.option(
    "--margin",
    type=SharePercent(),
    default="2%",
    show_default=True,
    help="Differences up to this do not matter: slower and faster are beyond it, same is within.",
)
@click.option(
    "--spread",
    type=SharePercent(),
    help="How much throughput differs from run to run with nothing changed, as a standard "
    "deviation.  [default: as qs doctor had measured before the runs, else 1%]",
)
@click.option("--anyway", is_flag=True, help="Compare results even if they are unlike or INVALID.")
@click.option(
    "--fail_if",
    multiple=True,
    metavar="CONDITION",
    help="Exit with status 3 if this holds: slower:5% (any figure), p99.slower:10%, "
    "throughput.slower:3%; with status 4 if that cannot be told. May be repeated.",
)
@click.option(
    "--allow_unclear",
    is_flag=True,
    help="Pass where it cannot be told whether a condition of --fail_if holds.",
)
@click.option(
    "--html",
    "page",
    type=FilePath(dir_okay=False),
    help="Write a page of it, side by side.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the comparison as JSON on standard output, all else on standard error.",
)
@click.option(
    "-q", "--quiet", is_flag=True, help="No table; errors, and conditions that hold, only."
)
def command(
    results: tuple[str, ...],
    margin: float,
    spread: float | None,
    anyway: bool,
    fail_if: tuple[str, ...],
    allow_unclear: bool,
    page: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Compare results of qs run, qs load or qs sweep: how much throughput and response times
    differ, and whether that is more than noise.

    Each is a result JSON, the folder of its report, or a run of the history: @last, @-2 (the one
    before it), @12, or @TAG. Without any, the last two runs of the task that was measured last are
    compared; a single one is compared with the last run of its task. Of three or more, the first
    is the baseline. Cases are matched by batch size, scenario, clients, instances, pool and
    threads.

    Exit status: 0 compared, whatever the verdict; 2 not comparable; 3 a condition of --fail_if
    holds; 4 it cannot be told whether one holds (--allow_unclear makes that 0), and the command
    that would decide it is printed.

    \b
    Examples:
      qs compare
      qs compare @baseline
      qs compare reports/before reports/after
      qs compare before/result-fp32.json after/result-fp32.json --fail_if p99.slower:10%
      qs compare @12 @13 --margin 1% --json
      qs compare reports/before reports/after --html comparison.html
    """
    from qs.base.console import print_json
    from qs.base.files import check_writable, write_atomic
    from qs.comparison.comparing import compare_results
    from qs.comparison.gate_words import gate_lines
    from qs.comparison.gates import State, judge, met
    from qs.comparison.noise import known_spread, stated_spread
    from qs.gates.grammar import parse_changes
    from qs.history.meant import sides_of

    conditions = parse_changes(fail_if, margin)
    if page is not None:
        check_writable(page.absolute().parent, "--html")
    sides = sides_of(results)
    known = (
        known_spread([each.result for each in sides]) if spread is None else stated_spread(spread)
    )
    found = compare_results(sides, margin, anyway, known)
    judged = judge(conditions, found.cases, margin)
    if as_json:
        gates = {
            "fail_if": [str(each) for each in conditions],
            "met": met(judged),
            "conditions": [each.to_dict() for each in judged],
        }
        print_json(found.to_dict() | gates)
    if page is not None:
        from qs.comparison.page import comparison_page

        write_atomic(page, comparison_page(found))
    if not quiet:
        from qs.comparison.showing import print_compared

        print_compared(found, sys.stderr if as_json else sys.stdout)
    for line in gate_lines(judged, found):
        click.echo(line, err=True)
    states = {each.state for each in judged}
    if State.HOLDS in states:
        return INVALID
    return UNCLEAR if State.UNCLEAR in states and not allow_unclear else VALID
