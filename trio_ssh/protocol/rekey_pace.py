"""How often a peer may begin a rekey for nothing (hardening RES-20).

Every rekey costs both sides the same, and a peer may begin one whenever it likes: after each packet if it wants to, as OpenSSH does with
``RekeyLimit 16``. What it may not do is to begin one after another with nothing between them in either direction.
"""

from __future__ import annotations

from collections import deque

import attrs

from ..errors import RemoteProtocolError

WINDOW_SECONDS = 1.0
_SEQUENCE_NUMBERS = 2**32


@attrs.define(eq=False)
class RekeyPace:
    """Told of each change of keys and of each rekey that the peer begins; times are any monotonic clock's seconds."""

    per_second: int
    _sequence_at_change: int = 0
    _idle_rekeys: deque[float] = attrs.field(factory=deque)

    def keys_changed(self, sequence_number: int) -> None:
        """The next packet to be received has `sequence_number`."""
        self._sequence_at_change = sequence_number

    def peer_began(self, now: float, sequence_number: int, packets_sent: int) -> None:
        """A KEXINIT came; the packet behind it will have `sequence_number`, and `packets_sent` left under our present key.

        Raises `RemoteProtocolError` when that was one rekey for nothing too many.
        """
        received = (sequence_number - 1 - self._sequence_at_change) % _SEQUENCE_NUMBERS
        if received or packets_sent:
            return
        idle = self._idle_rekeys
        idle.append(now)
        while idle[0] <= now - WINDOW_SECONDS:
            idle.popleft()
        if len(idle) > self.per_second:
            raise RemoteProtocolError(f"the peer began {len(idle)} rekeys within a second with nothing sent between them")
