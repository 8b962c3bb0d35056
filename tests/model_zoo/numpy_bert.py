"""BERT for question answering in plain numpy, float64: what the ONNX builder is compared with.

Written from the paper and from the published parameter names, one item and one head at a time; it
shares no line with the builder. `parameters` are float arrays by their published names, linear
weights [out, in].
"""

from __future__ import annotations

import math

import numpy as np

erf = np.vectorize(math.erf)


def bert_qa(parameters, *, layers, heads, eps, ids, mask, token_types):
    """(start logits, end logits), each [batch, sequence]; ids, mask, token_types: int [batch,
    sequence].
    """
    p = {name: np.asarray(value, np.float64) for name, value in parameters.items()}
    answers = [
        _item(p, layers, heads, eps, *item) for item in zip(ids, mask, token_types, strict=True)
    ]
    return np.stack([start for start, _ in answers]), np.stack([end for _, end in answers])


def _item(p, layers, heads, eps, ids, mask, token_types):
    def linear(name, x):
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def layer_norm(name, x):
        centred = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
        return centred / deviation * p[f"{name}.weight"] + p[f"{name}.bias"]

    x = np.stack(
        [
            p["bert.embeddings.word_embeddings.weight"][token]
            + p["bert.embeddings.position_embeddings.weight"][place]
            + p["bert.embeddings.token_type_embeddings.weight"][kind]
            for place, (token, kind) in enumerate(zip(ids, token_types, strict=True))
        ]
    )
    x = layer_norm("bert.embeddings.LayerNorm", x)
    size = x.shape[-1] // heads
    for index in range(layers):
        layer = f"bert.encoder.layer.{index}"
        query, key, value = (
            linear(f"{layer}.attention.self.{part}", x) for part in ("query", "key", "value")
        )
        contexts = []
        for head in range(heads):
            own = slice(head * size, (head + 1) * size)
            scores = query[:, own] @ key[:, own].T / math.sqrt(size)
            scores[:, mask == 0] = -np.inf  # padding is looked at by nobody
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            contexts.append(weights / weights.sum(axis=-1, keepdims=True) @ value[:, own])
        attention = linear(f"{layer}.attention.output.dense", np.concatenate(contexts, axis=-1))
        x = layer_norm(f"{layer}.attention.output.LayerNorm", attention + x)
        inner = linear(f"{layer}.intermediate.dense", x)
        inner = 0.5 * inner * (1 + erf(inner / math.sqrt(2)))
        x = layer_norm(f"{layer}.output.LayerNorm", linear(f"{layer}.output.dense", inner) + x)
    logits = linear("qa_outputs", x)
    return logits[:, 0], logits[:, 1]
