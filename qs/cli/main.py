"""The group of commands, and how every ending becomes an exit status.

0 valid; 1 a bug (its traceback is shown); 2 the user's input or environment (one message); 3
measured but INVALID; 130 interrupted. A command is named in COMMANDS and imported when it is typed,
so that `--help` stays quick.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import click

from qs import __version__

VALID, BUG, USER_ERROR, INVALID, INTERRUPTED = 0, 1, 2, 3, 130

# command -> module that holds a click command of the same name, and the line that `--help` shows
# for it.
COMMANDS = {
    "run": (
        "qs.cli.run",
        "Compile, check and measure one task on one backend, and write the report.",
    ),
    "fetch": (
        "qs.cli.fetch",
        "Fetch the models and data of tasks ahead, for a machine or a time without a network.",
    ),
    "load": ("qs.cli.load", "Load-test a model file, or a compile result, without a task."),
    "sweep": (
        "qs.cli.sweep",
        "Measure many settings in turn, and find the highest rate within bounds.",
    ),
    "numeric": (
        "qs.cli.numeric",
        "Compare a backend's numbers with the fp32 reference, or replay one item.",
    ),
    "report": (
        "qs.cli.report",
        "Render a saved result again: page, PDF, Markdown, CSV, Parquet, JUnit.",
    ),
    "compare": (
        "qs.cli.compare",
        "Compare results case by case: by how much they differ, and whether that is more than noise.",
    ),
    "history": ("qs.cli.history", "List, tag, export and compare the runs of the past."),
    "doctor": ("qs.cli.doctor", "Is this machine fit to measure on, and what to change."),
    "new-backend": ("qs.cli.new_backend", "Write a new backend folder that works."),
    "check": (
        "qs.cli.check",
        "Test whether a backend keeps the contract, and say how to fix what does not.",
    ),
    "list": (
        "qs.cli.listing",
        "List the tasks, backends, models or data sets that the workspaces hold.",
    ),
    "schema": (
        "qs.cli.schema",
        "Print or write the JSON schemas of workloads, models, QS configs and results.",
    ),
    "completion": ("qs.cli.completion", "Print the script that makes your shell complete qs."),
    "env": ("qs.cli.env", "List, build or remove the environments that backends run in."),
}


def load(name: str) -> click.Command:
    """The command of that name, which must be one of COMMANDS."""
    return importlib.import_module(COMMANDS[name][0]).command


class LazyGroup(click.Group):
    """A group whose commands are imported when asked for; their help lines are known without
    importing them.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return load(cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]):
        from qs.base.names import nearest

        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = nearest(args[0], COMMANDS) if args else None
            raise click.UsageError(
                f"{error.message}" + (f" Did you mean {near}?" if near else ""), ctx
            ) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def underscores(token: str) -> str:
    """`--batch-sizes` and `--batch_sizes` are one option."""
    return token.replace("-", "_")


def _show_list(kind: str):
    def callback(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
        if wanted and not ctx.resilient_parsing:
            from qs.cli.listing import names

            click.echo("\n".join(names(kind)))
            ctx.exit(VALID)

    return callback


@click.group(
    cls=LazyGroup,
    context_settings={"token_normalize_func": underscores, "help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
    invoke_without_command=True,
)
@click.version_option(__version__, prog_name="qs")
@click.option(
    "--show_task_list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_list("tasks"),
    help="Same as: qs list tasks.",
)
@click.option(
    "--show_hardware_list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_list("backends"),
    help="Same as: qs list backends.",
)
@click.pass_context
def group(ctx: click.Context) -> None:
    """Measure inference backends: compile a task's model, check its answers, load it, and report.

    Exit status: 0 valid, 1 a bug in qs, 2 wrong input or environment, 3 measured but INVALID, 130
    interrupted.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    elif ctx.invoked_subcommand in COMMANDS:
        from qs.cli.defaults import apply

        apply(ctx, ctx.invoked_subcommand, load(ctx.invoked_subcommand))


def run_command_line(arguments: Sequence[str]) -> int:
    """Run one command; return its exit status. Only a bug raises: its traceback is what helps then."""
    from qs.base.errors import UserError

    try:
        status = group.main(args=list(arguments), prog_name="qs", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return USER_ERROR
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        return USER_ERROR
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    return status if isinstance(status, int) else VALID
