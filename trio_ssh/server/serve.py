"""`serve`, `serve_listeners`, `serve_stream`: from an accepted stream to a handler's sessions.

Every connection is contained: whatever goes wrong in it, or in a handler, is logged and ends that connection or session, never the server.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

import attrs
import trio

from ..connection.authenticator import Authenticator, LoggedIn, RulesByLogin
from ..connection.channel import Channel
from ..connection.collapse import single_cause
from ..connection.connection import Connection
from ..connection.containment import containing
from ..connection.events import Observer
from ..connection.identity_checker import ignore_verdict
from ..connection.incoming import IncomingChannel
from ..connection.paced_log import PacedLog
from ..connection.sides import ServerSide
from ..connection.sockets import close_at_once, local_name, peer_name, tune
from ..connection.version import SOFTWARE
from ..errors import ChannelOpenFailure, ConnectionLost, LocalProtocolError, SSHError, printable
from ..keys.certificates import CertifiedKey
from ..protocol.key_exchange import OwnHostKey
from ..protocol.limits import Limits
from ..protocol.negotiation import Algorithms
from .accepting import refuse_at_once, serve_accepted
from .admission import Admission, Place, RefusalLog
from .authenticators import Decide, as_rules
from .host_key_proof import HostKeyProof
from .penalties import Conduct
from .session import ServerSession, SessionPolicy, SessionRequests
from .sources import Gone, peer_address

_log = logging.getLogger("trio_ssh.server")

Handler = Callable[[ServerSession], Awaitable[int | None]]


@attrs.frozen(kw_only=True)
class Services:
    """Handlers by what a client asks for; what is not given is refused to it. A plain handler serves everything instead."""

    session: Handler | None = None
    """Shells and commands."""
    subsystems: Mapping[str, Handler] = attrs.field(factory=dict)
    """By name, such as ``sftp``."""

    async def serve(self, session: ServerSession) -> int | None:
        """Give the session to the handler it is for."""
        handler = self.session if session.subsystem is None else self.subsystems[session.subsystem]
        assert handler is not None  # refused before
        return await handler(session)


ACCEPT_ENV = ("LANG", "LC_*")
FAILED = 255


@attrs.frozen
class _Options:
    """What `serve`, `serve_listeners` and `serve_stream` have in common beside handler, keys and policy."""

    algorithms: Algorithms
    limits: Limits
    observer: Observer | None
    sessions: SessionPolicy
    banner: str

    @classmethod
    def of(
        cls,
        algorithms: Algorithms | None,
        limits: Limits | None,
        observer: Observer | None,
        accept_env: Sequence[str],
        permit_terminal: bool,
        banner: str,
    ) -> _Options:
        limits = limits or Limits()
        return cls(algorithms or Algorithms(), limits, observer, SessionPolicy.of(accept_env, permit_terminal, limits), banner)


async def serve(
    handler: Handler | Services,
    port: int,
    *,
    host: str | bytes | None = None,
    host_keys: Sequence[OwnHostKey],
    authenticate: Authenticator | Decide | RulesByLogin,
    algorithms: Algorithms | None = None,
    limits: Limits | None = None,
    observer: Observer | None = None,
    accept_env: Sequence[str] = ACCEPT_ENV,
    permit_terminal: bool = True,
    banner: str = "",
    task_status: trio.TaskStatus[list[trio.SocketListener]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen on a TCP port (0: any free one) and serve SSH for ever, like `trio.serve_tcp`; `nursery.start` gives the listeners.

    ``await handler(session)`` is called for each session and returns its exit status. `authenticate` says whom to let in; `accept_env` are
    patterns of the variables a client may set; `permit_terminal` lets clients ask for one; `banner` is shown to a client's user before
    anything is asked. Host keys may have certificates (`CertifiedKey`). Raises `LocalProtocolError` without a host key.
    """
    options = _Options.of(algorithms, limits, observer, accept_env, permit_terminal, banner)
    server = _Server.of(handler, host_keys, authenticate, options, own_sockets=True)
    listeners = await trio.open_tcp_listeners(port, host=host)
    await serve_accepted(listeners, server.take, task_status)


async def serve_listeners(
    handler: Handler | Services,
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    *,
    host_keys: Sequence[OwnHostKey],
    authenticate: Authenticator | Decide | RulesByLogin,
    algorithms: Algorithms | None = None,
    limits: Limits | None = None,
    observer: Observer | None = None,
    accept_env: Sequence[str] = ACCEPT_ENV,
    permit_terminal: bool = True,
    banner: str = "",
    task_status: trio.TaskStatus[list[trio.abc.Listener[trio.abc.Stream]]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve SSH on whatever listeners give; see `serve`.

    Streams that are no sockets have no source for the limits per source, unless they tell one: by an attribute `peer_address` that holds
    an address of the standard library's `ipaddress`.
    """
    options = _Options.of(algorithms, limits, observer, accept_env, permit_terminal, banner)
    server = _Server.of(handler, host_keys, authenticate, options)
    await serve_accepted(listeners, server.take, task_status)


async def serve_stream(
    handler: Handler | Services,
    stream: trio.abc.Stream,
    *,
    host_keys: Sequence[OwnHostKey],
    authenticate: Authenticator | Decide | RulesByLogin,
    algorithms: Algorithms | None = None,
    limits: Limits | None = None,
    observer: Observer | None = None,
    accept_env: Sequence[str] = ACCEPT_ENV,
    permit_terminal: bool = True,
    banner: str = "",
) -> None:
    """Serve one connection on any stream, until it ends. Raises the `SSHError` that kept somebody from logging in, if one did."""
    options = _Options.of(algorithms, limits, observer, accept_env, permit_terminal, banner)
    await _Server.of(handler, host_keys, authenticate, options).serve_connection(stream)


@attrs.define(eq=False)
class _Server:
    """What all connections of one server share."""

    handler: Handler
    host_keys: tuple[OwnHostKey, ...]
    policy: Authenticator | RulesByLogin
    options: _Options
    own_sockets: bool = False
    """Sockets that we accepted ourselves may be tuned."""
    admission: Admission = attrs.field(init=False)
    refusals: RefusalLog = attrs.field(factory=RefusalLog)
    log: PacedLog = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.admission = Admission(self.options.limits)
        self.log = PacedLog(_log, self.options.limits.log_lines_per_second)

    @classmethod
    def of(
        cls,
        handler: Handler | Services,
        host_keys: Sequence[OwnHostKey],
        authenticate: Authenticator | Decide | RulesByLogin,
        options: _Options,
        own_sockets: bool = False,
    ) -> _Server:
        if not host_keys:
            raise LocalProtocolError("a server needs at least one host key: `PrivateKey.from_file` or `PrivateKey.generate`")
        offered = _offered(host_keys, options.algorithms)
        if not offered:
            raise LocalProtocolError(f"none of the host keys can be used with {', '.join(options.algorithms.host_keys)}")
        options = attrs.evolve(options, algorithms=attrs.evolve(options.algorithms, host_keys=offered))
        if isinstance(handler, Services):
            has_session, names = handler.session is not None, frozenset(handler.subsystems)
            options = attrs.evolve(options, sessions=attrs.evolve(options.sessions, shell_and_exec=has_session, subsystems=names))
            handler = handler.serve
        return cls(handler, tuple(host_keys), as_rules(authenticate), options, own_sockets)

    def take(self, nursery: trio.Nursery, stream: trio.abc.Stream) -> None:
        """A connection that was accepted just now: serve it in the nursery, or refuse it. Never waits."""
        now = trio.current_time()
        try:
            address = peer_address(stream)
        except Gone:
            refuse_at_once(nursery, stream, b"")
            return
        answer = self.admission.admit(address, now)
        if isinstance(answer, Place):
            nursery.start_soon(self.serve_contained, stream, answer)
        else:
            self.refusals.note(peer_name(stream) or str(address or "a local peer"), answer.why, now)
            refuse_at_once(nursery, stream, answer.line)

    async def serve_contained(self, stream: trio.abc.Stream, place: Place) -> None:
        """One connection of many: nothing but a cancellation comes out."""
        peer = "a peer"
        conduct = None if place.exempt else Conduct(trio.current_time())

        def report(error: BaseException) -> None:
            if isinstance(error, SSHError):
                self.log.info("%s: %s", peer, error)
            else:
                self.log.error("%s: the connection failed", peer, cause=error)
            if conduct is not None:
                self.admission.judge(place, conduct, error, trio.current_time(), peer)

        with containing(report):
            try:
                # What ends it is held against its source while it still has its place: so this comes before the place is left.
                with containing(report):
                    peer = peer_name(stream) or peer
                    if place.wait_seconds:
                        await trio.sleep(place.wait_seconds)
                    if self.own_sockets and isinstance(stream, trio.SocketStream):
                        tune(stream)
                    await self.serve_connection(stream, place, conduct)
            finally:
                try:
                    place.leave()
                finally:
                    await close_at_once(stream)

    async def serve_connection(self, stream: trio.abc.Stream, place: Place | None = None, conduct: Conduct | None = None) -> None:
        """Until it ends. `place` is left when somebody is logged in; `conduct` is told of what happens before."""
        options = self.options
        peer = peer_name(stream)
        shown = peer or "a peer"
        observer = options.observer if conduct is None else conduct.watching(options.observer)
        with single_cause():
            async with trio.open_nursery() as nursery:

                def on_open(incoming: IncomingChannel) -> None:
                    self._begin_session(nursery, connection, incoming)

                def on_login(login: LoggedIn) -> None:
                    if place is not None:
                        place.leave()
                    self.log.info("%s: %s is logged in by %s", shown, printable(login.username), ", ".join(login.methods))
                    HostKeyProof.of(self.host_keys, connection).announce(connection)

                def on_mistake(text: str, error: BaseException) -> None:
                    self.log.error("%s: %s", shown, text, cause=error)

                side = ServerSide(
                    host_keys=self.host_keys,
                    policy=self.policy,
                    banner=options.banner,
                    on_login=on_login,
                    on_mistake=on_mistake,
                    on_verdict=ignore_verdict if conduct is None else conduct.note_verdict,
                    on_open=on_open,
                    peer=peer,
                    local=local_name(stream),
                )
                connection = Connection(stream, side, options.algorithms, options.limits, SOFTWARE, observer)
                await connection.run()
                # The connection is gone, and with it whoever was being served.
                nursery.cancel_scope.cancel()
        if connection.mux is None and connection.cause is not None:
            raise connection.cause
        self.log.info("%s: ended: %s", shown, connection.cause or "closed by us")

    def _begin_session(self, nursery: trio.Nursery, connection: Connection, incoming: IncomingChannel) -> None:
        """Accept the channel; its handler starts when the client has said what it wants."""
        sessions: list[ServerSession] = []

        def prepare(channel: Channel) -> None:
            login = connection.logged_in
            requests = SessionRequests(self.options.sessions.for_login(login), start, login.permissions)
            channel.on_request = requests
            channel.when_ended(requests.close)
            sessions.append(ServerSession(channel, requests, connection.username, connection.peer, connection.local))

        def start() -> None:
            nursery.start_soon(self._serve_session, sessions[0], channel)

        try:
            channel = incoming.accept(prepare)
        except (ConnectionLost, ChannelOpenFailure) as error:
            self.log.info("%s: a session was not opened: %s", connection.peer, error)

    async def _serve_session(self, session: ServerSession, channel: Channel) -> None:
        """Run the handler until it returns or its client goes away, and say how it ended."""

        def report(error: BaseException) -> None:
            # Streams that break because the client has gone are the usual end of a session, not a mistake.
            gone = channel.ended.is_set() and only_of(error, (trio.BrokenResourceError, trio.ClosedResourceError))
            self.log.log(logging.INFO if gone else logging.ERROR, "%s: a session's handler failed", session.peer, cause=error)
            session.exit_nowait(FAILED)

        try:
            with containing(report), trio.CancelScope() as scope:
                channel.when_ended(scope.cancel)
                status = await self.handler(session)
                session.exit_nowait(0 if status is None else status)
        finally:
            # Synchronous: they leave in this order even when we are being cancelled.
            channel.end_output_nowait()
            channel.close_nowait()


def only_of(error: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    """Is it one of these, or a group of nothing else?"""
    return error.split(kinds)[1] is None if isinstance(error, BaseExceptionGroup) else isinstance(error, kinds)


def _offered(host_keys: Sequence[OwnHostKey], algorithms: Algorithms) -> tuple[str, ...]:
    """The host key algorithms that we have keys or certificates for."""
    certified = [key.certificate for key in host_keys if isinstance(key, CertifiedKey)]
    plain = [key.key if isinstance(key, CertifiedKey) else key for key in host_keys]
    mine = {name for key in plain for name in key.public_key.all_signature_algorithms}
    mine |= {name for certificate in certified for name in certificate.all_signature_algorithms}
    return tuple(name for name in algorithms.host_keys if name in mine)
