"""Settings of the sockets that we make ourselves; a caller's are left as they are."""

from __future__ import annotations

import socket

import trio

NOTSENT_BYTES = 1 << 20


def tune(stream: trio.SocketStream) -> None:
    """For throughput: the kernel may hold a batch that is not sent yet. Trio asks for 16 KiB, which wakes the writer for each half packet.

    Control messages do not suffer: they wait in our outbox at most as long as the batch before them, whatever the kernel holds.
    """
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        try:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_BYTES)
        except OSError:
            return  # not TCP: nothing to tune


def peer_name(stream: trio.abc.Stream) -> str:
    """The peer's address as text, "" where the stream has none."""
    if not isinstance(stream, trio.SocketStream):
        return ""
    try:
        address = stream.socket.getpeername()
    except OSError:
        return ""
    return f"{address[0]} port {address[1]}" if isinstance(address, tuple) else "a local socket"
