"""What an observer can see of a connection: small frozen values, made only when somebody looks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum

import attrs

from ..errors import SSHError
from ..protocol.negotiation import Negotiated
from ..protocol.role import Role

_log = logging.getLogger("trio_ssh.events")


class RekeyCause(Enum):
    """Why a key exchange began."""

    FIRST = "the connection began"
    SENT = "enough was sent under the old key"
    RECEIVED = "enough was received under the old key"
    TIME = "the key had its time"
    USER = "the application asked"
    PEER = "the peer asked"


@attrs.frozen
class ConnectionOpened:
    """Identification lines are exchanged; `peer_software` is the peer's, as it came: show it through `errors.printable` only."""

    role: Role
    peer_software: str


@attrs.frozen
class KeyExchangeDone:
    """Both directions use fresh keys: why, how long it took from our KEXINIT, and what was negotiated."""

    cause: RekeyCause
    seconds: float
    negotiated: Negotiated


@attrs.frozen
class PeerLacksStrictKex:
    """Once, for a peer without strict key exchange: `negotiated` tells whether a cipher is in use that this matters for."""

    negotiated: Negotiated


@attrs.frozen
class AuthAttempted:
    """`outcome` is ``granted``, ``refused``, ``partial`` or ``question`` (a key was asked about)."""

    username: str
    method: str
    outcome: str
    detail: str = ""
    peer: str = ""
    """On a server the client's address and port, "" where the stream has none."""


@attrs.frozen
class ChannelOpened:
    """`number` is ours for the channel."""

    channel_type: str
    number: int
    by_peer: bool


@attrs.frozen
class ChannelClosed:
    """Both sides have closed; `number` may be used again."""

    channel_type: str
    number: int


@attrs.frozen
class ConnectionEnded:
    """`cause` is the first cause; None when we closed it ourselves."""

    cause: SSHError | None


Event = (
    ConnectionOpened | KeyExchangeDone | PeerLacksStrictKex | AuthAttempted | ChannelOpened | ChannelClosed | ConnectionEnded
)
Observer = Callable[[Event], None]


def contained(observer: Observer) -> Observer:
    """An observer whose mistakes are logged instead of ending the connection that it watches."""

    def observe(event: Event) -> None:
        try:
            observer(event)
        except Exception:
            _log.exception("the observer failed at %s", type(event).__name__)

    return observe
