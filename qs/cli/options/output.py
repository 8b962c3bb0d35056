"""Checks beside the measurement, and where its results go."""

from __future__ import annotations

from pathlib import Path

from qs.base import bounds
from qs.cli.basic_types import FilePath, OneOf, Whole
from qs.cli.grouping import CHECKS, OUTPUT, PortOption, together, under
from qs.cli.types import Tag, Telemetry

_checks, _output = under(CHECKS), under(OUTPUT)

verify = _checks(
    "--verify",
    type=OneOf(["sample", "all"]),
    help="Check that outputs under load match outputs when idle: for a random sample of "
    "requests, or for all.",
)

telemetry = _checks(
    "--telemetry",
    type=Telemetry(),
    help="How often the machine's power and utilisation are read while a case is measured; off: "
    "never.  [default: 1s]",
    rare=True,
)

no_calibrate = _checks(
    "--no_calibrate",
    is_flag=True,
    help="Do not measure first what the engine, and the client of a served model, cost by "
    "themselves.",
    rare=True,
)

numeric_items = _checks(
    "--numeric_items",
    type=Whole(1, bounds.SAMPLES),
    help="Items compared with the reference.  [default: 16]",
    rare=True,
)

no_picture = _checks(
    "--no_picture",
    is_flag=True,
    help="Draw no picture of the comparison with the reference, nor of several backends: each "
    "takes about a second.",
    rare=True,
)

out = _output(
    "-o",
    "--out",
    type=FilePath("FOLDER"),
    default=Path("reports"),
    show_default=True,
    help="Folder for reports.",
)

history = together(
    _output(
        "--tag",
        "tags",
        type=Tag(),
        multiple=True,
        help="Name this run in the history, to compare with it later: qs compare @TAG. Repeatable.",
    ),
    _output("--no_history", is_flag=True, help="Leave no entry in the history of runs.", rare=True),
    _output(
        "--keep",
        type=Whole(0, bounds.COUNT),
        help="How many earlier runs to keep beside the report, in runs/; older ones are removed.  "
        "[default: all]",
        rare=True,
    ),
)

dry_run = _output(
    "--dry_run",
    is_flag=True,
    help="Print the plan, where each value comes from and how long it takes; run nothing.",
)

watching = together(
    _output(
        "--metrics",
        metavar="WHERE",
        help="Metrics for Prometheus while it runs: :9464 (this machine only), host:port, or "
        "file:run.prom.",
        rare=True,
    ),
    _output(
        "--web",
        cls=PortOption,
        type=Whole(0, 65535),
        is_flag=False,
        flag_value="0",
        metavar="[PORT]",
        help="Show the page of the report in a browser on this machine while it runs, on this port "
        "or any free one.",
    ),
    _output(
        "--trace",
        is_flag=True,
        help="Write trace.json beside the report, for Perfetto.",
        rare=True,
    ),
)

raw = _output(
    "--raw",
    type=FilePath("FILE"),
    help="Write a row for every request: FILE ends in .csv, .npz or .parquet.",
    rare=True,
)

quiet = _output("-q", "--quiet", is_flag=True, help="No progress, no summary; errors only.")

output = together(
    _output(
        "--json",
        "as_json",
        is_flag=True,
        help="Print the result as JSON on standard output, everything else on standard error.",
    ),
    quiet,
)
