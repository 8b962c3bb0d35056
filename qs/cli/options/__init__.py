"""Options that several commands take, written once, in a file for each heading of `--help`. What
was typed becomes a Request in qs.cli.requests.
"""

from qs.cli.grouping import Option, option, together, under
from qs.cli.options.goals import goals, searched
from qs.cli.options.inputs import feeding, samples, seed
from qs.cli.options.llm import llm
from qs.cli.options.load import (
    amount,
    batch_sizes,
    clients,
    stopping,
    time_limit,
    timeouts,
    traffic,
    warmup,
)
from qs.cli.options.nodes import nodes
from qs.cli.options.output import (
    dry_run,
    history,
    no_calibrate,
    no_picture,
    numeric_items,
    out,
    output,
    quiet,
    raw,
    telemetry,
    verify,
    watching,
)
from qs.cli.options.place import (
    POOLS,
    affinity,
    answer_file,
    answers,
    environment,
    pools,
    process,
    workers,
)
from qs.cli.options.server import server, url
from qs.cli.options.target import (
    backends,
    hardware,
    known,
    offline,
    rounds,
    task,
    workspace,
)

places = together(workspace, out)
measuring = together(warmup, time_limit, verify, telemetry, no_calibrate, seed)

__all__ = [
    "POOLS",
    "Option",
    "affinity",
    "amount",
    "answer_file",
    "answers",
    "backends",
    "batch_sizes",
    "clients",
    "dry_run",
    "environment",
    "feeding",
    "goals",
    "hardware",
    "history",
    "known",
    "llm",
    "measuring",
    "no_picture",
    "nodes",
    "numeric_items",
    "offline",
    "option",
    "out",
    "output",
    "places",
    "pools",
    "process",
    "quiet",
    "raw",
    "rounds",
    "samples",
    "searched",
    "seed",
    "server",
    "url",
    "stopping",
    "task",
    "telemetry",
    "time_limit",
    "timeouts",
    "together",
    "traffic",
    "under",
    "verify",
    "warmup",
    "watching",
    "workers",
    "workspace",
]
