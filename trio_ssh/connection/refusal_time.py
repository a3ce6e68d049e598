"""When a refused attempt is answered: its time must not tell what it was refused for (hardening B09)."""

from __future__ import annotations

import hmac
import os

DELAY_SECONDS_MAX = 5.0

_SECRET = os.urandom(32)


def refusal_time(started: float, now: float, username: str, least_seconds: float) -> float:
    """When to answer an attempt that began at `started` and was decided `now`; all times are on one clock.

    It takes `least_seconds` and up to as much again, by a secret function of the name, so that equal names always take equally long; what
    took longer takes a doubled time, and so on: between the steps nothing can be told from the time. Beyond five seconds nothing is added.
    """
    elapsed = now - started
    if least_seconds <= 0 or elapsed >= DELAY_SECONDS_MAX:
        return now
    mark = hmac.digest(_SECRET, username.encode("utf-8", "surrogateescape"), "sha256")
    seconds = least_seconds * (1 + int.from_bytes(mark[:4], "big") / 2**32)
    while seconds < elapsed:
        seconds *= 2
    return started + min(seconds, DELAY_SECONDS_MAX)
