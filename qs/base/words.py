"""Numbers and times for people to read: one format for terminal, pages and messages.

Files for programs (JSON, CSV, Parquet) keep every digit and use nothing from here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from numbers import Integral, Real

NOTHING = "n/a"
# Written without an exponent: from 10 ns in milliseconds to a thousand million million.
LEAST, MOST = 1e-5, 1e15
BARS = "▁▂▃▄▅▆▇█"
NS_PER_US, NS_PER_MS = 1e3, 1e6


def number(value: object, digits: int | None = None) -> str:
    """A figure with its significant digits and thousands separators; n/a for None.

    Three digits below 100; above, four or all of its whole part; `digits` sets another count.
    Trailing zeros are dropped. Anything that is not a number becomes its text.

    >>> [number(value) for value in (0.0123, 1.27, 123.45, 1270.3, 12_345_678.9)]
    ['0.0123', '1.27', '123.5', '1,270', '12,345,679']
    """
    if value is None:
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, Real):
        return str(value)
    if isinstance(value, Integral):
        return f"{int(value):,}"
    figure = float(value)
    if figure == 0.0:
        return "0"
    if math.isnan(figure):
        return "NaN"
    if math.isinf(figure):
        return "inf" if figure > 0 else "-inf"
    size = abs(figure)
    digits = digits or (3 if size < 100.0 else 4)
    mantissa, _, power = f"{figure:.{digits - 1}e}".partition("e")  # the power after rounding
    if not LEAST <= size < MOST:
        return f"{_short(mantissa)}e{int(power)}"
    return _short(f"{figure:,.{max(digits - 1 - int(power), 0)}f}")


def typed_number(figure: float, digits: int = 6) -> str:
    """A figure as an option takes it: so many digits, no separators, no exponent."""
    from decimal import Decimal

    return f"{Decimal(f'{figure:.{digits}g}'):f}"


def _short(text: str) -> str:
    """Without trailing zeros after the decimal point."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def completed(planned: int | None, done: int | None) -> str:
    """ "300", or "97 of 300" if fewer were completed than planned."""
    return f"{number(done)} of {number(planned)}" if planned and done != planned else number(done)


def counted(count: int, noun: str) -> str:
    """1 client, 2 clients."""
    return f"{number(count)} {noun}" if count == 1 else f"{number(count)} {noun}s"


def rate(per_s: float) -> str:
    """A live rate: three digits, or its whole part."""
    return number(per_s, 3)


def percent(share: float) -> str:
    """A fraction in percent, to two digits or its whole part: 0.0213 is "2.1 %"."""
    return f"{number(share * 100, 2)} %"


def half_width(share: float | None) -> str:
    """What stands behind a plus-minus sign: 3.1 %. Above 100 % nothing is known, and no figure says
    more than that.

    >>> [half_width(share) for share in (0.031, 1.0, 34.99, None)]
    ['3.1 %', '100 %', 'over 100 %', 'n/a']
    """
    return NOTHING if share is None else "over 100 %" if share > 1.0 else percent(share)


def signed_percent(share: float | None) -> str:
    """A difference in percent, with its sign and one decimal: +9.8 %; n/a for None."""
    return NOTHING if share is None else f"{share * 100:+,.1f} %"


def span(seconds: float) -> str:
    """A duration: 40 ms, 1.4 s, 12 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def moment(iso: str) -> str:
    """A point in time with its zone, from the one a result has: 2026-11-29 21:04:15 UTC. What is no
    such time stays as it is.

    >>> moment("2026-11-29T22:04:15.417249+01:00")
    '2026-11-29 21:04:15 UTC'
    """
    try:
        found = datetime.fromisoformat(iso.replace("Z", "+00:00"))
    except ValueError:
        return iso
    if found.tzinfo is None:
        return iso
    return found.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def short_time(nanoseconds: float) -> str:
    """A duration below a second, in a suitable unit: 870 ns, 12.5 us, 3.4 ms."""
    if nanoseconds < NS_PER_US:
        return f"{nanoseconds:.0f} ns"
    if nanoseconds < NS_PER_MS:
        return f"{number(nanoseconds / NS_PER_US)} us"
    return f"{number(nanoseconds / NS_PER_MS)} ms"


def data_size(amount: float) -> str:
    """Bytes in a suitable unit, in powers of 1,000: 512 bytes, 1.27 GB."""
    if amount < 1e3:
        return f"{amount:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        amount /= 1e3
        if amount < 999.5:
            return f"{number(amount, 3)} {unit}"
    return f"{number(amount / 1e3, 3)} TB"


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """The latest values as bars, scaled from the smallest to the largest of them."""
    shown = values[-width:]
    low, high = min(shown), max(shown)
    if high <= low:
        return BARS[3] * len(shown)
    return "".join(BARS[round((value - low) / (high - low) * (len(BARS) - 1))] for value in shown)


def cpu_text(cpus: Iterable[int]) -> str:
    """The list as the kernel writes it: (0, 1, 2, 3, 8) -> "0-3,8"."""
    runs: list[list[int]] = []
    for cpu in sorted(cpus):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
