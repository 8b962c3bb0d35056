"""The group of commands, and how every ending becomes an exit status.

0 valid; 1 a bug (its traceback is shown); 2 the user's input or environment (one message); 3
measured but INVALID, or a condition of a gate holds; 4 a gate cannot tell; 130 interrupted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from qs.base.console import visible_streams
from qs.cli.commands import COMMANDS, INTERRUPTED, SECTIONS, USER_ERROR, VALID, load
from qs.cli.helping import Commands


class LazyGroup(Commands):
    """A group whose commands are imported when asked for; their help lines are known without
    importing them.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return load(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        listed = [name for names in SECTIONS.values() for name in names]
        others = tuple(name for name in COMMANDS if name not in listed)
        for heading, names in {**SECTIONS, **({"Other": others} if others else {})}.items():
            with formatter.section(heading):
                formatter.write_dl([(name, COMMANDS[name][1]) for name in names])


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


def _show_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from qs.cli.version import one_line

        click.echo(one_line())
        ctx.exit(VALID)


@click.group(
    cls=LazyGroup,
    context_settings={"token_normalize_func": underscores, "help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
    invoke_without_command=True,
)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit; `qs version` says more.",
)
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

    Exit status: 0 valid, 1 a bug in qs, 2 wrong input or environment, 3 measured, but INVALID,
    OVERLOADED or SLO NOT MET, or a condition of --fail_if holds, 4 --fail_if cannot tell, 130
    interrupted.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    elif ctx.invoked_subcommand in COMMANDS:
        from qs.cli.defaults import apply

        _check_place()
        apply(ctx, ctx.invoked_subcommand, load(ctx.invoked_subcommand))


def _check_place() -> None:
    """Raise UserError for a working folder that is gone, and variables that name no folder."""
    from qs.base.cache import check_variables
    from qs.base.errors import UserError

    try:
        os.getcwd()
    except OSError as error:
        raise UserError(
            f"the working folder is gone, or cannot be read ({error.strerror}): cd to another"
        ) from None
    check_variables()


def run_command_line(arguments: Sequence[str]) -> int:
    """Run one command; return its exit status. Only a bug raises: then the traceback helps."""
    with visible_streams():
        return _ended(arguments)


def _ended(arguments: Sequence[str]) -> int:
    from qs.base.errors import UserError

    try:
        status = group.main(args=list(arguments), prog_name="qs", standalone_mode=False)
    except click.ClickException as error:
        from qs.cli.mistakes import said as refusal

        click.echo(f"error: {refusal(error)}", err=True)
        return USER_ERROR
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        return USER_ERROR
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except Exception as error:
        from qs.base.exhaustion import environment_fault

        said = environment_fault(error)
        if said is None:
            raise
        click.echo(f"error: {said}", err=True)
        return USER_ERROR
    return status if isinstance(status, int) else VALID
