"""A language model's case in words."""

from __future__ import annotations

import io

from qs.render.markdown import markdown
from qs.render.terminal import print_story
from qs.render.tiles import tiles_of
from qs.result.cases import named
from qs.result.story import story_of
from qs.result.tokens_entry import GoodputEntry, TokensEntry
from qs.result.tokens_words import brief_table, goodput_words, measures_table, token_facts
from tests.qs.evaluate.llm_made import llm_result, llm_row
from tests.qs.result.made import small

ROW = llm_row(llm_result())


def test_the_brief_table_has_what_users_feel():
    (heading, *figures), *_ = [brief_table(named([ROW])).headings]
    assert (heading, figures) == ("", ["p50 ms", "p90 ms", "p99 ms"])
    lines = {line[0]: line[1:] for line in brief_table(named([ROW])).lines}
    assert list(lines) == ["TTFT", "ITL", "TPOT", "E2E"]
    assert all("±" in cell for cell in lines["TTFT"])


def test_answers_that_come_whole_have_no_time_of_a_token():
    measures = {name: each for name, each in ROW.measures.items() if name == "normalised"}
    lines = brief_table(named([ROW.changed(measures=measures)])).lines
    assert [line[0] for line in lines] == ["normalised", "E2E"]


def test_without_a_language_model_nothing_is_said():
    (row,) = small([{"QPS": 5.0}]).performance
    assert not brief_table(named([row])) and not measures_table(named([row]))
    assert list(token_facts(named([row]))) == []


def test_facts_name_who_counted_and_what_came_of_it():
    facts = dict(token_facts(named([ROW])))
    assert "counted by: server's usage" in facts["tokens"]
    assert facts["answers ended by"] == "length 400, stop 200"
    assert "300 of 600 (50 %)" in facts["goodput"]
    assert "us of CPU" in facts["client per event"]
    assert "prefill" in facts["server's own times"]


def test_what_is_unknown_is_left_out():
    assert list(token_facts(named([ROW.changed(tokens=TokensEntry())]))) == []


def test_failures_stand_beside_what_answers_ended_by():
    row = ROW.changed(errors_by_kind={"cut stream": 3, "timeout": 0})
    assert dict(token_facts(named([row])))["answers ended by"].endswith("; failed: cut stream 3")
    row = row.changed(tokens=TokensEntry())
    assert list(token_facts(named([row]))) == [("answers ended by", "failed: cut stream 3")]


def test_goodput_names_its_bounds():
    good = GoodputEntry(goals=["ttft=200ms"], good=30, good_per_s=3.0, half_width=0.3)
    row = ROW.changed(goodput=good, completed=50, errors=10)
    assert goodput_words(row) == "3 requests/s (± 10 %) keep ttft=200ms: 30 of 60 (50 %)"


def test_tiles_and_terminal_and_markdown_tell_the_same():
    story = story_of(small([ROW.to_dict()]))
    _, tiles = tiles_of(story)
    assert [each.name for each in tiles] == [
        "TTFT p50",
        "TTFT p99",
        "ITL p99",
        "TPOT p50",
        "output",
        "goodput",
    ]
    out = io.StringIO()
    print_story(story, None, out)
    text, written = out.getvalue(), markdown(story)
    for tile in tiles:
        assert tile.value in text and tile.value in written
    for word in ("TTFT", "ITL", "TPOT", "E2E", "answers ended by"):
        assert word in text and word in written
