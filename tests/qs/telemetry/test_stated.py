"""What a backend states: names, units and kinds; and the file that is not trusted."""

from __future__ import annotations

import json
import math
import os

import numpy as np
import pytest

from qs.telemetry.channel import Part, Unit
from qs.telemetry.stated import FILE, MOST_NAMES, checked, plain, read_stated


@pytest.mark.parametrize(
    ("name", "given", "unit", "part", "counter", "value"),
    [
        ("power_w", 12, Unit.WATT, Part.ACCELERATOR, False, 12.0),
        ("energy_j", np.float32(5), Unit.WATT, Part.ACCELERATOR, True, 5.0),
        ("utilisation_percent", 97.5, Unit.PERCENT, Part.DEVICE_USE, False, 97.5),
        ("utilization_percent", 97.5, Unit.PERCENT, Part.DEVICE_USE, False, 97.5),
        ("hbm_w", np.float64(3), Unit.WATT, Part.ASIDE, False, 3.0),
        ("die_c", 60, Unit.CELSIUS, Part.ASIDE, False, 60.0),
        ("used_bytes", 5, Unit.BYTES, Part.ASIDE, False, 5.0),
        ("queue", 4, Unit.OTHER, Part.ASIDE, False, 4.0),
        ("clock", {"value": 900, "unit": "MHz"}, Unit.OTHER, Part.ASIDE, False, 900.0),
        ("e", {"value": 9, "unit": "J", "kind": "counter"}, Unit.WATT, Part.ASIDE, True, 9.0),
        ("p", {"value": 9, "unit": "W", "kind": "gauge"}, Unit.WATT, Part.ASIDE, False, 9.0),
    ],
)
def test_what_a_name_says(name, given, unit, part, counter, value):
    ((channel, found),) = checked({name: given}).items()
    assert (channel.unit, channel.part, channel.counter, found) == (unit, part, counter, value)
    assert checked(json.loads(json.dumps(plain({name: given})))) == {channel: value}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "returned NoneType; allowed: a dict"),
        ([1], "returned list"),
        ({str(at): 1 for at in range(MOST_NAMES + 1)}, "returned 65 names"),
        ({3: 1}, "3 is no name"),
        ({"a" * 65: 1}, "is no name"),
        ({"": 1}, "is no name"),
        ({"a\x1b[31m": 1}, "is no name"),
        ({"power_w": "12"}, "power_w: '12' is no number"),
        ({"power_w": None}, "power_w: None is no number"),
        ({"power_w": math.nan}, "power_w: nan is not allowed; a finite number"),
        ({"power_w": 10**400}, "is no number"),
        ({"power_w": {"value": 1, "unit": 5}}, "unit 5 is not allowed"),
        ({"x": {"value": 1, "unit": "W", "kind": "rate"}}, "kind 'rate' is not allowed"),
        ({"x": {"value": 1, "unit": "W", "kind": "counter"}}, "a counter of W is not known"),
        ({"x": {"value": 1, "unit": "J", "kind": "gauge"}}, "energy in J is a counter"),
        ({"x": {"unit": "W"}}, "None is no number"),
    ],
)
def test_what_is_refused(answer, why):
    with pytest.raises(ValueError, match=why.replace("[", r"\[")):
        checked(answer)


def lines(folder, *entries):
    text = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in entries)
    (folder / FILE).write_text(text)
    return read_stated(folder)


def test_nothing_was_asked(tmp_path):
    assert read_stated(tmp_path) is None


def test_a_file_is_read_as_columns(tmp_path):
    found = lines(
        tmp_path,
        {"at_ns": 30, "values": {"power_w": 3, "late": 1}},
        {"at_ns": 10, "values": {"power_w": 1}},
        {"at_ns": 20, "values": {"power_w": 2}},
        {"cpu_ns": 500},
        {"cpu_ns": 70, "fault": "telemetry(): RuntimeError: no card"},
    )
    assert found.stated and found.log.cpu_ns == 570
    assert found.log.fault == "telemetry(): RuntimeError: no card"
    assert list(found.log.at_ns) == [10, 20, 30]
    assert [channel.name for channel in found.log.channels] == ["power_w", "late"]
    assert list(found.log.values[0]) == [1, 2, 3]
    assert [math.isnan(value) for value in found.log.values[1]] == [True, True, False]


def test_a_hostile_file_is_read_as_far_as_it_makes_sense(tmp_path):
    found = lines(
        tmp_path,
        "[" * 100_000,
        "null",
        "[]",
        '{"at_ns": 1e400, "values": {"power_w": 1}}',
        {"at_ns": -5, "values": {"power_w": 1}},
        {"at_ns": 5, "values": {"power_w": "x"}},
        {"at_ns": 5, "values": 7},
        {"cpu_ns": "many"},
        {"fault": "y" * 5000},
        {"at_ns": 7, "values": {"power_w": 4}},
        '{"at_ns": 8, "val',
    )
    assert list(found.log.at_ns) == [7]
    assert len(found.log.fault) == 300


@pytest.mark.parametrize("kind", ["pipe", "large", "folder", "link"])
def test_what_is_no_file_of_ours_is_not_waited_for(tmp_path, monkeypatch, kind):
    path = tmp_path / FILE
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/dev/zero")
    else:
        monkeypatch.setattr("qs.telemetry.stated.MOST_BYTES", 3)
        path.write_text("[1, 2]")
    found = read_stated(tmp_path)
    assert found.log.fault == "what telemetry() stated is in no file that can be read"
    assert found.log.channels == ()


def test_names_beyond_the_most_are_left_out(tmp_path):
    entries = [{"at_ns": at, "values": {f"n{at}": 1}} for at in range(200)]
    assert len(lines(tmp_path, *entries).log.channels) == MOST_NAMES
