"""Token ids of the Lee documents, and their similarity as judged by people, in one npz that a
backend's environment reads with numpy alone.

Runs in the environment of qs, whose extra `zoo` has the library tokenizers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qs.contract.tools import UserError


def prepare(
    path: Path, seed: int, *, documents: Path, similarities: Path, tokenizer: Path, sequence: int
) -> None:
    """Write `ids`, `mask` (int32 [50, sequence]) and `similarities` (float32 [50, 50], 0..1) to
    `path`.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise UserError(
            "the data set lee needs the library tokenizers: pip install 'quicksilver-perf[zoo]', "
            "or pip install tokenizers"
        ) from error
    reader = Tokenizer.from_file(str(tokenizer))
    reader.enable_truncation(sequence)
    reader.enable_padding(length=sequence)
    texts = [
        line.strip()
        for line in documents.read_text(encoding="latin-1").splitlines()
        if line.strip()
    ]
    encoded = reader.encode_batch(texts)
    table = np.loadtxt(similarities, dtype=np.float32)
    if table.shape != (len(texts), len(texts)):
        raise UserError(f"{similarities} has shape {list(table.shape)} for {len(texts)} documents")
    table = np.triu(table) + np.triu(table, 1).T  # only this half is filled in
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            ids=np.array([each.ids for each in encoded], np.int32),
            mask=np.array([each.attention_mask for each in encoded], np.int32),
            similarities=table,
        )
