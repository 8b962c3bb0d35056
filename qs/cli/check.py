"""`qs check`: the conformance test of a vendor's folder. Only the options are read here."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from qs.base import bounds
from qs.cli.types import Seconds


@click.command("check", short_help="Test whether a backend keeps the contract.")
@click.option(
    "--hardware_type", required=True, help="Name of a folder in backends/, for example CPU."
)
@click.option(
    "--task", default="digits-cnn-onnx-fp32", show_default=True, help="The task to test it with."
)
@click.option(
    "--workspace",
    type=click.Path(path_type=Path),
    help="Folder to search first for tasks, backends, models and data sets.",
)
@click.option(
    "--answers",
    type=click.Path(path_type=Path),
    help="JSON file with answers to the backend's questions.",
)
@click.option(
    "--env",
    type=click.Choice(["auto", "current", "new"]),
    default="auto",
    show_default=True,
    help="Which environment the backend runs in, as for qs run.",
)
@click.option(
    "--time_limit",
    type=Seconds(),
    help="Each check ends, as failed, after this time.  [default: 300 s, and 1 h for compile]",
)
@click.option(
    "--log",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep what the backend prints in this file.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, bounds.SEED),
    help="Seed of generated weights and inputs.  [default: 0]",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the results as JSON on standard output."
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
    from qs.cli.commands import INVALID, VALID
    from qs.conformance.outcome import PASS
    from qs.conformance.running import Asked, conform
    from qs.conformance.showing import PlainView, TerminalView, counts, to_json, verdict

    asked = Asked(**options)
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
