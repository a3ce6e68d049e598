"""Mistakes of an application's callbacks, kept from doing more harm than they must (hardening POL-05, TRI-06, TRI-24)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

_log = logging.getLogger("trio_ssh")

PASSING = (trio.Cancelled, KeyboardInterrupt, SystemExit, GeneratorExit)
"""What is no mistake of the callback's: it goes on."""


@contextmanager
def containing(report: Callable[[BaseException], None]) -> Iterator[None]:
    """Around application code: whatever it raises is given to `report` and goes no further, `PASSING` excepted.

    Exception groups are taken apart: a handler that fails in its clean-up while being cancelled gives both kinds at once.
    """
    try:
        yield
    except PASSING:
        raise
    except BaseExceptionGroup as group:
        passing, mistakes = group.split(PASSING)
        if mistakes is not None:
            _tell(report, mistakes)
        if passing is not None:
            raise passing from None
    except BaseException as error:
        _tell(report, error)


def _tell(report: Callable[[BaseException], None], error: BaseException) -> None:
    try:
        report(error)
    except Exception:  # out of memory, say: what contains mistakes must not make one of its own
        _log.critical("a mistake could not be reported", exc_info=error)
