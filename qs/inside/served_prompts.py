"""The prompts of a language model's endpoint: made where the server was asked what it serves,
written as lines of a file, and read from there by the process that sends them.

Left out: where prompts come from (qs.llm.prompts), and what a line says (qs.llm.prompt).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.errors import Fault, Faults, UserError
from qs.base.words import counted, data_size, number
from qs.contract.data_loader import Dataset
from qs.llm.asked import LlmAsked
from qs.llm.prompt import to_line
from qs.llm.prompts.prompt_set import PromptSet
from qs.llm.prompts.source import prompts_of
from qs.llm.scoring import CHOICE, right
from qs.remote.protocol import BadAnswer, Unanswered
from qs.remote.protocols.openai import PROMPT, OpenAi
from qs.remote.serving import Serving

FILE, DUES = "prompts.jsonl", "dues.txt"
CODING, ERRORS = "utf-8", "surrogatepass"
# Of what a model file is fed, what would say nothing of prompts.
_OF_TENSORS = {
    "shapes": "--shape",
    "types": "--type",
    "ranges": "--range",
    "data": "--data",
    "states": "--state",
    "batch_axis": "--batch_axis",
}
SHOWN = 200  # characters of a prompt in a message


def check_feeding(asked: Mapping[str, Any]) -> None:
    """Raises Faults for what says how tensors are fed, all at once."""
    allowed = "nothing, with a language model: --prompts or --input_tokens say what it is asked"
    faults = [
        Fault(flag, "", ", ".join(map(str, asked[name])), allowed)
        for name, flag in _OF_TENSORS.items()
        if asked.get(name)
    ]
    if asked.get("fill") not in (None, "random"):
        faults.append(Fault("--fill", "", asked["fill"], allowed))
    sizes = [size for size in asked.get("batch_sizes") or () if size != 1]
    if sizes:
        allowed = "1: a request is one prompt; --clients sends several at a time"
        faults.append(Fault("--batch_sizes", "", ", ".join(map(str, sizes)), allowed))
    if faults:
        raise Faults(faults)


def make_prompts(serving: Serving, folder: Path, may_ask: bool) -> dict[str, Any]:
    """Makes the prompts that were asked for, and writes them. Plain data: {"file", "about",
    "notes", "count", "conversations", "dues": a file or None, "lines": what is sent, in words}.
    UserError.

    may_ask   whether the server may be asked to count tokens
    """
    protocol = serving.protocol
    assert isinstance(protocol, OpenAi)
    ask = protocol.posting(serving.question) if may_ask else None
    made = prompts_of(protocol.asked, ask, serving.describe().name)
    if not made.prompts:
        raise UserError("there are no prompts; allowed: at least 1")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    inputs: list[int | None] = []
    outputs: list[int | None] = []
    talks: set[str] = set()
    score, scored = protocol.asked.score, 0
    with open(path, "w", newline="\n", encoding=CODING, errors=ERRORS) as file:
        for each in made.prompts:  # once: those of stated lengths are made as one looks at them
            file.write(f"{to_line(each)}\n")
            inputs.append(each.input_tokens)
            outputs.append(each.output_tokens)
            talks.add(each.conversation or f"alone {len(inputs)}")
            scored += bool(score) and right(each, "", score) is not None
    if score and not scored:
        among = ", which is one of its `choices`" if score == CHOICE else ""
        allowed = f"nothing, or prompts of your own (--prompts) that have an `answer`{among}"
        raise Faults([Fault("--score", "", score, allowed)])
    dues = None
    if made.dues_s is not None:
        dues = folder / DUES
        dues.write_text("".join(f"{due_s!r}\n" for due_s in made.dues_s))
    return {
        "file": str(path),
        "about": dict(made.about),
        "notes": list(made.notes),
        "count": len(made.prompts),
        "conversations": made.conversations,
        "dues": None if dues is None else str(dues),
        "lines": in_words(made, protocol.asked, inputs, outputs, len(talks)),
    }


def first_feeds(file: str) -> dict[str, np.ndarray]:
    """The first prompt of a file of make_prompts as a batch."""
    with open(file, newline="\n", encoding=CODING, errors=ERRORS) as lines:
        return Prompts([next(lines)[:-1]]).feeds(0, 1)


def try_one(serving: Serving, file: str) -> None:
    """Ask the first prompt for a few tokens: what cannot be answered at all is known before
    anything is measured. UserError.
    """
    try:
        serving.infer(first_feeds(file), brief=True)
    except Unanswered as error:
        raise UserError(str(error)) from None
    except BadAnswer as error:
        raise UserError(
            f"{serving.address}: its answer to one prompt cannot be used: {error}"
        ) from None


def in_words(
    made: PromptSet,
    asked: LlmAsked,
    inputs: Sequence[int | None],
    outputs: Sequence[int | None],
    talks: int,
) -> list[str]:
    """What would be sent, in lines: prompts with the lengths that they state, of so many
    conversations.
    """
    prompts = made.prompts
    about = made.about
    what = f"{counted(len(prompts), 'prompt')}, {about.get('name', '')}"
    if made.conversations:
        what += f", in {counted(talks, 'conversation')} (history as {asked.history})"
    if about.get("kind") == "synthetic":
        what += f", seed {about.get('seed')}"
    lines = [f"prompts: {what}"]
    if about.get("lengths"):
        lines.append(f"lengths: {about['lengths']}")
    for name, lengths in (("input", inputs), ("output", outputs)):
        known = sorted(each for each in lengths if each is not None)
        if known:
            lines.append(f"{name} tokens: {_spread(known)}{_missing(len(prompts) - len(known))}")
        elif name == "output":
            lines.append("output tokens: as many as the model gives (--output_tokens bounds them)")
    first = prompts[0].text
    shown = first if len(first) <= SHOWN else f"{first[:SHOWN]}... ({data_size(len(first))})"
    lines.append(f"first prompt: {' '.join(shown.split())}")
    if made.dues_s is not None:
        last_s = made.dues_s[-1] if made.dues_s else 0.0
        lines.append(f"arrivals: as the trace has them, over {number(last_s)} s")
    return lines


def _spread(lengths: Sequence[int]) -> str:
    if lengths[0] == lengths[-1]:
        return number(lengths[0])
    middle = lengths[len(lengths) // 2]
    return f"{number(lengths[0])} to {number(lengths[-1])}, median {number(middle)}"


def _missing(count: int) -> str:
    return f" ({counted(count, 'prompt')} without)" if count else ""


@dataclass(frozen=True)
class Prompts:
    """The lines of a file, as an endless list of items with the interface of GeneratedItems."""

    lines: Sequence[str]

    @classmethod
    def read(cls, path: str) -> Prompts:
        with open(path, newline="\n", encoding=CODING, errors=ERRORS) as file:
            return cls([line[:-1] for line in file])

    def feeds(self, start: int, count: int) -> dict[str, np.ndarray]:
        feed = np.empty(count, object)
        feed[:] = [self.lines[at % len(self.lines)] for at in range(start, start + count)]
        return {PROMPT: feed}

    def batches(self, batch_size: int, count: int) -> Iterator[dict[str, np.ndarray]]:
        for index in range(count):
            yield self.feeds(index * batch_size, batch_size)


class PromptDataset(Dataset):
    """The prompts in order behind the interface of a data set. `source(seed)` is the endless list:
    which prompts there are was settled when they were made, whatever the seed.
    """

    def __init__(self, config: Mapping[str, Any], prompts: Prompts) -> None:
        super().__init__(config)
        self.prompts = prompts
        self.items = len(prompts.lines)
        self.rebatch(1, skip=False)

    def name(self) -> str:
        return "prompts"

    def source(self, seed: int) -> Prompts:
        return self.prompts

    def rebatch(self, new_bs: int, skip: bool = True) -> None:
        self.cur_bs = int(new_bs)
        self.batch_num = max(1, self.items // self.cur_bs)

    def get_samples(self, sample_id: int) -> dict[str, np.ndarray]:
        if not 0 <= sample_id < self.batch_num:
            raise ValueError(f"there is no batch {sample_id}, only {self.batch_num} batches")
        return self.prompts.feeds(sample_id * self.cur_bs, self.cur_bs)

    def get_id(self, sample_id: int) -> list[int]:
        return list(range(sample_id * self.cur_bs, (sample_id + 1) * self.cur_bs))

    def generated_batch(self, size: int) -> dict[str, np.ndarray]:
        """The first `size` items as one batch."""
        return self.prompts.feeds(0, size)

    def origin_of(self, name: str) -> str:
        return "the prompts; --prompts or --input_tokens makes others"
