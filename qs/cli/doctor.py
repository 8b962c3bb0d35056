"""`qs doctor`: is this machine fit to measure on. Only the options are read here."""

from __future__ import annotations

import sys

import click

from qs.base import bounds
from qs.base.console import print_json
from qs.cli.basic_types import Whole
from qs.cli.commands import VALID
from qs.cli.helping import Command
from qs.cli.types import CpuSets, Seconds


@click.command(
    "doctor", cls=Command, short_help="Is this machine fit to measure on, and what to change."
)
@click.option(
    "--no_benchmark", is_flag=True, help="Only look, without the self-benchmark of ten seconds."
)
@click.option(
    "--benchmark_time",
    type=Seconds(),
    default="10s",
    show_default=True,
    help="How long the self-benchmark takes.",
)
@click.option(
    "--instances",
    type=Whole(1, bounds.COPIES),
    help="Judge for a plan with this many instances.",
)
@click.option(
    "--intra_op_threads",
    type=Whole(1, bounds.COPIES),
    help="Judge for a plan with this many threads per instance.",
)
@click.option(
    "--affinity",
    type=CpuSets(),
    help="Judge for a plan with these CPUs for each instance, for example 0-3/4-7.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")
def command(
    no_benchmark: bool, benchmark_time: float, instances, intra_op_threads, affinity, as_json: bool
) -> int:
    """Look at cores, quota, hardware threads, frequency, clocks, memory, limits, thread variables,
    stolen time and other load; say what each does to a measurement and how to fix it. Then measure
    for ten seconds which differences this machine can resolve today.

    The benchmark's result is kept: qs compare takes it as the spread between runs, and reports
    quote it. Exit status 0, whatever is found.

    \b
    Examples:
      qs doctor --no_benchmark
      qs doctor --benchmark_time 2s --json
      qs doctor --no_benchmark --instances 2 --intra_op_threads 4
    """
    from qs.doctor import self_benchmark
    from qs.doctor.finding import Planned
    from qs.doctor.looking import WATCH_S, look, machine_check, print_findings

    planned = Planned(
        instances=instances, intra_op_threads=intra_op_threads, affinity=affinity or ()
    )
    findings = look(planned, watch_s=WATCH_S)
    benchmark = None
    if not no_benchmark:
        click.echo(f"self-benchmark, {benchmark_time:g} s", err=True)
        benchmark = self_benchmark.measure(benchmark_time)
        try:
            self_benchmark.save(benchmark)
        except OSError as error:
            click.echo(f"warning: the self-benchmark could not be kept: {error}", err=True)
    found = machine_check(findings, benchmark)
    if as_json:
        print_json(found)
        return VALID
    print_findings(findings, sys.stdout)
    if benchmark is not None:
        click.echo(benchmark.sentence())
    click.echo(found["summary"])
    return VALID
