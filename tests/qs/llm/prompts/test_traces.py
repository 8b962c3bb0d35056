"""Traces: when requests came, how long they were, and what they had in common."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qs.base.errors import UserError
from qs.llm.asked import LlmAsked
from qs.llm.prompts import trace_files
from qs.llm.prompts.lengths import LONGEST
from qs.llm.prompts.prompt_set import PromptSet
from qs.llm.prompts.source import detected, made_prompts
from qs.llm.prompts.trace_files import seconds_of
from tests.qs.llm.prompts import counting

BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
BURST_3 = (
    "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
)
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"

TEMPLATE = ", without what a chat template adds"


def row(at: float, tokens: int, out: int, blocks: Iterable[int] | None = None) -> str:
    value = {"timestamp": at, "input_length": tokens, "output_length": out}
    if blocks is not None:
        value["hash_ids"] = list(blocks)
    return json.dumps(value) + "\n"


def made(path: Path, content: str, tokenizer=None, **asked) -> PromptSet:
    path.write_text(content)
    return made_prompts(LlmAsked(prompts=str(path), **asked), lambda: tokenizer)


def lengths(found: PromptSet) -> list[tuple[float, int | None, int | None]]:
    assert found.dues_s is not None
    assert list(found.dues_s) == [each.due_s for each in found.prompts]
    return [(each.due_s or 0.0, each.input_tokens, each.output_tokens) for each in found.prompts]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "trace"


@pytest.mark.parametrize(
    ("content", "format"),
    [
        (row(27482, 20, 5, [46]) + row(29982, 30, 6, [46, 47]), "mooncake"),
        (row(27482, 20, 5) + row(29982, 30, 6), "mooncake"),
        (BURST + "5,ChatGPT,20,5,25,Conversation log\n7.5,GPT-4,30,6,36,API log\n", "burstgpt"),
        (
            BURST_3 + "5.0,a-b,43,GPT-4,20,5,25,API log\n7.5,a-b,2,GPT-4,30,6,36,API log\n",
            "burstgpt",
        ),
        (
            AZURE + "2023-11-16 18:15:46.6805900,20,5\n2023-11-16 18:15:49.1805900,30,6\n",
            "azure",
        ),
        (
            AZURE + "2024-05-12 00:59:59.500000+01:00,20,5\n2024-05-12 00:00:02+00:00,30,6\n",
            "azure",
        ),
        ("timestamp,input,output\n1,20,5\n3.5,30,6\n", "csv"),
        ("\ufefftimestamp_ms,input_tokens,output_tokens\r\n1000,20,5\r\n3500,30,6\r\n", "csv"),
        ("output,x,time,input\n5,a,1,20\n6,b,3.5,30\n", "csv"),
        ("1,20,5\n3.5,30,6\n", "csv"),
        ("-2,20,5\n\n0.5,30.0,6\n", "csv"),
        ('"timestamp","input","output"\n"1","20","5"\n"3.5","30","6"\n', "csv"),
    ],
)
def test_formats_are_told_by_their_beginning(file: Path, content: str, format: str) -> None:
    found = made(file, content, counting.words())
    assert found.about["format"] == format == detected(str(file))
    assert lengths(found) == [
        (0.0, 20, 5),
        (pytest.approx(2.5, abs=1e-6), 30, 6),
    ]
    assert [len(each.text.split()) for each in found.prompts] == [20, 30]
    assert found.about["lengths"] == "all counted by words: as drawn" + TEMPLATE
    stated = made(file, content, prompt_format=format)
    assert len(stated.prompts) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5", 1.5),
        ("1970-01-01 00:00:01", 1.0),
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-01 01:00:01,25+01:00", 1.25),
        ("1970-01-01 00:00:01.0000001", 1.0000001),
        ("1969-12-31 22:30:00-0130", 0.0),
        ("1970-02-30 00:00:01", None),
        ("yesterday", None),
        ("nan", None),
        ("", None),
    ],
)
def test_times(text: str, expected: float | None) -> None:
    found = seconds_of(text, 1.0)
    assert found == (text if expected is None else pytest.approx(expected, abs=1e-9))


def test_what_is_out_of_order_is_sorted_and_said(file: Path) -> None:
    found = made(file, "5,10,1\n3,20,2\n3,30,3\n4,40,4\n")
    assert lengths(found) == [(0, 20, 2), (0, 30, 3), (1, 40, 4), (2, 10, 1)]
    assert "1 request of the trace came before the one above: it was sorted" in found.notes


def test_requests_without_tokens_are_left_out_and_said(file: Path) -> None:
    found = made(file, BURST + "5,ChatGPT,20,0,20,API log\n6,ChatGPT,0,3,3,API log\n7,x,9,9,18,y\n")
    assert lengths(found) == [(0, 9, 9)]
    assert "2 requests of the trace had no tokens in or none out, and were left out" in found.notes


def test_a_trace_is_cut_where_it_was_asked_for(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = "".join(f"{at},9,9\n" for at in range(20))
    assert len(made(file, content, prompt_count=7).prompts) == 7
    monkeypatch.setattr(trace_files, "MOST_ROWS", 5)
    found = made(file, content)
    assert len(found.prompts) == 5
    assert "the trace is cut after 5 requests; --prompt_count takes more of it" in found.notes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (AZURE, "has no requests"),
        ("1,2,3\n1e25,2,3\n", "the last request comes 1e+25 s after the first"),
        ("-1e308,2,3\n1e308,2,3\n", "the last request comes inf s after the first"),
        (AZURE + "yesterday,1,2\n", "line 2, time is 'yesterday'"),
        ("timestamp,input,output\n1,-5,2\n", "line 2, input is -5.0; allowed: whole tokens"),
        (f"timestamp,input,output\n1,5,{LONGEST + 1}\n", "line 2, output is 10000001.0"),
        ("timestamp,input,output\n1,x,2\n", "line 2, input is 'x'"),
        ("timestamp,input,output\n1,1.5,2\n", "line 2, input is 1.5"),
        ("timestamp,input,output\n1,,2\n", "line 2, input is ''"),
        ("timestamp,input,output\n1,2\n", "line 2 is '1,2'; allowed: 3 columns"),
        ("timestamp,input,output\n\nnan,1,2\n", "line 3, time is 'nan'"),
        ('timestamp,input,output\n1,"1,2\n', "line 2"),
        (row(1, 2, 3) + "{", "line 2 is '{'; allowed: JSON"),
        (row(1, 2, 3) + "3\n", "line 2 is '3'; allowed: an object"),
        (row(1, 2, 3) + '{"timestamp": 1}\n', "line 2, input_length is None"),
        (row(1, 2, 3) + row(1, -2, 3), "line 2, input_length is -2"),
        (row(1, 2, 3) + '{"timestamp": "a", "input_length": 1, "output_length": 1}', "time is 'a'"),
        (row(1, 2, 3, [1])[:-3] + "x]}\n", "line 1"),
        (row(1, 2, 3) + '{"timestamp": 1, "hash_ids": [0.5]}', "line 2, hash_ids is [0.5]"),
        (row(1, 2, 3) + '{"timestamp": 1, "hash_ids": 7}', "line 2, hash_ids is 7"),
    ],
)
def test_what_is_wrong_is_named(file: Path, content: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        made(file, content)
    shown = str(raised.value)
    assert message in shown
    assert str(file) in shown


@pytest.mark.parametrize("format", ["azure", "burstgpt", "csv"])
def test_another_format_than_was_stated(file: Path, format: str) -> None:
    with pytest.raises(UserError, match=r"line 1: the columns are a, b; allowed: "):
        made(file, "a,b\n1,2\n", prompt_format=format)


def test_all_faults_at_once(file: Path) -> None:
    with pytest.raises(UserError, match=r"^3 faults:"):
        made(file, "timestamp,input,output\nx,-1,1\n1,2,3\n1,2,y\n")


def test_what_a_trace_says_itself(file: Path) -> None:
    with pytest.raises(UserError, match=r"--output_tokens is '5'; allowed: nothing, with a trace"):
        made(file, "1,2,3\n", output_tokens="5")
    with pytest.raises(UserError, match=r"--turns is 2; allowed: 1, with a trace"):
        made(file, "1,2,3\n", turns=2)


def common(one: list[str], other: list[str]) -> int:
    same = [a == b for a, b in zip(one, other, strict=False)]
    return same.index(False) if False in same else len(same)


def test_blocks_of_the_same_number_are_the_same_text(file: Path) -> None:
    found = made(
        file,
        row(0, 1500, 1, [7, 8, 10**15])
        + row(1, 1500, 1, [7, 8, 9])
        + row(2, 600, 1, [7, 8])
        + row(3, 1200, 1, [7])
        + row(4, 700, 1),
        counting.trained(),
    )
    texts = [each.text.split() for each in found.prompts]
    assert [len(text) for text in texts] == [1500, 1500, 600, 1200, 700]
    assert common(texts[0], texts[1]) == 1024
    assert common(texts[0], texts[2]) == 600
    assert common(texts[0], texts[3]) == 512
    assert common(texts[0], texts[4]) == 0
    assert found.about["lengths"].endswith("as drawn" + TEMPLATE)


def test_blocks_beyond_the_end_are_left_out_and_said(file: Path) -> None:
    found = made(file, row(0, 513, 1, [1, 2, 3, 4]) + row(0, 512, 1, [1, 5]))
    assert "3 blocks of the trace lay beyond their prompts' ends, and were left out" in found.notes


@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 5), max_size=4), st.integers(1, 700), st.integers(0, 9)),
        min_size=2,
        max_size=8,
    ),
    st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_what_requests_share_is_what_their_blocks_say(
    tmp_path_factory: pytest.TempPathFactory, rows: list, seed: int
) -> None:
    file = tmp_path_factory.mktemp("trace") / "t.jsonl"
    wanted = [(blocks, 512 * len(blocks) + more, at) for blocks, more, at in rows]
    content = "".join(row(at, size, 1, blocks) for blocks, size, at in wanted)
    found = made(file, content, seed=seed)
    wanted.sort(key=lambda each: each[2])
    texts = [each.text.split() for each in found.prompts]
    assert [len(text) for text in texts] == [size for _, size, _ in wanted]
    for one in range(len(texts)):
        for other in range(one):
            same = common(*([str(each) for each in wanted[at][0]] for at in (one, other)))
            assert common(texts[one], texts[other]) == 512 * same


def test_a_large_trace_is_read_at_once(file: Path) -> None:
    content = AZURE + "2023-11-16 18:15:46.6805900,374,44\n" * 20_000
    assert len(made(file, content).prompts) == 20_000
    assert np.asarray(made(file, content).dues_s).max() == 0
