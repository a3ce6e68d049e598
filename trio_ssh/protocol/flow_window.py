"""Flow control of one channel (RFC 4254 §5.2): how much may be sent, and when room is given back.

A receiver grants a window in bytes and the sender counts it down. Credit goes back when half of the window has been *taken by the
application*, not when it has arrived: what lies unread is never more than the window, and a WINDOW_ADJUST is paid once per half window.
"""

from __future__ import annotations

import attrs

from ..errors import RemoteProtocolError
from ..wire.primitives import UINT32_MAX


@attrs.define(eq=False)
class SendWindow:
    """What the peer still takes. `credit` is counted down by the sender itself: it is the hottest counter there is."""

    credit: int

    def add(self, size: int) -> None:
        """A WINDOW_ADJUST. A window past 2^32-1 raises `RemoteProtocolError`."""
        if self.credit + size > UINT32_MAX:
            raise RemoteProtocolError(f"a WINDOW_ADJUST of {size} makes the window larger than 2^32-1 bytes (RFC 4254 §5.2)")
        self.credit += size


@attrs.define(eq=False)
class ReceiveWindow:
    """What the peer may still send: `size` granted in all, `credit` of it not yet used, `taken` used and consumed but not given back."""

    size: int
    credit: int
    taken: int = 0

    @classmethod
    def of(cls, size: int) -> ReceiveWindow:
        return cls(size, size)

    def consume(self, size: int) -> None:
        """Data came in. One byte over the window raises `RemoteProtocolError`."""
        self.credit -= size
        if self.credit < 0:
            raise RemoteProtocolError(f"the peer sent {-self.credit} bytes more than the channel's window (RFC 4254 §5.2)")

    def release(self, size: int) -> int:
        """The application took `size` bytes: what to give back now, 0 to wait for more."""
        self.taken += size
        if 2 * self.taken < self.size:
            return 0
        given, self.taken = self.taken, 0
        self.credit += given
        return given
