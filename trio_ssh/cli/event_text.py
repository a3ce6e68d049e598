"""Events of a connection as lines for people."""

from __future__ import annotations

import logging

from .. import (
    AuthAttempted,
    ChannelClosed,
    ChannelOpened,
    ConnectionEnded,
    ConnectionOpened,
    Event,
    KeyExchangeDone,
    Negotiated,
    Observer,
    PeerLacksStrictKex,
    printable,
)


def event_text(event: Event) -> str:
    """One line; what the peer chose of it is made printable."""
    match event:
        case ConnectionOpened(peer_software=software):
            return f"connected; the peer is {printable(software)}"
        case KeyExchangeDone(cause=cause, seconds=seconds, negotiated=negotiated):
            return f"keys agreed in {seconds * 1000:.1f} ms because {cause.value}: {negotiated_text(negotiated)}"
        case PeerLacksStrictKex():
            return "warning: the peer does not know strict key exchange"
        case AuthAttempted(username=user, method=method, outcome=outcome, detail=detail):
            return f"authentication of {printable(user)} by {printable(method)}: {outcome}" + (f" ({printable(detail)})" if detail else "")
        case ChannelOpened(channel_type=kind, number=number, by_peer=by_peer):
            return f"channel {number} ({printable(kind)}) opened by {'the peer' if by_peer else 'us'}"
        case ChannelClosed(channel_type=kind, number=number):
            return f"channel {number} ({printable(kind)}) closed"
        case ConnectionEnded(cause=cause):
            return f"connection ended: {cause if cause is not None else 'closed by us'}"


def negotiated_text(negotiated: Negotiated) -> str:
    """The algorithms in use."""
    up, down = negotiated.cipher_client_to_server, negotiated.cipher_server_to_client
    ciphers = up if up == down else f"{up} up, {down} down"
    macs = " ".join(dict.fromkeys(filter(None, (negotiated.mac_client_to_server, negotiated.mac_server_to_client))))
    strict = "strict" if negotiated.strict_kex else "not strict"
    return f"{negotiated.kex} ({strict}), {negotiated.host_key}, {ciphers}" + (f", {macs}" if macs else "")


def logging_observer(logger: logging.Logger, level: int = logging.INFO) -> Observer | None:
    """An observer that logs each event; None where the logger would drop them anyway."""
    if not logger.isEnabledFor(level):
        return None
    return lambda event: logger.log(level, "%s", event_text(event))
