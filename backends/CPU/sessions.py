"""ONNX Runtime sessions of this backend: opening, optimization ahead of time, and the placement of
nodes.

A graph is optimized in two steps. The portable part (ONNX Runtime's "extended" level) is done once
and cached; it holds for any processor of the same architecture. The last part, memory layouts for
this very processor, is done each time a session opens, so that a cache folder shared by unlike
machines is never wrong. Opening BERT-base that way takes 0.35 s, not 2.2 s.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from qs.contract.onnx_profile import nodes_by_provider
from qs.contract.tools import UserError, build_once, data_files, onnx_sentence

PROVIDER = "CPUExecutionProvider"
NOTHING: Mapping[str, str] = {}
DATA_FILE = "session.optimized_model_external_initializers_file_name"
LEAST_DATA = "session.optimized_model_external_initializers_min_size_in_bytes"


def open_session(
    path: str | Path,
    threads: int,
    level: str = "ALL",
    config: Mapping[str, str] = NOTHING,
    **options: Any,
) -> Any:
    """A session on the CPU with `threads` intra-op threads (the calling thread is one of them).

    `options` are SessionOptions attributes, `config` its entries. UserError if ONNX Runtime cannot
    read or run the model.
    """
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    settings.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, f"ORT_{level_name(level)}"
    )
    for name, value in options.items():
        setattr(settings, name, value)
    for name, text in config.items():
        settings.add_session_config_entry(name, text)
    try:
        return onnxruntime.InferenceSession(str(path), settings, providers=[PROVIDER])
    except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
        raise UserError(f"ONNX Runtime cannot open {path}: {onnx_sentence(error)}") from error


def level_name(level: str) -> str:
    return "DISABLE_ALL" if level == "NONE" else f"ENABLE_{level}"


def optimized(path: Path) -> tuple[Path, str]:
    """The cached, portably optimized graph for a model file, and a note on its origin.

    Keyed by the model's content, ONNX Runtime's version and the architecture: same key, same graph.
    """
    import onnxruntime

    data = data_files(path)
    version, machine = onnxruntime.__version__, platform.machine()
    key = f"cpu/{_sha256([path, *data])[:32]}-ort{version}-{machine}-extended-3"
    made: list[Path] = []

    def build(target: Path) -> None:
        made.append(target)
        # Weights beside the model are written beside the optimized graph: a protobuf file is
        # limited to 2 GB.
        beside = {DATA_FILE: f"{target.name}.data", LEAST_DATA: "1024"} if data else NOTHING
        session = open_session(path, 1, "EXTENDED", beside, optimized_model_filepath=str(target))
        _check_copy(session, target)
        _seal(target).write_text(_sha256(_files(target)))

    try:
        found = build_once(key, ".onnx", build, _whole)
    except UserError as error:
        # A model that cannot run at all is the user's error; one that cannot be saved is not.
        open_session(path, 1)
        return path, f"optimized on every load, not cached: {error}"
    return (
        found,
        "graph optimized by ONNX Runtime "
        f"{onnxruntime.__version__}{'' if made else ', from the cache'}",
    )


def _files(copy: Path) -> list[Path]:
    """A copy, and its weights if they are beside it."""
    data = copy.with_name(f"{copy.name}.data")
    return [copy, data] if data.exists() else [copy]


def _seal(copy: Path) -> Path:
    return copy.with_name(f"{copy.name}.sha256")


def _whole(copy: Path) -> bool:
    """Whether a cached copy is as it was written: what a damaged one answers is nobody's fault."""
    return _seal(copy).read_text() == _sha256(_files(copy))


def _check_copy(session: Any, copy: Path) -> None:
    """UserError if the optimized copy does not take and give what its model does. In files of IR
    version 3 weights are inputs too, and where ONNX Runtime merges equal nodes that make weights,
    the copy keeps the input of one and loses its values.
    """
    made = open_session(copy, 1, "NONE")
    for what, own, copied in (
        ("takes", session.get_inputs(), made.get_inputs()),
        ("gives", session.get_outputs(), made.get_outputs()),
    ):
        names, copied_names = [node.name for node in own], [node.name for node in copied]
        if names != copied_names:
            odd = ", ".join(dict.fromkeys(name for name in copied_names if name not in names))
            raise UserError(f"the optimized copy {what} {odd or ', '.join(copied_names)}")


def placement(path: Path, threads: int, feeds: dict[str, Any]) -> dict[str, int]:
    """Executed nodes by execution provider, from the profile of one real inference."""
    with TemporaryDirectory(prefix="qs-cpu-") as folder:
        session = open_session(
            path, threads, enable_profiling=True, profile_file_prefix=str(Path(folder, "profile"))
        )
        session.run(None, feeds)
        return nodes_by_provider(session.end_profiling())


def _sha256(files: list[Path]) -> str:
    """Of the concatenated contents of the files."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
