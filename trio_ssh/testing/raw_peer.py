"""`RawPeer`: a peer that says whatever a test tells it to, in any state: real cryptography, no rules.

It shares the codec, the sealer and opener and the mathematics of key exchange with the library, and none of its state machines, or a
mistake in one would hide on both sides.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable

import attrs
import trio
from trio.testing import memory_stream_pair

from ..keys.key import PrivateKey
from ..protocol.key_budget import UNLIMITED
from ..protocol.key_exchange import (
    ExpectNewKeys,
    Transcript,
    is_group_exchange,
    start_client,
    start_group_client,
    start_group_server,
    start_server,
)
from ..protocol.limits import Limits
from ..protocol.negotiation import Algorithms, Negotiated, new_compressor, new_decompressor
from ..protocol.negotiator import Negotiator
from ..protocol.opener import Opener
from ..protocol.role import Role
from ..protocol.sealer import Sealer
from ..wire.codec import decode, encode
from ..wire.connection import HOSTKEYS, ChannelOpen, ChannelOpenConfirmation, ChannelRequest, Exec, GlobalRequest
from ..wire.numbers import MessageNumber as M
from ..wire.numbers import message_name
from ..wire.transport import Disconnect, KexInit, NewKeys, ServiceAccept, ServiceRequest
from ..wire.userauth import PasswordFields, UserauthRequest, UserauthSuccess
from .forged_packet import ForgedPacket
from .stage import HOST_KEY, PASSWORD, QUICK, USERNAME, of_host_key

ALL_NUMBERS = frozenset(range(256))
_ANNOUNCEMENT = encode(GlobalRequest(HOSTKEYS, False))

Streams = tuple[trio.abc.Stream, trio.abc.Stream]
"""The client's end, the server's end."""


class UnexpectedMessage(AssertionError):
    """The side under test said something else than a `RawPeer` was told to expect, or ended."""


def send_as_it_is(payload: bytes) -> Iterable[bytes]:
    """The `twist` of a peer that is honest."""
    return (payload,)


@attrs.define(eq=False)
class RawPeer:
    """``RawPeer(stream, role)``, with `line`, `host_key`, `algorithms` and `twist` as keywords; `raw_client` and `raw_server` make one.

    `log_in` goes the usual way up to the connection protocol; `send`, `send_bytes`, `send_forged` and `receive` go any other.
    Between the two lie the steps of the usual way, each to be had alone: `identify`, `send_kexinit`, `method`, `send_newkeys`,
    `take_newkeys`; `exchange_keys` for one whole exchange, the first or a rekey. `twist` changes what every step says.
    """

    stream: trio.abc.Stream
    role: Role
    """The raw peer's own."""
    line: bytes = b"SSH-2.0-raw"
    host_key: PrivateKey = HOST_KEY
    """A raw server's."""
    algorithms: Algorithms = QUICK
    """To begin with: `negotiator.algorithms` can be set later."""
    twist: Callable[[bytes], Iterable[bytes]] = send_as_it_is
    """``twist(payload)`` gives what is sent instead: nothing skips a step, two repeat it, others lie."""
    peer_line: bytes = b""
    """The other side's identification."""
    session_id: bytes = b""
    numbers: list[int] = attrs.field(factory=list)
    """Of every message received."""
    payloads: list[bytes] = attrs.field(factory=list)
    """All of every message received, and what a server says behind the login about its host keys: that is left out of all else here."""
    sealer: Sealer = attrs.field(factory=lambda: Sealer(os.urandom, lambda: None))
    opener: Opener = attrs.field(factory=lambda: Opener(1 << 20, lambda: None))
    negotiator: Negotiator = attrs.field(init=False)
    _queue: deque[bytes] = attrs.field(factory=deque)
    _logged_in: bool = False

    def __attrs_post_init__(self) -> None:
        self.negotiator = Negotiator(self.role, of_host_key(self.algorithms, self.host_key), Limits())

    # -- saying anything ---------------------------------------------------------------------------------------------------------

    async def send(self, *messages: object) -> None:
        """Seal messages of `trio_ssh.wire`, or raw payloads, and send them all at once."""
        for message in messages:
            for payload in self.twist(message if isinstance(message, bytes) else encode(message)):
                self.sealer.seal(payload)
        await self.flush()

    async def flush(self) -> None:
        """Send what `sealer` holds."""
        await self.stream.send_all(bytes(self.sealer.take_batch()))

    async def send_bytes(self, data: bytes) -> None:
        """As they are, in no packet."""
        await self.stream.send_all(data)

    async def send_forged(self, *packets: ForgedPacket) -> None:
        """Packets that lie about themselves, all at once."""
        await self.stream.send_all(b"".join(packet.seal(self.sealer) for packet in packets))

    # -- hearing everything ------------------------------------------------------------------------------------------------------

    def _sink(self, view: memoryview, start: int, end: int) -> bool:
        payload = bytes(view[start:end])
        self.payloads.append(payload)
        if payload.startswith(_ANNOUNCEMENT):
            return False  # it comes unasked and wants no answer
        self._queue.append(payload)
        self.numbers.append(payload[0])
        return payload[0] in (M.NEWKEYS, M.USERAUTH_SUCCESS)  # what follows may be under another key, or compressed

    async def receive(self) -> bytes | None:
        """The next payload; None at the end of the stream. Raises `trio.BrokenResourceError` where the stream does."""
        while not self._queue:
            if self.opener.open_batch(self._sink):
                continue
            if self._queue:
                break
            space = self.opener.space()
            data = await self.stream.receive_some(len(space))
            if not data:
                return None
            space[: len(data)] = data
            self.opener.received(len(data))
        return self._queue.popleft()

    async def expect(self, number: int, *, skip: Iterable[int] = ()) -> bytes:
        """The next payload, which must be of that number; those to skip are skipped. Raises `UnexpectedMessage`."""
        skipped = frozenset(skip)
        while True:
            payload = await self.receive()
            if payload is None:
                raise UnexpectedMessage(f"the stream ended where {message_name(number)} was due")
            if payload[0] == number:
                return payload
            if payload[0] not in skipped:
                raise UnexpectedMessage(f"{message_name(payload[0])} came where {message_name(number)} was due: {payload!r}")

    async def wait_for(self, number: int) -> bytes:
        """The next payload of that number, whatever comes before, but for a DISCONNECT."""
        return await self.expect(number, skip=ALL_NUMBERS - {number, M.DISCONNECT})

    async def expect_disconnect(self, reason: int) -> Disconnect:
        """DISCONNECT with that reason, then the end and nothing else. What was under way before it does not matter."""
        message = decode(Disconnect, await self.expect(M.DISCONNECT, skip=ALL_NUMBERS - {M.DISCONNECT}))
        if message.reason_code != reason:
            raise UnexpectedMessage(f"the reason of a DISCONNECT is not {reason}: {message}")
        await self.expect_end()
        return message

    async def expect_end(self) -> None:
        """The stream ends, or is reset, with no further message."""
        try:
            payload = await self.receive()
        except trio.BrokenResourceError:
            return
        if payload is not None:
            raise UnexpectedMessage(f"{message_name(payload[0])} came where the end was due: {payload!r}")

    async def drain(self) -> list[bytes]:
        """Every payload up to the end."""
        payloads = []
        try:
            while (payload := await self.receive()) is not None:
                payloads.append(payload)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        return payloads

    async def drain_bytes(self) -> bytes:
        """Everything up to the end, unopened: for before the first packet."""
        received = bytearray()
        try:
            while data := await self.stream.receive_some(65536):
                received += data
        except trio.BrokenResourceError:
            pass
        return bytes(received)

    # -- the usual way, step by step ---------------------------------------------------------------------------------------------

    async def identify(self) -> None:
        """Our line out, the other side's in."""
        await self.send_bytes(self.line + b"\r\n")
        received = bytearray()
        while b"\n" not in received:
            data = await self.stream.receive_some(1)
            if not data:
                raise UnexpectedMessage(f"the stream ended where an identification was due: {bytes(received)!r}")
            received += data
        self.peer_line = bytes(received).rstrip(b"\r\n")

    def kexinit(self, *, markers: bool | None = None) -> KexInit:
        """What the usual way would offer now, for `attrs.evolve`; `markers` says whether strict kex and EXT_INFO are among it.

        None: in the first exchange.
        """
        return self.negotiator.algorithms.kexinit(self.role, os.urandom(16), first=not self.session_id if markers is None else markers)

    async def send_kexinit(self) -> bytes:
        """Send the usual one and give its payload. Another one: ``await raw.send(payload)``."""
        ours = self.negotiator.our_kexinit(os.urandom(16), first=not self.session_id)
        await self.send(ours)
        return ours

    async def exchange_keys(self, *, ours: bytes = b"", theirs: bytes = b"") -> None:
        """A whole exchange; `ours` and `theirs` are KEXINITs that are out or in already. Data may come in before the peer's."""
        ours = ours or await self.send_kexinit()
        theirs = theirs or await self.wait_for(M.KEXINIT)
        await self.change_keys(await self.method(ours, theirs))

    async def method(self, ours: bytes, theirs: bytes) -> ExpectNewKeys:
        """The messages of the negotiated method, up to where NEWKEYS is due; `ours` and `theirs` are the KEXINITs' payloads."""
        negotiated = self.negotiator.receive(theirs).negotiated
        in_groups = is_group_exchange(negotiated.kex)
        if self.role is Role.CLIENT:
            transcript = Transcript(client_line=self.line, server_line=self.peer_line, client_kexinit=ours, server_kexinit=theirs)
            if in_groups:
                request, expect_group = start_group_client(transcript, negotiated)
                await self.send(request)
                init, expect_reply = expect_group.receive(await self.expect(31))
            else:
                init, expect_reply = start_client(transcript, negotiated)
            await self.send(init)
            return expect_reply.receive(await self.expect(33 if in_groups else 31)).trusted()
        transcript = Transcript(client_line=self.peer_line, server_line=self.line, client_kexinit=theirs, server_kexinit=ours)
        if in_groups:
            expect_request = start_group_server(transcript, negotiated, self.host_key, self.negotiator.algorithms.moduli, os.urandom)
            group, expect_init = expect_request.receive(await self.expect(34))
            await self.send(group)
        else:
            expect_init = start_server(transcript, negotiated, self.host_key)
        reply, new = expect_init.receive(await self.expect(32 if in_groups else 30))
        await self.send(reply)
        return new

    async def change_keys(self, new: ExpectNewKeys) -> None:
        """NEWKEYS both ways."""
        await self.send_newkeys(new)
        await self.take_newkeys(new)

    async def send_newkeys(self, new: ExpectNewKeys) -> None:
        """Say it; what is sent from here on is under the new key."""
        await self.send(NewKeys())
        self.session_id = self.session_id or new.exchange_hash
        self.sealer.switch_keys(
            new.sealing_key(self.role, self.session_id),
            UNLIMITED,
            lambda: None,
            reset_sequence=new.negotiated.strict_kex,
            compressor=new_compressor(new.negotiated, self.role, authenticated=self._logged_in),
        )

    async def take_newkeys(self, new: ExpectNewKeys) -> None:
        """Nothing but NEWKEYS may come; what is received from here on is under the new key."""
        await self.expect(M.NEWKEYS)
        self.session_id = self.session_id or new.exchange_hash
        self.opener.switch_keys(
            new.opening_key(self.role, self.session_id),
            UNLIMITED,
            lambda: None,
            reset_sequence=new.negotiated.strict_kex,
            decompressor=new_decompressor(new.negotiated, self.role, authenticated=self._logged_in),
        )

    @property
    def negotiated(self) -> Negotiated:
        """What the last exchange has agreed on."""
        if self.negotiator.current is None:
            raise UnexpectedMessage("nothing has been negotiated yet")
        return self.negotiator.current

    async def handshake(self) -> None:
        """Identification and the first keys."""
        await self.identify()
        await self.exchange_keys()

    async def log_in(self) -> None:
        """Up to USERAUTH_SUCCESS, in either role: a client says the right `PASSWORD`, a server takes any request."""
        await self.handshake()
        if self.role is Role.CLIENT:
            await self.send(ServiceRequest("ssh-userauth"))
            await self.expect(M.SERVICE_ACCEPT, skip=[M.EXT_INFO])
            await self.send(password_request(PASSWORD))
            await self.expect(M.USERAUTH_SUCCESS, skip=[M.EXT_INFO])
        else:
            await self.expect(M.SERVICE_REQUEST, skip=[M.EXT_INFO])
            await self.send(ServiceAccept("ssh-userauth"))
            await self.expect(M.USERAUTH_REQUEST)
            await self.send(UserauthSuccess())
        self._logged_in = True
        self.sealer.compress_with(new_compressor(self.negotiated, self.role, authenticated=True))
        self.opener.decompress_with(new_decompressor(self.negotiated, self.role, authenticated=True))

    async def open_session(self, command: str | None = None, *, number: int = 0, window: int = 1 << 20, packet: int = 32768) -> int:
        """As a client: a session, and a command in it. Gives the server's number of the channel."""
        await self.send(ChannelOpen("session", number, window, packet))
        theirs = decode(ChannelOpenConfirmation, await self.expect(M.CHANNEL_OPEN_CONFIRMATION)).sender_channel
        if command is not None:
            await self.send(ChannelRequest(theirs, "exec", True, encode(Exec(command.encode()))))
            await self.expect(M.CHANNEL_SUCCESS)
        return theirs


def password_request(password: str, username: str = USERNAME) -> UserauthRequest:
    """The message of a client that says its password (RFC 4252 §8)."""
    return UserauthRequest(username, "ssh-connection", "password", encode(PasswordFields(False, password.encode())))


def raw_client(streams: Streams | None = None) -> tuple[RawPeer, trio.abc.Stream]:
    """A client to be told what to do, and the stream for the server under test. `streams` default to a pair in memory."""
    client_stream, server_stream = streams or memory_stream_pair()
    return RawPeer(client_stream, Role.CLIENT), server_stream


def raw_server(streams: Streams | None = None) -> tuple[RawPeer, trio.abc.Stream]:
    """A server to be told what to do, and the stream for the client under test. Its key is the stage's `HOST_KEY`."""
    client_stream, server_stream = streams or memory_stream_pair()
    return RawPeer(server_stream, Role.SERVER), client_stream
