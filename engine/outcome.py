"""How a run ended, what went wrong with its requests, and which workers it lost: the words of a
result, for programs to compare and for people to read.

The values are what is written to files, so they stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class _Word(str, Enum):
    """An enum whose members are strings and print as such (Python 3.10 has no StrEnum)."""

    __str__ = str.__str__


class Ending(_Word):
    """What ended the measured phase."""

    PLAN = "plan"  # all that was planned has been issued
    DURATION = "duration"
    TIME_LIMIT = "time limit"  # the stop rule's max_duration_s
    MINIMUMS = "minimums reached"
    STABLE = "stable"
    ERROR_BUDGET = "error budget"
    INTERRUPT = "interrupt"
    LOST = "workers lost"  # those who were to go on died or hung, and nobody took their place
    NODE_LOST = "node lost"  # a node was lost, and the run was to end there (on_loss "stop")


class ErrorKind(_Word):
    """How a request failed. If its target raised, the kind is the exception's class name."""

    TIMEOUT = "timeout"  # it came back too late
    HUNG = "hung"  # it never came back
    DIED = "died"  # lost with its process
    DROPPED = "dropped"  # due, but too many others were waiting (max_backlog)
    CUT_OFF = "cut off"  # not back when the drain limit had passed
    NOT_ISSUED = "not issued"  # due or planned, but the run was cut short before its turn
    WORKER_FAILED = "worker failed"  # its worker raised outside the target
    BAD_TIMES = "impossible times"  # a started target's call brought times that cannot be
    OTHER = "other kinds of failures"  # there were too many kinds to tell them apart
    UNKNOWN = "failed before its worker was lost"  # it failed, and its worker cannot say how


class Doubt(_Word):
    """What may have moved a result: the codes of its caveats."""

    ENGINE_BOUND = "engine_bound"
    GIL_BOUND = "gil_bound"
    OUT_OF_RANGE = "out_of_range"
    OVERLOAD = "overload"
    BEHIND = "behind"
    LOOP_BOUND = "loop_bound"
    COLLECTOR = "collector"
    LATE_ISSUE = "late_issue"
    HELD_BACK = "held_back"
    ENGINE_COST = "engine_cost"
    SLOW_WARM_UP = "slow_warm_up"
    DRIFT = "drift"
    STEAL = "steal"
    OTHER_LOAD = "other_load"
    THROTTLED = "throttled"
    PREEMPTED = "preempted"
    TOO_FEW_SAMPLES = "too_few_samples"
    UNREAD = "unread"
    MISREAD = "misread"
    WRITTEN = "written"
    START_SKEW = "start_skew"  # nodes began further apart than a request may wait unnoticed
    CLOCK = "clock"  # a node's clock is known too badly to align its series
    NODES_UNLIKE = "nodes_unlike"  # nodes differ in what moves numbers
    NODES_TOGETHER = "nodes_together"  # several nodes are one machine
    SLOW_NODE = "slow_node"  # one node is much slower than the others


class Unread(_Word):
    """Why requests were kept and not read, so that they are in none of the plan's measures."""

    RAISED = "the reader raised"
    HUNG = "the reader hung"
    INTERRUPTED = "interrupted"
    NO_ROOM = "no room"  # neither in memory nor on a disk
    LOST = "lost"  # with their process


class Cause(_Word):
    """Why a result is INVALID; the codes of rules among them."""

    NOTHING = "nothing_completed"
    WORKER_LOST = "worker_lost"
    NODE_LOST = "node_lost"
    FAILED = "failed_requests"
    INTERRUPTED = "interrupted"
    MINIMUM_DURATION = "minimum_duration"
    MINIMUM_QUERIES = "minimum_queries"
    MINIMUM_SAMPLES = "minimum_samples"
    UNSTABLE = "unstable"  # not as narrow an interval as the stop rule wants
    ERROR_BUDGET = "error_budget"
    BOUND = "bound"  # a percentile is above the scenario's bound
    SCENARIO = "scenario"  # a rule of a scenario of somebody else's
    EARLY_STOPPING = "early_stopping"  # too few queries to say that it is within the bound


# What event loops count beside their requests, by its names in `RunResult.counts`: what became of
# conversations, and what a cap on the requests in flight made wait.
BEGUN, COMPLETED = "conversations begun", "conversations completed"
FAILED, CUT = "conversations failed", "conversations cut"
HELD_BACK, HELD_BACK_MS = "held back", "ms held back in all"


@dataclass(frozen=True)
class Loss:
    """A worker or a worker process that did not live to the end of the run."""

    # HUNG: it did not come back and was ended; DIED: its process ended; WORKER_FAILED: its worker
    # raised outside the target
    kind: ErrorKind
    # number of the lost session, which is a process where there are several; they count from 0, and
    # each replacement gets the next number
    process: int
    # number of the lost worker; None: every worker of the process
    worker: int | None = None
    # how the process ended ("exit status 3", "signal SIGSEGV"); "" where that is not known
    exit: str = ""
    # the exit status, or the signal's name, where the process ended by itself
    status: int | None = None
    signal: str | None = None
    # the name of the node that it was on, where the run went over several
    node: str = ""
