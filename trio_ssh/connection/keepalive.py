"""`keep_alive`: asks a silent peer whether it is there, and gives up after some silences (keepalive@openssh.com).

Anything that arrives is an answer: a slow peer is not a dead one (hardening FLT-03, FLT-04). Three things more make that true and complete:

- A question can only be missed when it has left. Behind a slow link's full buffers it waits as long as they take to drain.
- What we write must get on. A peer that goes on talking but takes nothing any more is as good as dead.
- A packet that has begun must come to its end. With a damaged length field, every answer of a healthy peer would only be taken for some
  more of a packet that never ends.

"Slow" ends at `SLOWEST_BYTES_PER_SECOND`: the smallest thing whose progress can be seen gets the time that it takes at that speed.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from ..errors import ConnectionLost
from ..protocol.opener import Opener
from .mux import KEEPALIVE, Mux
from .sockets import PIECE_BYTES
from .transport import Transport

SLOWEST_BYTES_PER_SECOND = 1024


@attrs.define(eq=False)
class _Stall:
    """Something that should move while it is waited for."""

    seconds_max: float
    _position: int = -1
    _since: float = 0.0

    def is_too_long(self, position: int, *, waited_for: bool) -> bool:
        """To be asked now and then: has it stood still for too long?"""
        now = trio.current_time()
        if position != self._position or not waited_for:
            self._position, self._since = position, now
        return now - self._since > self.seconds_max


async def keep_alive(
    transport: Transport, mux: Mux, opener: Opener, unacknowledged: Callable[[], int] | None, seconds: float, misses_max: int
) -> None:
    """Until cancelled. Raises `ConnectionLost` after `misses_max` questions in a row without a byte from the peer, and when nothing moves.

    `unacknowledged` tells how many bytes the kernel holds for us; None where that cannot be known.
    """
    silence = seconds * (misses_max + 1)
    incoming = _Stall(silence + opener.packet_bytes_max / SLOWEST_BYTES_PER_SECOND)
    outgoing = _Stall(silence + PIECE_BYTES / SLOWEST_BYTES_PER_SECOND)
    seen, taken_before, question_at, misses = opener.bytes_received, 0, 0, 0
    while True:
        await trio.sleep(seconds)
        taken = transport.bytes_handed - (unacknowledged() if unacknowledged is not None else 0)
        if incoming.is_too_long(opener.packets_opened, waited_for=bool(opener.pending)):
            raise ConnectionLost(f"the peer began a packet and did not end it within {incoming.seconds_max:g} s: its length may be damaged")
        if outgoing.is_too_long(taken, waited_for=transport.bytes_sent > taken):
            raise ConnectionLost(f"the peer has taken nothing of what we send for {outgoing.seconds_max:g} s")
        # Where acknowledgements can be seen, a question that does not get on is as bad as one that is not answered.
        on_its_way = taken < question_at and (unacknowledged is None or taken != taken_before)
        taken_before = taken
        if opener.bytes_received != seen or on_its_way:
            seen, misses = opener.bytes_received, 0
            continue
        if misses >= misses_max:
            raise ConnectionLost(f"the peer has not answered for {silence:g} s (keepalive)")
        misses += 1
        mux.replies.place()  # keeps our other requests' answers in order
        transport.send_nowait(KEEPALIVE)
        question_at = transport.bytes_sent
