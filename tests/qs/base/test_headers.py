"""Headers as they are typed, and command lines without their secrets."""

from __future__ import annotations

import pytest

from qs.base.headers import shown, split, without_secrets


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("Authorization: Bearer a:b=c", ("Authorization", "Bearer a:b=c")),
        ("X-Tenant=blue", ("X-Tenant", "blue")),
        (" x-empty :", ("x-empty", "")),
        ("X: @env:TOKEN", ("X", "@env:TOKEN")),
    ],
)
def test_a_header_as_it_is_typed(typed: str, expected: tuple[str, str]) -> None:
    assert split(typed) == expected


@pytest.mark.parametrize("typed", ["", "secret", ": secret", "two words: secret", "X: sec\r\nret"])
def test_no_message_repeats_what_may_be_a_secret(typed: str) -> None:
    with pytest.raises(ValueError) as refused:
        split(typed)
    assert "sec" not in str(refused.value)


def test_a_value_is_never_shown_but_where_it_comes_from_is() -> None:
    assert shown("X", "secret") == "X: ****"
    assert shown("X", "@file:a b") == "X: @file:a b"


def test_a_command_line_without_its_secrets() -> None:
    words = ["qs", "load", "--header", "A: secret", "--header=B=secret", "--header", "secret"]
    words += ["--header", "C: @env:C", "--headers", "kept", "--header"]
    assert without_secrets(words) == (
        *("qs", "load", "--header", "A: ****", "--header=B: ****", "--header", "****"),
        *("--header", "C: @env:C", "--headers", "kept", "--header"),
    )
