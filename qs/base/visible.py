r"""Text of others as it may be shown: a terminal obeys control characters, so none reaches it.

Vendors, models and saved results choose names and messages. An escape sequence in one could retitle
the window, fill the clipboard, or draw a VALID where INVALID stood; marks of bidirectional writing
could turn a line around. What is not to be obeyed is written out: `\x1b[2J`.
"""

from __future__ import annotations

import re
import shlex

# All that Unicode calls printable may stand as it is, and so may tabs, line breaks and spaces of
# any width.
_FINE = "\t\n \\u00a0\\u2000-\\u200a\\u202f\\u205f\\u3000\x21-\x7e"
_SUSPECT = re.compile(f"[^{_FINE}]+")


def visible(text: str) -> str:
    r"""With every control character written out, and half a character (a surrogate) too.

    >>> print(visible("\x1b[2Jdone\rfailed\u202e\ud800"))
    \x1b[2Jdone\rfailed\u202e\ud800
    """
    return text if text.isprintable() else _SUSPECT.sub(_written_out, text)


def visible_json(content: bytes) -> bytes:
    """JSON that says the same: such characters stand in its strings alone, where they can be
    escapes.
    """
    return _SUSPECT.sub(_as_json, content.decode()).encode()


def unbroken(text: str) -> str:
    r"""What is meant as one line, and holds names of others: a line break in one is written out, or
    its rest would stand there as a line of ours.

    >>> print(unbroken("fed x\nverdict: VALID"))
    fed x\nverdict: VALID
    """
    return visible(text).replace("\n", "\\n")


def one_line(text: object, most: int | None = None) -> str:
    """The same on one line, with single spaces, and cut to `most` characters if that is given."""
    line = visible(" ".join(str(text).split()))
    return line if most is None or len(line) <= most else f"{line[: most - 3]}..."


def typed_word(word: str) -> str:
    r"""An argument as a shell reads it, on one line and without a control character.

    >>> print(typed_word("plain"), typed_word("two words"), typed_word("two\nlines"))
    plain 'two words' $'two\nlines'
    """
    return shlex.quote(word) if word.isprintable() else f"$'{''.join(map(_in_ansi_c, word))}'"


def _written_out(found: re.Match[str]) -> str:
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in found.group()
    )


def _as_json(found: re.Match[str]) -> str:
    return "".join(
        each if each.isprintable() else "".join(f"\\u{unit:04x}" for unit in _utf16(each))
        for each in found.group()
    )


def _utf16(each: str) -> tuple[int, ...]:
    code = ord(each)
    if code < 0x10000:
        return (code,)
    return (0xD800 + ((code - 0x10000) >> 10), 0xDC00 + (code & 0x3FF))


def _in_ansi_c(each: str) -> str:
    if each in "\\'":
        return f"\\{each}"
    if each.isprintable():
        return each
    if each == "\n":
        return "\\n"
    # A byte of an argument that is not UTF-8 arrives as one of these surrogates.
    errors = "surrogateescape" if "\udc80" <= each <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in each.encode("utf-8", errors))
