"""Which form of a model a backend is given: of what is there, the first that it reads, converted
where that is needed; and the ONNX graph that the reference is computed from.

A backend that says nothing of what it reads, as no published one does, is given what its model info
states. All of it is settled before the backend's process starts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.visible import one_line
from qs.base.words import counted, number
from qs.contract.model_formats import SERVED, formats_read_by
from qs.environments import Environment
from qs.evaluate.failures import BackendFailed
from qs.evaluate.own_process import ReferenceProcess
from qs.evaluate.saved_model import saved_model_of
from qs.evaluate.torchscript import torchscript_of
from qs.models.converted import Converted
from qs.models.formats import FORMATS, ONNX, PT, SAVED_MODEL, misspelled, named, words

Plain = dict[str, Any]
Say = Callable[[str], None]
# (ONNX graph, model info, the backend's environment, log, say) -> the model in another format
FromOnnx = Callable[[Path, Mapping[str, Any], Environment, Path, Say], Awaitable[Converted]]
FROM_ONNX: dict[str, FromOnnx] = {PT: torchscript_of, SAVED_MODEL: saved_model_of}
NOT_ASKED = "numeric agreement was not asked for"


@dataclass
class Forms:
    """The forms of one model: what its source has, and what that was converted to so far."""

    found: Mapping[str, Any]  # as of resolve_model
    model_info: Mapping[str, Any]
    process: ReferenceProcess
    _onnx: Plain | UserError | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.there = {str(self.found["format"]): str(self.found["path"])}
        if self.found.get("export"):
            self.there.setdefault(ONNX, str(self.found["export"]))

    async def onnx(self) -> Plain:
        """{"path", "format"} of the ONNX graph, and "converted" if it had to be made. UserError if
        it cannot be had.
        """
        if ONNX in self.there:
            return {"path": self.there[ONNX], "format": ONNX}
        if self._onnx is None:
            self._onnx = await self._made()
        if isinstance(self._onnx, UserError):
            raise self._onnx
        return self._onnx

    async def _made(self) -> Plain | UserError:
        path, format = str(self.found["path"]), str(self.found["format"])
        try:
            made = await self.process.to_onnx(path, format, self.model_info)
        except UserError as error:
            return error
        except BackendFailed as failure:  # a runtime that crashes on this file
            return UserError(f"{failure}: {one_line(failure.detail)[-300:]}")
        return {"path": made.pop("path"), "format": ONNX, "converted": made}


async def offered(
    forms: Forms,
    stated: str,
    backend: Path,
    environment: Environment,
    log: Path,
    say: Say,
    compares: bool,
) -> Plain:
    """The record of the model: what was found, with the "path" and "format" that the backend gets,
    "converted" if that was made of what was found, and "reference", the graph's path, or None and
    "no_reference", why.

    stated    the model info's model_format
    compares  whether the run needs the reference

    UserError if no form that the backend reads can be had; one message says what is there, and what
    would help.
    """
    reads = formats_read_by(backend)
    given = await _given(forms, named(stated), reads, backend.name, environment, log, say)
    compared = await _reference(forms, compares)
    answer: Plain = {**forms.found, **given, **compared}
    answer.pop("export", None)
    answer["note"] = "; ".join([forms.found["note"], *_how(answer)])
    return answer


async def _given(
    forms: Forms,
    stated: str,
    reads: tuple[str, ...],
    backend: str,
    environment: Environment,
    log: Path,
    say: Say,
) -> Plain:
    if SERVED in reads:  # it is given no file: the one that is there names the model
        return {"path": str(forms.found["path"]), "format": str(forms.found["format"])}
    if not reads and stated not in FORMATS:  # none of ours: as it is
        return {"path": str(forms.found["path"]), "format": stated}
    failures: list[str] = []
    names = reads or (stated,)
    for name in names:
        if name in forms.there:
            found: Plain = {"path": forms.there[name], "format": name}
        else:
            try:
                found = await _converted(forms, name, environment, log, say)
            except UserError as error:
                failures.append(one_line(str(error)))
                continue
        passed = [f"{words(better)}: {why}" for better, why in zip(names, failures, strict=False)]
        return found | ({"passed_over": passed} if passed else {})
    raise UserError(_refusal(forms, stated, reads, backend, failures))


async def _converted(
    forms: Forms, name: str, environment: Environment, log: Path, say: Say
) -> Plain:
    """The model in a format that is not there."""
    if name == ONNX:
        return await forms.onnx()
    convert = FROM_ONNX.get(name)
    if convert is None:
        raise UserError(f"{_there(forms)}, which qs does not convert to {words(name)}")
    graph = await forms.onnx()
    try:
        made = await convert(Path(graph["path"]), forms.model_info, environment, log, say)
    except BackendFailed as failure:
        raise UserError(f"{failure}: {one_line(failure.detail)[-300:]}") from None
    told = made.to_dict()
    if "converted" in graph:  # in two steps, of which the first was from what is there
        first = graph["converted"]
        told = {
            "from": first["from"],
            "by": f"{first['by']}, then {told['by']}",
            "check": told["check"],
            "through": {"path": graph["path"], "format": ONNX, **first},
        }
    return {"path": str(made.path), "format": name, "converted": told}


def _refusal(
    forms: Forms, stated: str, reads: tuple[str, ...], backend: str, failures: list[str]
) -> str:
    names = reads or (stated,)
    wanted = " or ".join(words(name) for name in names)
    why = "reads" if reads else "says nothing of what it reads, and the model info states"
    reasons = [
        f"{words(name)}: {reason}" if len(names) > 1 else reason
        for name, reason in zip(names, failures, strict=True)
    ]
    reasons += [
        f"qs knows no format {name!r}; did you mean {near!r}?"
        for name in names
        if (near := misspelled(name))
    ]
    return f"the backend {backend} {why} {wanted}: {'; '.join(reasons)}"


def _there(forms: Forms) -> str:
    """What is there: m.pt is TorchScript (.pt)."""
    return " and ".join(f"{path} is {words(name)}" for name, path in forms.there.items())


def _how(given: Mapping[str, Any]) -> list[str]:
    """What the note says of a conversion."""
    said = []
    made = given.get("converted")
    if made:
        said.append(f"converted to {words(given['format'])} by {made['by']}{in_words(made)}")
    said += [f"not given as {why}" for why in given.get("passed_over", ())]
    other = given.get("reference_converted")
    if other and given["reference"] != given["path"]:
        said.append(f"the reference is its ONNX graph, made by {other['by']}{in_words(other)}")
    return said


def in_words(made: Mapping[str, Any]) -> str:
    """How a converted model's answers compare with the original's."""
    check = made.get("check") or {}
    if not check:
        return ""
    return (
        f", whose answers to {counted(check['items'], 'sample item')} are within "
        f"{number(check['max_abs_diff'])} of the original's (allowed: "
        f"{number(check['tolerance'])} of an output's largest value)"
    )


async def _reference(forms: Forms, compares: bool) -> Plain:
    if not compares and ONNX not in forms.there:
        return {"reference": None, "no_reference": NOT_ASKED}
    try:
        graph = await forms.onnx()
    except UserError as error:
        return {"reference": None, "no_reference": one_line(str(error))}
    converted = graph.get("converted")
    return {"reference": graph["path"]} | ({"reference_converted": converted} if converted else {})
