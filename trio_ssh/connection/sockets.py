"""How the reader and the writer move bytes: straight between their buffers and the kernel for sockets, by trio's methods for other streams.

Over a socket a task switch is saved each way: trio's own methods yield after every call and first try a call that would block, while a
reader whose last read came up short knows that there is nothing, and a writer that has written all has nothing to yield for. Settings are
changed on sockets that we made ourselves only; a caller's are left as they are.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import termios
from collections.abc import Awaitable, Callable

import trio

NOTSENT_BYTES = 1 << 19

Receive = Callable[[memoryview], Awaitable[int]]
"""Fills a buffer and says how far; 0 is the end of the stream."""

Send = Callable[[memoryview], Awaitable[None]]
"""Sends all of a batch. Cancelled, an unknown part of it is sent."""

Progress = Callable[[int], None]
"""Told of each piece that the stream has taken: its bytes."""

PIECE_BYTES = 1 << 14
"""What a stream other than a socket is given at once while it is slow, so that progress can be seen; more while it is fast."""
SLOW_SECONDS = 1.0


def tune(stream: trio.SocketStream) -> None:
    """For throughput: the kernel may hold a batch that is not sent yet. Trio asks for 16 KiB, which wakes the writer for each half packet.

    Control messages do not suffer: they wait in our outbox at most as long as the batch before them, whatever the kernel holds.
    """
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        try:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_BYTES)
        except OSError:
            return  # not TCP: nothing to tune


async def close_at_once(stream: trio.abc.Stream) -> None:
    """Close without a word and without waiting for anything."""
    if type(stream) is trio.SocketStream:
        stream.socket.close()  # all that `aclose_forcefully` would do, without its cancelled scope
    else:
        await trio.aclose_forcefully(stream)


def peer_name(stream: trio.abc.Stream) -> str:
    """The peer's address as text, "" where the stream has none."""
    return _address_text(stream.socket.getpeername) if isinstance(stream, trio.SocketStream) else ""


def local_name(stream: trio.abc.Stream) -> str:
    """Our own end's, likewise."""
    return _address_text(stream.socket.getsockname) if isinstance(stream, trio.SocketStream) else ""


def _address_text(ask: Callable[[], object]) -> str:
    try:
        address = ask()
    except OSError:
        return ""
    return f"{address[0]} port {address[1]}" if isinstance(address, tuple) else "a local socket"


def receiver_for(stream: trio.abc.ReceiveStream) -> Receive:
    if type(stream) is trio.SocketStream and hasattr(os, "readv"):
        return _socket_receiver(stream.socket)

    async def receive_from_stream(space: memoryview) -> int:
        data = await stream.receive_some(len(space))
        space[: len(data)] = data
        return len(data)

    return receive_from_stream


def sender_for(stream: trio.abc.SendStream, progress: Progress) -> Send:
    if type(stream) is trio.SocketStream and hasattr(os, "writev"):
        return _socket_sender(stream.socket, progress)

    piece_bytes = PIECE_BYTES

    async def send_to_stream(batch: memoryview) -> None:
        nonlocal piece_bytes
        start, size = 0, len(batch)
        while start < size:
            piece = batch[start : start + piece_bytes]
            began = trio.current_time()
            await stream.send_all(piece)
            progress(len(piece))
            start += len(piece)
            piece_bytes = PIECE_BYTES if trio.current_time() - began > SLOW_SECONDS else max(2 * len(piece), piece_bytes)

    return send_to_stream


def unacknowledged(stream: trio.abc.Stream) -> Callable[[], int] | None:
    """For a socket, a function that tells how many bytes of it the kernel holds because the peer has not acknowledged them. Else None."""
    if type(stream) is not trio.SocketStream or not hasattr(termios, "TIOCOUTQ"):
        return None
    sock = stream.socket

    def ask() -> int:
        answer = bytearray(4)
        try:
            fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, answer)
        except OSError:
            return 0  # a kind of socket that cannot tell
        return int.from_bytes(answer, sys.byteorder)

    return ask


def _socket_receiver(sock: trio.socket.SocketType) -> Receive:
    more_expected = False

    async def receive_from_socket(space: memoryview) -> int:
        nonlocal more_expected
        if more_expected:
            await trio.lowlevel.checkpoint()  # a peer that never pauses must not keep the loop to itself
        while True:
            if not more_expected:
                await trio.lowlevel.wait_readable(sock)
            try:
                size = os.readv(sock.fileno(), (space,))
            except BlockingIOError:
                more_expected = False
            else:
                more_expected = size == len(space)
                return size

    return receive_from_socket


def _socket_sender(sock: trio.socket.SocketType, progress: Progress) -> Send:
    async def send_to_socket(batch: memoryview) -> None:
        sent, size = 0, len(batch)
        while True:
            try:
                written = os.writev(sock.fileno(), (batch[sent:],))
            except BlockingIOError:
                pass
            else:
                progress(written)
                sent += written
            if sent == size:
                return
            await trio.lowlevel.wait_writable(sock)

    return send_to_socket
