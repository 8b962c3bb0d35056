"""What was guessed about a model file, in few lines: inputs that are alike share one, however many
layers a decoder has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from qs.artifact.batch import Batch
from qs.artifact.inputs import Input
from qs.artifact.sides import shown
from qs.base.names import as_typed
from qs.base.words import counted

_SHOWN = 6  # groups of a line; more are counted


def notes_on(
    inputs: Sequence[Input], batch: Batch, given: Collection[str] = (), who: str = "the file"
) -> list[str]:
    """The assumptions, each with the flag that states it. `given` are the inputs whose values the
    user states, `who` is what leaves the rest open.
    """
    doubt = batch.doubt()
    notes = [doubt] if doubt else []
    open_ones = _groups((f"{each.declared} {each.shape}", each) for each in inputs if each.guessed)
    if open_ones:
        said = [
            f"{_named(same)} {shown(same[0].declared)}: {list(same[0].shape)}" for same in open_ones
        ]
        flags = [as_typed("--shape", same[0].name, _typed(same[0])) for same in open_ones]
        notes.append(
            f"{who} has dynamic dimensions; guessed for {_some(said, '; ')} ({_some(flags, ' ')})"
        )
    ranged = _groups(
        (f"{each.range} {each.range_from}", each)
        for each in inputs
        if each.range is not None and each.range_from and each.name not in given
    )
    for same in ranged:
        assert same[0].range is not None
        low, high = same[0].range
        values = f"{low:g}" if high == low + 1 else f"{low:g} to {high - 1:g}"
        verb = "is" if len(same) == 1 else "are"
        notes.append(
            f"{_named(same)} {verb} fed {values}, {same[0].range_from}: "
            + as_typed("--range", same[0].name, f"{low:g},{high:g}")
        )
    return notes


def note_on_states(states: Mapping[str, str]) -> list[str]:
    """One line, for pairs that their names gave away."""
    if not states:
        return []
    (name, output), *others = states.items()
    more = f" ({counted(len(others), 'more pair')} like it)" if others else ""
    return [f"the output {output} is fed back into {name}{more}, by their names (--no_state: not)"]


def _groups(keyed: Iterable[tuple[str, Input]]) -> list[list[Input]]:
    found: dict[str, list[Input]] = {}
    for key, each in keyed:
        found.setdefault(key, []).append(each)
    return list(found.values())


def _named(same: Sequence[Input]) -> str:
    if len(same) <= 3:
        return ", ".join(each.name for each in same)
    return f"{same[0].name} and {len(same) - 1} inputs like it"


def _typed(each: Input) -> str:
    return ",".join(map(str, each.shape)) or "scalar"


def _some(said: Sequence[str], between: str) -> str:
    if len(said) <= _SHOWN:
        return between.join(said)
    return between.join(said[:_SHOWN]) + f"{between}and {len(said) - _SHOWN} more"
