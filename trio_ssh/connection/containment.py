"""Mistakes of an application's callbacks, kept from doing more harm than they must (hardening POL-05, TRI-06, TRI-24)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

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
            report(mistakes)
        if passing is not None:
            raise passing from None
    except BaseException as error:
        report(error)
