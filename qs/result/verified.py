"""What became of the answers given under load, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from qs.base.words import counted, number, percent
from qs.result.row import Row
from qs.result.verification_entry import ScoreEntry, TextsEntry, VerificationEntry


def verified(rows: Iterable[Row]) -> str:
    """How many answers given under load were checked, how many were wrong, and of texts how many
    are the idle server's; "" if none was to be.
    """
    found = [row.verification for row in rows if row.verification and row.verification.mode]
    if not found:
        return ""
    checked, wrong = (sum(getattr(each, name) for each in found) for name in ("checked", "wrong"))
    said = [f"{counted(checked, 'answer')} under load checked, {number(wrong)} wrong"]
    failed = sum(each.not_verified is not None for each in found)
    if failed:
        said.append(f"not checked in {counted(failed, 'case')}")
    return "; ".join([*said, *_of_texts(found)])


def _of_texts(found: Iterable[VerificationEntry]) -> Iterator[str]:
    texts = [each.texts for each in found if each.texts and each.texts.compared]
    if texts:
        same, compared = (
            sum(getattr(each, name) for each in texts) for name in ("same", "compared")
        )
        yield f"{number(same)} of {number(compared)} are the idle server's{_parting(texts)}"
    yield from (score_words(each.score) for each in found if each.score)


def _parting(texts: Iterable[TextsEntry]) -> str:
    at = [(int(each.earliest), each.unit) for each in texts if each.earliest is not None]
    if not at:
        return ""
    earliest, unit = min(at)
    return f", the others part at {unit} {number(earliest)} or later"


def score_words(score: ScoreEntry) -> str:
    """Exact Match 83 % (95 % interval 76 % to 89 %) of 120 prompts."""
    value, low, high = (percent(float(each or 0)) for each in (score.value, score.low, score.high))
    said = (
        f"{score.name} {value} (95 % interval {low} to {high}) of {counted(score.items, 'prompt')}"
    )
    return said + (f", {number(score.unread)} answers made no choice" if score.unread else "")
