"""A loaded copy as the engine drives it in one case: by predict, or by requests that were made
before anything is timed; with what is to be kept of its answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from qs.engine import Target
from qs.inside.looking import Looking
from qs.inside.null_run import diverted
from qs.inside.started import (
    as_conversations,
    asking,
    check_alone,
    own_hooks,
    refuse,
    requests_of,
    started_target,
    takes_requests,
)
from qs.inside.targets import check_kind, target_of
from qs.inside.verifying import Verifier


class Hook(Protocol):
    """What is called in each worker's thread around its measured phase."""

    def begin_measuring(self) -> None: ...
    def end_measuring(self) -> None: ...


@dataclass(frozen=True)
class Drive:
    """How the engine is going to drive one copy of the model: the arguments of `load_target`."""

    # items a query, or the whole of a query's batch where nothing is shared
    batch_size: int = 1
    instances: int = 1
    # {"count", "seed"} of the QS config, or a count
    samples: Any = None
    # a list of CPUs for each instance; None: the calling thread's
    affinity: Sequence[Sequence[int]] | None = None
    intra_op_threads: int | None = None
    # whether a query is a list of batches
    lists: bool = False
    # how many of a query's batches are asked for at once, where they are
    per_query: int = 1
    # whether a sample is a conversation, whose turns are the batches that belong together
    conversations: bool = False
    # at most this many queries share a call: a batch for all of them is loaded
    shared_by: int | None = None
    # {"mode", "seed", "folder"}: keep answers there, for `verification`
    verify: Mapping[str, Any] | None = None
    # the case's own folder, where answers without outputs are noted; None: they raise
    folder: str | None = None
    # how often to ask the backend's own `telemetry`, whose answers go there too; None: never
    telemetry_s: float | None = None
    # whether batches are made requests beforehand, where the backend can; else predict is called
    prepared: bool = True
    # send requests to this port of this machine instead: what answers there does nothing
    null_port: int | None = None

    @property
    def to_load(self) -> int:
        """The batch size to ask for."""
        return self.batch_size * (self.shared_by or 1)

    def sample_size(self, loaded: int) -> int:
        """Items in each of the batches to cycle through, given the batch size really loaded."""
        return self.batch_size if self.shared_by else loaded

    def placement(self, instance: int) -> dict[str, Any]:
        """The published `placement` of that instance."""
        affinity = self.affinity
        return {
            "instance": instance,
            "instances": self.instances,
            "cpus": list(affinity[instance % len(affinity)]) if affinity else None,
            "intra_op_threads": self.intra_op_threads,
        }


@dataclass(frozen=True)
class Loaded:
    """A copy that was loaded for a case, and what goes with it."""

    backend: Any
    batch_size: int
    instance: int
    # the model info's names
    outputs: Sequence[str]
    # as target_of takes them
    rows: Mapping[str, int] | None = None
    states: Mapping[str, str] | None = None
    axes: Mapping[str, int] = field(default_factory=dict)
    # what else is called around the measured phase
    hooks: Sequence[Hook] = ()


@dataclass(frozen=True)
class LoadedTarget(Target):
    """predict of a loaded copy, as the engine calls it."""

    # of the batch that is really loaded
    loaded_batch_size: int = 0


def target_for(
    copy: Loaded, batches: Sequence[Any], drive: Drive, pool: str | None
) -> LoadedTarget:
    """A loaded backend as the engine drives it: by requests made of the batches beforehand, where
    it has those for such a pool, else by predict.

    UserError if it is of the other kind than the pool.
    """
    backend = diverted(copy.backend, drive.null_port)
    check_kind(backend, pool)
    requests = drive.prepared and takes_requests(backend, pool)
    verifier = None
    hooks: list[Hook] = list(copy.hooks)
    if drive.verify is not None:
        verifier = Verifier(instance=copy.instance, names=copy.outputs, **drive.verify)
        hooks.append(verifier)
    outputs_of = backend.outputs_of if requests else None
    looking = Looking(drive.folder, copy.instance, drive.lists, outputs_of)
    started: dict[str, Any] = {}
    taken = alone = batches
    if requests:
        refuse(drive.shared_by, copy.states or {})
        taken = alone = requests_of(backend, batches)
        if drive.conversations:
            taken, alone = as_conversations(backend, taken)
        elif drive.null_port is None:
            check_alone(taken)
        if pool == "async":
            call, started = started_target(backend, drive, looking, verifier)
            hooks += own_hooks(backend)
        else:
            call = asking(backend, drive.lists, verifier)
    else:
        call = target_of(
            backend.predict, drive.lists, copy.rows, copy.states, verifier, looking, copy.axes
        )
    if verifier is not None:
        verifier.knows(() if copy.rows else alone)

    def begin() -> None:
        looking.begin()
        for hook in hooks:
            hook.begin_measuring()

    def end() -> None:
        for hook in hooks:
            hook.end_measuring()

    looking.then = end
    return LoadedTarget(
        call=call,
        samples=taken,
        begin_measuring=begin,
        end_measuring=looking.end,
        look=looking,
        loaded_batch_size=copy.batch_size,
        **started,
    )
