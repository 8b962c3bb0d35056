"""`qs check`: the conformance test of a vendor's folder. Only the options are read here."""

from __future__ import annotations

import sys

import click

from qs.cli import options as given
from qs.cli.basic_types import FilePath
from qs.cli.helping import Command
from qs.cli.naming import settled
from qs.cli.options.grouping import OUTPUT, STOP, TARGET
from qs.cli.types import Seconds


@click.command("check", cls=Command, short_help="Test whether a backend keeps the contract.")
@given.hardware
@given.option(
    TARGET,
    "-t",
    "--task",
    default="digits-cnn-onnx-fp32",
    show_default=True,
    metavar="TASK",
    help="The task to test it with.",
    shell_complete=given.known("tasks"),
)
@given.workspace
@given.answer_file
@given.environment
@given.option(
    STOP,
    "--time_limit",
    type=Seconds(),
    help="Each check ends, as failed, after this time.  [default: 300 s, and 1 h for compile]",
)
@given.option(
    OUTPUT,
    "--log",
    type=FilePath(dir_okay=False),
    help="Keep what the backend prints in this file.",
)
@given.seed
@given.option(
    OUTPUT,
    "--json",
    "as_json",
    is_flag=True,
    help="Print the results as JSON on standard output.",
)
def command(as_json: bool, **options) -> int:
    """Test whether a backend keeps the contract: names, methods, compile, load, predict, threads,
    answers, leaks.

    Each check passes, fails or is skipped, with the reason and how to fix it. Exit status: 0 if
    none failed, 3 if some did.

    \b
    Examples:
      qs check --hardware_type ACME
      qs check --hardware_type ACME --task bert-torch-fp32 --time_limit 10m
      qs check --hardware_type ACME --json > conformance.json
    """
    from qs.base.workspace import Workspaces
    from qs.cli.commands import INVALID, VALID
    from qs.conformance.outcome import PASS
    from qs.conformance.running import Asked, conform
    from qs.conformance.showing import PlainView, TerminalView, counts, to_json, verdict

    workspaces = Workspaces.find(options["workspace"])
    options["task"] = workspaces.task_name(options["task"])
    asked = Asked(**settled(options, quiet=False))
    stream = sys.stderr if as_json else sys.stdout
    view = TerminalView(stream) if stream.isatty() else PlainView(stream)
    results: list = []
    try:
        hardware, results = conform(asked, view, lambda text: print(text, file=sys.stderr))
    finally:
        view.close(results)
    print(f"{hardware} on {asked.task}: {counts(results)}", file=stream)
    if as_json:
        from qs.base.console import print_json

        print_json(to_json(results, hardware, asked.task))
    return VALID if verdict(results) == PASS else INVALID
