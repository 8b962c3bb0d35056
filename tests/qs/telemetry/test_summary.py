"""What several sources come to: what counts as the machine's power, once."""

from __future__ import annotations

from array import array

import pytest

from qs.telemetry.channel import Channel, Part, Unit, Unreadable
from qs.telemetry.follower import Log
from qs.telemetry.series import Phase
from qs.telemetry.summary import MOST_POINTS, Taken, summarised

S = 1_000_000_000
PHASE = Phase(0, 4.0)


def taken(name, part, watts, unit=Unit.WATT, counter=False, stated=False, source="s", fault=""):
    """A steady channel, or the given values; a reading a second."""
    values = (
        watts if isinstance(watts, list) else [watts * (at if counter else 1) for at in range(5)]
    )
    log = Log((Channel(name, unit, part, counter),), cpu_ns=1_000_000, fault=fault)
    log.at_ns, log.values = array("q", [at * S for at in range(5)]), [array("d", values)]
    return Taken(source, log, stated)


PACKAGE = taken("package-0", Part.PACKAGE, 40.0, counter=True)
SECOND = taken("package-1", Part.PACKAGE, 30.0, counter=True)
DRAM = taken("dram-0", Part.DRAM, 5.0, counter=True)
SAME = taken("amd_energy 0 Esocket0", Part.PACKAGE, 40.0, counter=True, source="hwmon")
CORE = taken("core-0", Part.ASIDE, 20.0, counter=True)
PSYS = taken("psys", Part.PLATFORM, 70.0, counter=True)
METER = taken("power_meter 0", Part.MACHINE, 120.0)
BATTERY = taken("BAT0", Part.MACHINE, 90.0)
GPU = taken("GPU 0", Part.ACCELERATOR, 200.0)
OTHER_GPU = taken("GPU 1", Part.ACCELERATOR, 10.0, counter=True)
STATED = taken("power_w", Part.ACCELERATOR, 150.0, stated=True)
STATED_J = taken("energy_j", Part.ACCELERATOR, 155.0, counter=True, stated=True)


@pytest.mark.parametrize(
    ("sources", "power_w", "counted"),
    [
        ([], None, []),
        ([CORE], None, []),
        ([PACKAGE], 40.0, ["package-0"]),
        ([PACKAGE, SECOND, DRAM, CORE], 75.0, ["package-0", "package-1", "dram-0"]),
        ([PACKAGE, DRAM, PSYS, METER], 45.0, ["package-0", "dram-0"]),
        ([PACKAGE, DRAM, SAME], 45.0, ["package-0", "dram-0"]),
        ([PSYS, DRAM, METER], 70.0, ["psys"]),
        ([METER, BATTERY], 120.0, ["power_meter 0"]),
        ([GPU, METER], 200.0, ["GPU 0"]),
        ([PACKAGE, GPU, OTHER_GPU], 250.0, ["package-0", "GPU 0", "GPU 1"]),
        ([PACKAGE, GPU, STATED], 190.0, ["package-0", "power_w"]),
        ([STATED, STATED_J], 155.0, ["energy_j"]),
    ],
)
def test_power_is_counted_once(sources, power_w, counted):
    found = summarised(sources, PHASE)
    assert found.mean_power_w == (None if power_w is None else pytest.approx(power_w))
    assert found.peak_power_w == (None if power_w is None else pytest.approx(power_w))
    assert found.energy_j == (None if power_w is None else pytest.approx(power_w * 4))
    assert [name.removeprefix("s ") for name in found.counted] == counted
    assert len(found.readings) == len(sources)


def test_the_peak_of_a_sum_is_no_sum_of_peaks():
    first = taken("package-0", Part.PACKAGE, [0, 10, 20, 80, 90], counter=True)
    second = taken("package-1", Part.PACKAGE, [0, 50, 60, 70, 80], counter=True)
    assert summarised([first, second], PHASE).peak_power_w == pytest.approx(70.0)


def test_a_package_that_was_dropped_leaves_no_sum_of_the_others():
    broken = taken("package-1", Part.PACKAGE, [5, 4, 3, 2, 1], counter=True, fault="gone")
    found = summarised([PACKAGE, broken], PHASE, [Unreadable("hwmon", "none")])
    assert (found.mean_power_w, found.counted) == (None, ())
    assert [(each.what, each.why) for each in found.unreadable] == [
        ("hwmon", "none"),
        ("s package-1", "the counter went backwards; gone"),
        ("power", "the readings of a package were dropped, and the sum of the others is not all"),
    ]


def test_utilisation_is_the_mean_of_all_devices_or_what_the_backend_states():
    one = taken("GPU 0 use", Part.DEVICE_USE, 80.0, Unit.PERCENT)
    two = taken("GPU 1 use", Part.DEVICE_USE, 20.0, Unit.PERCENT)
    own = taken("utilisation_percent", Part.DEVICE_USE, 95.0, Unit.PERCENT, stated=True)
    cpus = taken("CPUs", Part.CPU_USE, 60.0, Unit.PERCENT, counter=True)
    found = summarised([one, two, cpus], PHASE)
    assert (found.device_percent, found.cpu_percent) == (pytest.approx(50), pytest.approx(60))
    assert summarised([one, own], PHASE).device_percent == pytest.approx(95)


def test_the_series_is_short_however_long_the_case():
    many = 5_000
    log = Log((Channel("p", Unit.WATT, Part.PACKAGE, True),))
    log.at_ns = array("q", [at * S for at in range(many + 1)])
    log.values = [array("d", [at * 3.0 for at in range(many + 1)])]
    found = summarised([Taken("s", log)], Phase(0, float(many)))
    assert len(found.points) <= MOST_POINTS
    assert {round(each.power_w, 6) for each in found.points} == {3.0}
    assert summarised([PACKAGE], Phase(0, 2.0)).points == ()


def test_the_cost_is_that_of_all_threads_and_the_backends_own_apart():
    found = summarised([PACKAGE, DRAM, STATED], PHASE)
    assert (found.cost_s, found.stated_cost_s) == (0.002, 0.001)
    assert found.cost_share == pytest.approx(0.0005)
