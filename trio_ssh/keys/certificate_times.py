"""When a certificate is valid, as ``ssh-keygen -V`` takes it and ``ssh-keygen -L`` shows it."""

from __future__ import annotations

import datetime
import re

from ..errors import printable
from .certificates import FOREVER

_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_PART = re.compile(r"([0-9]+)([smhdwSMHDW]?)")
_DURATION = re.compile(rf"({_PART.pattern})+")
_HEXADECIMAL = re.compile(r"0x([0-9A-Fa-f]{1,16})")
_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:([0-9]{2})([0-9]{2})([0-9]{2})?)?(Z|UTC)?", re.IGNORECASE)
_DURATION_MAX = 48
_FORMAT = "%Y-%m-%dT%H:%M:%S"


def parse_validity(text: str, now: float) -> tuple[int, int]:
    """The `valid_after` and `valid_before` that ``-V text`` of ssh-keygen(1) means, in seconds since 1970. `ValueError` says what is wrong.

    ``+52w`` begins a minute ago, at a whole one, so that hosts whose clocks are a bit late take the certificate, too. Otherwise there are
    two times with a colon between them; each is ``+`` or ``-`` and a time such as ``1w2d`` from now, ``YYYYMMDD[HHMM[SS]]`` by the
    system's time zone or with ``Z`` behind it by UTC, or ``0x`` and the seconds since 1970 in hexadecimal. The first may also be
    ``always``, the second ``forever``. A date in summer is taken by the zone's summer time.
    """
    if text.startswith("+") and ":" not in text:
        begin, end = (int(now) - 59) // 60 * 60, int(now) + _duration(text[1:])
    else:
        first, _, second = text.partition(":")
        if not first or not second:
            raise ValueError(f"{_shown(text)} is not a time of validity: give +DURATION (+52w) or BEGIN:END")
        begin = 0 if first == "always" else _time(first, now)
        end = FOREVER if second == "forever" else _time(second, now)
    if not 0 <= begin < end <= FOREVER:
        raise ValueError(f"{_shown(text)} leaves no time in which the certificate would be valid")
    return begin, end


def parse_absolute_time(text: str) -> int:
    """``YYYYMMDD[HHMM[SS]]`` by the system's time zone, or with ``Z`` or ``UTC`` behind it by that: seconds since 1970.

    What ``expiry-time`` of authorized_keys takes, too. Raises `ValueError`.
    """
    found = _DATE.fullmatch(text)
    if not found:
        raise ValueError(f"{_shown(text)} is not a time such as 20301231, 20301231Z or 203012312359")
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    zone = datetime.UTC if found[7] else None
    try:
        return int(datetime.datetime(year, month, day, hour, minute, second, tzinfo=zone).timestamp())
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{_shown(text)} is not a date and time that there is") from None


def validity_text(valid_after: int, valid_before: int) -> str:
    """``from 2030-01-01T00:00:00 to 2031-01-01T00:00:00`` and the like, by the system's time zone."""
    if valid_after == 0 and valid_before == FOREVER:
        return "forever"
    if valid_after == 0:
        return f"before {_moment(valid_before)}"
    if valid_before == FOREVER:
        return f"after {_moment(valid_after)}"
    return f"from {_moment(valid_after)} to {_moment(valid_before)}"


def _time(text: str, now: float) -> int:
    if text[0] in "+-":
        distance = _duration(text[1:])
        moment = int(now) + (distance if text[0] == "+" else -distance)
        if moment < 0:
            raise ValueError(f"{_shown(text)} is before 1970")
        return moment
    if found := _HEXADECIMAL.fullmatch(text):
        return int(found[1], 16)
    return parse_absolute_time(text)


def _duration(text: str) -> int:
    if not _DURATION.fullmatch(text) or len(text) > _DURATION_MAX:
        raise ValueError(f"{_shown(text)} is not a time such as 90, 12h or 1w2d")
    return sum(int(count) * _UNIT_SECONDS[unit.lower()] for count, unit in _PART.findall(text))


def _moment(seconds: int) -> str:
    try:
        return datetime.datetime.fromtimestamp(seconds).strftime(_FORMAT)
    except (ValueError, OverflowError, OSError):
        return f"{seconds} seconds after 1970"  # beyond the year 9999


def _shown(text: str) -> str:
    return repr(printable(text, 64))
