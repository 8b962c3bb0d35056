"""`qs history`: the runs of the past. It reads the options; qs.history does the work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from qs.base import bounds
from qs.base.console import print_json
from qs.cli.basic_types import FilePath, OneOf, Whole
from qs.cli.commands import VALID
from qs.cli.helping import Commands
from qs.cli.types import Tag


class Listing(Commands):
    """A group that lists where no command is named, so that `qs history --task T` says what it
    means.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


class Moment(click.ParamType):
    """A date, a date and time, or how long ago."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from qs.history.entries import MOMENTS, moment

        try:
            return moment(str(value))
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a point in time; write {MOMENTS}.", param, ctx)


class EntryName(click.ParamType):
    """An entry by its number, age or tag, with @ before it or without: 12, last, TAG."""

    name = "run"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from qs.history.sides import number_of

        return value if isinstance(value, int) else number_of(str(value))


def wanted(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose entries."""
    options = (
        click.option(
            "-t",
            "--task",
            metavar="TASK",
            help="Of this task, or model file; the beginning of its name is enough.",
        ),
        click.option(
            "-H",
            "--hardware_type",
            "--hardware",
            "hardware",
            metavar="BACKEND",
            help="On this backend.",
        ),
        click.option("--model", metavar="MODEL", help="Of this model."),
        click.option(
            "--kind",
            type=OneOf(["run", "load", "sweep", "numeric"]),
            help="Made by this command.",
        ),
        click.option(
            "--verdict",
            type=OneOf(["VALID", "SLO NOT MET", "OVERLOADED", "INVALID"], case_sensitive=False),
            help="With this verdict.",
        ),
        click.option("--tag", metavar="TAG", help="With this tag."),
        click.option(
            "--since",
            type=Moment(),
            help="Started at or after: 2026-11-24, 2026-11-24T10:00, 7d, 12h.",
        ),
        click.option(
            "--limit",
            type=Whole(1, bounds.COUNT),
            help="Show at most this many, the newest.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


as_json = click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")


@click.group("history", cls=Listing, short_help="List, tag, export and plot the runs of the past.")
def command() -> None:
    """Past runs: every qs run, load, sweep and numeric leaves an entry, except with --no_history.

    Without a command, entries are listed. The database is history.db in the user's data folder, or
    in QS_DATA.

    \b
    Examples:
      qs history
      qs history --task digits-cnn-onnx-fp32 --hardware_type CPU --since 7d
      qs history show last
      qs history tag 12 baseline
      qs history trend --task digits-cnn-onnx-fp32 --hardware_type CPU --metric p99
      qs compare @baseline @last
    """


@command.command("list")
@wanted
@as_json
def list_entries(as_json: bool, **options: Any) -> int:
    """List entries, newest first.

    \b
    Examples:
      qs history list --kind sweep --limit 10
      qs history list --tag baseline --json
    """
    from dataclasses import asdict

    from qs.history.entries import Wanted, entries

    found = entries(_wanted(options))
    if as_json:
        print_json([asdict(each) for each in found])
    elif found:
        from qs.history.showing import print_entries

        print_entries(found, sys.stdout)
    else:
        said = "has no such entry" if entries(Wanted(limit=1)) else "is empty"
        click.echo(f"the history {said}", err=True)
    return VALID


@command.command()
@click.argument("run", metavar="RUN")
@as_json
def show(run: str, as_json: bool) -> int:
    """Show a run as it was shown when it was measured; with --json the whole result.

    RUN is 12, last, -2 (written @-2: the one before the last), a tag, or a result's file or folder.

    \b
    Examples:
      qs history show last
      qs history show 12
      qs history show @baseline --json
    """
    from qs.history.entries import entry, local
    from qs.history.sides import named

    side = named(run)
    if as_json:
        print_json(side.result.to_dict())
        return VALID
    from qs.render.terminal import print_story
    from qs.result.story import story_of

    if side.entry is not None:
        found = entry(side.entry)
        tags = f", tags: {' '.join(found.tags)}" if found.tags else ""
        click.echo(f"#{found.id}, {local(found.started)}{tags}")
    for note in side.notes:
        click.echo(f"note: {note}", err=True)
    folder = side.path.parent if side.path else None
    print_story(story_of(side.result, folder), str(side.path) if side.path else None, sys.stdout)
    return VALID


@command.command()
@click.argument("number", type=EntryName(), metavar="RUN")
@click.argument("name", type=Tag())
@click.option("--remove", is_flag=True, help="Take the tag off.")
def tag(number: int, name: str, remove: bool) -> int:
    """Put a tag on a run, to find it by and to compare with: qs compare @TAG reports/CPU/bert.
    RUN is its number, last, @-2 or another tag of it.

    \b
    Examples:
      qs history tag last baseline
      qs history tag 12 before-the-upgrade
      qs history tag 12 baseline --remove
    """
    from qs.history.entries import tag as put

    changed = put(number, name, remove)
    if not changed:
        click.echo(
            f"#{number} had no tag {name}" if remove else f"#{number} has the tag {name} already",
            err=True,
        )
    return VALID


@command.command()
@click.option(
    "-t",
    "--task",
    metavar="TASK",
    required=True,
    help="Of this task, or model file; the beginning of its name is enough.",
)
@click.option(
    "-H",
    "--hardware_type",
    "--hardware",
    "hardware",
    metavar="BACKEND",
    required=True,
    help="On this backend.",
)
@click.option(
    "--metric",
    metavar="FIGURE",
    default="QPS",
    show_default=True,
    help="A figure of the report's rows (QPS, 'P99 Latency'), or throughput, mean, p50, p99; of a "
    "language model ttft.p99, itl.p99, tpot.p50, output_tokens/s, goodput.",
)
@click.option("--since", type=Moment(), help="Started at or after: 2026-11-24, 7d, 12h.")
@click.option("--tag", metavar="TAG", help="With this tag.")
@click.option(
    "--limit", type=Whole(1, bounds.COUNT), help="Show at most this many runs, the newest."
)
@as_json
def trend(metric: str, as_json: bool, **options: Any) -> int:
    """Show a figure from run to run, for each case: oldest to newest, and the latest against the
    median of those before it.

    \b
    Examples:
      qs history trend --task digits-cnn-onnx-fp32 --hardware_type CPU
      qs history trend --task digits-cnn-onnx-fp32 --metric 'P99 Latency' --since 4w
    """
    from qs.history.trend import trends

    name, lines = trends(_wanted(options), metric)
    if as_json:
        print_json({"metric": name, "cases": [_plain(line) for line in lines]})
    elif lines:
        from qs.history.showing import print_trend

        print_trend(name, lines, sys.stdout)
    else:
        click.echo("the history has no such measurement", err=True)
    return VALID


@command.command()
@click.argument("file", type=FilePath(dir_okay=False))
@wanted
def export(file: Path, **options: Any) -> int:
    """Write the cases of the entries to a table, one a row, oldest first: .csv, or .parquet (needs
    pyarrow).

    \b
    Examples:
      qs history export history.csv
      qs history export history.parquet --task digits-cnn-onnx-fp32
    """
    from qs.history.exporting import export as write

    count = write(file, _wanted(options))
    click.echo(f"{count} case{'s' * (count != 1)} written to {file}", err=True)
    return VALID


@command.command()
@click.argument("numbers", type=EntryName(), nargs=-1, metavar="[RUN]...")
@click.option("--before", type=Moment(), help="All that started before: 2026-11-24, 4w.")
def delete(numbers: tuple[int, ...], before: str | None) -> int:
    """Remove entries from the history. The reports that they came from stay where they are.

    \b
    Examples:
      qs history delete 12 13
      qs history delete --before 26w
    """
    from qs.history.entries import delete as remove

    if not numbers and before is None:
        raise click.UsageError("name entries, or an age with --before")
    gone = remove(numbers, before)
    click.echo(f"{gone} entr{'y' if gone == 1 else 'ies'} removed", err=True)
    return VALID


def _wanted(options: dict[str, Any]) -> Any:
    from qs.history.entries import Wanted, task_named

    if options.get("task"):
        options["task"] = task_named(options["task"])
    return Wanted(**options)


def _plain(line: Any) -> dict[str, Any]:
    points = [
        {"id": each.entry.id, "started": each.entry.started, "value": each.value}
        for each in line.points
    ]
    return {
        "case": line.title,
        "latest": line.latest,
        "median_before": line.usual,
        "change": line.change,
        "points": points,
    }
