"""Files of answers: read for `--answers`, in the form in which a report keeps them. One object,
name -> answer.
"""

from __future__ import annotations

from pathlib import Path

from qs.base import jsonc
from qs.base.errors import UserError


def read_answers(path: Path) -> dict[str, object]:
    """The answers in a JSON file, comments allowed. Whether questions ask for them is the walk's to
    say.
    """
    answers = jsonc.read(path)
    if not isinstance(answers, dict):
        raise UserError(f"{path}: holds no object; allowed: {{name of the question: answer, ...}}")
    return answers
