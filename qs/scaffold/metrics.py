"""Which metric, of which output: as stated, else guessed from labels and outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qs.base.names import nearest
from qs.contract.metrics import CLASSES, METRICS, NUMBERS
from qs.scaffold.data.plan import Asked, Described, Guess, Key, Plan, fault

MANY_CLASSES = 20  # from here on the top five tell something
_SCORES = re.compile(r"logit|prob|score|softmax|pred|class", re.IGNORECASE)
_CHOSEN = re.compile(r"label|index|argmax", re.IGNORECASE)
_PROBABILITIES = ("accuracy", "balanced_accuracy", "f1", "precision", "recall", "mcc", "log_loss")


def stated_metrics(asked: Asked) -> list[str]:
    """The names as METRICS has them. Faults for others, and for classes and numbers together."""
    found = []
    for name in asked.metrics:
        plain = name.strip().lower().replace("-", "_")
        plain = plain if plain in METRICS else plain.replace("_", "")
        if plain not in METRICS:
            near = nearest(name, METRICS)
            hint = f"did you mean {near!r}?" if near else None
            raise fault("--metric", name, ", ".join(METRICS), hint)
        found.append(plain)
    if len({METRICS[name].of for name in found}) > 1:
        raise fault("--metric", ",".join(found), "metrics of classes, or of numbers, not both")
    return list(dict.fromkeys(found))


def plan_metrics(asked: Asked, plan: Plan, model: Described, labels: Any) -> dict[str, Key]:
    """The keys of MetricChecker."""
    output = _output(asked, plan, model)
    columns = columns_of(output)
    metrics = stated_metrics(asked)
    if not metrics:
        metrics = _guessed(labels, columns)
        of = "classes" if METRICS[metrics[0]].of == CLASSES else "numbers"
        plan.guesses.append(Guess(f"the labels are {of}: {', '.join(metrics)}", "--metric"))
    activation = asked.activation or _activation(plan, metrics, output, columns)
    of = METRICS[metrics[0]].of
    alike = [name for name, each in METRICS.items() if each.of == of]
    keys = {
        "METRICS": Key(metrics, f"any of {', '.join(alike)}"),
        "OUTPUT": Key(output.get("name"), "the output that is scored; None: the first"),
    }
    if of == CLASSES:
        keys["ACTIVATION"] = Key(activation, "none, sigmoid or softmax: makes probabilities of it")
        threshold = 0.5 if asked.threshold is None else asked.threshold
        keys["THRESHOLD"] = Key(threshold, "of one score an item: class 1 is above it")
        keys["POSITIVE"] = Key(1, "the class that f1, precision, recall and auc are about")
    return keys


def _output(asked: Asked, plan: Plan, model: Described) -> Mapping[str, Any]:
    tensors = model.raw.get("output_tensors") or [
        {"name": name, "shape": (), "type": ""} for name in model.raw["outputs"]
    ]
    names = [each["name"] for each in tensors]
    if asked.output is not None:
        if asked.output not in names:
            near = nearest(asked.output, names)
            hint = f"did you mean {near!r}?" if near else None
            raise fault("--output", asked.output, ", ".join(names) or "an output", hint)
        return tensors[names.index(asked.output)]
    if not tensors:
        return {}
    best = max(tensors, key=lambda each: (_likelihood(each), -names.index(each["name"])))
    if len(tensors) > 1:
        plan.guesses.append(Guess(f"the output {best['name']} is scored", "--output"))
    return best


def _likelihood(tensor: Mapping[str, Any]) -> int:
    scores = bool(_SCORES.search(tensor["name"])) - 2 * bool(_CHOSEN.search(tensor["name"]))
    floats = "float" in tensor["type"] or "double" in tensor["type"] or "seq" in tensor["type"]
    return scores + 2 * floats + (len(tensor["shape"]) == 2)


def columns_of(output: Mapping[str, Any]) -> int | None:
    """Scores an item; None if the file does not say."""
    shape = list(output.get("shape") or ())
    if not shape:
        return None
    rest = shape[1:]
    return int(np.prod(rest)) if all(isinstance(side, int) and side > 0 for side in rest) else None


def _guessed(labels: Any, columns: int | None) -> list[str]:
    values = np.asarray(labels)
    if values.ndim == 1 and not _are_classes(values, columns):
        return ["rmse"]
    if columns == 1:
        return ["auc", "accuracy"] if len(set(map(str, values.tolist()))) == 2 else ["accuracy"]
    if columns is not None and columns >= MANY_CLASSES:
        return ["top1", "top5"]
    return ["accuracy"] if columns == 2 else ["top1"]


def _are_classes(values: np.ndarray, columns: int | None) -> bool:
    if values.dtype.kind in "OUS":
        try:
            values = np.array([float(each) for each in values.tolist()])
        except (TypeError, ValueError):
            return True
    if values.dtype.kind == "f" and not (np.isfinite(values) & (values == np.rint(values))).all():
        return False
    return columns != 1 or len(np.unique(values)) <= 2


def _activation(
    plan: Plan, metrics: Sequence[str], output: Mapping[str, Any], columns: int | None
) -> str:
    matters = "log_loss" in metrics or (
        columns == 1 and any(name in _PROBABILITIES for name in metrics)
    )
    if not matters or METRICS[metrics[0]].of == NUMBERS:
        return "none"
    logits = "logit" in str(output.get("name")).lower()
    found = ("sigmoid" if columns == 1 else "softmax") if logits else "none"
    words = f"become probabilities by {found}" if logits else "are probabilities"
    plan.guesses.append(Guess(f"the scores {words}", "--activation"))
    return found
