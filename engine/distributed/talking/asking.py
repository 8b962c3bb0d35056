"""What a driver asks of a node's process, and how what went wrong there is told: heads of messages,
and faults as plain data.

A message to a node is a head and a pickle, its arguments: what cannot be read there is an answer to
that very question. An answer is plain data: the question's number, "ok" and a value, or "error" and
a fault.
"""

from __future__ import annotations

import pickle
import struct
from enum import IntEnum
from typing import Any

from qs.engine.errors import HostDied, HostError, HostTimeout, PlanError, words

_HEAD = struct.Struct("<BQ")
_PROTOCOL = 5


class Ask(IntEnum):
    """Answered are BUILD, CALL, RUN (when it is ready), RESULT and COLUMNS."""

    BUILD = 1  # a Factory
    CALL = 2  # method, kwargs
    CANCEL = 3  # nothing: the question of that number
    SAMPLES = 4  # those of the run that comes next
    RUN = 5  # share, target, whether SAMPLES came before, RunOptions, the run's number
    GO = 6  # the common start
    END = 7  # an Ending, of the run of that number, which may come only later
    RESULT = 8  # nothing: of the run, once it has ended
    COLUMNS = 9  # of the result: which, from row, how many


def asked(what: Ask, number: int, body: bytes) -> bytes:
    """A message to a node's process."""
    return _HEAD.pack(what, number) + body


def packed(*arguments: Any) -> bytes:
    """Arguments of a question. Raises whatever their own code raises."""
    return pickle.dumps(arguments, _PROTOCOL)


def read(message: bytes) -> tuple[int, int, memoryview]:
    """What is asked, the question's number and its pickled arguments."""
    what, number = _HEAD.unpack_from(message)
    return what, number, memoryview(message)[_HEAD.size :]


def plain_fault(fault: BaseException) -> dict[str, Any]:
    """What is told of an exception: never the exception itself, which may not be picklable."""
    known = HostError.of(fault)
    plain: dict[str, Any] = {
        "kind": known.kind,
        "message": known.message,
        "traceback": known.traceback,
        "classes": known.classes,
    }
    if isinstance(fault, PlanError):
        plain["faults"] = [str(each) for each in fault.faults]
    elif isinstance(fault, HostDied):
        plain["died"] = (fault.exit, fault.log_tail, fault.status, fault.signal)
    elif isinstance(fault, HostTimeout):
        plain["timeout"] = (fault.what, fault.limit_s, fault.log_tail)
    return plain


def fault_of(plain: Any) -> Exception:
    """The exception that a node told of. Raises ValueError, TypeError or KeyError for what makes no
    sense.
    """
    texts = [plain["kind"], plain["message"], plain["traceback"]]
    if not all(isinstance(each, str) for each in (*texts, *plain["classes"])):
        raise TypeError("a fault without its texts")
    if "faults" in plain:
        return PlanError([str(each) for each in plain["faults"]])
    if "died" in plain:
        exit, tail, status, signal = plain["died"]
        number = status if type(status) is int else None
        return HostDied(str(exit), str(tail), number, signal and str(signal))
    if "timeout" in plain:
        what, limit_s, tail = plain["timeout"]
        return HostTimeout(str(what), float(limit_s), str(tail))
    kind, message, traceback = texts
    return HostError(kind, message, traceback, tuple(plain["classes"]))


def unsendable(value: Any, fault: Exception) -> HostError:
    """What is told of an answer that is no plain data."""
    why = f"the answer, of type {type(value).__name__}, cannot be sent: {words(fault)}"
    return HostError(type(fault).__name__, f"{why}; give plain data")
