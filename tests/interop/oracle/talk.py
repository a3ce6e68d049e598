"""A `RawPeer` whose conversation goes on to its end whatever is answered on the way, so that what became of a bad message can be told."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from typing import Any

import attrs
import trio

from tests import pairs
from tests.interop.oracle.outcomes import CLOSED, Outcome, answered, disconnected
from tests.raw_peer import RawPeer
from trio_ssh import PrivateKey
from trio_ssh.crypto.packet_key import NoSealingKey, SealingKey
from trio_ssh.protocol.key_budget import UNLIMITED
from trio_ssh.protocol.key_exchange import ExpectNewKeys, Transcript, start_client, start_server
from trio_ssh.protocol.negotiation import STRICT_MARKER, Negotiated
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import ChannelOpen, ChannelOpenFailureMessage
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Disconnect, KexInit, NewKeys

NOISE = {M.IGNORE, M.DEBUG, M.EXT_INFO, M.USERAUTH_BANNER, M.GLOBAL_REQUEST, M.CHANNEL_WINDOW_ADJUST}
"""What either side may say at any time and what answers nothing."""

INITIATIVE = {M.SERVICE_REQUEST, M.USERAUTH_REQUEST, M.CHANNEL_OPEN, M.CHANNEL_REQUEST}
"""What a client says by itself, perhaps before a script is there."""

PROBE = 1000
"""Our number of the channel that is asked for to see whether the connection works."""


class Ended(Exception):
    """The peer has ended the connection."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome


def _acknowledge_at_once(stream: trio.abc.Stream) -> None:
    """OpenSSH holds a small packet back until we acknowledge the one before, which Linux puts off for 40 ms unless told otherwise."""
    option = getattr(socket, "TCP_QUICKACK", None)
    if option is not None and isinstance(stream, trio.SocketStream):
        stream.setsockopt(socket.IPPROTO_TCP, option, 1)


@attrs.define(eq=False)
class Talk:
    """The usual way is `identify`, `kexinits`, `share`, `change_keys`; a script puts its bad message anywhere between.

    `answers` are what came unasked. Whatever is called raises `Ended` when the peer has ended the connection.
    """

    peer: RawPeer
    strict: bool = True
    host_key: PrivateKey = pairs.HOST_KEY
    """As a server."""
    answers: list[bytes] = attrs.field(factory=list)
    ours: bytes = b""
    theirs: bytes = b""
    """The KEXINITs of the exchange under way."""
    new: ExpectNewKeys | None = None
    sealing_key: SealingKey = attrs.field(factory=NoSealingKey)
    kept: list[bytes] = attrs.field(factory=list)
    """What a client began with and no script has asked for yet."""

    # -- bytes and messages ----------------------------------------------------------------------------------------------------------

    async def send(self, *messages: object) -> None:
        try:
            await self.peer.send(*messages)
        except trio.BrokenResourceError:
            await self.wait_for_end()

    async def send_bytes(self, data: bytes) -> None:
        try:
            await self.peer.send_bytes(data)
        except trio.BrokenResourceError:
            await self.wait_for_end()

    async def send_packet(self, packet_length: int, body: bytes) -> None:
        """A packet that says `packet_length`, whatever stands behind it, sealed like any other."""
        key, sealer = self.sealing_key, self.peer.sealer
        wire = bytearray(struct.pack(">I", packet_length) + body + bytes(key.tag_bytes))
        key.seal(memoryview(wire), 0, 4 + len(body), sealer.sequence_number)
        sealer.sequence_number += 1
        await self.send_bytes(bytes(wire))

    def sealed(self, message: object) -> bytes:
        """A packet that is not sent yet."""
        self.peer.sealer.seal(message if isinstance(message, bytes) else encode(message))
        return bytes(self.peer.sealer.take_batch())

    async def receive(self) -> bytes:
        """The next message that is no noise."""
        while True:
            _acknowledge_at_once(self.peer.stream)
            try:
                payload = await self.peer.receive()
            except trio.BrokenResourceError:
                payload = None
            if payload is None:
                raise Ended(CLOSED)
            if payload[0] == M.DISCONNECT:
                raise Ended(disconnected(decode(Disconnect, payload).reason_code))
            if payload[0] not in NOISE:
                return payload

    async def expect(self, number: int) -> bytes:
        """The next message of that number; others before it are answers, or are kept for later when a client begins with them."""
        for kept in self.kept:
            if kept[0] == number:
                self.kept.remove(kept)
                return kept
        while (payload := await self.receive())[0] != number:
            assert number != M.USERAUTH_SUCCESS or payload[0] != M.USERAUTH_FAILURE, "the login was refused"
            by_itself = self.peer.role is Role.SERVER and payload[0] in INITIATIVE
            (self.kept if by_itself else self.answers).append(payload)
        return payload

    async def receive_answer(self) -> None:
        """For where one must come."""
        self.answers.append(await self.receive())

    async def wait_for_end(self) -> None:
        while True:
            await self.receive()

    def outcome(self, quiet: Outcome) -> Outcome:
        """By what was answered; `quiet` when nothing was."""
        if not self.answers:
            return quiet
        first = self.answers[0]
        return answered(first[0], decode(ChannelOpenFailureMessage, first).reason_code if first[0] == M.CHANNEL_OPEN_FAILURE else None)

    async def probe(self) -> None:
        """Once logged in: a channel that everybody refuses shows that the connection works."""
        await self.send(ChannelOpen("probe@oracle", PROBE, 1 << 20, 32768))
        while decode(ChannelOpenFailureMessage, answer := await self.expect(M.CHANNEL_OPEN_FAILURE)).recipient_channel != PROBE:
            self.answers.append(answer)

    # -- identification --------------------------------------------------------------------------------------------------------------

    async def identify(self, line: bytes = b"SSH-2.0-oracle", ending: bytes = b"\r\n", *, before: bytes = b"", behind: bytes = b"") -> None:
        """Both lines, ours in one segment with what is `before` and `behind` it."""
        self.peer.line = line
        await self.send_bytes(before + line + ending + behind)
        await self.read_line()

    async def read_line(self) -> None:
        """The peer's. What it says in plain text after that is the end of the connection."""
        received = b""
        while not received.endswith(b"\n"):
            received += await self._byte()
        self.peer.peer_line = received.rstrip(b"\r\n")
        first = await self._byte()
        if first != b"\0":  # no packet is so long that its length does not begin with 0
            await self.peer.drain_bytes()
            raise Ended(CLOSED)
        self.peer.opener.space()[:1] = first
        self.peer.opener.received(1)

    async def _byte(self) -> bytes:
        try:
            data = bytes(await self.peer.stream.receive_some(1))
        except trio.BrokenResourceError:
            data = b""
        if not data:
            raise Ended(CLOSED)
        return data

    # -- key exchange ----------------------------------------------------------------------------------------------------------------

    def offer(self, **lists: Any) -> None:
        """Change what we can do: fields of `Algorithms`, tuples of names."""
        negotiator = self.peer.negotiator
        negotiator.algorithms = attrs.evolve(negotiator.algorithms, **lists)

    def kexinit(self, **changes: Any) -> bytes:
        """Ours, with fields changed; without the marker of strict key exchange where this talk is not strict."""
        message: Any = decode(KexInit, self.peer.negotiator.our_kexinit(os.urandom(16), first=not self.peer.session_id))
        kex = tuple(name for name in message.kex_algorithms if self.strict or name != STRICT_MARKER[self.peer.role])
        return encode(attrs.evolve(message, **{"kex_algorithms": kex, **changes}))

    async def kexinits(self, ours: bytes = b"") -> None:
        """Both KEXINITs; ours as given or the usual."""
        self.ours = ours or self.kexinit()
        await self.send(self.ours)
        self.theirs = await self.expect(M.KEXINIT)

    async def meet(self) -> None:
        """Identification and KEXINITs."""
        await self.identify()
        await self.kexinits()

    def negotiate(self) -> Negotiated:
        """What both KEXINITs come to."""
        return self.peer.negotiator.receive(self.theirs).negotiated

    async def share(self, lie: Callable[[bytes], object] = bytes) -> None:
        """The method's messages. A server sends what `lie` makes of its KEX_REPLY."""
        peer, negotiated = self.peer, self.negotiate()
        if peer.role is Role.CLIENT:
            init, state = start_client(self.transcript(), negotiated)
            await self.send(init)
            self.new = state.receive(await self.expect(31)).trusted()
        else:
            reply, self.new = start_server(self.transcript(), negotiated, self.host_key).receive(await self.expect(30))
            await self.send(lie(reply))

    def transcript(self) -> Transcript:
        peer = self.peer
        if peer.role is Role.CLIENT:
            lines, kexinits = (peer.line, peer.peer_line), (self.ours, self.theirs)
        else:
            lines, kexinits = (peer.peer_line, peer.line), (self.theirs, self.ours)
        return Transcript(client_line=lines[0], server_line=lines[1], client_kexinit=kexinits[0], server_kexinit=kexinits[1])

    async def change_keys(self, *, sealing: bool = True) -> None:
        """NEWKEYS, both ways. Without `sealing` what we send stays under the old keys."""
        new, peer = self.new, self.peer
        assert new is not None
        await self.send(NewKeys())
        peer.session_id = peer.session_id or new.exchange_hash
        if sealing:
            self.sealing_key = new.sealing_key(peer.role, peer.session_id)
            peer.sealer.switch_keys(self.sealing_key, UNLIMITED, lambda: None, reset_sequence=self.strict)
        await self.expect(M.NEWKEYS)
        peer.opener.switch_keys(new.opening_key(peer.role, peer.session_id), UNLIMITED, lambda: None, reset_sequence=self.strict)

    async def finish_exchange(self) -> None:
        await self.share()
        await self.change_keys()

    async def handshake(self) -> None:
        """Up to the first keys."""
        await self.meet()
        await self.finish_exchange()

    async def rekey(self) -> None:
        await self.kexinits()
        await self.finish_exchange()
