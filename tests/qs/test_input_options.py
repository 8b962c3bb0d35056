"""--shape, --type, --range, --data and --state: any name of an input can be typed, nothing that was
typed is dropped, and what a message tells to type does what it says.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from qs.base.errors import Faults
from qs.base.names import as_typed
from qs.cli.requests import request_of
from qs.cli.types import Named, OwnData, interval
from qs.inside import feeding
from qs.settings.request import Feeding
from tests.qs.artifact import graphs
from tests.qs.program import qs, refused

OWN = OwnData()
RANGE = Named(interval, "range", "ids=0,30522", last=True)
DATA = Named(str, "data", "images=folder/")


@pytest.mark.parametrize(
    ("kind", "typed", "expected"),
    [
        (RANGE, "x=0,10", ("x", (0, 10))),
        (RANGE, " x = 0,10 ", ("x", (0, 10))),
        (RANGE, "a=b=0,10", ("a=b", (0, 10))),
        (RANGE, '" workclass"=1,1', (" workclass", (1, 1))),
        (RANGE, f"x={2**53 + 1},{2**63}", ("x", (2**53 + 1, 2**63))),
        (RANGE, "x=-0.5,1e3", ("x", (-0.5, 1000.0))),
        (DATA, "x=a=b.npy", ("x", "a=b.npy")),
        (DATA, '"a=b"=c=d.npy', ("a=b", "c=d.npy")),
        (DATA, "age, years=t.npy", ("age, years", "t.npy")),
        (OWN, "x=a=b.npy", ("x", Path("a=b.npy"))),
        (OWN, '"a=b"=c.npy', ("a=b", Path("c.npy"))),
        (OWN, " pictures/ ", ("", Path("pictures"))),
    ],
)
def test_names_of_inputs_as_they_are_typed(kind, typed, expected):
    assert kind.convert(typed, None, None) == expected


@pytest.mark.parametrize(
    "typed", ["x", "=0,1", "x=", "x=2,1", "x=nan,1", "x=0", "x=0,inf", '""=0,1']
)
def test_what_is_no_name_and_range(typed):
    with pytest.raises(click.UsageError):
        RANGE.convert(typed, None, None)


@pytest.mark.parametrize(
    "name", ["x", "my input", "a=b", " padded ", "it's", "年齢", '"q', "a/b:0"]
)
def test_a_hint_names_an_input_so_that_it_can_be_typed(name):
    flag, typed = shlex.split(as_typed("--range", name, "0,10"))
    assert (flag, RANGE.convert(typed, None, None)) == ("--range", (name, (0, 10)))


@pytest.mark.parametrize("flag", ["shape", "types", "ranges", "data", "state"])
def test_an_input_named_twice_is_refused(flag):
    named = dict.fromkeys(("shape", "types", "ranges", "data", "state"), ())
    named[flag] = (("a", 1), ("b", 2), ("a", 3))
    options = {**named, "no_state": False, "fill": "random", "hardware_type": "CPU"}
    with pytest.raises(
        Faults, match=r"--\w+ is '1, 3'; allowed: one value for each input|one value"
    ):
        request_of(options)


@pytest.mark.parametrize(
    ("feeding", "said"),
    [
        (Feeding(ranges={"a": (0, 1)}, data={"a": Path("x.npy")}), "one of --range and --data"),
        (Feeding(ranges={"h": (0, 1)}, states={"h": "hn"}), "one of --range and --state"),
        (Feeding(data={"h": Path("x.npy")}, states={"h": "hn"}), "one of --data and --state"),
    ],
)
def test_an_input_is_fed_by_one_flag(feeding, said):
    with pytest.raises(Faults, match=said):
        feeding.check()


def test_a_dry_run_refuses_what_the_run_would(tmp_path):
    model = graphs.named(tmp_path / "m.onnx", "a", "b")
    out = ("--hardware_type", "CPU", "--dry_run", "--out", tmp_path / "r")
    ran = qs("load", model, *out, "--data", "a=gone.npy", "--data", "bb=gone.npy", cwd=tmp_path)
    refused(ran, "gone.npy", "an existing file or folder", "did you mean 'b'")
    ran = qs("load", model, *out, "--range", "a=0,1e39")
    refused(ran, "--range a", "FLOAT32")


def test_own_items_of_a_single_input_need_no_name(tmp_path):
    assert feeding.named({"": "x.npy"}, ["x"]) == {"x": "x.npy"}
    assert feeding.named({"y": "x.npy"}, ["x"]) == {"y": "x.npy"}
    for given, inputs in (({"": "x.npy"}, ["x", "y"]), ({"": "x.npy", "x": "y.npy"}, ["x"])):
        with pytest.raises(Faults, match="input=x.npy for one of the inputs: x"):
            feeding.named(given, inputs)


def test_a_file_that_holds_a_sign_of_equality_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a=b.npy").touch()
    assert OWN.convert("a=b.npy", None, None) == ("", Path("a=b.npy"))
    with pytest.raises(click.BadParameter, match="it is empty"):
        OWN.convert("", None, None)
