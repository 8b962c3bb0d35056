"""What became of the answers under load, in words."""

from __future__ import annotations

from qs.evaluate.verification import _differing, _judged
from qs.result.row import Mode, Row
from qs.result.verdict import Verdict
from qs.result.verification_entry import ScoreEntry, TextsEntry, VerificationEntry
from qs.result.verified import verified


def row(verification: VerificationEntry | None = None) -> Row:
    return Row(
        batch_size=1, items_per_s=1.0, mean_ms=1.0, p99_ms=None, mode=Mode.QS,
        verdict=Verdict.VALID, reasons=[], warnings=[], verification=verification,
    )  # fmt: skip


TEXTS = TextsEntry(
    compared=100, same=96, share=0.96, low=0.9, high=0.99, unit="token", earliest=5, median=40,
    idle_same=True,
)  # fmt: skip
SCORE = ScoreEntry(name="Exact Match", items=120, right=100, value=0.8333, low=0.76, high=0.89)


def entry(**known) -> VerificationEntry:
    return VerificationEntry(mode="all", requests=100, checked=100, **known)


def test_nothing_was_to_be_checked():
    assert verified([row()]) == ""


def test_texts_and_scores_have_words():
    said = verified([row(entry(texts=TEXTS, score=SCORE.changed(unread=3)))])
    assert said == (
        "100 answers under load checked, 0 wrong; 96 of 100 are the idle server's, the others part "
        "at token 5 or later; Exact Match 83 % (95 % interval 76 % to 89 %) of 120 prompts, 3 "
        "answers made no choice"
    )


def test_a_server_that_answers_otherwise_when_busy_is_a_doubt_and_no_fault():
    found = _judged(row(), entry(texts=TEXTS))
    assert found.verdict is Verdict.VALID
    assert [each.code for each in found.doubts] == ["answers_differ_under_load"]
    assert "4 of 100 answers under load are not those" in str(_differing(TEXTS))


def test_one_that_does_not_repeat_itself_when_idle_is_another():
    found = _judged(row(), entry(texts=TEXTS.changed(same=100, idle_same=False)))
    assert [each.code for each in found.doubts] == ["idle_differs"]
    assert "temperature=0" in (found.doubts[0].cure or "")
