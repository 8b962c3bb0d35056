"""Work of our own that does not belong into our process: finding or building a model, computing the
reference's answers, trying a model file's shapes. Its memory goes with the process, and a fault of
a runtime takes down that process alone.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from qs.engine import ChildHost, Factory
from qs.environments.log import unlinked
from qs.evaluate.failures import Limit, outcomes

REFERENCE = "qs.inside.reference:ReferenceService"
ARTIFACT = "qs.inside.artifact:ArtifactService"
MODEL_S = 7200.0  # a model may have to be fetched
OTHER_S = 1200.0


class ReferenceProcess:
    """Finds models and data, and computes the reference's answers. Raises UserError or
    BackendFailed.
    """

    def __init__(self, host: ChildHost):
        self._host = host

    async def resolve_model(
        self, what: str, model_info: Mapping[str, Any], root: Path, seed: int, offline: bool
    ) -> dict[str, Any]:
        """The model's file or folder, found, fetched or built, and what it is."""
        with outcomes(what, Limit(MODEL_S)):
            return await self._host.call(
                "resolve_model",
                deadline_s=MODEL_S,
                model_info=model_info,
                workspace_root=str(root),
                seed=seed,
                offline=offline,
            )

    async def to_onnx(
        self, path: str, format: str, model_info: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The model as ONNX: {"path", "from", "by", "check"}. UserError if it cannot be had."""
        with outcomes(f"converting {path} to ONNX", Limit(MODEL_S)):
            return await self._host.call(
                "to_onnx", deadline_s=MODEL_S, path=path, format=format, model_info=model_info
            )

    async def resolve_data(self, folder: Path, offline: bool) -> dict[str, dict[str, str]]:
        """The files that the data set's own sources name, by name."""
        with outcomes("the data set", Limit(OTHER_S)):
            return await self._host.call(
                "resolve_data", deadline_s=OTHER_S, dataset_folder=str(folder), offline=offline
            )

    async def outputs(
        self,
        model_path: str,
        model_info: Mapping[str, Any],
        dataset: Path | None,
        fake: bool,
        seed: int,
        items: int,
        to: Path,
        tensors: Sequence[str] = (),
        batch_size: int = 1,
    ) -> dict[str, Any]:
        """Write the answers to the first items to a file, and those to batches of them where they
        differ; returns what is known about them. `tensors` names tensors inside the graph that are
        wanted as well.
        """
        with outcomes("the reference run", Limit(OTHER_S)):
            return await self._host.call(
                "reference_outputs",
                deadline_s=OTHER_S,
                model_path=model_path,
                model_info=model_info,
                dataset_folder=str(dataset) if dataset else None,
                fake=fake,
                seed=seed,
                items=items,
                out_npz=str(to),
                tensors=list(tensors),
                batch_size=batch_size,
            )


class ArtifactProcess:
    """Reads a model file, or asks a server. Raises UserError or BackendFailed."""

    def __init__(self, host: ChildHost):
        self._host = host

    async def describe(self, path: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What the file says about its inputs, and what was found out or guessed."""
        with outcomes("reading the artifact", Limit(OTHER_S)):
            return await self._host.call(
                "describe", deadline_s=OTHER_S, path=str(path), asked=asked
            )

    async def describe_served(
        self, remote: Mapping[str, Any], asked: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What a server says about its model, and what was found out or guessed. See
        Request.remote.
        """
        with outcomes("asking the server", Limit(OTHER_S)):
            return await self._host.call(
                "describe_served", deadline_s=OTHER_S, remote=dict(remote), asked=asked
            )

    async def read_data(
        self, description: Mapping[str, Any], given: Mapping[str, str], out_folder: Path
    ) -> dict[str, Any]:
        """The user's own items, as arrays in files."""
        with outcomes("reading the data", Limit(OTHER_S)):
            return await self._host.call(
                "read_data",
                deadline_s=OTHER_S,
                description=description,
                given=given,
                out_folder=str(out_folder),
            )


@asynccontextmanager
async def reference_process(log: Path, work: Path | None = None) -> AsyncIterator[ReferenceProcess]:
    """`work` is the backend's working folder: a data set's code opens files relative to it."""
    async with _host(REFERENCE, log, work) as host:
        yield ReferenceProcess(host)


@asynccontextmanager
async def artifact_process(log: Path) -> AsyncIterator[ArtifactProcess]:
    async with _host(ARTIFACT, log, None) as host:
        yield ArtifactProcess(host)


@asynccontextmanager
async def _host(service: str, log: Path, work: Path | None) -> AsyncIterator[ChildHost]:
    made = ChildHost(Factory(service), python=sys.executable, log_path=unlinked(log), cwd=work)
    with outcomes("starting a process of our own"):
        await made.__aenter__()
    try:
        yield made
    finally:
        await made.__aexit__(None, None, None)
