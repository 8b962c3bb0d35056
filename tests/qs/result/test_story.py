"""What a result says, before any view draws it."""

from __future__ import annotations

import pytest

from qs.result.story import Remark, named, shared_by, story_of
from tests.qs.result import made


def case(size: int = 1, **more) -> dict:
    return {"BS": size, "Scenario": "closed loop", "Clients": 1, "Pool": "thread"} | more


def names(*rows: dict) -> list[str]:
    return [each.name for each in named(made.small(list(rows)).performance)]


@pytest.mark.parametrize(
    ("rows", "expected", "shared"),
    [
        ([], [], ""),
        ([case()], ["BS 1"], "closed loop, 1 client, pool thread"),
        ([case(1), case(8)], ["BS 1", "BS 8"], "closed loop, 1 client, pool thread"),
        (
            [case(8), case(8, Clients=2)],
            ["BS 8, 1 client", "BS 8, 2 clients"],
            "BS 8, closed loop, pool thread",
        ),
        ([case(1), case(1)], ["BS 1", "BS 1 (#2)"], "BS 1, closed loop, 1 client, pool thread"),
        # A comma in a name belongs to it: nothing is split at one.
        (
            [case(1, Pool="a, b"), case(1, Pool="a, c")],
            ["BS 1, pool a, b", "BS 1, pool a, c"],
            "BS 1, closed loop, 1 client",
        ),
    ],
)
def test_a_case_is_named_by_what_it_does_not_share(rows, expected, shared):
    assert names(*rows) == expected
    assert shared_by(made.small(rows).performance) == shared


def test_a_reason_belongs_to_its_row_and_to_no_other():
    rows = [
        case(8, Verdict="INVALID", Reasons=["5 failed"]),
        case(18, Verdict="INVALID", Reasons=["5 failed", "late"]),
    ]
    listed = ["accuracy: BS 8: 5 failed", "BS 8: 5 failed", "BS 18: 5 failed", "BS 18: late"]
    story = story_of(made.small(rows, Reasons=listed))
    assert story.own_reasons == ["accuracy: BS 8: 5 failed"]
    assert list(map(str, story.reasons)) == [
        "accuracy: BS 8: 5 failed",
        "all cases: 5 failed",
        "BS 18: late",
    ]


def test_reasons_of_settings_are_no_reasons_of_a_sweep():
    rows = [case(8, Verdict="INVALID", Reasons=["5 failed"]), case(1)]
    assert story_of(made.small(rows, Kind="sweep")).reasons == ()


@pytest.mark.parametrize(
    ("cases", "of", "text"),
    [
        ((), 3, "odd"),
        (("BS 1",), 1, "BS 1: odd"),
        (("BS 1",), 3, "BS 1: odd"),
        (("BS 1", "BS 4"), 3, "BS 1; BS 4: odd"),
        (("BS 1", "BS 4"), 2, "all cases: odd"),
        (tuple("abcde"), 9, "5 of 9 cases: odd"),
    ],
)
def test_a_remark_names_the_cases_it_holds_for(cases, of, text):
    assert str(Remark("odd", cases, of)) == text


def test_a_doubt_of_several_cases_is_said_once():
    rows = [case(size, Warnings=["noisy", f"own {size}"]) for size in (1, 4, 8)]
    story = story_of(made.small(rows, Warnings=["old", "old"]))
    assert list(map(str, story.doubts)) == [
        "old",
        "all cases: noisy",
        "BS 1: own 1",
        "BS 4: own 4",
        "BS 8: own 8",
    ]


KNOWN = {
    "Queries Per Second": 400.0,
    "P99 Latency": 2.5,
    "Confidence": {"Level": 0.95, "Queries Per Second": {"Half Width": 20.0, "Batches": 12}},
}
OFFERED = {
    "QPS": 163_656.0,
    "Scenario": "Poisson",
    "Offered Queries Per Second": 40_000.0,
    "Queries Per Second": 20_457.0,
    "P99 Latency": 1907.0,
    "Response": {"p99_ns": 1_907_000_000},
    "Service": {"p99_ns": 400_000},
}
OVERLOADED = OFFERED | {"Verdict": "OVERLOADED", "Reasons": ["the target is saturated"]}


@pytest.mark.parametrize(
    ("rows", "more", "text"),
    [
        ([], {}, "nothing was measured."),
        ([], {"Status": "compiled"}, "compiled, not measured."),
        (
            [case(1, QPS=1270.3, **{"P99 Latency": 1.5}), case(8, QPS=99.96)],
            {"Accuracy": {"Top-1": 0.98667, "Items": 450, "Data Percent": 100, "Max Diff": 1e-6}},
            "up to 1,270 items/s at batch size 1; lowest p99 1.5 ms at batch size 1; Top-1 0.987.",
        ),
        (
            [case(1, QPS=5)],
            {"Accuracy": {"Not Measured": "no labels"}},
            "5 items/s at batch size 1; accuracy not measured.",
        ),
        (
            [case(1, QPS=400.0, **KNOWN)],
            {},
            "400 items/s (± 5 %) at batch size 1; p99 2.5 ms.",
        ),
        (
            [case(1, QPS=400.0, **KNOWN, **{"Warning Codes": ["other_load"]})],
            {},
            "400 items/s (at best ± 5 %) at batch size 1; p99 2.5 ms.",
        ),
        (
            [case(8, **OFFERED)],
            {},
            "offered 40,000 queries/s, served 20,457/s (51 %); "
            "response p99 1,907 ms, service p99 0.4 ms.",
        ),
        (
            [case(1, **OFFERED | {"Queries Per Second": 40_000.0}), case(8, **OVERLOADED)],
            {},
            "BS 8: offered 40,000 queries/s, served 20,457/s (51 %): the target is saturated; "
            "service p99 0.4 ms.",
        ),
    ],
)
def test_the_headline(rows, more, text):
    assert story_of(made.small(rows, **more)).headline == text


def test_accuracy_and_agreement_are_told_apart():
    section = {
        "Data Percent": 100,
        "Top-1": 0.9,
        "Own Score": 3,
        "Max Diff": 1e-6,
        "Cosine Similarity": 1.0,
        "Items": 450,
        "Share": {"kind": "random", "percent": 10.0, "seed": 0},
        "Confidence Intervals": {"Top-1": [0.85, 0.95]},
        "Numeric": {"outputs": {"y": {"Max Diff": 1e-6, "failed": "NaN"}}},
    }
    found = story_of(made.small([], Accuracy=section)).answers
    assert [each.words(4) for each in found.metrics] == [
        ("Top-1", "0.9", "0.85 .. 0.95"),
        ("Own Score", "3", ""),
    ]
    assert [each.name for each in found.agreement] == ["Max Diff", "Cosine Similarity"]
    assert found.scored_on == "450 items, a random share of 10 %, seed 0"
    assert [(each.name, each.fault) for each in found.outputs] == [("y", "NaN")]


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["/a/b/qs/__main__.py", "run", "--out", "a b"], "qs run --out 'a b'"),
        (["/usr/bin/qs", "run"], "qs run"),
        (["other", "run"], "other run"),
        ([], ""),
    ],
)
def test_the_command_is_as_it_would_be_typed(command, text):
    assert story_of(made.small([], Command=command)).command == text


def test_files_beside_the_result_are_listed(tmp_path):
    folder = made.report("closed", tmp_path)
    (folder / "diff-fp32.png").write_bytes(b"")
    story = made.told(made.result_of(folder), folder)
    assert story.files[:2] == ("result-fp32.json", "diff-fp32.png")
    assert [name for name in story.files if name.endswith(".hlog")] == [
        "latency/fp32-bs1-c1.hlog",
        "latency/fp32-bs8-c1.hlog",
    ]
    assert story.answers.picture == folder / "diff-fp32.png"


def doubt(code, text, cure="", **more):
    return {"Code": code, "Text": text, "Cure": cure, **more}


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["lost 12 times a second", "lost 108 times a second"], "lost 12 to 108 times a second"),
        (["5% of 4 CPUs", "11% of 4 CPUs"], "5 to 11% of 4 CPUs"),
        (["1,200 of 2,000 late", "90 of 1,000 late"], "for example, 1,200 of 2,000 late"),
        (["40 ms are too short", "1.2 s are too short"], "for example, 40 ms are too short"),
        (["the same 3", "the same 3"], "the same 3"),
    ],
)
def test_figures_of_a_doubt_that_differ_from_case_to_case_are_said_once(texts, said):
    rows = [case(size, Doubts=[doubt("code", text)]) for size, text in zip((1, 8), texts)]
    (found,) = story_of(made.small(rows)).doubts
    assert str(found) == f"all cases: {said}"


def test_a_doubt_of_several_cases_stands_once_with_the_cure_that_does_for_all():
    short = [
        doubt("too_short", f"{ms} ms are too short", f"--duration {s}s", **{"Needed Duration": s})
        for ms, s in ((9, 3), (40, 5), (130, 3))
    ]
    others = doubt("other_load", "other programs used 1.9 CPUs", "stop them")
    codes = {"Warning Codes": ["too_short", "other_load"]}
    rows = [case(size, Doubts=[each, others], **codes) for size, each in zip((1, 8, 32), short)]
    story = story_of(made.small(rows, Doubts=[doubt("", "the file is odd")]))
    assert [(each.where, each.text, each.cure) for each in story.doubts] == [
        ("", "the file is odd", ""),
        ("all cases", "9 to 130 ms are too short", "--duration 5s"),
        ("all cases", "other programs used 1.9 CPUs", "stop them"),
    ]
    assert (story.standing, story.tone) == ("VALID, too short to tell", "doubtful")
    assert str(story.doubts[1]) == "all cases: 9 to 130 ms are too short; --duration 5s"


@pytest.mark.parametrize(
    ("codes", "findings", "said"),
    [
        ([], [], "no problem found. A difference below 2 % is noise"),
        (
            ["other_load", "preempted"],
            [{"name": "other load", "status": "unknown"}],
            "nothing wrong was found before the run, but while it measured other programs used "
            "the CPUs, and the workers lost their cores to other threads (see the doubts). "
            "A difference below 2 % is noise",
        ),
        (
            ["other_load"],
            [{"name": "swap", "status": "warn"}],
            "no problem found. A difference below 2 % is noise",
        ),
        (["drift"], [], "no problem found. A difference below 2 % is noise"),
    ],
)
def test_the_sentence_on_the_machine_contradicts_no_doubt(codes, findings, said):
    check = {
        "summary": "no problem found. A difference below 2 % is noise",
        "findings": findings,
        "self_benchmark": None,
    }
    story = story_of(made.small([case(1, **{"Warning Codes": codes})], **{"Machine Check": check}))
    assert story.machine == said and dict(story.facts)["machine"] == said


def test_checked_answers_are_said():
    rows = [
        case(1, Verification={"mode": "sample", "checked": 20, "wrong": 0}),
        case(8, Verification={"mode": "sample", "checked": 12, "wrong": 1}),
        case(16, Verification={"mode": None, "checked": 3, "wrong": 3}),
    ]
    facts = dict(story_of(made.small(rows)).facts)
    assert facts["verified"] == "32 answers under load checked, 1 wrong"
    assert "verified" not in dict(story_of(made.small([case(1)])).facts)
    rows.append(case(32, Verification={"mode": "sample", "not_verified": "it died"}))
    said = dict(story_of(made.small(rows)).facts)["verified"]
    assert said == "32 answers under load checked, 1 wrong; not checked in 1 case"
