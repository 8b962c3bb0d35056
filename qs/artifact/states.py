"""Inputs fed by an output of the previous call: recurrent states and caches, recognised by their
names.

`h` and `hn`, `state` and `stateN`, `past_key_values.0.key` and `present.0.key`, `cache_in` and
`cache_out`: without their words for before and after, both names are the same. Only outputs of the
input's type and shape are fed back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from qs.artifact.inputs import Input, unknown_input
from qs.base.errors import Fault, Faults
from qs.base.names import nearest
from qs.tensors.onnx_io import FileTensor

_BEFORE_AND_AFTER = {
    "in",
    "input",
    "prev",
    "previous",
    "past",
    "last",
    "initial",
    "init",
    "out",
    "output",
    "next",
    "new",
    "present",
    "current",
    "updated",
    "n",
}
_CALLED = re.compile(r"state|cache|hidden|memory|past|context|(^|_)[hc](n|_|$|\d)", re.IGNORECASE)


def pairs(inputs: Sequence[Input], outputs: Sequence[FileTensor]) -> dict[str, str]:
    """Input -> output by their names, for inputs that are named like a state."""
    found: dict[str, str] = {}
    for each in inputs:
        if not _CALLED.search(each.name):
            continue
        fitting = [
            output.name
            for output in outputs
            if output.name not in found.values()
            and _stem(output.name) == _stem(each.name)
            and len(output.shape) == len(each.shape)
        ]
        if len(fitting) == 1:
            found[each.name] = fitting[0]
    return found


def stated(
    given: Mapping[str, str], inputs: Sequence[Input], outputs: Sequence[FileTensor]
) -> dict[str, str]:
    """The user's own pairs. Raises Faults for names that are not in the file."""
    names, results = [each.name for each in inputs], [each.name for each in outputs]
    faults = [unknown_input("--state", name, names) for name in given if name not in names]
    faults += [
        Fault(
            "--state",
            name,
            output,
            "an output: " + ", ".join(results),
            nearest=nearest(output, results),
        )
        for name, output in given.items()
        if output not in results
    ]
    if faults:
        raise Faults(faults)
    return dict(given)


def _stem(name: str) -> tuple[str, ...]:
    """The words of a name in order, without those for before and after: past_key_values.0.key
    becomes (0, key).
    """
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", re.sub(r":\d+$", "", name))
    kept = [word.lower() for word in words if word.lower() not in _BEFORE_AND_AFTER]
    if len(kept) == 1 and len(kept[0]) == 2 and kept[0][1] == "n":
        kept = [kept[0][0]]  # hn, cn
    return tuple(word for word in kept if word not in ("key", "values", "value")) + tuple(kept[-1:])
