"""`keep_alive`: asks a silent peer whether it is there, and gives up after some silences (keepalive@openssh.com).

Anything that arrives is an answer: a slow peer is not a dead one (hardening FLT-03, FLT-04).
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from ..errors import ConnectionLost
from .mux import KEEPALIVE, Mux
from .transport import Transport


async def keep_alive(transport: Transport, mux: Mux, bytes_received: Callable[[], int], seconds: float, misses_max: int) -> None:
    """Until cancelled. Raises `ConnectionLost` after `misses_max` questions in a row without a byte from the peer."""
    seen = bytes_received()
    misses = 0
    while True:
        await trio.sleep(seconds)
        now = bytes_received()
        if now != seen:
            seen, misses = now, 0
            continue
        if misses >= misses_max:
            raise ConnectionLost(f"the peer has not answered for {seconds * (misses_max + 1):g} s (keepalive)")
        misses += 1
        mux.replies.place()  # keeps our other requests' answers in order
        transport.send_nowait(KEEPALIVE)
