"""`Connection`: the nursery of one connection, from the first byte to the last.

`run` starts reader, writer and rekey supervisor; the transport goes from the supervisor to the authentication task, and what that makes of
it, the mux, to the reader and the user. Any task's exception is the connection's first cause: work stops, every waiter is told, a
DISCONNECT leaves if one is due, and the writer, which alone must not be cut off in mid-packet, gets a moment to finish.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import attrs
import trio

from ..errors import AuthenticationFailed, ConnectionLost, HostKeyError, LocalProtocolError, NegotiationError, RemoteProtocolError, SSHError
from ..protocol.auth_client import ClientAuthentication, is_tested
from ..protocol.auth_server import ServerAuthentication
from ..protocol.identification import identification_line
from ..protocol.limits import Limits
from ..protocol.negotiation import Algorithms, Negotiated, is_delayed, new_compressor, new_decompressor
from ..protocol.role import Role
from ..wire.numbers import DisconnectReason
from .authenticator import NOBODY, LoggedIn, has_signatures_by_user
from .events import ConnectionEnded, Event, KeyExchangeDone, Observer, RekeyCause, contained
from .identity_checker import IdentityChecker
from .identity_prover import IdentityProver
from .keepalive import keep_alive
from .mux import Mux
from .offers import SessionBinding
from .parts import Parts
from .sides import ClientSide, ServerSide
from .sockets import close_at_once, unacknowledged
from .statistics import ChannelStatistics, RekeyHistory, Statistics
from .transport import Transport
from .writer import write_outbox

FLUSH_SECONDS = 1.0

_log = logging.getLogger("trio_ssh.connection")


@attrs.define(eq=False)
class Connection:
    """One SSH connection over `stream`. `run` does everything; the rest looks, or wakes it."""

    stream: trio.abc.Stream
    side: ClientSide | ServerSide
    algorithms: Algorithms
    limits: Limits
    software: str
    observer: Observer | None = None
    logged_in: LoggedIn = NOBODY
    """Who is logged in, by what, and what they may do."""
    cause: SSHError | None = None
    """The first cause of the connection's end; None while it lives or when we ended it ourselves."""
    mux: Mux | None = None
    settled: trio.Event = attrs.field(factory=trio.Event)
    """Set when somebody is logged in, or nobody will be: `mux` says which."""
    ended: trio.Event = attrs.field(factory=trio.Event)
    _stopping: trio.Event = attrs.field(factory=trio.Event)
    _login: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _parts: Parts | None = None
    _rekeys: RekeyHistory = attrs.field(factory=RekeyHistory)

    @property
    def role(self) -> Role:
        return Role.CLIENT if isinstance(self.side, ClientSide) else Role.SERVER

    @property
    def username(self) -> str:
        """The name of who is logged in, "" before."""
        return self.logged_in.username

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
        parts = self.assemble()
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
                    nursery.cancel_scope.cancel()
                    try:
                        self._tell_everybody(parts)
                        with trio.move_on_after(min(FLUSH_SECONDS, self.limits.close_seconds), shield=True):
                            await parts.transport.flush()
                    finally:
                        writer_scope.cancel()  # it alone is shielded: nothing may keep it from its end
        finally:
            self.settled.set()
            self.ended.set()
            if self.observer is not None:
                self.observer(ConnectionEnded(self.cause))
            await close_at_once(self.stream)

    def assemble(self) -> Parts:
        """Make the machines; no task runs yet."""
        if self.observer is not None:
            self.observer = contained(self.observer)
        us = self.side.identity(identification_line(self.software), self.algorithms)
        self._parts = Parts.build(self.stream, self.role, self.algorithms, self.limits, us, self.note, self.end)
        return self._parts

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
        limits, parts = self.limits, self.parts
        if self.mux is not None and limits.keepalive_seconds is not None:
            asks = unacknowledged(self.stream)
            await keep_alive(parts.transport, self.mux, parts.opener, asks, limits.keepalive_seconds, limits.keepalive_misses)

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
        """The end of every wait on our side, and a DISCONNECT for the peer where one is due. Synchronous."""
        cause = self.cause or ConnectionLost("the connection was closed")
        parts.transport.fail(cause)
        parts.supervisor.done.unpark_all()
        if self.mux is not None:
            self.mux.fail(cause)
        try:
            self._say_goodbye(parts.transport)
        except Exception:
            _log.exception("no DISCONNECT could be made; the peer finds out by the end of the stream")

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
        # The transport is handed on behind the first exchange only.
        assert state.session_id is not None
        assert state.first_host_key is not None
        side = self.side
        if isinstance(side, ClientSide):
            proof = ClientAuthentication(side.plan.username, state.session_id, self.limits)
            binding = SessionBinding(state.session_id, state.first_host_key.blob, state.first_signature, side.plan.username)
            prover = IdentityProver(
                machine=proof,
                transport=transport,
                messages=parts.auth_messages,
                plan=side.plan,
                binding=binding,
                observer=self.observer,
                signatures=self.algorithms.signatures,
                eager=is_tested(state.peer_line),
            )
            await prover.prove_identity()
            self._compress()  # the reader has halted behind the SUCCESS
            self.logged_in = LoggedIn(username=side.plan.username, methods=prover.methods_passed)
            self.mux = Mux(transport, self.limits, self.observer)
            side.on_mux(self.mux)
            parts.muxes_in.send_nowait(self.mux)
        else:
            machine = ServerAuthentication(
                state.session_id,
                limits=self.limits,
                peer=side.peer,
                signatures=self.algorithms.signatures,
                signatures_of=side.policy.signature_algorithms if has_signatures_by_user(side.policy) else None,
                host_key_blob=state.first_host_key.blob,
            )
            checker = IdentityChecker(
                machine=machine,
                transport=transport,
                messages=parts.auth_messages,
                policy=side.policy,
                observer=self.observer,
                granted=self._granted,
                on_verdict=side.on_verdict,
                on_mistake=side.on_mistake,
                local=side.local,
                banner=side.banner,
            )
            await checker.check_identity()
        parts.supervisor.allow_rekeys()
        self.settled.set()

    def _granted(self, login: LoggedIn, payload: bytes) -> None:
        """One synchronous act: the client may speak the connection protocol from SUCCESS on, and not a packet earlier."""
        assert isinstance(self.side, ServerSide)
        parts = self.parts
        self.logged_in = login
        limits = self.limits if login.sessions is None else attrs.evolve(self.limits, sessions=login.sessions)
        self.mux = mux = Mux(parts.transport, limits, self.observer, self.side.incoming_types)
        mux.on_open = self.side.on_open
        parts.transport.send_nowait(payload)
        self._compress()
        parts.phases.authentication_succeeded()
        parts.router.attach(mux)
        self.side.on_login(login)

    def _compress(self) -> None:
        """Delayed compression, if it was agreed on, begins in both directions behind USERAUTH_SUCCESS (OpenSSH's zlib@openssh.com)."""
        negotiated, role = self.negotiated, self.role
        if is_delayed(negotiated.compression_from(role)):
            self.parts.transport.compress_with(new_compressor(negotiated, role, authenticated=True))
        if is_delayed(negotiated.compression_from(role.peer)):
            self.parts.opener.decompress_with(new_decompressor(negotiated, role, authenticated=True))

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
            rekeys=tuple(self._rekeys.causes),
            rekeys_done=self._rekeys.done,
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
            self._rekeys.note(event.cause)
        if self.observer is not None:
            self.observer(event)
