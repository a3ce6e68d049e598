"""`read_packets`: the only receiver (laws 1 and 2), and `Router`, which gives each payload to whom it is for.

The router is called from inside the opener's loop, once a packet, with a payload that lies in the receive buffer. Channel data goes to
the mux without a copy of the payload; all else is small and is copied into bytes first. Legality is one index into the phase's routes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from ..errors import ConnectionLost, Disconnected, KeyExchangeError, RemoteProtocolError, printable
from ..protocol.identification import Identification, IdentificationReader
from ..protocol.key_exchange import inbound_numbers
from ..protocol.limits import Limits
from ..protocol.negotiator import Negotiator
from ..protocol.opener import Opener
from ..protocol.phases import Phase, PhaseTracker, Route
from ..protocol.rekey_pace import RekeyPace
from ..protocol.role import Role
from ..wire.codec import decode, encode
from ..wire.numbers import MessageNumber as M
from ..wire.transport import Debug, Disconnect, Ignore, NewKeys, Ping, Pong, Unimplemented
from .rekey_supervisor import InboundKeys, KexNews, Turn
from .sockets import Receive, receiver_for
from .transport import Transport

NOISE_CLASSES: dict[int, type] = {M.IGNORE: Ignore, M.UNIMPLEMENTED: Unimplemented, M.DEBUG: Debug}


class PacketSink(Protocol):
    """What the connection protocol looks like from here: `Mux`."""

    def receive(self, view: memoryview, start: int, end: int) -> None:
        """One message of 80-127, valid during the call."""


class Router:
    """One connection's inbound switchboard. `mux` is None until authentication has succeeded: nothing of the kind exists before."""

    __slots__ = (
        "_auth",
        "_kex",
        "_late_requests",
        "_limits",
        "_negotiator",
        "_noise",
        "_opener",
        "_pace",
        "_phases",
        "_receive_connection_message",
        "_rekey_asked_at",
        "_skip_next",
        "_transport",
        "halted_at",
    )

    def __init__(
        self,
        phases: PhaseTracker,
        opener: Opener,
        negotiator: Negotiator,
        transport: Transport,
        limits: Limits,
        kex: trio.MemorySendChannel[KexNews],
        auth: trio.MemorySendChannel[bytes],
    ) -> None:
        self._phases = phases
        self._opener = opener
        self._negotiator = negotiator
        self._transport = transport
        self._limits = limits
        self._kex = kex
        self._auth = auth
        self._receive_connection_message: Callable[[memoryview, int, int], None] | None = None
        self._skip_next = False
        self._pace = RekeyPace(limits.rekeys_per_second)
        self._noise = 0
        self._late_requests = 0
        self._rekey_asked_at: int | None = None
        self.halted_at = 0

    def attach(self, mux: PacketSink) -> None:
        """From now on messages of the connection protocol go to `mux`."""
        self._receive_connection_message = mux.receive
        self._opener.trust(self._limits.packet_bytes)

    def keys_changed(self) -> None:
        """The packets that follow are under fresh keys."""
        self._pace.keys_changed(self._opener.sequence_number)

    def check_rekey_patience(self) -> None:
        """Once a batch: a peer that has our KEXINIT and only goes on sending is cut off in the end (hardening RES-21)."""
        if self._phases.phase is not Phase.REKEY_ASKED:
            self._rekey_asked_at = None
        elif self._rekey_asked_at is None:
            self._rekey_asked_at = self._opener.bytes_opened
        elif self._opener.bytes_opened - self._rekey_asked_at > self._limits.rekey_inbound_bytes:
            raise KeyExchangeError(f"the peer sent {self._limits.rekey_inbound_bytes} bytes without answering our rekey")

    def __call__(self, view: memoryview, start: int, end: int) -> bool:
        number = view[start]
        if self._phases.routes[number] is Route.CONNECTION and self._receive_connection_message is not None:
            self._receive_connection_message(view, start, end)
            return False
        if self._skip_next and number != M.DISCONNECT:
            self._skip_next = False
            return False
        return self._route(number, bytes(view[start:end]))

    def _route(self, number: int, payload: bytes) -> bool:
        phases = self._phases
        route = phases.routes[number]
        if route is Route.KEX:
            return self._kex_message(number, payload)
        if route is Route.DISCONNECT:
            message = decode(Disconnect, payload)
            raise Disconnected(message.reason_code, message.description)
        if route is Route.NOISE:
            decode(NOISE_CLASSES[number], payload)
        elif route is Route.PING and self._knows_ping():
            if number == M.PING:
                self._transport.send_reply_nowait(encode(Pong(decode(Ping, payload).data)))
        elif route is Route.UNKNOWN or route is Route.PING:
            self._transport.send_reply_nowait(encode(Unimplemented((self._opener.sequence_number - 1) & 0xFFFFFFFF)))
        elif route is Route.LATE_AUTH:
            self._count_late_request()
        elif route is Route.AUTH:
            return self._auth_message(number, payload)
        elif route is not Route.DROP:
            raise phases.illegal(number)
        if not phases.authenticated:
            self._count_noise(number)
        return False

    def _knows_ping(self) -> bool:
        """A server says in its EXT_INFO that it answers PING; who takes no EXT_INFO cannot know (OpenSSH PROTOCOL §1.10)."""
        current = self._negotiator.current
        return self._phases.role is Role.CLIENT or (current is not None and current.ext_info)

    def _count_noise(self, number: int) -> None:
        self._noise += 1
        if self._noise > self._limits.preauth_noise_packets:
            raise RemoteProtocolError("the peer sends packets without meaning instead of logging in")
        if self._phases.phase is Phase.FIRST_PACKET:
            self._phases.received_packet(number)

    def _count_late_request(self) -> None:
        self._late_requests += 1
        if self._late_requests > self._limits.auth_requests_after_success:
            raise RemoteProtocolError("the client goes on authenticating after it has succeeded")

    def _kex_message(self, number: int, payload: bytes) -> bool:
        if number == M.KEXINIT:
            if self._phases.phase is Phase.CONNECTION:
                self._pace.peer_began(trio.current_time(), self._opener.sequence_number, self._transport.packets_under_key)
            peer = self._negotiator.receive(payload)
            self._phases.received_kexinit(
                strict=peer.negotiated.strict_kex,
                method_numbers=inbound_numbers(peer.negotiated.kex, self._phases.role),
                sequence_number=(self._opener.sequence_number - 1) & 0xFFFFFFFF,
            )
            self._skip_next = peer.guess_is_wrong
            self._tell_supervisor(peer)
            return False
        if number == M.NEWKEYS:
            decode(NewKeys, payload)
            self.halted_at = number
            return True
        self._phases.received_kex_message(number)
        self._tell_supervisor(payload)
        return False

    def _tell_supervisor(self, news: KexNews) -> None:
        try:
            self._kex.send_nowait(news)
        except trio.WouldBlock:
            raise RemoteProtocolError("the peer sends key exchange messages faster than they can be answered") from None

    def _auth_message(self, number: int, payload: bytes) -> bool:
        try:
            self._auth.send_nowait(payload)
        except trio.WouldBlock:
            raise RemoteProtocolError("the peer sends authentication messages without waiting for answers") from None
        self._phases.received_packet(number)
        if number == M.USERAUTH_SUCCESS:
            self.halted_at = number
            return True
        return False


async def read_packets(
    stream: trio.abc.ReceiveStream,
    opener: Opener,
    router: Router,
    identification: IdentificationReader,
    kex: trio.MemorySendChannel[KexNews],
    keys: trio.MemoryReceiveChannel[InboundKeys],
    muxes: trio.MemoryReceiveChannel[PacketSink],
    phases: PhaseTracker,
) -> None:
    """Receive and route until the connection ends, which is always an exception: `ConnectionLost`, `RemoteProtocolError` or
    `NegotiationError`.

    `keys` and `muxes` are the two turning points: what follows NEWKEYS and USERAUTH_SUCCESS is not touched before they have arrived.
    """
    receive = receiver_for(stream)
    try:
        peer = await _read_identification(receive, opener, identification)
        kex.send_nowait(peer)
        while True:
            while opener.open_batch(router):
                if not router.halted_at:
                    await trio.lowlevel.checkpoint()  # many small packets: somebody else's turn
                elif router.halted_at == M.NEWKEYS:
                    inbound = await keys.receive()
                    opener.switch_keys(
                        inbound.key,
                        inbound.budget,
                        inbound.on_spent,
                        reset_sequence=inbound.reset_sequence,
                        decompressor=inbound.decompressor,
                    )
                    router.keys_changed()
                    phases.received_newkeys()
                    kex.send_nowait(Turn.SWITCHED)
                else:
                    router.attach(await muxes.receive())
                    phases.authentication_succeeded()
                router.halted_at = 0
            router.check_rekey_patience()
            size = await receive(opener.space())
            if size == 0:
                raise _end_of_stream(opener)
            opener.received(size)
    except (trio.BrokenResourceError, OSError) as error:
        raise ConnectionLost(f"the connection broke: {error.__cause__ or error}") from error
    except trio.ClosedResourceError as error:
        raise ConnectionLost("the stream below the connection was closed") from error


def _not_ssh(reader: IdentificationReader) -> ConnectionLost:
    said = printable(reader.first_line.strip(), 80)
    instead = f"; it said {said!r} instead, so it may not be an SSH server" if said else ""
    return ConnectionLost(f"the peer closed the connection before it identified itself as an SSH implementation{instead}")


def _end_of_stream(opener: Opener) -> ConnectionLost:
    where = f" in the middle of a packet ({opener.pending} bytes of it had come)" if opener.pending else ""
    return ConnectionLost(f"the peer closed the connection without a DISCONNECT{where}")


async def _read_identification(receive: Receive, opener: Opener, reader: IdentificationReader) -> Identification:
    while True:
        space = opener.space()
        try:
            size = await receive(space)
        except (trio.BrokenResourceError, OSError) as error:
            if reader.first_line:
                raise _not_ssh(reader) from error
            raise
        if size == 0:
            raise _not_ssh(reader)
        peer = reader.feed(space[:size])
        if peer is not None:
            space[: len(peer.trailing)] = peer.trailing
            opener.received(len(peer.trailing))
            return peer

