"""How much load, how it arrives, and when it ends."""

from __future__ import annotations

from qs.base import bounds
from qs.cli.basic_types import FilePath, Finite, OneOf, Whole
from qs.cli.grouping import LOAD, STOP, together, under
from qs.cli.types import BatchSizes, Rates, Scenario, Seconds, SharePercent, WarmUp

PERCENT = Finite(100, max_open=True)

_load, _stop = under(LOAD), under(STOP)

batch_sizes = _load(
    "-b",
    "--batch_sizes",
    aliases=["--batch_size"],
    type=BatchSizes(),
    help="Batch sizes to measure, for example 1,4,8; best: those that the backend's own "
    "analysis finds.",
)

clients = _load(
    "-c",
    "--clients",
    aliases=["--concurrency"],
    type=Whole(1, bounds.CLIENTS),
    help="Clients that submit at the same time; in open loop, workers that serve.",
)

amount = together(
    batch_sizes,
    clients,
    _stop(
        "-d",
        "--duration",
        type=Seconds(),
        help="Measure each batch size for this long: 20 or 20s, 500ms, 2m.",
    ),
    _stop(
        "--iterations",
        type=Whole(1, bounds.COUNT),
        help="In place of --duration: queries of each client, per batch size; in open loop, "
        "queries in all.",
    ),
)

warmup = _load(
    "--warmup",
    type=WarmUp(),
    help="Before measuring: iterations per client (3) or a time (2s).",
)

time_limit = _stop(
    "--time_limit",
    type=Seconds(),
    help="Measure each batch size for at most this long; the row says how far it came.",
)

traffic = together(
    _load(
        "-r",
        "--rate",
        "rate_per_s",
        type=Finite(bounds.PER_S),
        metavar="PER_S",
        help="Queries/s that arrive, whether or not earlier ones were answered (open loop).",
    ),
    _load(
        "--scenario",
        type=Scenario(),
        help="How load arrives: closed_loop (each client sends when its last answer has come), "
        "poisson, constant_rate, gamma, stages, replay, sessions, or MLPerf's single_stream, "
        "multi_stream, server, offline with their rules.",
    ),
    _load(
        "--stages",
        type=Rates(),
        help="Rates in turn: 10s:100,20s:~500,1m:500 (~ ramps in a straight line).",
    ),
    _load(
        "--arrivals",
        type=OneOf(["poisson", "even", "gamma"]),
        help="At random (poisson), evenly spaced (even), or as bursty as stated (gamma).  "
        "[default: poisson]",
        rare=True,
    ),
    _load(
        "--burstiness",
        type=Finite(1e6),
        metavar="SHAPE",
        help="Gamma distributed gaps of this shape: 1 is poisson, 0.5 burstier, 2 more even.",
        rare=True,
    ),
    _load(
        "--users",
        type=Whole(1, bounds.CLIENTS),
        help="Users of a language model, each in one conversation at a time (sessions): a turn is "
        "sent when the answer to the one before has come.",
    ),
    _load(
        "--sessions_per_s",
        type=Finite(bounds.PER_S),
        metavar="PER_S",
        help="Conversations that begin per second, whether or not others have ended (sessions).",
        rare=True,
    ),
    _load(
        "--replay",
        type=FilePath(),
        help="File with recorded due times in seconds: text, CSV or Parquet.",
        rare=True,
    ),
    _load(
        "--replay_column",
        metavar="NAME",
        help="Column of the --replay file, if it has several.",
        rare=True,
    ),
    _load(
        "--replay_speed",
        type=Finite(bounds.PER_S),
        metavar="TIMES",
        help="Replay this many times as fast.",
        rare=True,
    ),
    _load(
        "--latency_slo",
        "bound_s",
        type=Seconds(),
        help="server: bound on the response time's percentile, for example 50ms.",
    ),
    _load(
        "--percentile",
        type=PERCENT,
        help="Percentile that a scenario is judged by.",
        rare=True,
    ),
    _load(
        "--samples_per_query",
        type=Whole(1, bounds.BATCH),
        help="multi_stream, offline: samples per query.",
        rare=True,
    ),
    _load(
        "--think_time",
        "think_time_s",
        type=Seconds(),
        help="closed_loop: pause of a client before each query; sessions: pause before a turn "
        "that states none.",
        rare=True,
    ),
    _load(
        "--max_batch_size",
        type=Whole(1, bounds.BATCH),
        help="Open loop: let up to this many queries share a call of predict.",
        rare=True,
    ),
    _load(
        "--max_delay",
        type=Seconds(),
        help="How long a query may wait for others to share its call, for example 2ms.",
        rare=True,
    ),
    _load(
        "--max_backlog",
        type=Whole(0, bounds.WAITING),
        help="Open loop: drop (and count) a query when more than this many are queued behind it.",
        rare=True,
    ),
    _load(
        "--spin",
        type=OneOf(["never", "auto", "always"]),
        help="Open loop: spin the last microseconds before a due time.",
        rare=True,
    ),
)

stopping = together(
    _stop(
        "--until_stable",
        type=SharePercent(),
        help="Go on until throughput and p99 are known to within this share, for example 1%.",
    ),
    _stop(
        "--stable_percentile",
        type=PERCENT,
        help="The percentile that --until_stable looks at.  [default: 99]",
        rare=True,
    ),
    _stop(
        "--min_duration",
        "min_duration_s",
        type=Seconds(),
        help="Go on for at least this long.",
        rare=True,
    ),
    _stop(
        "--min_queries",
        type=Whole(1, bounds.COUNT),
        help="Go on for at least this many queries.",
        rare=True,
    ),
    _stop(
        "--max_errors",
        type=Whole(0, bounds.COUNT),
        help="End when more queries than this have failed; fewer leave the run valid.",
    ),
    _stop(
        "--max_error_rate",
        type=SharePercent(),
        help="The same as a share, for example 0.1%.",
        rare=True,
    ),
    _stop(
        "--drain",
        "drain_s",
        type=Seconds(),
        help="How long queries in flight may take after the end.  [default: --predict_timeout]",
        rare=True,
    ),
)

timeouts = together(
    _stop(
        "--compile_timeout",
        type=Seconds(),
        help="Longest time to compile.  [default: 1h]",
        rare=True,
    ),
    _stop(
        "--load_timeout",
        type=Seconds(),
        help="Longest time to load one instance.  [default: 20m]",
        rare=True,
    ),
    _stop(
        "--predict_timeout",
        type=Seconds(),
        help="Longest time for one predict.  [default: 2m, or three times what earlier cases "
        "suggest if that is longer]",
        rare=True,
    ),
)
