"""Power and energy in words: read, not readable, of one case and of several."""

from __future__ import annotations

import pytest

from qs.comparison.energy import energy_notes
from qs.gates.bounds import judged
from qs.gates.grammar import parse
from qs.render.html.power_chart import power_chart, power_points
from qs.render.performance import columns_of
from qs.render.tiles import tiles_of
from qs.result.power import joules, power_facts
from qs.result.story import named, story_of
from tests.qs.result.made import small

RAPL = {"what": "RAPL", "why": "permission denied"}
HWMON = {"what": "hwmon", "why": "none"}


def row(watts: float | None = 50.0, joule: float | None = 0.5, **more: object) -> dict:
    known = watts is not None
    return {
        "QPS": 100.0,
        "Wall Time": 4.0,
        "Completed": 400,
        "P50 Latency": 9.0,
        "Mean Power": watts,
        "Peak Power": watts and watts + 10,
        "Energy per Item": joule,
        "CPU Utilisation": 62.5,
        "Telemetry": {
            "phase": "measured",
            "length_s": 4.0,
            "energy_j": watts and watts * 4,
            "counted": ["RAPL package-0"] if known else [],
            "not_readable": [] if known else [RAPL, HWMON],
            "series": {
                "at_s": [0, 1, 2, 3],
                "power_w": [watts] * 4 if known else None,
                "cpu_percent": [60, 65, 60, 65],
            },
        },
    } | more


def rows_of(*plain: dict):
    return small(list(plain)).performance


@pytest.mark.parametrize(
    ("rows", "facts"),
    [
        ([{}], {}),
        (
            [row()],
            {
                "power": "50 W on average, at most 60 W, 500 mJ an item; of RAPL package-0, idle "
                "power included",
                "utilisation": "CPUs 62.5 % busy",
            },
        ),
        (
            [row(), row(70.0, 2.0, **{"Device Utilisation": 90.0}), row(None, None)],
            {
                "power": "50 to 70 W on average, at most 60 to 80 W, 500 mJ to 2 J an item; of "
                "RAPL package-0, idle power included",
                "utilisation": "CPUs 62.5 % busy, accelerators 90 % busy",
            },
        ),
        (
            [row(None, None), {}],
            {
                "power": "not readable: RAPL: permission denied; hwmon: none",
                "utilisation": "CPUs 62.5 % busy",
            },
        ),
        ([{"Telemetry": {}}], {"power": "not readable: this system shows no meter"}),
        ([row(40.0, None)], {"power": "40 W on average, at most 50 W; of RAPL package-0, idle "
          "power included", "utilisation": "CPUs 62.5 % busy"}),
    ],
)  # fmt: skip
def test_facts(rows, facts):
    assert dict(power_facts(rows_of(*rows))) == facts


@pytest.mark.parametrize(
    ("energy_j", "text"),
    [(1.27, "1.27 J"), (0.34, "340 mJ"), (1.25e-5, "12.5 uJ"), (1e-9, "0.001 uJ"), (0.0, "0 uJ")],
)
def test_an_energy_has_a_unit_that_suits_it(energy_j, text):
    assert " ".join(joules(energy_j)) == text


def test_there_are_columns_and_a_tile_only_if_something_was_read():
    read, unread = rows_of(row(), row(60.0, 0.002)), rows_of(row(None, None))
    headings = {each.name: each for each in columns_of(named(read))}
    assert headings["mean_power_w"].texts == ("50.0", "60.0")
    assert headings["energy_per_item_j"].heading == "mJ/item"
    assert headings["energy_per_item_j"].texts == ("500.00", "2.00")
    none = {each.name for each in columns_of(named(unread))}
    assert not none & {"mean_power_w", "energy_per_item_j"}
    said = [str(tile) for tile in tiles_of(story_of(small([row()])))[1]]
    assert "energy 500 mJ/item (50 W)" in said
    assert not any(
        "energy" in str(tile) for tile in tiles_of(story_of(small([row(None, None)])))[1]
    )


def test_the_chart_has_watts_and_how_busy_it_was_and_ends_with_the_case():
    points = power_points(named(rows_of(row(), row(None, None))))
    assert [point["s"] for point in points] == [0, 1, 2, 3, 4]
    assert {point["w"] for point in points} == {50.0}
    assert len(power_chart(points)["vconcat"]) == 2
    bare = [{"case": "BS 1", "s": 0, "w": 1.0, "cpu": None, "device": None}]
    assert len(power_chart(bare)["vconcat"]) == 1


def test_a_damaged_series_draws_nothing_it_has_not():
    odd = row()
    odd["Telemetry"]["series"] = {"at_s": [0, 1, 2], "power_w": [5.0], "cpu_percent": None}
    points = power_points(named(rows_of(odd)))
    assert [point["w"] for point in points][:3] == [5.0, None, None]


def test_two_sides_are_shown_with_their_energy_and_no_verdict():
    a, b = rows_of(row(joule=0.5), row(joule=0.7)), rows_of(row(joule=0.3))
    assert list(energy_notes(a, b)) == [
        "energy per item: A 600 mJ, B 300 mJ (-50.0 %); without an interval, so no verdict"
    ]
    other = row(joule=0.3)
    other["Telemetry"]["counted"] = ["RAPL package-0", "NVML GPU 0"]
    assert list(energy_notes(a, rows_of(other))) == [
        "energy per item: A 600 mJ, B 300 mJ; of unlike sums: A of RAPL package-0, B of RAPL "
        "package-0 + NVML GPU 0"
    ]
    assert list(energy_notes(a, rows_of(row(None, None)))) == []


@pytest.mark.parametrize(
    ("condition", "measured", "outcome", "why"),
    [
        ("energy>100mJ", row(), "holds", None),
        ("energy>1J", row(), "does not hold", None),
        ("power<40W", row(), "does not hold", None),
        ("peak_power>=0.06kW", row(), "holds", None),
        ("energy>1J", row(None, None), "cannot tell", "permission denied"),
        ("power>1W", {}, "cannot tell", "not measured"),
    ],
)
def test_conditions_on_power_and_energy(condition, measured, outcome, why):
    result = small([measured | {"Completed": 400}])
    (entry,) = judged(parse([condition]), result, lambda name: None)
    assert outcome in entry.sentence
    assert why is None or why in (entry.why or "")
