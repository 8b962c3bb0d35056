"""Numbers in messages that people read, as `qs.base.words` writes them.

That module stands above the engine and must load without it, so this much is here again.
"""

from __future__ import annotations

import math

# Outside of these, an exponent is shorter than the zeros.
LEAST, MOST = 1e-5, 1e15


def number(value: float, digits: int = 6) -> str:
    """With thousands separators and at most so many significant digits, but its whole part in full:
    1,270, 0.0123, 1,234,568.

    >>> [number(value) for value in (1270.5, 1_000_000, 0.25, 2.5e-07)]
    ['1,270.5', '1,000,000', '0.25', '2.5e-07']
    """
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if not math.isfinite(value) or (size and not LEAST <= size < MOST):
        return f"{value:.{digits}g}"
    decimals = max(digits - 1 - math.floor(math.log10(size)), 0) if size else 0
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
