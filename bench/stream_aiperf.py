"""AIPerf as `stream.py` runs it: the whole program, with two numbers of requests."""

from __future__ import annotations

import json
import resource
import subprocess
import tempfile
from pathlib import Path

from stream_work import StreamTurn, StreamWork

MOST_S = 240  # it is ended then
# More requests than streams, so that it is busy for a while: rounds of all streams.
ROUNDS = (4, 16)
_TOKENIZER = """
import sys
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
words = {word: number for number, word in enumerate(["[UNK]", "hello", "token"])}
made = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
made.pre_tokenizer = pre_tokenizers.Whitespace()
PreTrainedTokenizerFast(
    tokenizer_object=made, unk_token="[UNK]", eos_token="[UNK]"
).save_pretrained(sys.argv[1])
"""


def program_of(python: str) -> Path:
    return Path(python).parent / "aiperf"


def aiperf_missing(python: str) -> str | None:
    """Why AIPerf cannot take part; None if it can."""
    if program_of(python).exists():
        return None
    return "AIPerf: not installed (pip install aiperf; --peers takes its Python)"


def aiperf(python: str, work: StreamWork, events: int, tokenizer: str | None) -> StreamTurn:
    """CPU time of all its processes an event, and its own median time to the first token."""
    spent, counts, first_ms = [], [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        place = tokenizer or str(Path(folder, "tokenizer"))
        if tokenizer is None:
            subprocess.run([python, "-c", _TOKENIZER, place], check=True, capture_output=True)
        Path(folder, "prompts.jsonl").write_text('{"text": "hello"}\n' * 8)
        for rounds in ROUNDS:
            count = rounds * work.streams
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            first_ms = _profiled(python, work, count, place, folder)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            counts.append(count)
    more = (counts[1] - counts[0]) * events
    cpu_us = (spent[1] - spent[0]) / more * 1e6
    return StreamTurn(cpu_us, 0.0, 0.0, 0.0, cpu_us * events, first_ms)


def _profiled(python: str, work: StreamWork, count: int, tokenizer: str, folder: str) -> float:
    """Run it; its median time to first token, ms. Raises RuntimeError."""
    out = Path(folder, f"out-{count}")
    done = subprocess.run(
        [str(program_of(python)), "profile", "-m", "null", "--endpoint-type", "chat", "--streaming"]
        + ["--url", f"http://127.0.0.1:{work.port}", "--concurrency", str(work.streams)]
        + ["--request-count", str(count), "--tokenizer", tokenizer, "--use-server-token-count"]
        + ["--input-file", str(Path(folder, "prompts.jsonl")), "--custom-dataset-type"]
        + ["single_turn", "--ui", "none", "--artifact-dir", str(out), "--no-gpu-telemetry"]
        + ["--no-server-metrics"],
        capture_output=True,
        text=True,
        timeout=MOST_S,
        cwd=folder,
    )
    found = out / "profile_export_aiperf.json"
    if done.returncode or not found.exists():
        raise RuntimeError(f"aiperf: {(done.stdout + done.stderr)[-2_000:]}")
    return float(json.loads(found.read_text())["time_to_first_token"]["p50"])
