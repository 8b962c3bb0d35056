"""What ONNX Runtime says when it refuses a model or its inputs, as one sentence for a user: whole,
without its C++ places and signatures, and with advice where it gives none.
"""

from __future__ import annotations

import re

_CODE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_LOADING = re.compile(r"Load model from .*? failed:\s*")
# "graph.cc:256 Status ns::Class::Do(const X&, Y<Z>) const [with T = float] ", or "gather.h:59 Do "
_PLACE = re.compile(
    r"(?:[\w./\\+-]*/)?[\w+-]+\.(?:cc|cpp|cxx|cu|h|hpp|inc):\d+ "
    r"(?:(?:[^\s(]+ )*?[^\s(]*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)(?: const)?"
    r"(?: \[with [^\]]*\])? "
    r"|\w+ )?"
)
# what it says, and what to do about it
_ADVICE = (
    (
        re.compile(r"Unsupported model IR version: \d+, max supported IR version: (\d+)"),
        "the file was written by a newer onnx: install a newer onnxruntime, or save it with "
        "ir_version {}",
    ),
    (
        re.compile(r"official support for domain (\S+) is till opset (\d+)"),
        "the file was written by a newer exporter: install a newer onnxruntime, or export it with "
        "opset {1} or lower of {0}",
    ),
    (
        re.compile(r"([\w.]+:\w+)(?:\(-?\d+\))? is not a registered function/op"),
        "{} is an operator of a library that ONNX Runtime does not hold, and no such library can "
        "be loaded here: export the model without it",
    ),
)


def sentence(error: BaseException) -> str:
    """ONNX Runtime's message on one line, with advice; the class's name if it says nothing."""
    text = " ".join(str(error).split())
    text = _LOADING.sub("", _CODE.sub("", text))
    text = " ".join(_PLACE.sub("", text).split()) or type(error).__name__
    for said, advice in _ADVICE:
        found = said.search(text)
        if found:
            return f"{text.rstrip('.')}; {advice.format(*found.groups())}"
    return text
