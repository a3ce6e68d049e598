"""A man in the middle of two of our ends: he sees lines and packets one by one and lets through what he likes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import attrs
import trio
from trio.testing import memory_stream_pair

import trio_ssh
from tests import pairs
from tests.connection.victims import Victim, connect, serve
from tests.raw_peer import RawPeer
from trio_ssh.protocol.role import Role
from trio_ssh.wire.numbers import MessageNumber as M

LINE, CLEAR, SEALED = "line", "clear", "sealed"

Edit = Callable[[str, str, bytes], bytes]
"""``edit(direction, kind, data)``, "up" or "down", with one line, one packet in clear or one sealed packet: what goes on instead."""


def as_it_is(direction: str, kind: str, data: bytes) -> bytes:
    return data


def payload_of(packet: bytes) -> bytes:
    """Of a packet in clear."""
    return packet[5 : len(packet) - packet[4]]


def clear_packet(payload: bytes) -> bytes:
    """A packet in clear."""
    padding = 8 - (5 + len(payload)) % 8
    padding += 8 if padding < 4 else 0
    return (1 + len(payload) + padding).to_bytes(4, "big") + bytes([padding]) + payload + bytes(padding)


@attrs.define(eq=False)
class Middle:
    """`tag_bytes` of the cipher that will be agreed on, whose lengths must be in clear (AES-GCM, encrypt-then-MAC); None: what is sealed
    goes through in whatever pieces it comes."""

    edit: Edit
    tag_bytes: int | None
    seen: list[tuple[str, str, bytes]] = attrs.field(factory=list)

    async def carry(self, direction: str, source: trio.abc.Stream, sink: trio.abc.Stream) -> None:
        buffer, kind = bytearray(), LINE
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await source.receive_some(65536):
                buffer += data
                while size := self._size(kind, buffer):
                    piece = bytes(buffer[:size])
                    del buffer[:size]
                    self.seen.append((direction, kind, piece))
                    await sink.send_all(self.edit(direction, kind, piece))
                    if kind == LINE:
                        kind = CLEAR
                    elif kind == CLEAR and payload_of(piece)[:1] == bytes([M.NEWKEYS]):
                        kind = SEALED
        await sink.aclose()

    def _size(self, kind: str, buffer: bytearray) -> int:
        """Of the next piece; 0: it has not all come."""
        if kind == LINE:
            return buffer.find(b"\n") + 1
        if kind == SEALED and self.tag_bytes is None:
            return len(buffer)
        if len(buffer) < 4:
            return 0
        size = 4 + int.from_bytes(buffer[:4], "big") + (self.tag_bytes or 0 if kind == SEALED else 0)
        return size if len(buffer) >= size else 0


@attrs.define(eq=False)
class Meeting:
    """How it ended for both."""

    client: Victim
    server: Victim
    middle: Middle

    @property
    def logged_in(self) -> bool:
        return "logged in" in self.client.called

    def check_nobody_was_let_in(self) -> None:
        """Typed errors on both sides; no policy of the server's was asked, and no password was said."""
        assert not self.logged_in
        assert self.server.called == []
        assert "password" not in self.client.called
        assert isinstance(self.client.error, trio_ssh.SSHError)
        assert isinstance(self.server.error, trio_ssh.SSHError)


async def meet(edit: Edit, algorithms: trio_ssh.Algorithms = pairs.QUICK, tag_bytes: int | None = None) -> Meeting:
    """A client and a server of ours, who want to log in with a password and say goodbye, with a man in the middle."""
    pairs.same_schedule_each_time()
    (client_stream, upper), (lower, server_stream) = pairs.misbehaving(), memory_stream_pair()
    server_end = pairs.MisbehavingStream(server_stream, pairs.Wire(), pairs.Wire(), trio.Event())
    middle = Middle(edit, tag_bytes)
    client = Victim(Role.CLIENT, RawPeer(upper, Role.SERVER), client_stream)
    server = Victim(Role.SERVER, RawPeer(lower, Role.CLIENT), server_end)
    options = {"algorithms": algorithms, "limits": None}
    with trio.fail_after(pairs.NEVER):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(middle.carry, "up", upper, lower)
            nursery.start_soon(middle.carry, "down", lower, upper)
            nursery.start_soon(serve, server, options, pairs.commands)
            nursery.start_soon(connect, client, options, trio_ssh.Client.ping)
    return Meeting(client, server, middle)
