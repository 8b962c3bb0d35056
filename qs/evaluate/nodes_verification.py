"""`--verify` over nodes: the idle answers before a case, and the judgement of those under load, are
made on each node by its own backend; counts are added.

What cannot be added, the worst answer and where texts part, is the worst node's, with its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qs.contract.scoring import wilson
from qs.evaluate.over_nodes import drop_all, on_nodes

if TYPE_CHECKING:
    from qs.nodes.fleet import Fleet

Plain = dict[str, Any]


class AnswersOfNodes:
    """In place of a backend, for qs.evaluate.verification."""

    def __init__(self, fleet: Fleet, limit_s: float | None):
        self._fleet, self._limit_s = fleet, limit_s

    async def idle_answers(self, reference: Path | None, **kept: Any) -> str | None:
        """What is wrong with the first node's idle answers that are."""
        with on_nodes("the idle answers before the case"):
            answers = await self._fleet.idle_answers(
                reference=None if reference is None else str(reference),
                predict_limit_s=self._limit_s,
                **_without_folder(kept),
            )
        return _first(answers, "fault")

    async def verification(self, **kept: Any) -> Plain:
        """The judgements of all nodes as one."""
        with on_nodes("verifying answers"):
            answers = await self._fleet.verification(
                predict_limit_s=self._limit_s, **_without_folder(kept)
            )
        changed = next(
            (
                f"node {name}: {each['changed']}"
                for name, each in answers.items()
                if each["changed"]
            ),
            None,
        )
        found = {name: each["found"] for name, each in answers.items() if each["found"]}
        return {"changed": changed, "found": merged(found) if found else None}

    async def drop(self) -> None:
        await drop_all(self._fleet)

    async def note_into(self, folder: str) -> None:
        """Leave what the workers of all nodes noted where those of one machine do."""
        with on_nodes("what the workers noted"):
            every = await self._fleet.noted()
        for name, noted in every.items():
            for instance, said in noted.items():
                plain = "".join(each if each.isalnum() else "_" for each in name)
                file = Path(folder) / f"answers-{plain}-{instance}.txt"
                file.write_text(f"node {name}: {said}")


def _without_folder(kept: Mapping[str, Any]) -> Plain:
    """Each node has its own."""
    return {name: value for name, value in kept.items() if name != "folder"}


def merged(found: Mapping[str, Plain]) -> Plain:
    """One Verification from those of several nodes, by name."""
    every = list(found.values())
    worst = [
        {**each["worst"], "worker": f"{each['worst']['worker']} of node {name}"}
        for name, each in found.items()
        if each["worst"]
    ]
    whole: Plain = {
        **{
            name: sum(each[name] for each in every)
            for name in ("requests", "checked", "unchecked", "wrong")
        },
        "mode": every[0]["mode"],
        "worst": max(worst, key=_how_far, default=None),
        "tolerance": _most(every, "tolerance"),
        "idle_repeat": _most(every, "idle_repeat"),
    }
    note = next(
        (f"node {name}: {each['note']}" for name, each in found.items() if each.get("note")), None
    )
    if note is not None:
        whole["note"] = note
    texts = [each["texts"] for each in every if each.get("texts")]
    scores = [each["score"] for each in every if each.get("score")]
    return whole | {
        **({"texts": _texts(texts)} if texts else {}),
        **({"score": _score(scores)} if scores else {}),
    }


def _first(answers: Mapping[str, Plain], key: str) -> str | None:
    """The first text of that key, after its node's name."""
    said = {name: each[key] for name, each in answers.items() if each.get(key)}
    return next((f"node {name}: {text}" for name, text in said.items()), None)


def _how_far(worst: Plain) -> float:
    """One that cannot be compared is the furthest."""
    return float("inf") if worst["apart"] is None else float(worst["apart"])


def _most(every: Sequence[Plain], name: str) -> float | None:
    return max((each[name] for each in every if each.get(name) is not None), default=None)


def _share(right: int, of: int) -> Plain:
    if not of:
        return {"low": None, "high": None}
    low, high = wilson(right, of)
    return {"low": low, "high": high}


def _texts(every: Sequence[Plain]) -> Plain:
    """Of those that differ, the node's that has the most of them is shown."""
    compared, same = (sum(each[name] for each in every) for name in ("compared", "same"))
    differing = max(every, key=lambda each: each["compared"] - each["same"])
    earliest = [each["earliest"] for each in every if each["earliest"] is not None]
    return {
        **differing,
        "compared": compared,
        "same": same,
        "share": same / compared if compared else None,
        **_share(same, compared),
        "earliest": min(earliest, default=None),
        "idle_same": None
        if all(each["idle_same"] is None for each in every)
        else all(each["idle_same"] is not False for each in every),
    }


def _score(every: Sequence[Plain]) -> Plain:
    """Each node scores the prompts that it was asked: the same ones may count once for each."""
    items, right = (sum(each[name] for each in every) for name in ("items", "right"))
    return {
        **every[0],
        "items": items,
        "right": right,
        "unread": sum(each["unread"] for each in every),
        "value": right / items if items else None,
        **_share(right, items),
    }
