"""A server's metrics in Prometheus' text format: chosen names, with a bound on how much is kept.

Counters and what histograms and summaries count become rates, gauges stay as they are. A server's
page may have thousands of lines and mean no good: lines of names that nobody wants are not looked
at, and a family that cannot be read costs itself alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from itertools import islice

from qs.result.llm_server import METRICS

# What is read where nobody names metrics; globs, as --metric takes them.
WELL_KNOWN = (
    # Triton
    "nv_inference_request_success",
    "nv_inference_request_failure",
    "nv_inference_count",
    "nv_inference_exec_count",
    "nv_inference_*_duration_us",
    "nv_cache_*",
    "nv_gpu_utilization",
    "nv_gpu_memory_used_bytes",
    "nv_gpu_power_usage",
    "nv_energy_consumption",
    "nv_cpu_utilization",
    "nv_cpu_memory_used_bytes",
    # MLServer
    "model_infer_request_*",
    "batch_request_queue",
    "parallel_request_queue",
    # KServe's model servers
    "request_preprocess_seconds",
    "request_predict_seconds",
    "request_postprocess_seconds",
    # TorchServe
    "ts_inference_*",
    "ts_queue_latency_microseconds",
    "QueueTime",
    "PredictionTime",
    "HandlerTime",
    # TensorFlow Serving
    ":tensorflow:serving:request_*",
    ":tensorflow:serving:runtime_latency",
    ":tensorflow:serving:batching_session:*",
    # language models: vLLM, SGLang, TGI, llama.cpp, TensorRT-LLM
    *METRICS,
    # any program with a client of Prometheus
    "process_cpu_seconds",
    "process_resident_memory_bytes",
)
MOST_SERIES = 64  # that are kept of all together
MOST_LINES = 1_000  # of wanted names that are parsed at a reading
MOST_NAMED = 10_000  # names that are known, to tell what there is
MOST_LINE = 4_096  # characters; a longer one is left out
MOST_LABEL = 200  # characters of a label's value that are kept
MOST_FAULTS, MOST_TOLD, MOST_NAME = 10, 300, 100  # names that are told, characters of one
OF_MODEL = ("model", "model_name")  # labels that name the model
KINDS = ("counter", "gauge", "histogram", "summary")
# What a family's samples are called, beside its own name.
ENDINGS = ("_total", "_count", "_sum")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


@dataclass(frozen=True)
class Series:
    """What is followed: one family with one set of labels."""

    name: str  # as the page declares it
    labels: tuple[tuple[str, str], ...] = ()
    kind: str = "gauge"  # counter, gauge or histogram (a summary counts as one)


@dataclass(frozen=True)
class Page:
    """One reading. A histogram has its observations' number and their sum."""

    # counter, gauge: (value,); histogram: (count, sum)
    values: Mapping[Series, tuple[float, ...]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    left_out: int = 0  # series beyond the most that are kept
    missing: tuple[str, ...] = ()  # of what is wanted, the names that no family has
    has: tuple[str, ...] = ()  # some of the families that there are, if any is missing


@dataclass(frozen=True)
class Wanted:
    """Which names are kept: globs. `model`: of a family whose labels name models, only the series
    of that one, if it is among them.
    """

    names: Sequence[str] = WELL_KNOWN
    model: str = ""

    def takes(self, family: str) -> bool:
        """Whether it is wanted, by the name it is declared with or that of its samples."""
        wanted = _pattern(tuple(self.names))
        return any(map(wanted.match, (family, f"{family}_total", family.removesuffix("_total"))))

    def missing(self, families: Iterable[str]) -> tuple[str, ...]:
        """The names that none of these has."""
        families = list(families)
        alone = {name: Wanted((name,)) for name in self.names}
        return tuple(name for name, one in alone.items() if not any(map(one.takes, families)))


@lru_cache(64)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, names)) or r"\Z.")


def parsed(text: str, wanted: Wanted) -> Page:
    """One page. Never raises for what is on it."""
    lines, families, dropped = _lines(text, wanted)
    faults = [f"{dropped} more lines than the {MOST_LINES} that are read"] if dropped else []
    found: dict[Series, tuple[float, ...]] = {}
    for family, (kind, own) in lines.items():
        try:
            read = _family(family, kind, own)
        except Exception as error:  # the parser's, for lines that are none
            said = " ".join(str(error).split())
            faults.append(f"{family}: {type(error).__name__}: {said:.100}")
            continue
        found |= _of_model(read, wanted.model)
    kept = dict(list(found.items())[:MOST_SERIES])
    missing = wanted.missing(lines)
    has = tuple(each[:MOST_NAME] for each in islice(families, MOST_TOLD)) if missing else ()
    return Page(kept, tuple(faults[:MOST_FAULTS]), len(found) - len(kept), missing, has)


def _lines(
    text: str, wanted: Wanted
) -> tuple[dict[str, tuple[str, list[str]]], Iterable[str], int]:
    """The lines of wanted families with the kind that is declared, all families, and how many
    wanted lines were too many.
    """
    kinds: dict[str, str] = {}
    taken: dict[str, bool] = {}
    found: dict[str, tuple[str, list[str]]] = {}
    lines = dropped = 0
    for line in text.split("\n"):
        if line.startswith("#"):
            words = line[:MOST_LINE].split(None, 3)
            if len(words) == 4 and words[1] == "TYPE" and len(kinds) < MOST_NAMED:
                kinds[words[2]] = words[3].strip()
            continue
        name = _NAME.match(line)
        if name is None or len(line) > MOST_LINE:
            continue
        family = _family_of(name[0], kinds)
        if family is None:
            continue
        if family not in taken:
            if len(taken) >= MOST_NAMED:
                continue
            taken[family] = wanted.takes(family)
        if not taken[family]:
            continue
        if lines >= MOST_LINES:
            dropped += 1
            continue
        lines += 1
        found.setdefault(family, (kinds.get(family, "untyped"), []))[1].append(line)
    return found, taken, dropped


def _family_of(sample: str, kinds: Mapping[str, str]) -> str | None:
    """None: a sample that is not kept of any family."""
    if sample.endswith("_created") and _stem(sample, "_created", kinds):
        return None
    if sample in kinds:
        return sample
    if sample.endswith("_bucket") and sample[: -len("_bucket")] in kinds:
        return None
    return next((stem for each in ENDINGS if (stem := _stem(sample, each, kinds))), sample)


def _stem(sample: str, ending: str, kinds: Mapping[str, str]) -> str:
    """The family of a sample with this ending, if one is declared; else ""."""
    if not sample.endswith(ending):
        return ""
    stem = sample[: -len(ending)]
    return next((each for each in (stem, f"{stem}_total") if each in kinds), "")


def _family(family: str, kind: str, lines: Sequence[str]) -> dict[Series, tuple[float, ...]]:
    """The series of one family. Buckets and quantiles are not kept: what they count is."""
    from prometheus_client.parser import text_string_to_metric_families

    declared = [f"# TYPE {family} {kind}"] if kind in KINDS else []
    values: dict[Series, dict[str, float]] = {}
    for metric in text_string_to_metric_families("\n".join([*declared, *lines, ""])):
        for sample in metric.samples:
            part = _part(sample.name, family, kind)
            if part is None or not math.isfinite(sample.value):
                continue
            labels = dict(sample.labels)
            labels.pop("quantile" if kind == "summary" else "le", None)
            named = tuple(sorted((name, each[:MOST_LABEL]) for name, each in labels.items()))
            series = Series(family, named, _kept_as(family, kind))
            values.setdefault(series, {})[part] = float(sample.value)
    found = {}
    for series, parts in values.items():
        needed = ("count", "sum") if series.kind == "histogram" else ("value",)
        if all(name in parts for name in needed):
            found[series] = tuple(parts[name] for name in needed)
    return found


def _kept_as(family: str, kind: str) -> str:
    if kind in ("histogram", "summary"):
        return "histogram"
    undeclared = kind not in KINDS and family.endswith("_total")
    return "counter" if kind == "counter" or undeclared else "gauge"


def _part(sample: str, family: str, kind: str) -> str | None:
    """Which part of a series a sample is; None: none that is kept."""
    if kind in ("histogram", "summary"):
        return {f"{family}_count": "count", f"{family}_sum": "sum"}.get(sample)
    return "value" if sample in (family, f"{family}_total") else None


def _of_model(
    read: Mapping[Series, tuple[float, ...]], model: str
) -> Mapping[Series, tuple[float, ...]]:
    own = {
        series: value
        for series, value in read.items()
        if any(name in OF_MODEL and named == model for name, named in series.labels)
    }
    return own if model and own else read
