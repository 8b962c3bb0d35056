"""Where it runs: pools, instances and threads, the backend's process and its questions."""

from __future__ import annotations

from qs.base import bounds
from qs.cli.basic_types import FilePath, OneOf, Whole
from qs.cli.grouping import PLACE, together, under
from qs.cli.types import CpuSets

POOLS = ("thread", "inline", "process", "async")

_place = under(PLACE)

affinity = _place(
    "--affinity", type=CpuSets(), help="CPUs of each instance, for example 0-3/4-7.", rare=True
)

workers = _place(
    "--workers",
    type=Whole(1, bounds.COPIES),
    help="--pool async: event loops, each in a process of its own, that share the load and the "
    "connections. Other pools have a worker for each client.  [default: 1]",
    rare=True,
)

pools = together(
    _place(
        "--instances",
        type=Whole(1, bounds.COPIES),
        help="Instances: loaded copies of the model.",
    ),
    _place(
        "--intra_op_threads",
        type=Whole(1, bounds.COPIES),
        help="Threads that one inference may use.",
    ),
    _place(
        "--pool",
        type=OneOf(POOLS),
        help="What clients run in; async, an event loop, is for servers and for backends whose "
        "predict is a coroutine function.",
    ),
    workers,
    affinity,
)

environment = _place(
    "--env",
    type=OneOf(["auto", "current", "new"]),
    default="auto",
    show_default=True,
    help="Python environment of the backend: one of its own (new), the one qs runs in "
    "(current), or one of its own if the current one does not satisfy its requirements.txt "
    "(auto).",
    rare=True,
)

process = together(
    environment,
    _place(
        "--in_process",
        is_flag=True,
        help="Run the backend in this process, for a debugger. It can then take qs down.",
        rare=True,
    ),
)

answer_file = _place(
    "--answers",
    type=FilePath(),
    help="JSON file with answers to the backend's questions.",
    rare=True,
)

answers = together(
    answer_file,
    _place(
        "--no_input",
        is_flag=True,
        help="Never ask: answers come from --answers and the profile's defaults.",
    ),
)
