"""Reads a model's file in a process of ours, as `qs load` does: a fault of a runtime takes down
that process alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.scratch import scratch
from qs.evaluate.failures import BackendFailed
from qs.evaluate.own_process import artifact_process

READ = (".onnx", ".pt")


def describe(path: Path, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """See qs.inside.artifact.ArtifactService. UserError for files that no task can have."""
    if path.is_dir() or path.suffix.lower() not in READ:
        kind = (
            "a folder (a saved_model?)" if path.is_dir() else f"a {path.suffix or 'nameless'} file"
        )
        raise UserError(
            f"--model: {path} is {kind}; allowed: ONNX (.onnx), or TorchScript (.pt) with --shape, "
            "--type and --outputs. Export others to ONNX first (tf2onnx, torch.onnx.export)"
        )
    if path.suffix.lower() == ".pt" and not asked["shapes"]:
        raise UserError(
            f"--model: {path}: a TorchScript file does not name its inputs and outputs; state "
            "them: --shape image=1,3,224,224 --type image=FLOAT32 --outputs logits (a run needs "
            "torch to convert it: pip install 'quicksilver-perf[torch]')"
        )
    return asyncio.run(_describe(path, asked))


async def _describe(path: Path, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    with scratch("qs-new-task-") as folder:
        try:
            async with artifact_process(folder / "model.log") as reader:
                return await reader.describe(path, asked)
        except BackendFailed as failure:
            raise UserError(f"--model: {path} cannot be read: {failure}") from None
