"""`connect` and `run_client`: from an address to a `Client`, and nothing left behind afterwards."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Sequence
from types import TracebackType

import attrs
import trio

from ..connection.collapse import only_cause, single_cause
from ..connection.connection import Connection
from ..connection.events import Observer
from ..connection.identity_prover import ClientPlan
from ..connection.offers import Offer, SessionBinding
from ..connection.sides import ClientSide
from ..connection.sockets import close_at_once, tune
from ..connection.version import SOFTWARE
from ..errors import ConnectionLost, LocalProtocolError, printable
from ..keys.certificates import KEY_TYPE_OF_CERTIFICATE_ALGORITHM
from ..keys.signature import prefer_key_types
from ..protocol.limits import Limits
from ..protocol.negotiation import Algorithms
from .client import Client
from .credentials import Credential, all_offers, default_credentials
from .host_keys import HostCertificatePolicy, HostKeyPolicy, KnownHosts
from .host_trust import HostTrust

SSH_PORT = 22


def connect(
    host: str,
    port: int | None = None,
    *,
    username: str | None = None,
    credentials: Sequence[Credential] | None = None,
    host_keys: HostKeyPolicy | None = None,
    algorithms: Algorithms | None = None,
    limits: Limits | None = None,
    stream: trio.abc.Stream | None = None,
    observer: Observer | None = None,
    banner: Callable[[str], None] | None = None,
    allow_none: bool = True,
) -> Connecting:
    """``async with connect(...) as client``: a `Client` that is logged in. Leaving the block closes the connection and everything on it.

    `host` is a name or address, `port` 22 by default; with `stream`, any `trio.abc.Stream`, nothing is dialled and `host` only names the
    server for the host key check. `username` defaults to ours. `credentials` are tried in order (default: the agent's keys and
    the usual identity files); `host_keys` is the policy for the server's key (default: the user's known_hosts, strict). `banner` gets text
    the server wants shown. Without `allow_none` a server that lets us in without any proof of who we are is refused;
    `Client.authenticated_by` tells what it was.

    There are no timeout parameters: use a cancel scope. Raises `HostKeyError`, `AuthenticationFailed`, `NegotiationError`,
    `RemoteProtocolError`, `ConnectionLost` or `KeyFileError` on entering; a connection that breaks later makes the calls on it raise.
    """
    return Connecting(
        host,
        SSH_PORT if port is None else port,
        username,
        credentials,
        host_keys,
        algorithms or Algorithms(),
        limits or Limits(),
        stream,
        observer,
        banner,
        allow_none,
    )


async def run_client(
    connecting: Connecting, *, task_status: trio.TaskStatus[Client] = trio.TASK_STATUS_IGNORED
) -> None:
    """For a nursery: ``client = await nursery.start(run_client, connect(...))``, under a deadline of its own if you like.

    Runs until the connection ends: returns if we closed it (`Client.aclose`, or a cancellation), raises `ConnectionLost` otherwise.
    """
    async with connecting as client:
        task_status.started(client)
        await client.wait_closed()


@attrs.define(eq=False)
class Connecting:
    """What `connect` returns: enter it once."""

    host: str
    port: int
    username: str | None
    credentials: Sequence[Credential] | None
    host_keys: HostKeyPolicy | None
    algorithms: Algorithms
    limits: Limits
    stream: trio.abc.Stream | None
    observer: Observer | None
    banner: Callable[[str], None] | None
    allow_none: bool
    _block: _Block | None = None

    async def __aenter__(self) -> Client:
        if self._block is not None:
            raise LocalProtocolError("a `connect(...)` can be entered once: make another for another connection")
        policy = self.host_keys if self.host_keys is not None else KnownHosts.default()
        try:
            block = await self._prepare(policy)
        except BaseException:
            if self.stream is not None:
                await close_at_once(self.stream)  # it is ours from entering on, whatever comes of it
            raise
        self._block = block
        return await block.enter()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._block is not None
        await self._block.leave(exc)

    async def _prepare(self, policy: HostKeyPolicy) -> _Block:
        check_host(self.host)
        username = self.username if self.username is not None else getpass.getuser()
        check_username(username, self.limits)
        known_types = await policy.key_types(self.host, self.port)
        algorithms = attrs.evolve(self.algorithms, host_keys=_wanted(self.algorithms.host_keys, known_types, policy))
        credentials = self.credentials

        trust = HostTrust(self.host, self.port, policy, self.limits)

        async def offers(session: SessionBinding) -> Sequence[Offer]:
            return trust.allowed(await all_offers(default_credentials() if credentials is None else credentials, session))

        side = ClientSide(plan=ClientPlan(username, offers, self.banner, self.allow_none), trust=trust.check, on_mux=trust.attach)
        stream = self.stream if self.stream is not None else await self._dial()
        return _Block(Connection(stream, side, algorithms, self.limits, SOFTWARE, self.observer), trust)

    async def _dial(self) -> trio.abc.Stream:
        try:
            stream = await trio.open_tcp_stream(self.host, self.port)
        except OSError as error:
            raise ConnectionLost(f"cannot connect to {self.host} port {self.port}: {_reason(error)}") from error
        tune(stream)
        return stream


def _wanted(algorithms: Sequence[str], known_types: Sequence[str], policy: HostKeyPolicy) -> tuple[str, ...]:
    """The host key algorithms to offer: those of certificates only where the policy has an authority for them, known key types first."""
    certified = [name for name in algorithms if KEY_TYPE_OF_CERTIFICATE_ALGORITHM.get(name) in known_types]
    plain = [name for name in algorithms if name not in KEY_TYPE_OF_CERTIFICATE_ALGORITHM]
    return (*(certified if certified and isinstance(policy, HostCertificatePolicy) else ()), *prefer_key_types(plain, known_types))


def _reason(error: BaseException) -> str:
    """Happy eyeballs tries several addresses and groups their errors: show each once."""
    found: list[str] = []

    def collect(one: BaseException | None) -> None:
        if isinstance(one, BaseExceptionGroup):
            for inner in one.exceptions:
                collect(inner)
        elif isinstance(one, OSError) and one.__cause__ is not None:
            collect(one.__cause__)
        elif isinstance(one, OSError):
            # Trio puts a sentence of its own where the system's text belongs; a resolver's errors have negative numbers.
            found.append(os.strerror(one.errno) if one.errno is not None and one.errno > 0 else one.strerror or str(one))

    collect(error)
    return ", ".join(dict.fromkeys(found)) or str(error)


def check_host(host: str) -> None:
    """A host name that no resolver, log or command line must see (hardening E11)."""
    if not host or host.startswith("-") or any(not c.isprintable() or c.isspace() for c in host):
        raise LocalProtocolError(f"{host!r} is not a host name")


def check_username(name: str, limits: Limits) -> None:
    """A user name that no server would take for one, or that could be read as something else on its way there (hardening E11)."""
    size = len(name.encode("utf-8", "surrogateescape"))
    if name.startswith("-") or not name.isprintable() or size > limits.username_bytes:
        raise LocalProtocolError(f"{printable(name, 100)!r} is not a user name")


class _Block:
    """The nursery behind ``async with connect()``: opened by hand, because entering and leaving are two functions."""

    def __init__(self, connection: Connection, trust: HostTrust) -> None:
        self._connection = connection
        self._trust = trust
        self._manager = trio.open_nursery()
        self._nursery: trio.Nursery | None = None

    async def enter(self) -> Client:
        connection = self._connection
        self._nursery = nursery = await self._manager.__aenter__()
        try:
            nursery.start_soon(connection.run)
            await connection.settled.wait()
            if connection.mux is None:
                await connection.ended.wait()
        except BaseException as error:
            # Cancelled: the connection closes itself, and the nursery must be left by the rules.
            await self._give_up(nursery, error)
            raise
        if connection.mux is None:
            with single_cause():  # out of which comes the exception of a callback, if it was that
                await self._manager.__aexit__(None, None, None)
            raise connection.cause or ConnectionLost("the connection was closed")
        self._trust.learn(nursery, connection)
        return Client(connection, connection.mux, self._trust)

    async def _give_up(self, nursery: trio.Nursery, error: BaseException) -> None:
        nursery.cancel_scope.cancel()
        with single_cause():
            await self._manager.__aexit__(type(error), error, error.__traceback__)

    async def leave(self, exc: BaseException | None) -> None:
        """Every shield in here has a deadline: `Connection.run` flushes for one second at most."""
        assert self._nursery is not None
        self._connection.end(None)
        try:
            with trio.move_on_after(self._connection.limits.close_seconds, shield=True):
                await self._connection.ended.wait()
        except BaseException as error:  # Ctrl-C can come at any step, also at this one
            await self._give_up(self._nursery, error)
            raise
        try:
            await self._manager.__aexit__(None, None, None)
        except BaseExceptionGroup as group:
            others = group.split(trio.Cancelled)[1]
            if others is None and exc is not None:
                return  # the body's own exception, or cancellation, goes on
            only = only_cause(group)
            raise (only if only is not None and others is not None else group) from None


