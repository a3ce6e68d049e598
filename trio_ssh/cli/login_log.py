"""Attempts to log in, in the words of sshd's log, which other programs read; other events are for whoever debugs.

``Accepted publickey for ada from 192.0.2.7 port 4711 ssh2: ED25519 SHA256:…`` when somebody is let in, ``Partial`` when a further method is
wanted, ``Failed`` when not. Strangers cannot flood it: what fails is paced.
"""

from __future__ import annotations

import logging

from .. import UNKNOWN_USER, AuthAttempted, Event, Observer, printable
from ..server import PacedLog
from .event_text import event_text

FAILED_LINES_PER_SECOND = 50

_WORDS = {"granted": "Accepted", "partial": "Partial", "refused": "Failed"}


def login_observer(logger: logging.Logger, events_level: int = logging.DEBUG, *, verbose: bool = False) -> Observer:
    """Logs attempts, and at `events_level` all events; only if it is `verbose` keys that did not fit (LogLevel VERBOSE)."""
    paced = PacedLog(logger, FAILED_LINES_PER_SECOND)
    shows_events = logger.isEnabledFor(events_level)

    def observe(event: Event) -> None:
        if isinstance(event, AuthAttempted) and (text := attempt_text(event)):
            if event.outcome == "refused":
                paced.log(_level_of_failure(event, verbose), "%s", text)
            else:
                logger.info("%s", text)
        if shows_events:
            logger.log(events_level, "%s", event_text(event))

    return observe


def attempt_text(event: AuthAttempted) -> str:
    """One line; "" for what is no attempt to speak of: questions, and the request that only asks which methods there are."""
    if event.outcome not in _WORDS or (event.method == "none" and event.outcome == "refused"):
        return ""
    is_unknown = event.detail == UNKNOWN_USER.detail
    who = ("invalid user " if is_unknown else "") + printable(event.username, 100)
    detail = f": {printable(event.detail, 1000)}" if event.detail and not is_unknown else ""
    where = f" from {event.peer}" if event.peer else ""
    return f"{_WORDS[event.outcome]} {printable(event.method, 64)} for {who}{where} ssh2{detail}"


def _level_of_failure(event: AuthAttempted, verbose: bool) -> int:
    """A client offers each of its keys: what does not fit is hardly worth a line."""
    usual = event.method == "publickey" and event.detail != UNKNOWN_USER.detail
    return logging.DEBUG if usual and not verbose else logging.INFO
