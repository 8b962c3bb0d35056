"""`qs ci`: a gate for continuous integration. It reads the options; qs.ci does the work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qs.cli import gating
from qs.cli import options as given
from qs.cli.basic_types import FilePath, OneOf
from qs.cli.commands import INTERRUPTED, INVALID
from qs.cli.grouping import OUTPUT, STOP, TARGET
from qs.cli.helping import Command
from qs.cli.naming import task_word
from qs.cli.types import Seconds

if TYPE_CHECKING:
    from qs.ci.report import CiReport

SLOWER = ("slower:5%",)
SNIPPETS = ("github", "gitlab")
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


@click.command(
    "ci", cls=Command, short_help="Measure old and new in turn until one can tell which is slower."
)
@task_word
@given.task
@given.option(
    TARGET,
    "--old",
    type=FilePath("PATH"),
    help="What the new is compared with: a model file, a compile result, or with --task a "
    "workspace (a checkout with backends/).",
)
@given.option(
    TARGET,
    "--new",
    type=FilePath("PATH"),
    help="What is judged, of the same kind.  [default: with --task, the workspace here]",
)
@given.option(
    TARGET,
    "--baseline",
    metavar="RUN",
    help="In place of --old: a saved result (file, report folder, @TAG, @last). What it measured "
    "is measured again if it is still there; else its numbers are compared.",
)
@given.hardware
@given.workspace
@given.batch_sizes
@given.clients
@given.traffic
@given.option(
    STOP,
    "--budget",
    type=Seconds(),
    default="5m",
    show_default=True,
    help="Longest time for all rounds; it ends as soon as the gate knows its answer.",
)
@given.option(
    STOP,
    "--block",
    type=Seconds(),
    help="How long each side of a round is measured.  [default: as p99 needs, within the budget]",
)
@given.pools
@given.warmup
@given.seed
@given.feeding
@gating.options
@given.answers
@given.timeouts
@given.environment
@given.offline
@given.out
@given.option(OUTPUT, "--md", type=FilePath("FILE"), help="Write Markdown, for a pull request.")
@given.option(OUTPUT, "--junit", type=FilePath("FILE"), help="Write JUnit XML, for CI servers.")
@given.option(
    OUTPUT,
    "--snippet",
    type=OneOf(SNIPPETS),
    help="Print a ready job for GitHub or GitLab, and measure nothing.",
)
@given.output
def command(snippet: str | None, as_json: bool, quiet: bool, **options) -> int:
    """Is the new slower than the old? Both are measured in turn, round by round in random order,
    until one can tell or the budget is over.

    Exit status: 0 no condition of --fail_if holds (without one: slower:5%); 3 one holds, or a side
    failed; 4 one cannot tell (--allow_unclear makes that 0), and the command that would decide is
    printed. Markdown also goes to GitHub's step summary.

    \b
    Examples:
      qs ci --old main/model.onnx --new model.onnx --hardware_type CPU
      qs ci --task digits-cnn-onnx-fp32 --hardware_type CPU --old ../main --new . --md gate.md
      qs ci --baseline @main --new model.onnx --fail_if slower:5%,p99.slower:20% --budget 2m
      qs ci --snippet github
    """
    if snippet:
        from qs.ci.snippets import snippet_of

        click.echo(snippet_of(snippet), nl=False)
        return 0
    return _gate(options, as_json, quiet)


def _gate(options: Mapping[str, Any], as_json: bool, quiet: bool) -> int:
    from qs.base.scratch import scratch
    from qs.ci.gating import hold
    from qs.cli.ci_asked import asked_of
    from qs.watch.terminal import open_view

    asked = asked_of(options, SLOWER)
    with scratch("qs-ci-") as folder:
        report, ended = hold(asked, open_view(quiet), folder)
    _write(report, asked.files)
    _print(report, as_json, quiet)
    if ended.interrupted:
        click.echo("interrupted; the report holds what was measured", err=True)
        return INTERRUPTED
    if report.reasons:
        return INVALID
    return gating.gated(report.gates, asked.allow_unclear)


def _write(report: CiReport, files: Mapping[str, Path]) -> None:
    from qs.base.files import write_atomic
    from qs.ci.writing import junit, markdown

    made = {"md": markdown(report).encode(), "junit": junit(report)}
    for form, path in files.items():
        write_atomic(path, made[form])
    summary = os.environ.get(STEP_SUMMARY)
    if summary:
        try:
            with open(summary, "ab") as file:
                file.write(made["md"])
        except OSError as error:
            click.echo(f"warning: {STEP_SUMMARY}: {error}", err=True)


def _print(report: CiReport, as_json: bool, quiet: bool) -> None:
    from qs.base.console import print_json
    from qs.base.visible import visible
    from qs.ci.writing import lines, sentences

    if as_json:
        print_json(report.to_dict())
    for text in sentences(report) if quiet else lines(report):
        click.echo(visible(text), err=as_json or quiet)
