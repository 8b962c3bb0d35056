"""`qs check`: the conformance test of a vendor's folder, or of a task. Only the options are read
here.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from qs.cli import options as given
from qs.cli.basic_types import FilePath
from qs.cli.grouping import OUTPUT, STOP, TARGET
from qs.cli.helping import Command
from qs.cli.naming import settled
from qs.cli.types import Seconds

if TYPE_CHECKING:
    from qs.base.workspace import Workspaces


def _tasks_and_backends(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    names = [given.known(kind)(ctx, param, incomplete) for kind in ("tasks", "backends")]
    return [CompletionItem(name) for found in names for name in found]


@click.command("check", cls=Command, short_help="Test whether a backend or a task is in order.")
@click.argument(
    "word", required=False, default="", metavar="[TASK|BACKEND]", shell_complete=_tasks_and_backends
)
@given.hardware
@given.option(
    TARGET,
    "-t",
    "--task",
    metavar="TASK",
    help="The task to test; with --hardware_type, what the backend is tested with.  [default for "
    "that: digits-cnn-onnx-fp32]",
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
    """Test whether a task is in order (a TASK alone: files, model, data, labels, metric), or
    whether a backend keeps the contract (names, methods, compile, load, predict, threads, answers,
    leaks).

    Each check passes, fails or is skipped, with the reason and how to fix it. Exit status: 0 if
    none failed, 3 if some did.

    \b
    Examples:
      qs check mine
      qs check ACME
      qs check --hardware_type ACME
      qs check --hardware_type ACME --task bert-torch-fp32 --time_limit 10m
      qs check --hardware_type ACME --json > conformance.json
    """
    from qs.base.workspace import Workspaces
    from qs.cli.commands import INVALID, VALID
    from qs.cli.defaults import origins
    from qs.conformance.outcome import PASS
    from qs.conformance.running import TASK, Asked, conform
    from qs.conformance.showing import PlainView, TerminalView, counts, to_json, verdict
    from qs.conformance.task import conform_task

    # A project's usual backend is not asked for where a task was typed.
    workspaces = Workspaces.find(options["workspace"])
    word = options.pop("word")
    if word:
        options |= _meant(word, options, workspaces)
    named = "" if "hardware_type" in origins() else options["hardware_type"]
    alone = bool(options["task"]) and not named
    if alone:
        _check_alone(options)
    options["task"] = workspaces.task_name(options["task"] or TASK)
    stream = sys.stderr if as_json else sys.stdout
    view = TerminalView(stream) if stream.isatty() else PlainView(stream)
    hardware, task = None, options["task"]
    results: list = []
    try:
        if alone:
            results = conform_task(task, options["workspace"], options["time_limit"], view)
        else:
            given = settled(options)
            given.pop("backend_note", None)  # the summary names it
            asked = Asked(**given)
            hardware, results = conform(asked, view, lambda text: print(text, file=sys.stderr))
    finally:
        view.close(results)
    what = task if hardware is None else f"{hardware} on {task}"
    print(f"{what}: {counts(results)}", file=stream)
    if as_json:
        from qs.base.console import print_json

        print_json(to_json(results, hardware, task))
    return VALID if verdict(results) == PASS else INVALID


def _meant(word: str, options: Mapping[str, Any], workspaces: Workspaces) -> dict[str, str]:
    """The task or the backend of that name, as an option. Raises UserError if it is neither, both,
    or not the one that an option names.
    """
    from qs.base.errors import Fault, Faults
    from qs.base.names import nearest
    from qs.cli.defaults import origins

    backends, tasks = workspaces.list_backends(), workspaces.list_tasks()
    task = workspaces.task_name(word)
    found = {
        "hardware_type": next(
            (each for each in backends if each.casefold() == word.casefold()), ""
        ),
        "task": task if task in tasks else "",
    }
    meant = {name: value for name, value in found.items() if value}
    if len(meant) > 1:
        hint = f"write --hardware_type {found['hardware_type']} or --task {task}"
        raise Faults(
            [Fault("TASK", "", word, "one thing: it names a backend and a task", hint=hint)]
        )
    if not meant:
        near = nearest(word, [*tasks, *backends])
        raise Faults([Fault("TASK", "", word, "the name of a task or of a backend", nearest=near)])
    ((name, value),) = meant.items()
    other = options[name]
    if other and name not in origins() and other.casefold() != value.casefold():
        raise Faults([Fault("TASK", "", f"{word} and --{name} {other}", "one of them")])
    return meant


def _check_alone(options: Mapping[str, Any]) -> None:
    """UsageError for options of a backend's test."""
    given = [name for name in ("answers", "log", "seed") if options[name] is not None]
    if options["env"] != "auto":
        given.append("env")
    if given:
        raise click.UsageError(f"--{given[0]} is of a backend's test: name --hardware_type too")
