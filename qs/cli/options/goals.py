"""What must hold of the requests."""

from __future__ import annotations

from qs.cli.grouping import CHECKS, STOP, under

_METAVAR = "BOUND"

goals = under(CHECKS)(
    "--slo",
    multiple=True,
    metavar=_METAVAR,
    help="The case is SLO NOT MET, with exit status 3, unless this holds: p99=50ms (any "
    "percentile, mean), errors=0.1%; of a language model ttft_p99=200ms, tpot_p95=50ms, "
    "itl_p99=80ms; of each request ttft=200ms, decode_rate=20, with goodput=95% that must keep "
    "it. Repeatable, or separated by commas.",
)

searched = under(STOP)(
    "--slo",
    multiple=True,
    metavar=_METAVAR,
    help="Choose a setting within p99=50ms (p99.9, mean, errors=0.1%; ttft_p99=200ms and what "
    "else qs load --slo takes), and find the most load within it. Repeatable, or separated by "
    "commas.",
)
