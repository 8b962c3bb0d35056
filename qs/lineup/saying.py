"""The sentence: which backend is fastest at which batch size, by how much, and what else differs.

"OPENVINO is fastest at batch sizes 1 and 4 (at 1: 1.12 times CPU, 1.08 to 1.16; at 4: ...); CPU
and OPENVINO cannot be told apart at batch size 16; TORCH is slower everywhere (0.41 to 0.62 times
the fastest)."
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qs.base.words import counted, number, percent
from qs.comparison.comparing import MARGIN
from qs.comparison.difference import FASTER, SAME
from qs.comparison.drift import REPEATS
from qs.lineup.comparing import LinedCase, Lineup
from qs.result.result import Result
from qs.result.story import Score, metrics_of

# Of a score: less is a matter of a single answer, and is in the table.
NOTABLE = 0.001
LONGEST = 160  # characters of a reason
EVERYWHERE = "everywhere"
_LESS_IS_BETTER = ("loss", "error", "rmse", "mae", "mse", "perplexity", "wer")


def sentence(lineup: Lineup) -> str:
    """What came out, as one sentence."""
    return "; ".join(_clauses(lineup)) + "."


def _clauses(lineup: Lineup) -> Iterator[str]:
    names = lineup.compared
    cases = [case for case in lineup.cases if len(case.entries) > 1]
    if len(names) < 2:
        who = f"only {names[0]} was measured" if names else "no backend was measured"
        yield f"{who}, so nothing can be compared"
    elif not cases:
        yield "no case was measured on two backends, so nothing can be compared"
    else:
        yield from _leading(cases, two=len(names) == 2)
        yield from _behind(cases)
        yield from _beside(lineup, cases)
    for name, why in lineup.absent.items():
        yield f"{name} was not measured: {_first_line(why)}"
    for case in cases:
        for name, why in case.left_out.items():
            if name not in lineup.absent:
                yield f"{name} is INVALID {_at([case], cases)}: {_first_line(why)}"


def _first_line(text: str) -> str:
    """A reason in short; its report has all of it."""
    if not text.strip():
        return "no reason is stated"
    line = text.strip().splitlines()[0].rstrip(".")
    return line if len(line) <= LONGEST else f"{line[:LONGEST].rstrip()} ..."


def _leading(cases: Sequence[LinedCase], two: bool) -> Iterator[str]:
    """Who leads where, cases alike said together."""
    groups: dict[tuple[str, ...], list[LinedCase]] = {}
    for case in cases:
        leaders = case.leaders
        alike = len(leaders) > 1 and all(
            case.verdict(one, other) == SAME
            for at, one in enumerate(leaders)
            for other in leaders[at + 1 :]
        )
        kind = "alone" if len(leaders) == 1 else "same" if alike else "open"
        order = sorted(leaders, key=[each.backend for each in case.entries].index)
        groups.setdefault((kind, str(case.open_loop), *order), []).append(case)
    for (kind, open_loop, *leaders), alike_cases in groups.items():
        where = _at(alike_cases, cases)
        if kind == "alone":
            answers = open_loop == "True"
            most = "answers soonest" if answers else "is fastest"
            if two:
                most = "answers sooner" if answers else "is faster"
            yield f"{leaders[0]} {most} {where} ({_times(alike_cases, leaders[0])})"
        elif kind == "same":
            yield f"{_and(leaders)} are equally fast {where}, to within {percent(MARGIN)}"
        else:
            where = "anywhere" if where == EVERYWHERE else where
            yield f"{_and(leaders)} cannot be told apart {where}{_apart(alike_cases, leaders)}"


def _times(cases: Sequence[LinedCase], leader: str) -> str:
    """Of the leader against the second in each case."""
    said = []
    for case in cases:
        second = next(name for name in case.by_speed if name != leader)
        what = f"{_ratio(case, leader, second)}"
        said.append(what if len(cases) == 1 else f"at {case.name}: {what}")
    return "; ".join(said)


def _ratio(case: LinedCase, of: str, against: str) -> str:
    found = case.pair(of, against).ratio(of)
    if found is None:
        return f"{against} unknown"
    value, low, high = found
    figure = "the mean response time of " if case.open_loop else ""
    known = f", {number(low)} to {number(high)}" if low is not None and high is not None else ""
    return f"{number(value)} times {figure}{against}{known}"


def _apart(cases: Sequence[LinedCase], leaders: Sequence[str]) -> str:
    """How far apart two may be."""
    if len(leaders) != 2 or len(cases) != 1:
        return ""
    found = cases[0].pair(*leaders).ratio(leaders[1])
    if found is None or found[1] is None or found[2] is None:
        return ""
    return f" ({leaders[1]} {number(found[1])} to {number(found[2])} times {leaders[0]})"


def _behind(cases: Sequence[LinedCase]) -> Iterator[str]:
    """Those that lead nowhere, and are not the only other one."""
    names = dict.fromkeys(entry.backend for case in cases for entry in case.entries)
    for name in names:
        mine = [case for case in cases if name in case.by_speed]
        if any(name in case.leaders for case in mine):
            continue
        # What a lead has said: of the second, by how much it is behind.
        wider = [case for case in mine if len(case.leaders) > 1 or case.by_speed[1] != name]
        if not wider:
            continue
        ratios = []
        for case in wider:
            best = case.leaders[0]
            found = case.pair(best, name).ratio(name)
            if found is not None:
                ratios.append(1.0 / found[0] if case.open_loop else found[0])
        low, high = (number(each) for each in (min(ratios), max(ratios)))
        by = f"{low} times" if low == high else f"{low} to {high} times"
        yield f"{name} is slower {_at(wider, cases)} ({by} the fastest)"


def _beside(lineup: Lineup, cases: Sequence[LinedCase]) -> Iterator[str]:
    """What is not speed: precision, and answers that are worse."""
    results = {side.name: side.result for side in lineup.sides if side.name in lineup.compared}
    precisions = {
        name: result.graph_compile.precision
        for name, result in results.items()
        if result.graph_compile and result.graph_compile.precision
    }
    if len({each.upper() for each in precisions.values()}) > 1:
        said = ", ".join(f"{name} {precision}" for name, precision in precisions.items())
        yield f"precisions differ: {said}"
    leaders = dict.fromkeys(name for case in cases for name in case.leaders)
    for name in leaders:
        worse = _less_accurate(name, results, cases)
        if worse:
            yield worse


def _less_accurate(name: str, results: dict[str, Result], cases: Sequence[LinedCase]) -> str | None:
    """Of a backend that is faster than one whose answers are better."""
    mine = score_of(results[name])
    beaten = {
        other
        for case in cases
        for other in case.by_speed
        if name in case.by_speed and other != name and case.verdict(name, other) == FASTER
    }
    for other in results:
        theirs = score_of(results[other])
        if other not in beaten or mine is None or theirs is None or mine.name != theirs.name:
            continue
        lower = any(word in mine.name.casefold() for word in _LESS_IS_BETTER)
        loss = (mine.value - theirs.value) if lower else (theirs.value - mine.value)
        if loss > NOTABLE * max(abs(theirs.value), abs(mine.value), 1e-9):
            return (
                f"{name} is less accurate: {mine.name} {number(mine.value, 4)} against "
                f"{number(theirs.value, 4)} of {other}"
            )
    return None


def score_of(result: Result) -> Score | None:
    """The first metric of its data set."""
    found = metrics_of(result.accuracy) if result.accuracy else []
    return found[0] if found else None


def _at(some: Sequence[LinedCase], every: Sequence[LinedCase]) -> str:
    """At batch size 4; at batch sizes 1 and 4; everywhere."""
    if len(some) == len(every) and len(every) > 1:
        return EVERYWHERE
    names = [case.name for case in some]
    return f"at batch size {names[0]}" if len(names) == 1 else f"at batch sizes {_and(names)}"


def _and(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def how(lineup: Lineup) -> list[str]:
    """How the comparison was made, for whoever wants to judge it."""
    turns = [entry.runs.runs for case in lineup.cases for entry in case.entries]
    few = (
        f"With fewer than {REPEATS} turns of a case, what other programs did may account for more, "
        "and intervals are wider: measure for longer, or with more --rounds."
    )
    return [
        f"Measured in turn, {_turns(lineup)} of rotated order, each with fresh processes; the "
        "turns of a case are repeats of it.",
        f"Intervals are of 95 % each. A backend is faster if that is by more than "
        f"{percent(lineup.margin)} and stands beside all {number(lineup.tests)} comparisons here "
        "(Holm); equally fast if the whole interval lies within that.",
        f"Spread between runs: {lineup.known.origin}; the turns themselves count beside it.",
        *([few] if min(turns, default=REPEATS) < REPEATS else []),
    ]


def _turns(lineup: Lineup) -> str:
    """In 3 rounds; in 1 to 2 of 3 rounds, if some had fewer turns."""
    found = sorted({entry.runs.runs for case in lineup.cases for entry in case.entries})
    rounds = counted(lineup.rounds, "round")
    if not found or found == [lineup.rounds]:
        return f"in {rounds}"
    few = str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"
    return f"in {few} of {rounds}"
