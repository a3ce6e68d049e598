"""`IncomingChannel`: a channel that the peer wants to open, and the decision about it (RFC 4254 §5.1)."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ..wire.connection import ChannelOpen
from ..wire.numbers import OpenFailureReason
from .channel import Channel

KNOWN_CHANNEL_TYPES = frozenset(
    [
        "session",
        "direct-tcpip",
        "forwarded-tcpip",
        "x11",
        "auth-agent@openssh.com",
        "direct-streamlocal@openssh.com",
        "forwarded-streamlocal@openssh.com",
        "tun@openssh.com",
    ]
)

Prepare = Callable[[Channel], None]


@attrs.define(eq=False)
class IncomingChannel:
    """`accept` or `refuse` it, once, now or later. Both are synchronous; what is neither counts to `Limits.request_backlog`."""

    _open: ChannelOpen
    _accept: Callable[[ChannelOpen, Prepare | None], Channel]
    _refuse: Callable[[int, OpenFailureReason, str], None]

    @property
    def channel_type(self) -> str:
        return self._open.channel_type

    @property
    def type_fields(self) -> bytes:
        """What follows in the message, by the type's own layout."""
        return self._open.type_fields

    def accept(self, prepare: Prepare | None = None) -> Channel:
        """CONFIRMATION leaves. `prepare` sees the channel before anything can come in on it.

        Raises `ConnectionLost`, and `ChannelOpenFailure` when all receive windows are given away.
        """
        return self._accept(self._open, prepare)

    def refuse(self, reason: OpenFailureReason, description: str) -> None:
        """OPEN_FAILURE leaves."""
        self._refuse(self._open.sender_channel, reason, description)


OpenHandler = Callable[[IncomingChannel], None]


def refuse_open(incoming: IncomingChannel) -> None:
    """What happens to opens that nobody handles."""
    incoming.refuse(OpenFailureReason.ADMINISTRATIVELY_PROHIBITED, "channels of this type are not taken here")
