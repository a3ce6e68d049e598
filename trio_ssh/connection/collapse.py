"""One root cause comes out of a block as one exception, not as a group of one (hardening TRI-07)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio


@contextmanager
def single_cause() -> Iterator[None]:
    """Around a nursery of ours: a group with one exception in it, whatever the nesting, comes out as that exception.

    Where real exceptions and cancellations come together, the exceptions count. Several different ones stay a group.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        only = only_cause(group)
        if only is None:
            raise
        raise only from only.__cause__


def only_cause(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The one exception of a group, if there is one only."""
    _, others = group.split(trio.Cancelled)
    found: BaseException = others if others is not None else group
    while isinstance(found, BaseExceptionGroup):
        if len(found.exceptions) != 1:
            return None
        found = found.exceptions[0]
    return found
