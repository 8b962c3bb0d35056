"""The commands by name, and the exit statuses they end with.

A command is imported when it is typed, so that `--help` stays quick.
"""

from __future__ import annotations

import importlib

import click

VALID, BUG, USER_ERROR, INVALID, INTERRUPTED = 0, 1, 2, 3, 130
UNCLEAR = 4  # a gate cannot tell whether its condition holds
MEASURING = frozenset({"run", "load", "sweep", "numeric", "check", "ci"})

# command -> module that holds a click command of the same name, and the line that `--help` shows
# for it.
COMMANDS = {
    "run": (
        "qs.cli.run",
        "Compile, check and measure one task on one backend, and write the report.",
    ),
    "fetch": (
        "qs.cli.fetch",
        "Fetch the models and data of tasks in advance, to work without a network.",
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
        "Compare results case by case: how much they differ, and whether it is more than noise.",
    ),
    "ci": (
        "qs.cli.ci",
        "Measure old and new in turn until one can tell which is slower: a gate for CI.",
    ),
    "history": ("qs.cli.history", "List, tag, export and compare the runs of the past."),
    "doctor": ("qs.cli.doctor", "Is this machine fit to measure on, and what to change."),
    "new-backend": ("qs.cli.new_backend", "Write a new backend folder that works."),
    "new-task": ("qs.cli.new_task", "Write a task for your own model and data."),
    "check": (
        "qs.cli.check",
        "Test whether a backend or a task keeps the contract, and say how to fix it.",
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
    "version": ("qs.cli.version", "Show the versions of qs, Python and ONNX Runtime."),
    "env": ("qs.cli.env", "List, build or remove the environments that backends run in."),
}

# The headings of `--help`, with their commands in the order of a user's way.
SECTIONS = {
    "Measure": ("run", "load", "sweep", "numeric"),
    "See what changed": ("report", "compare", "history", "ci"),
    "Prepare": ("list", "fetch", "doctor", "env"),
    "Bring your own": ("new-task", "new-backend", "check"),
    "The program": ("version", "completion", "schema"),
}


def load(name: str) -> click.Command:
    """The command of that name, which must be one of COMMANDS."""
    return importlib.import_module(COMMANDS[name][0]).command
