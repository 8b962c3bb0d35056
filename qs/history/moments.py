"""Points in time as a person types them: a date, a date and time, or how long ago."""

from __future__ import annotations

from datetime import datetime, timedelta

UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
ALLOWED = (
    "a date (2026-11-24), a date and time (2026-11-24T10:00), or a time ago (30m, 12h, 7d, 4w)"
)


def moment(text: str, now: datetime | None = None) -> str:
    """ISO 8601 with the offset from UTC; a time without one is local. ValueError where it is none
    of these.
    """
    text = text.strip()
    if text[-1:] in UNITS and text[:-1].isdigit():
        ago = int(text[:-1]) * UNITS[text[-1]]
        return ((now or datetime.now()).astimezone() - ago).isoformat()
    return datetime.fromisoformat(text).astimezone().isoformat()
