"""The sentence on the machine, in step with what the run itself saw of it."""

from __future__ import annotations

from collections.abc import Iterator

from qs.result.result import Result

# Doubts of cases by which others had the CPUs, or these were slower.
_TAKEN = {"other_load", "steal", "throttled", "preempted"}
_BUT = "nothing wrong was found before the run, but while it measured {} (see the doubts)"
_SEEN = {
    "other_load": "other programs used the CPUs",
    "steal": "the hypervisor gave CPU time to others",
    "throttled": "the CPUs were slowed down",
    "preempted": "the workers lost their cores to other threads",
}


def machine_words(result: Result) -> str:
    """What was found out about the machine before the run; not that all is well, where the run's
    own doubts say otherwise.
    """
    check = result.machine_check
    if check is None:
        return ""
    seen = {code for row in result.performance for code in row.warning_codes} & _TAKEN
    if not seen or any(each.get("status") == "warn" for each in check.findings):
        return check.summary
    _, _, rest = check.summary.partition(". ")
    but = _BUT.format(", and ".join(_SEEN[code] for code in _SEEN if code in seen))
    return f"{but}. {rest}" if rest else but


def machine_doubts(result: Result) -> Iterator[str]:
    """The findings that warn, a sentence each."""
    for each in result.machine_check.findings if result.machine_check else []:
        if each.get("status") == "warn":
            parts = (str(each[part]) for part in ("value", "effect", "fix") if each.get(part))
            yield f"{each.get('name')}: " + "; ".join(parts)
