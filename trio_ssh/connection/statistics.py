"""What `statistics()` gives: one frozen snapshot."""

from __future__ import annotations

from collections import deque

import attrs

from .events import RekeyCause

REKEYS_REMEMBERED = 10_000


@attrs.define(eq=False)
class RekeyHistory:
    """Why the last exchanges began, and how many there were: a connection lives long, and its memory has a bound."""

    causes: deque[RekeyCause] = attrs.field(factory=lambda: deque(maxlen=REKEYS_REMEMBERED))
    done: int = 0

    def note(self, cause: RekeyCause) -> None:
        self.causes.append(cause)
        self.done += 1


@attrs.frozen(kw_only=True)
class Statistics:
    """Bytes are those of sealed packets, tags included; a window is what the channel's peer still takes, or we still take."""

    bytes_sent: int
    bytes_received: int
    packets_sent: int
    packets_received: int
    bytes_waiting: int
    """Sealed or held back, and not given to the stream yet."""
    rekeys: tuple[RekeyCause, ...]
    """Why each key exchange behind the first began; of very many the last 10,000."""
    rekeys_done: int
    """How many there were in all."""
    channels: tuple[ChannelStatistics, ...]


@attrs.frozen(kw_only=True)
class ChannelStatistics:
    """One channel that is open or closing."""

    number: int
    channel_type: str
    send_window: int
    receive_window: int
    bytes_unread: int
