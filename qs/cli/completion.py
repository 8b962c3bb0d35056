"""`qs completion`: the script that makes a shell complete commands, options and their values. click
writes it.
"""

from __future__ import annotations

import click

from qs.cli.basic_types import OneOf
from qs.cli.commands import VALID
from qs.cli.helping import Command

SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion", cls=Command, short_help="Print the script that makes your shell complete qs."
)
@click.argument("shell", type=OneOf(SHELLS))
def command(shell: str) -> int:
    """Print the completion script for SHELL: commands, options, scenarios, tasks and backends.

    \b
    Examples:
      qs completion bash > ~/.local/share/bash-completion/completions/qs
      qs completion zsh > ~/.zfunc/_qs
      qs completion fish > ~/.config/fish/completions/qs.fish
    """
    from click.shell_completion import get_completion_class

    from qs.cli.main import group

    made = get_completion_class(shell)
    assert made is not None  # the three are click's own
    click.echo(made(group, {}, "qs", "_QS_COMPLETE").source())
    return VALID
