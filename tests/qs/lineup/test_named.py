"""Which backends are named, and what goes to each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from qs.base.errors import Faults
from qs.lineup.named import answers_of, names_in, unsupported
from qs.settings.request import Request

REQUEST = Request(task="small", hardware_type="CPU,TORCH")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("CPU,TORCH", ("CPU", "TORCH")),
        (" cpu , Torch ", ("cpu", "Torch")),
        ("A,B,C,D,E,F,G,H", tuple("ABCDEFGH")),
    ],
)
def test_names(text, names):
    assert names_in(text) == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("CPU,", "one comma between them"),
        (",CPU", "one comma between them"),
        ("CPU,,TORCH", "one comma between them"),
        (",", "one comma between them"),
        ("CPU,cpu", "each backend once; CPU is named 2 times"),
        ("CPU,TORCH,cpu,torch", "TORCH is named 2 times"),
        ("A,B,C,D,E,F,G,H,I", "at most 8 backends"),
    ],
)
def test_wrong_lists(text, said):
    with pytest.raises(Faults) as refused:
        names_in(text)
    assert said in str(refused.value) and "--hardware_type" in str(refused.value)


def test_answers_by_backend():
    given = Path("cpu=a.json,TORCH=b/c.json")
    assert answers_of(given, ("CPU", "TORCH")) == {"CPU": Path("a.json"), "TORCH": Path("b/c.json")}
    assert answers_of(None, ("CPU", "TORCH")) == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("answers.json", "a file for each backend: CPU=FILE,TORCH=FILE"),
        ("CPU=", "a file for each backend"),
        ("TROCH=a.json", "did you mean 'TORCH'?"),
        ("CPU=a.json,cpu=b.json", "one file for cpu"),
    ],
)
def test_wrong_answers(given, said):
    with pytest.raises(Faults, match=r"--answers") as refused:
        answers_of(Path(given), ("CPU", "TORCH"))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"compiled": Path("made")}, "--compiled"),
        ({"compile_only": True}, "--compile_only"),
        ({"in_process": True}, "--in_process"),
        ({"raw": Path("all.csv")}, "--raw"),
        ({"web": 0}, "--web"),
        ({"metrics": ":9464"}, "--metrics"),
        ({"engine": "never"}, "--engine"),
    ],
)
def test_options_of_one_backend_are_refused_with_the_reason(changes, flag):
    (fault,) = unsupported(replace(REQUEST, **changes))
    assert fault.file == flag and fault.hint
    assert not list(unsupported(REQUEST))
