"""`Connection`: the nursery of one connection, from the first byte to the last.

`run` starts reader, writer and rekey supervisor; the transport goes from the supervisor to the authentication task, and what that makes of
it, the mux, to the reader and the user. Any task's exception is the connection's first cause: work stops, every waiter is told, a
DISCONNECT leaves if one is due, and the writer, which alone must not be cut off in mid-packet, gets a moment to finish.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs
import trio

from ..errors import AuthenticationFailed, ConnectionLost, HostKeyError, LocalProtocolError, NegotiationError, RemoteProtocolError, SSHError
from ..keys.key import PrivateKey, PublicKey
from ..keys.signature import DEFAULT_HOST_KEY_ALGORITHMS
from ..protocol.auth_client import ClientAuthentication, extensions_of_server, is_tested
from ..protocol.auth_server import ServerAuthentication
from ..protocol.identification import IdentificationReader, identification_line
from ..protocol.limits import Limits
from ..protocol.negotiation import Algorithms, Negotiated
from ..protocol.negotiator import Negotiator
from ..protocol.opener import Opener
from ..protocol.phases import PhaseTracker
from ..protocol.role import Role
from ..protocol.sealer import Sealer
from ..wire.numbers import DisconnectReason
from .authentication import Authenticator, ClientPlan, IdentityChecker, IdentityProver
from .events import ConnectionEnded, Event, KeyExchangeDone, Observer, RekeyCause, contained
from .incoming import OpenHandler, refuse_open
from .keepalive import keep_alive
from .mux import Mux
from .reader import PacketSink, Router, read_packets
from .rekey_supervisor import KEX_NEWS_WAITING, InboundKeys, KexNews, OurIdentity, RekeySupervisor
from .sockets import close_at_once
from .statistics import ChannelStatistics, Statistics
from .transport import Transport
from .writer import write_outbox

FLUSH_SECONDS = 1.0

T = TypeVar("T")
Pair = tuple[trio.MemorySendChannel[T], trio.MemoryReceiveChannel[T]]


@attrs.frozen(kw_only=True)
class ClientSide:
    """What makes a connection a client's."""

    plan: ClientPlan
    trust: Callable[[PublicKey], Awaitable[None]]
    """The host key policy: returns for a good key, raises `HostKeyError` for another."""


def ignore_login(username: str) -> None:
    """For servers that need not know."""


@attrs.frozen(kw_only=True)
class ServerSide:
    """What makes a connection a server's."""

    host_keys: tuple[PrivateKey, ...]
    policy: Authenticator
    on_login: Callable[[str], None] = ignore_login
    """Told the user's name, right behind the SUCCESS."""
    on_open: OpenHandler = refuse_open
    """Told, in the reader's task, of each channel a client wants to open."""
    peer: str = ""
    local: str = ""
    incoming_types: tuple[str, ...] = ("session",)


@attrs.define(eq=False)
class Connection:
    """One SSH connection over `stream`. `run` does everything; the rest looks, or wakes it."""

    stream: trio.abc.Stream
    side: ClientSide | ServerSide
    algorithms: Algorithms
    limits: Limits
    software: str
    observer: Observer | None = None
    username: str = ""
    cause: SSHError | None = None
    """The first cause of the connection's end; None while it lives or when we ended it ourselves."""
    mux: Mux | None = None
    settled: trio.Event = attrs.field(factory=trio.Event)
    """Set when somebody is logged in, or nobody will be: `mux` says which."""
    ended: trio.Event = attrs.field(factory=trio.Event)
    _stopping: trio.Event = attrs.field(factory=trio.Event)
    _login: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _parts: Parts | None = None
    _rekeys: list[RekeyCause] = attrs.field(factory=list)

    @property
    def role(self) -> Role:
        return Role.CLIENT if isinstance(self.side, ClientSide) else Role.SERVER

    @property
    def peer(self) -> str:
        """A client's address as text, "" where there is none."""
        return self.side.peer if isinstance(self.side, ServerSide) else ""

    @property
    def local(self) -> str:
        """Our own address, likewise."""
        return self.side.local if isinstance(self.side, ServerSide) else ""

    @property
    def parts(self) -> Parts:
        if self._parts is None:
            raise LocalProtocolError("the connection has not been started")
        return self._parts

    async def run(self) -> None:
        """Until the connection ends; `settled` is set when somebody is logged in, or nobody will be.

        Why it ended is in `cause`, and every call on the connection raises it; what comes out of here are only cancellations and mistakes
        of ours.
        """
        self._parts = parts = Parts.build(self)
        writer_scope = trio.CancelScope(shield=True)  # sealed packets must not be cut: it ends after the flush, below
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, parts, writer_scope)
                nursery.start_soon(self._guard, parts.read)
                nursery.start_soon(self._guard, parts.supervise)
                try:
                    await self._log_in(nursery)
                    await self._stopping.wait()
                finally:
                    self._tell_everybody(parts)
                    nursery.cancel_scope.cancel()
                    with trio.move_on_after(min(FLUSH_SECONDS, self.limits.close_seconds), shield=True):
                        await parts.transport.flush()
                    writer_scope.cancel()
        finally:
            self.settled.set()
            self.ended.set()
            if self.observer is not None:
                self.observer(ConnectionEnded(self.cause))
            await close_at_once(self.stream)

    async def _log_in(self, nursery: trio.Nursery) -> None:
        """Until somebody is logged in or nobody will be. A server's clients have a deadline."""
        if self.role is Role.SERVER:
            self._login.deadline = trio.current_time() + self.limits.login_seconds
        with self._login:
            await self._guard(self._authenticate)
        if self._login.cancelled_caught:
            # Either `end` has ended this already, and its cause counts, or it was the deadline.
            self.end(ConnectionLost(f"the client did not log in within {self.limits.login_seconds:g} s"))
        elif self.limits.keepalive_seconds is not None and self.mux is not None:
            nursery.start_soon(self._guard, self._keep_alive)

    async def _keep_alive(self) -> None:
        limits, opener = self.limits, self.parts.opener
        if self.mux is not None and limits.keepalive_seconds is not None:
            await keep_alive(
                self.parts.transport, self.mux, lambda: opener.bytes_received, limits.keepalive_seconds, limits.keepalive_misses
            )

    async def _guard(self, work: Callable[[], Awaitable[None]]) -> None:
        """An error of one task is the end of the connection, not of whoever opened its nursery."""
        try:
            await work()
        except SSHError as error:
            self.end(error)

    async def _write(self, parts: Parts, scope: trio.CancelScope) -> None:
        with scope:
            await self._guard(lambda: write_outbox(self.stream, parts.transport))

    def end(self, cause: SSHError | None) -> None:
        """Stop. Only the first call's cause counts; None is an end of our own."""
        if not self._stopping.is_set():
            self.cause = cause
            self._stopping.set()
            self._login.cancel()
            self.settled.set()

    def _tell_everybody(self, parts: Parts) -> None:
        """A DISCONNECT for the peer where one is due, and the end of every wait on our side. Synchronous."""
        self._say_goodbye(parts.transport)
        cause = self.cause or ConnectionLost("the connection was closed")
        parts.transport.fail(cause)
        parts.supervisor.done.unpark_all()
        if self.mux is not None:
            self.mux.fail(cause)

    def _say_goodbye(self, transport: Transport) -> None:
        cause = self.cause
        if cause is None:
            transport.disconnect_nowait(DisconnectReason.BY_APPLICATION, "closed")
        elif isinstance(cause, RemoteProtocolError):
            if cause.plain_text and self.role is Role.SERVER:
                transport.send_line_nowait(cause.plain_text)
            elif cause.reason is not None:
                transport.disconnect_nowait(cause.reason, str(cause))
        elif isinstance(cause, NegotiationError):
            transport.disconnect_nowait(DisconnectReason.KEY_EXCHANGE_FAILED, str(cause))
        elif isinstance(cause, HostKeyError):
            transport.disconnect_nowait(DisconnectReason.HOST_KEY_NOT_VERIFIABLE, "the host key is not accepted")
        elif isinstance(cause, AuthenticationFailed):
            transport.disconnect_nowait(DisconnectReason.NO_MORE_AUTH_METHODS_AVAILABLE, "no more authentication methods to try")
        elif not isinstance(cause, ConnectionLost):
            # A matter of ours, such as a key file that cannot be read: the peer need not know what it was.
            transport.disconnect_nowait(DisconnectReason.BY_APPLICATION, "closed")

    # -- authentication ----------------------------------------------------------------------------------------------------------

    async def _authenticate(self) -> None:
        parts = self.parts
        transport = await parts.transports.receive()
        state = parts.supervisor.state
        assert state.session_id is not None  # the transport is handed on behind the first exchange only
        side = self.side
        if isinstance(side, ClientSide):
            machine = ClientAuthentication(side.plan.username, state.session_id, self.limits)
            prover = IdentityProver(machine, transport, parts.auth_messages, side.plan, self.observer, is_tested(state.peer_line))
            await prover.prove_identity()
            self.username = side.plan.username
            self.mux = Mux(transport, self.limits, self.observer)
            parts.muxes_in.send_nowait(self.mux)
        else:
            checker = ServerAuthentication(state.session_id, tuple(side.policy.methods), self.limits, side.peer)
            await IdentityChecker(checker, transport, parts.auth_messages, side.policy, self.observer, self._granted).check_identity()
        parts.supervisor.allow_rekeys()
        self.settled.set()

    def _granted(self, username: str, payload: bytes) -> None:
        """One synchronous act: the client may speak the connection protocol from SUCCESS on, and not a packet earlier."""
        assert isinstance(self.side, ServerSide)
        parts = self.parts
        self.username = username
        self.mux = mux = Mux(parts.transport, self.limits, self.observer, self.side.incoming_types)
        mux.on_open = self.side.on_open
        parts.transport.send_nowait(payload)
        parts.phases.authentication_succeeded()
        parts.router.attach(mux)
        self.side.on_login(username)

    def identity(self) -> OurIdentity:
        """What we are in a key exchange."""
        line = identification_line(self.software)
        if isinstance(self.side, ClientSide):
            return OurIdentity(line=line, trust=self.side.trust)
        return OurIdentity(
            line=line, host_keys=keys_by_algorithm(self.side.host_keys), first_payload=extensions_of_server(DEFAULT_HOST_KEY_ALGORITHMS)
        )

    # -- looking -----------------------------------------------------------------------------------------------------------------

    @property
    def negotiated(self) -> Negotiated:
        negotiated = self.parts.negotiator.current
        if negotiated is None:
            raise LocalProtocolError("nothing has been negotiated yet")
        return negotiated

    def statistics(self) -> Statistics:
        parts = self.parts
        channels = self.mux.channels.values() if self.mux is not None else ()
        return Statistics(
            bytes_sent=parts.transport.bytes_sent,
            bytes_received=parts.opener.bytes_opened,
            packets_sent=parts.transport.packets_sent,
            packets_received=parts.opener.packets_opened,
            bytes_waiting=parts.transport.bytes_waiting,
            rekeys=tuple(self._rekeys),
            channels=tuple(
                ChannelStatistics(
                    number=channel.number,
                    channel_type=channel.channel_type,
                    send_window=channel.outlet.window.credit,
                    receive_window=channel.receive_window.credit,
                    bytes_unread=len(channel.inbox) + (len(channel.stderr_inbox) if channel.stderr_inbox else 0),
                )
                for channel in channels
            ),
        )

    def note(self, event: Event) -> None:
        """Every key exchange is counted; the rest is for the observer."""
        if isinstance(event, KeyExchangeDone) and event.cause is not RekeyCause.FIRST:
            self._rekeys.append(event.cause)
        if self.observer is not None:
            self.observer(event)


@attrs.frozen(kw_only=True, eq=False)
class Parts:
    """The machines and the memory channels between the tasks: wired once, then only used."""

    transport: Transport
    opener: Opener
    phases: PhaseTracker
    negotiator: Negotiator
    supervisor: RekeySupervisor
    router: Router
    transports: trio.MemoryReceiveChannel[Transport]
    auth_messages: trio.MemoryReceiveChannel[bytes]
    muxes_in: trio.MemorySendChannel[PacketSink]
    read: Callable[[], Awaitable[None]]
    supervise: Callable[[], Awaitable[None]]

    @classmethod
    def build(cls, connection: Connection) -> Parts:
        limits, role = connection.limits, connection.role
        if connection.observer is not None:
            connection.observer = contained(connection.observer)
        # Annotated instead of subscripted: trio's subscript costs as much again as the channel, and this is done for every connection.
        news: Pair[KexNews] = trio.open_memory_channel(KEX_NEWS_WAITING)
        keys: Pair[InboundKeys] = trio.open_memory_channel(1)
        auth_messages: Pair[bytes] = trio.open_memory_channel(limits.auth_messages_waiting)
        transports: Pair[Transport] = trio.open_memory_channel(1)
        muxes: Pair[PacketSink] = trio.open_memory_channel(1)

        phases = PhaseTracker(role)
        negotiator = Negotiator(role, connection.algorithms, limits)
        # Before the first keys there is no budget to spend: the first `on_spent` is never called.
        sealer = Sealer(os.urandom, lambda: None)
        opener = Opener(limits.packet_bytes_preauth, lambda: None)
        transport = Transport(sealer, limits)
        supervisor = RekeySupervisor(
            negotiator=negotiator,
            phases=phases,
            transport=transport,
            limits=limits,
            us=connection.identity(),
            random=os.urandom,
            observer=connection.note,
            news_in=news[0],
            news=news[1],
            keys_out=keys[0],
            transports_out=transports[0],
        )
        router = Router(phases, opener, negotiator, transport, limits, news[0], auth_messages[0])
        identification = IdentificationReader(role, limits)
        return cls(
            transport=transport,
            opener=opener,
            phases=phases,
            negotiator=negotiator,
            supervisor=supervisor,
            router=router,
            transports=transports[1],
            auth_messages=auth_messages[1],
            muxes_in=muxes[0],
            read=lambda: read_packets(connection.stream, opener, router, identification, news[0], keys[1], muxes[1], phases),
            supervise=supervisor.supervise_keys,
        )


def keys_by_algorithm(host_keys: tuple[PrivateKey, ...]) -> dict[str, PrivateKey]:
    """Which of the server's keys signs for a negotiated host key algorithm: the first that can."""
    table: dict[str, PrivateKey] = {}
    for key in host_keys:
        for algorithm in key.public_key.signature_algorithms:
            table.setdefault(algorithm, key)
    return table
