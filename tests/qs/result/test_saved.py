"""A damaged result is one message that names file and key, in whatever form it is wanted."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from qs.base.errors import UserError
from qs.base.holding import hold, let_go
from qs.comparison.comparing import compare_results
from qs.comparison.page import comparison_page
from qs.comparison.showing import print_compared
from qs.comparison.sides import Side, from_path
from qs.render.formats import FORMATS
from qs.render.terminal import print_story
from qs.result.beside import log_of
from qs.result.result import Result
from qs.result.saved import MOST_FAULTS, parsed, read_result, typed
from qs.result.story import story_of
from tests.qs.program import qs, refused
from tests.qs.result import made
from tests.qs.result.damage import damaged, extreme

SAVED = made.REPORTS.parent / "results"
FILES = sorted([*SAVED.glob("*.json"), *made.REPORTS.glob("*/*-fp32.json")])
GOOD = json.loads((made.REPORTS / "closed" / "result-fp32.json").read_bytes())
CHEAP = ("md", "csv", "junit", "json", "parquet")


def mutants(count: int, how) -> list[tuple[Result, int]]:
    """Those that can be read all the same, with the number of the file they come from."""
    found = []
    for number in range(count):
        at = number % len(FILES)
        content = how(json.loads(FILES[at].read_bytes()), random.Random(f"{how.__name__}{number}"))
        try:
            found.append((parsed(content, "a.json"), at))
        except UserError as error:
            assert "a.json: " in str(error)
    return found


@pytest.mark.parametrize("how", [damaged, extreme])
def test_what_can_be_read_can_be_drawn(how):
    read = mutants(50, how)
    assert len(read) > 10
    for result, at in read:
        story = story_of(result, FILES[at].parent)
        print_story(story, None, io.StringIO())
        for name in CHEAP:
            try:
                FORMATS[name].draw(story)
            except UserError as error:
                assert name == "parquet" and "64 bits" in str(error)


def test_pages_too():
    for result, at in mutants(10, extreme) + mutants(20, damaged):
        FORMATS["html"].draw(story_of(result, FILES[at].parent))


@pytest.mark.slow
def test_and_compared():
    outcomes: Counter[bool] = Counter()
    for result, at in mutants(10, extreme) + mutants(10, damaged):
        if not result.performance:
            continue
        whole = from_path(str(FILES[at]))
        sides = [whole, Side("b", result, partial(log_of, FILES[at].parent))]
        try:
            found = compare_results(sides, anyway=True)
        except UserError:
            outcomes[False] += 1
            continue
        outcomes[True] += 1
        json.dumps(found.to_dict(), default=str)
        print_compared(found, io.StringIO())
        comparison_page(found)
    assert outcomes[True] > 5


REQUIRED = [
    "Model",
    "Task",
    "Verdict",
    "Status",
    "Backend",
    "Command",
    "Started",
    "QS Version",
    "Execution Date",
]
OF_ROWS = ["BS", "QPS", "AVG Latency", "P99 Latency", "Mode", "Verdict", "Reasons", "Warnings"]


@pytest.mark.parametrize("key", REQUIRED)
@pytest.mark.parametrize("value", ["gone", 5, None, [5], {"a": 1}], ids=str)
def test_a_missing_or_mistyped_key_is_named(key, value):
    plain = {name: each for name, each in GOOD.items() if name != key}
    if value != "gone":
        plain[key] = value
    with pytest.raises(UserError, match=rf"a\.json: {key}(\.0)? is |a\.json is 'not a result'"):
        typed(plain, "a.json")


@pytest.mark.parametrize("key", OF_ROWS)
@pytest.mark.parametrize("value", ["gone", True, "12", {"a": 1}], ids=str)
def test_of_a_row_too(key, value):
    row = {name: each for name, each in GOOD["Performance"][1].items() if name != key}
    if value != "gone":
        row[key] = value
    with pytest.raises(UserError) as refusal:
        typed(GOOD | {"Performance": [GOOD["Performance"][0], row]}, "a.json")
    assert str(refusal.value).startswith(f"a.json: Performance.1.{key} is ")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("Host", "Packages"), 5),
        (("Host", "Memory Bytes"), "much"),
        (("Host", "Usable CPUs"), 2),
        (("Samples", "kind"), ["x"]),
        (("Model Source", "data"), "x"),
        (("Environment", "Key"), 5),
        (("Machine Check", "findings"), [5]),
        (("Effective Values", "seed"), 5),
        (("Durations", "compile"), "long"),
        (("Failures",), [5]),
    ],
)
def test_sections_that_are_plain_dicts_have_types_too(place, value):
    section, *key = place
    changed = {**(GOOD.get(section) or {}), key[0]: value} if key else value
    with pytest.raises(UserError, match=rf"a\.json: {section}"):
        typed(GOOD | {section: changed}, "a.json")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"NaN",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"schema_version": 1, "Backend": NaN}',
        b'{"schema_version": 1, "Backend": "\\ud800"}',
        b'{"schema_version": 1, "Backend": 1e999}',
        b'{"schema_version": true, "Backend": "CPU"}',
        b'{"schema_version": 1.0, "Backend": "CPU"}',
        b'{"schema_version": "1", "Backend": "CPU"}',
        b'{"schema_version": 1, "Backend": "CPU", "x": ' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"schema_version": 1, "Backend": "CPU", "x": ' + b"[" * 240 + b"]" * 240 + b"}",
        b"version https://git-lfs.github.com/spec/v1\n",
    ],
    ids=range(14),
)
def test_what_is_no_json_and_no_result_is_refused(content):
    with pytest.raises(UserError, match=r"a\.json"):
        parsed(content, "a.json")


def test_many_faults_are_counted():
    rows = [{"BS": 1}] * 100
    with pytest.raises(UserError) as refusal:
        typed(GOOD | {"Performance": rows}, "a.json")
    lines = str(refusal.value).splitlines()
    assert len(lines) == MOST_FAULTS + 2 and "more places" in lines[-1]


def test_strange_metrics_are_kept_and_not_drawn():
    section = GOOD["Accuracy"] | {
        "Items": "many",
        "Max Diff": "x",
        "Confidence Intervals": {"Top-1": [0.5]},
        "Share": {"kind": "random"},
        "Numeric": {"outputs": 5},
    }
    result = typed(GOOD | {"Accuracy": section}, "a.json")
    assert result.to_dict()["Accuracy"] == section
    assert story_of(result).answers.outputs == ()


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null", "/proc/self/mem", "/", "a\0b"])
def test_only_a_regular_file_is_read(name):
    with pytest.raises(UserError, match="allowed: a regular file|cannot be read|not a JSON"):
        read_result(Path(name))


def test_the_commands_say_it_once(tmp_path):
    folder = made.report("closed", tmp_path)
    path = folder / "result-fp32.json"
    path.write_text(json.dumps(GOOD | {"Verdict": "MAYBE"}))
    said = (f"{path}: Verdict is 'MAYBE'", "'OVERLOADED' or 'INVALID'")
    refused(qs("report", folder), *said)
    refused(qs("report", folder, "--format", "junit"), *said)
    refused(qs("compare", folder, made.REPORTS / "closed" / "result-fp32.json"), *said)
    ran = qs("report", "--all", tmp_path)
    assert ran.returncode == 0 and all(word in ran.stderr for word in ("left out", *said))


def test_a_result_that_is_a_link_out_of_its_folder_is_not_found(tmp_path):
    made.report("closed", tmp_path / "mine")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "result-fp32.json").symlink_to(
        tmp_path / "mine/CPU/digits-cnn-onnx-fp32/result-fp32.json"
    )
    refused(qs("report", theirs), "holds no result")
    ran = qs("report", "--all", theirs)
    assert "is not a regular file below" in ran.stderr


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("running", "the run has not ended"),
        ("interrupted", "the run was interrupted"),
        ("failed", "did not come to its end: failed"),
        ("refused", "did not come to its end: refused"),
    ],
)
@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_a_run_that_did_not_end_is_not_valid_whatever_its_file_says(status, said, kind):
    plain = GOOD | {"Status": status, "Verdict": "VALID", "Reasons": [], "Kind": kind}
    result = typed(plain, "a.json")
    assert not result.valid and said in result.reasons[0]
    assert result.own_reasons == result.reasons
    assert all(row.valid for row in result.performance)
    assert typed(result.to_dict(), "a.json").reasons == result.reasons


@pytest.mark.parametrize("status", ["complete", "compiled"])
def test_a_run_that_ended_keeps_its_verdict(status):
    result = typed(GOOD | {"Status": status, "Verdict": "VALID", "Reasons": []}, "a.json")
    assert result.valid and not result.reasons


def test_every_reader_calls_a_run_that_did_not_end_invalid(tmp_path):
    folder = made.report("closed", tmp_path)
    whole = made.REPORTS / "closed" / "result-fp32.json"
    path = folder / "result-fp32.json"
    plain = GOOD | {"Status": "running", "Verdict": "VALID", "Reasons": []}
    path.write_text(json.dumps(plain))
    why = "the run has not ended"
    story = story_of(read_result(path), folder)
    said = io.StringIO()
    print_story(story, None, said)
    assert "verdict: INVALID (running)" in said.getvalue() and why in said.getvalue()
    for name in ("html", "md", "junit"):
        drawn = FORMATS[name].draw(story).decode()
        assert why in drawn and ("INVALID" in drawn)
    compared = qs("compare", path, whole)
    assert "INVALID" in compared.stdout + compared.stderr
    assert why in compared.stdout + compared.stderr
    qs("report", "--all", tmp_path)
    assert "INVALID" in (tmp_path / "index.html").read_text()


def test_a_report_is_read_while_a_run_works_in_its_folder(tmp_path):
    folder = made.report("closed", tmp_path)
    handle = hold(folder)
    try:
        ran = qs("report", folder, "--format", "md", "--output", "-")
    finally:
        let_go(handle)
    assert ran.returncode == 0 and ran.stdout.startswith("## ")
