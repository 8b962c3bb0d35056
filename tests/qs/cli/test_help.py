"""Help under headings, the common options first; names that are short, and mean the same."""

from __future__ import annotations

import re

import click
import pytest

from qs.cli.commands import COMMANDS, load
from qs.cli.helping import Command, Commands
from tests.qs.program import qs

MEASURING = ("run", "load", "sweep", "numeric")
SHORT = {"--hardware_type": "-H", "--batch_sizes": "-b", "--clients": "-c", "--duration": "-d"}
SHORT |= {"--rate": "-r", "--out": "-o", "--quiet": "-q", "--task": "-t", "--output": "-o"}


def leaves(command: click.Command, name: str):
    if isinstance(command, click.Group):
        for sub, each in command.commands.items():
            yield from leaves(each, f"{name} {sub}")
    else:
        yield name, command


ALL = [leaf for name in COMMANDS for leaf in leaves(load(name), name)]


@pytest.mark.parametrize("name", MEASURING)
def test_headings_in_their_order(name: str) -> None:
    shown = re.findall(r"^(\w[\w ]+):$", qs(name, "--help_all").stdout, re.MULTILINE)
    order = [
        "What is measured",
        "Axes",
        "Load",
        "When to stop",
        "Inputs",
        "Server",
        "Language models",
        "Where it runs",
        "Checks",
        "Output",
    ]
    assert shown == [each for each in order if each in shown] and len(shown) >= 5


@pytest.mark.parametrize("name", MEASURING)
def test_every_option_has_a_heading(name: str) -> None:
    assert "Other options" not in qs(name, "--help_all").stdout


def test_the_rest_is_shown_by_help_all() -> None:
    common, every = qs("run", "--help").stdout, qs("run", "--help-all").stdout
    assert "--clients" in common and "--max_backlog" not in common
    assert set(re.findall(r"--\w+", common)) < set(re.findall(r"--\w+", every))
    assert "--max_backlog" in every and "--help_all" in common


@pytest.mark.parametrize(("name", "command"), ALL, ids=[name for name, _ in ALL])
def test_every_command_is_of_one_kind(name: str, command: click.Command) -> None:
    """The same words for mistakes, and the same short names."""
    assert isinstance(command, Command)
    flags: list[str] = []
    for option in command.params:
        if isinstance(option, click.Option):
            flags += option.opts
            short = [each for each in option.opts if len(each) == 2]
            assert short in ([], [SHORT.get(option.opts[-1], short[:1])], short[:1])
            for flag in option.opts:
                assert not short or SHORT.get(flag, short[0]) == short[0], (name, flag)
    assert len(flags) == len(set(flags)) and "-h" not in flags


@pytest.mark.parametrize(("name", "command"), ALL, ids=[name for name, _ in ALL])
def test_values_have_names_that_say_something(name: str, command: click.Command) -> None:
    said = qs(*name.split(), "--help_all" if name in MEASURING else "--help").stdout
    assert not re.search(r"INTEGER|FLOAT|RANGE|\bTEXT\b", said), said


def test_groups_are_of_one_kind() -> None:
    groups = [load(name) for name in COMMANDS if isinstance(load(name), click.Group)]
    assert all(isinstance(each, Commands) for each in groups)


def test_other_names_are_taken_and_not_shown() -> None:
    shown = qs("load", "--help_all").stdout
    assert "--concurrency" not in shown and "--batch_size " not in shown
    ran = qs("load", "digits", "--dry_run", "--concurrency", "3", "--batch-size", "2")
    assert "bs2-c3" in ran.stdout, ran.stderr


def test_help_fits_a_narrow_terminal() -> None:
    for columns in (60, 80, 120):
        ran = qs("sweep", "--help", COLUMNS=str(columns))
        long = [line for line in ran.stdout.splitlines() if len(line) > columns]
        assert all(line.strip().startswith("qs ") for line in long)  # examples are not broken
