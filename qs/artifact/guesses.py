"""What is put into dimensions that nothing states: likely sizes first, others after them, and never
more memory than a guess is worth.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import product

from qs.artifact.inputs import Dimension, Input, Reading, element
from qs.artifact.named_values import with_ranges
from qs.artifact.sides import is_batch_name, shown
from qs.base.names import as_typed
from qs.tensors.generated import numpy_dtype
from qs.tensors.onnx_io import FileTensor

IMAGE, SEQUENCE, SIGNAL, WAVE, LATENT = 224, 128, 512, 16_000, 64
CHANNELS, OTHER_CHANNELS = 3, (1, 4)
LATENT_CHANNELS = 4
# Tried in turn, for all guessed dimensions but channels and pasts, if the first guess does not run.
LADDER = (256, 320, 640, 512, 576, 48, 32, 64, 128, 1024, 2048, 4096, WAVE, 16, 8, 1)
MOST_OF_PICTURES, MOST_OF_SEQUENCES = 1024, 4096
# The inputs of one guess. What a graph makes of them is larger: a first layer of 64 channels holds
# twenty times as much as its picture, and 1 GB is all that guessing may take.
MOST_BYTES = 48 << 20
MOST_TOGETHER = 192 << 20  # of a file that is fixed to a batch

Guess = dict[str, int]


def guesses(reading: Reading, batch_size: int) -> Iterator[list[Input]]:
    """The inputs with everything open guessed, likely sizes first; a guess that takes too much
    memory is left out. Nothing open: the inputs once.
    """
    tried: list[Guess] = []
    for guess in _guesses(reading):
        inputs = reading.inputs(guess)
        if guess not in tried and (not guess or _affordable(inputs, batch_size)):
            tried.append(guess)
            yield with_ranges(reading, inputs)


def first_guess(reading: Reading) -> list[Input]:
    """The likeliest sizes, whatever they take."""
    return with_ranges(reading, reading.inputs(next(_guesses(reading))))


def input_bytes(inputs: Sequence[Input], batch_size: int) -> int:
    """What one call takes, before a graph makes anything of it; at least 4 bytes a number, since
    smaller ones are drawn as larger ones.
    """
    return sum(
        math.prod(each.shape)
        * (1 if each.batch_axis is None else batch_size)
        * max(numpy_dtype(each.type).itemsize, 4)
        for each in inputs
    )


def _affordable(inputs: Sequence[Input], batch_size: int) -> bool:
    alone = input_bytes(inputs, 1)
    return alone <= MOST_BYTES and input_bytes(inputs, batch_size) <= MOST_TOGETHER


def _guesses(reading: Reading) -> Iterator[Guess]:
    names = reading.open_names()
    first = {name: likely(reading, tensor, at, name) for name, tensor, at in names}
    choices: dict[str, Sequence[int]] = {}
    largest: dict[str, int] = {}
    for name, tensor, at in names:
        if is_channels(tensor.shape, at):
            choices[name] = list(dict.fromkeys((first[name], CHANNELS, *OTHER_CHANNELS)))
        elif _is_past(tensor, name):
            choices[name] = (0, 1)
        elif first[name] != 1 or not is_batch_name(name):
            largest[name] = _largest(reading, tensor)
    for value in (None, *LADDER):
        sizes = {
            name: value if value is not None and value <= most else first[name]
            for name, most in largest.items()
        }
        for chosen in product(*choices.values()):
            yield reading.made_true({**first, **sizes, **dict(zip(choices, chosen))})


def likely(reading: Reading, tensor: FileTensor, at: int, name: str) -> int:
    """The first guess for one dimension, by its name, the input's name, rank and type."""
    word = name.lower() if tensor.shape[at] else ""
    called, kind = tensor.name.lower(), element(tensor)
    floats = kind.startswith("float") or kind in ("double", "uint8")
    rank = len(tensor.shape)
    latent = "latent" in word or "latent" in called
    if is_channels(tensor.shape, at):
        return LATENT_CHANNELS if latent else CHANNELS
    if is_batch_name(word) or re.search(r"beam|num_(layers|heads)", word):
        return 1
    if _is_past(tensor, name):
        return 0
    if re.search(r"height|width|image|size", word) or re.fullmatch(r"[hw]", word):
        return LATENT if latent else IMAGE
    if re.search(r"cache|prev", word):
        return 1
    items = rank - (reading.batch.axis(tensor.name) is not None)
    if floats and items == 1 and re.search(r"sample|wave|audio", f"{word} {called}") and word:
        return WAVE
    if floats and (rank == 2 and at or items == 1):
        return SIGNAL
    if re.search(r"seq|len|token|time|frame|step|point|node|edge|phon|char|word|box|roi", word):
        return SEQUENCE
    if rank == 1 and at == 0 and not word or kind == "string":
        return 1
    return (LATENT if latent else IMAGE) if floats and rank >= 4 else SEQUENCE


def is_channels(declared: Sequence[Dimension], at: int) -> bool:
    """Whether a dimension is called channels, or is the second of [N, C, H, W] with all open."""
    if "channel" in str(declared[at] or "").lower():
        return True
    rest = [not isinstance(each, int) or each < 0 for each in declared[1:]]
    return len(declared) == 4 and at == 1 and all(rest)


def _is_past(tensor: FileTensor, name: str) -> bool:
    """How much a cache holds: nothing, before the first call."""
    if "past" in name.lower():
        return not name.startswith("dimension") or "past" in tensor.name.lower()
    return False


def _largest(reading: Reading, tensor: FileTensor) -> int:
    items = len(tensor.shape) - (reading.batch.axis(tensor.name) is not None)
    if items <= 1:
        return WAVE
    return MOST_OF_SEQUENCES if items == 2 else MOST_OF_PICTURES


def nothing_runs(
    reading: Reading,
    tried: Sequence[Sequence[Input]],
    path: str,
    said: str | None,
    who: str = "ONNX Runtime",
) -> str:
    """The message where no guess could be run: each input that is open, what was tried for it, and
    what to state.
    """
    lines = []
    flags = []
    for at, each in enumerate(tried[0] if tried else first_guess(reading)):
        if not each.guessed:
            continue
        shapes = list(dict.fromkeys(str(list(inputs[at].shape)) for inputs in tried))
        some = ", ".join(shapes[:4]) + (f" and {len(shapes) - 4} more" if len(shapes) > 4 else "")
        lines.append(f"{each.name} {shown(each.declared)}: tried {some or 'nothing'}")
        flags.append(as_typed("--shape", each.name, _to_fill_in(each)))
    if not tried:
        why = f"every likely guess takes more than {MOST_BYTES >> 20} MB"
    else:
        why = f"{who} said of the first: {said}"
    shown_flags = " ".join(flags[:4])
    return (
        f"{path}: its open dimensions could not be guessed ({_some(lines)}); state the shapes, "
        f"with numbers in place of the words: {shown_flags}. {why}"
    )


def _some(lines: Sequence[str]) -> str:
    return "; ".join(lines[:4]) + (f"; and {len(lines) - 4} more inputs" if len(lines) > 4 else "")


def _to_fill_in(each: Input) -> str:
    words = []
    for at, (size, declared) in enumerate(zip(each.shape, each.declared)):
        word = re.sub(r"\W+", "_", str(declared or "")).strip("_").upper()
        words.append((word or f"SIZE{at}") if at in each.guessed else str(size))
    return ",".join(words)
