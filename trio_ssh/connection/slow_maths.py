"""Key exchange maths over 5 ms: in a thread, one computation at a time, with a bounded queue before it (hardening RES-07, TRI-18)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

from ..errors import RemoteProtocolError
from ..wire.numbers import DisconnectReason

T = TypeVar("T")

_turns: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("trio_ssh key exchange")


async def run_in_turn(maths: Callable[[], T], queue_max: int | None) -> T:
    """Maths over 5 ms, in a thread, one at a time: it holds the interpreter's lock, so that a second thread would only slow both.

    While others wait, as much time is left to the rest of the process as was taken from it. With more than `queue_max` waiting the
    connection ends: who floods us must not make everybody wait (hardening RES-07). A cancellation waits for the thread.
    """
    try:
        turn = _turns.get()
    except LookupError:
        turn = trio.CapacityLimiter(1)
        _turns.set(turn)
    if queue_max is not None and turn.statistics().tasks_waiting >= queue_max and turn.borrowed_tokens:
        raise RemoteProtocolError("too many key exchanges wait to be computed", reason=DisconnectReason.TOO_MANY_CONNECTIONS)
    async with turn:
        started = trio.current_time()
        result = await trio.to_thread.run_sync(maths, limiter=trio.CapacityLimiter(1))
        if turn.statistics().tasks_waiting:
            await trio.sleep(trio.current_time() - started)
    return result
