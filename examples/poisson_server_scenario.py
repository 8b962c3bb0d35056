"""MLPerf's Server scenario: does a service answer 99 % of the queries of a random stream within a
bound?

The service here takes 2 ms per query and has one worker, so it can serve about 480 queries a second
at most, and fewer if its queue is to stay short. The example tries one rate below that and one
above it, and prints the rules that decide.

    python examples/poisson_server_scenario.py
"""

from __future__ import annotations

import time

from qs.engine import Server, run

BOUND_S = 0.25


def service(query: object) -> None:
    time.sleep(0.002)


def main() -> None:
    for rate in (300, 1_000):
        # MLPerf asks for ten minutes; one second shows how it works.
        scenario = Server(rate_per_s=rate, bound_s=BOUND_S, min_duration_s=1)
        result = run(scenario, service)
        print(
            f"{rate} queries/s: {result.verdict}, {result.completed:,} completed, "
            f"{result.metric.name} {result.metric.value:.0f}"
        )
        for rule in result.rules:
            print(f"  {'passed' if rule.passed else 'FAILED'}: {rule.sentence()}")


if __name__ == "__main__":
    main()
