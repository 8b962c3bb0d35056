"""`qs doctor`: is this machine fit to measure on. Only the options are read here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from qs.base import bounds
from qs.base.console import print_json
from qs.base.errors import Fault, Faults
from qs.cli.basic_types import Whole
from qs.cli.commands import VALID
from qs.cli.helping import Command
from qs.cli.nodes import of_doctor
from qs.cli.nodes_types import Cluster, Nodes
from qs.cli.types import CpuSets, Seconds

if TYPE_CHECKING:
    from qs.settings.nodes_asked import NodesAsked


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
@click.option(
    "--nodes",
    type=Nodes(),
    help="Look at so many machines of a Ray cluster instead, all of them, or those with a label: "
    "in what they differ, and how their clocks stand.",
)
@click.option("--ray", type=Cluster(), help="With --nodes: the cluster's head, as for qs run.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")
def command(
    no_benchmark: bool,
    benchmark_time: float,
    instances,
    intra_op_threads,
    affinity,
    nodes,
    ray,
    as_json: bool,
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
      qs doctor --nodes all
    """
    asked = of_doctor(nodes, ray)
    if asked is not None:
        _check_planned(instances=instances, intra_op_threads=intra_op_threads, affinity=affinity)
        return _machines(asked, as_json)
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


def _check_planned(**stated: object) -> None:
    """Raises Faults for a plan that is of one machine."""
    allowed = "left out with --nodes: qs doctor on that machine judges for a plan"
    faults = [Fault(f"--{name}", "", "given", allowed) for name, value in stated.items() if value]
    if faults:
        raise Faults(faults)


def _machines(asked: NodesAsked, as_json: bool) -> int:
    """`qs doctor --nodes`: several machines side by side."""
    import asyncio

    from qs.doctor.looking import print_findings
    from qs.doctor.nodes import findings_of, look_at, nodes_check, print_machines

    machines = asyncio.run(look_at(asked, lambda line: click.echo(line, err=True)))
    findings = findings_of(machines)
    found = nodes_check(machines, findings)
    if as_json:
        print_json(found)
        return VALID
    print_machines(machines, sys.stdout)
    print_findings(findings, sys.stdout)
    click.echo(found["summary"])
    return VALID
