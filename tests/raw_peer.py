"""A peer that does whatever a test tells it: real cryptography, no rules.

It shares the codec, the sealer and opener and the mathematics of key exchange with the library, and none of its state machines: it sends
any payload at any time and records the number of everything that comes.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable

import attrs
import trio
from trio.testing import memory_stream_pair

import trio_ssh
from tests import pairs
from trio_ssh.protocol.key_budget import UNLIMITED
from trio_ssh.protocol.key_exchange import ExpectNewKeys, Transcript, start_client, start_server
from trio_ssh.protocol.negotiation import Negotiated
from trio_ssh.protocol.negotiator import Negotiator
from trio_ssh.protocol.opener import Opener
from trio_ssh.protocol.role import Role
from trio_ssh.protocol.sealer import Sealer
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import ChannelOpen, ChannelOpenConfirmation, ChannelRequest, Exec
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Disconnect, NewKeys, ServiceAccept, ServiceRequest
from trio_ssh.wire.userauth import PasswordFields, UserauthRequest, UserauthSuccess

PASSWORD = "canary"


async def check_password(username: str, password: str) -> bool:
    return password == PASSWORD


PASSWORDS = trio_ssh.Passwords(check_password)


@attrs.define(eq=False)
class RawPeer:
    """`log_in` for the usual way up to the connection protocol; `rekey` for one more exchange; else `send` and `receive`."""

    stream: trio.abc.Stream
    role: Role
    line: bytes = b"SSH-2.0-raw"
    peer_line: bytes = b""
    session_id: bytes = b""
    numbers: list[int] = attrs.field(factory=list)
    """Of every message received."""
    sealer: Sealer = attrs.field(factory=lambda: Sealer(os.urandom, lambda: None))
    opener: Opener = attrs.field(factory=lambda: Opener(1 << 20, lambda: None))
    negotiator: Negotiator = attrs.field(init=False)
    _queue: deque[bytes] = attrs.field(factory=deque)
    _halted: bool = False

    def __attrs_post_init__(self) -> None:
        algorithms = attrs.evolve(pairs.QUICK, host_keys=pairs.HOST_KEY.public_key.signature_algorithms)
        self.negotiator = Negotiator(self.role, algorithms, trio_ssh.Limits())

    # -- bytes and payloads ------------------------------------------------------------------------------------------------------

    async def send(self, *messages: object) -> None:
        """Seal messages or raw payloads and send them all at once."""
        for message in messages:
            self.sealer.seal(message if isinstance(message, bytes) else encode(message))
        await self.flush()

    async def flush(self) -> None:
        await self.stream.send_all(bytes(self.sealer.take_batch()))

    async def send_bytes(self, data: bytes) -> None:
        await self.stream.send_all(data)

    def _sink(self, view: memoryview, start: int, end: int) -> bool:
        self._queue.append(bytes(view[start:end]))
        self.numbers.append(view[start])
        self._halted = view[start] == M.NEWKEYS
        return self._halted

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
        """The next payload, which must be of that number; those to skip are skipped."""
        while True:
            payload = await self.receive()
            assert payload is not None, f"the stream ended where {M(number).name} was due"
            if payload[0] == number:
                return payload
            assert payload[0] in skip, f"{payload[0]} came where {M(number).name} was due: {payload!r}"

    async def wait_for(self, number: int) -> bytes:
        """The next payload of that number, whatever comes before."""
        return await self.expect(number, skip=set(range(256)) - {number, M.DISCONNECT})

    async def expect_disconnect(self, reason: int) -> Disconnect:
        """DISCONNECT with that reason, then the end and nothing else. What was under way before it does not matter."""
        payload = await self.expect(M.DISCONNECT, skip=set(range(256)) - {M.DISCONNECT})
        message = decode(Disconnect, payload)
        assert message.reason_code == reason, message
        await self.expect_end()
        return message

    async def expect_end(self) -> None:
        try:
            assert await self.receive() is None
        except trio.BrokenResourceError:
            pass

    async def drain(self) -> list[bytes]:
        """Everything up to the end."""
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

    # -- the usual way -----------------------------------------------------------------------------------------------------------

    async def identify(self) -> None:
        await self.send_bytes(self.line + b"\r\n")
        received = bytearray()
        while b"\n" not in received:
            data = await self.stream.receive_some(1)
            assert data, f"no identification came: {received!r}"
            received += data
        self.peer_line = bytes(received).rstrip(b"\r\n")

    async def send_kexinit(self) -> bytes:
        ours = self.negotiator.our_kexinit(os.urandom(16), first=not self.session_id)
        await self.send(ours)
        return ours

    async def exchange_keys(self, *, ours: bytes = b"", theirs: bytes = b"") -> None:
        """A whole exchange; `ours` and `theirs` are KEXINITs that are out or in already. Data may come in before the peer's."""
        ours = ours or await self.send_kexinit()
        theirs = theirs or await self.wait_for(M.KEXINIT)
        new = await self.method(ours, theirs)
        await self.change_keys(new)

    async def method(self, ours: bytes, theirs: bytes) -> ExpectNewKeys:
        negotiated = self.negotiator.receive(theirs).negotiated
        if self.role is Role.CLIENT:
            transcript = Transcript(client_line=self.line, server_line=self.peer_line, client_kexinit=ours, server_kexinit=theirs)
            init, state = start_client(transcript, negotiated)
            await self.send(init)
            return state.receive(await self.expect(31)).trusted()
        transcript = Transcript(client_line=self.peer_line, server_line=self.line, client_kexinit=theirs, server_kexinit=ours)
        reply, new = start_server(transcript, negotiated, pairs.HOST_KEY).receive(await self.expect(30))
        await self.send(reply)
        return new

    async def change_keys(self, new: ExpectNewKeys) -> None:
        await self.send(NewKeys())
        self.session_id = self.session_id or new.exchange_hash
        strict = new.negotiated.strict_kex
        self.sealer.switch_keys(new.sealing_key(self.role, self.session_id), UNLIMITED, lambda: None, reset_sequence=strict)
        await self.expect(M.NEWKEYS)
        self.opener.switch_keys(new.opening_key(self.role, self.session_id), UNLIMITED, lambda: None, reset_sequence=strict)

    @property
    def negotiated(self) -> Negotiated:
        assert self.negotiator.current is not None
        return self.negotiator.current

    async def handshake(self) -> None:
        """Identification and the first keys."""
        await self.identify()
        await self.exchange_keys()

    async def log_in(self) -> None:
        """Up to USERAUTH_SUCCESS, in either role: a client's password is right, a server takes any request."""
        await self.handshake()
        if self.role is Role.CLIENT:
            await self.send(ServiceRequest("ssh-userauth"))
            await self.expect(M.SERVICE_ACCEPT, skip=[M.EXT_INFO])
            await self.send(password_request(PASSWORD))
            await self.expect(M.USERAUTH_SUCCESS)
        else:
            await self.expect(M.SERVICE_REQUEST)
            await self.send(ServiceAccept("ssh-userauth"))
            await self.expect(M.USERAUTH_REQUEST)
            await self.send(UserauthSuccess())

    async def open_session(self, command: str | None = None, *, number: int = 0, window: int = 1 << 20, packet: int = 32768) -> int:
        """As a client: a session, and a command in it. Gives the server's number of the channel."""
        await self.send(ChannelOpen("session", number, window, packet))
        theirs = decode(ChannelOpenConfirmation, await self.expect(M.CHANNEL_OPEN_CONFIRMATION)).sender_channel
        if command is not None:
            await self.send(ChannelRequest(theirs, "exec", True, encode(Exec(command.encode()))))
            await self.expect(M.CHANNEL_SUCCESS)
        return theirs


def password_request(password: str, username: str = "ada") -> UserauthRequest:
    return UserauthRequest(username, "ssh-connection", "password", encode(PasswordFields(False, password.encode())))


def raw_client() -> tuple[RawPeer, trio.abc.Stream]:
    """A client to be told what to do, and the stream for a server of ours."""
    client_stream, server_stream = memory_stream_pair()
    return RawPeer(client_stream, Role.CLIENT), server_stream


def raw_server() -> tuple[RawPeer, trio.abc.Stream]:
    """A server to be told what to do, and the stream for a client of ours."""
    client_stream, server_stream = memory_stream_pair()
    return RawPeer(server_stream, Role.SERVER), client_stream
