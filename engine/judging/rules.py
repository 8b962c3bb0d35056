"""The rules that a result is held to, and the verdict: valid, or invalid with every reason in plain
words.

A scenario brings its own rules (see `scenarios`); a plan without one is held to what its stop rule
asked for. A time limit that ended a run early is not a reason: the counts say so.
"""

from __future__ import annotations

from qs.engine.outcome import Cause
from qs.engine.plan import RunPlan, Stop
from qs.engine.result import NodePart, RunResult
from qs.engine.ruling import Reason, Rule
from qs.engine.statistics.estimate import Confidence, Estimate
from qs.engine.words import number


def at_least(
    code: Cause, name: str, needed: float, measured: float | None, unit: str, advice: str
) -> Rule:
    passed = measured is not None and measured >= needed
    return Rule(name, needed, measured, passed, advice, unit, "at least", code)


def at_most(
    code: Cause, name: str, needed: float, measured: float | None, unit: str, advice: str
) -> Rule:
    passed = measured is not None and measured <= needed
    return Rule(name, needed, measured, passed, advice, unit, "at most", code)


def hold_to_rules(result: RunResult, plan: RunPlan) -> None:
    """Add to a result the rules of its scenario or stop rule, and the scenario's metric."""
    if plan.scenario is None:
        result.rules = stop_rules(plan.stop, result)
    else:
        result.scenario = plan.scenario.name
        result.rules = plan.scenario.rules(result) + budget_rules(plan.stop, result)
        result.metric = plan.scenario.metric(result)


def judge(result: RunResult) -> None:
    """Add the reasons that make a result INVALID. Failures within a stated error budget are not a
    reason.
    """
    if not result.completed:
        result.causes.append(_nothing(result))
    result.causes += [_lost(part, result) for part in result.nodes if part.lost]
    if result.losses and not result.errors:
        result.causes.append(
            Reason(Cause.WORKER_LOST, "a worker was lost; what it had measured is kept")
        )
    if result.errors and not any(rule.error_budget and rule.passed for rule in result.rules):
        kinds = ", ".join(
            f"{count} {kind}" for kind, count in sorted(result.errors_by_kind.items()) if count
        )
        total = result.errors + result.completed
        text = f"{result.errors} of {total} requests failed ({kinds})"
        result.causes.append(Reason(Cause.FAILED, text))
    if result.interrupted:
        result.causes.append(Reason(Cause.INTERRUPTED, "the run was interrupted before its end"))
    result.causes += [
        Reason(rule.code or Cause.SCENARIO, rule.text, rule.advice)
        for rule in result.rules
        if not rule.passed
    ]


def _nothing(result: RunResult) -> Reason:
    """Why no request completed, if that is not its target's doing."""
    lost = result.losses or any(part.lost for part in result.nodes)
    if result.errors or result.interrupted or lost:
        return Reason(Cause.NOTHING, "no request completed")
    if result.open_loop:
        return Reason(
            Cause.NOTHING,
            "no request fell due in the run: nothing was sent",
            "raise its duration, or let the load begin earlier or at a higher rate",
        )
    return Reason(
        Cause.NOTHING,
        "no request was made in the run: nothing was sent",
        "raise its duration, or lower the think time",
    )


def _lost(part: NodePart, result: RunResult) -> Reason:
    """A node that did not live to the end, whatever was made of its share."""
    when = "" if part.lost_at_s is None else f" after {number(max(part.lost_at_s, 0.0), 3)} s"
    if part.result is None or part.kept_until_s is None:
        kept = "nothing that it measured is kept"
    else:
        kept = f"what it had measured until {number(max(part.kept_until_s, 0.0), 3)} s is kept"
    heir = next((each.name for each in result.nodes if each.replaces == part.name), None)
    rest = "" if heir is None else f", and its share went on on node {heir}"
    return Reason(Cause.NODE_LOST, f"node {part.name} was lost{when}: {part.lost}; {kept}{rest}")


def stop_rules(stop: Stop, result: RunResult) -> list[Rule]:
    """What the stop rule asked for. A maximum may have ended the run before that was reached."""
    rules = []
    longer = "raise the maximum that ended the run (max_duration_s, duration_s or iterations)"
    if stop.min_duration_s is not None:
        code = Cause.MINIMUM_DURATION
        least_s, wall_s = stop.min_duration_s, result.wall_s
        rules.append(at_least(code, "minimum duration", least_s, wall_s, "s", longer))
    if stop.min_queries is not None:
        code, least, completed = Cause.MINIMUM_QUERIES, stop.min_queries, result.completed
        rules.append(at_least(code, "minimum queries", least, completed, "queries", longer))
    if stop.until_stable is not None and result.confidence is not None:
        names = ("throughput", f"p{stop.stable_percentile:g} of the response time")
        for name, estimate in zip(names, watched(stop, result.confidence)):
            measured = None if estimate.relative is None else 100 * estimate.relative
            advice = f"{longer}, or allow more than {number(100 * stop.until_stable)} %"
            advice += f" ({estimate.why})" if estimate.why else ""
            rules.append(
                at_most(
                    Cause.UNSTABLE,
                    f"half-width of the confidence interval of {name}",
                    100 * stop.until_stable,
                    measured,
                    "%",
                    advice,
                )
            )
    return rules + budget_rules(stop, result)


def budget_rules(stop: Stop, result: RunResult) -> list[Rule]:
    code, name, fix = Cause.ERROR_BUDGET, "error budget", "see errors_by_kind and first_fault"
    rules = []
    if stop.max_errors is not None:
        rules.append(at_most(code, name, stop.max_errors, result.errors, "requests", fix))
    if stop.max_error_rate is not None:
        total = result.errors + result.completed
        rate = 100 * result.errors / total if total else 0.0
        rules.append(at_most(code, name, 100 * stop.max_error_rate, rate, "% of requests", fix))
    return rules


def watched(stop: Stop, confidence: Confidence) -> tuple[Estimate, Estimate]:
    """The two estimates that `until_stable` wants narrow."""
    return confidence.throughput, confidence.response[stop.stable_percentile]
