"""A client and a server of the library, logged in, in one line; and behind the block the proof that nothing is left of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TypeVar

import attrs
import trio
from trio.testing import wait_all_tasks_blocked

from ..client.client import Client
from ..client.connect import connect
from ..client.credentials import Credential, PrivateKeyCredential
from ..client.host_keys import PinnedKeys
from ..connection.authenticator import Authenticator, RulesByLogin
from ..connection.collapse import single_cause
from ..connection.events import ChannelClosed, ChannelOpened, ConnectionEnded, Event, RekeyCause
from ..errors import LocalProtocolError, SSHError
from ..protocol.limits import Limits
from ..protocol.negotiation import Algorithms
from ..server.authenticators import Decide
from ..server.authorized_keys import AuthorizedKeys
from ..server.serve import Handler, Services, serve_stream
from ..server.session import ServerSession
from .network import SimulatedNetwork
from .raw_peer import Streams
from .replay import replayable
from .stage import HOST_KEY, QUICK, USER_KEY, USERNAME
from .stream import SimulatedStream
from .watching import Watch

T = TypeVar("T")

HANG_SECONDS = 10_000.0
"""Of the virtual clock: a test that gets there hangs. (Not more: idle connections change keys every hour.)"""
SETTLE_SECONDS = 60.0
END_SECONDS = 200.0
"""For what is under way, and for a server whose client has gone: longer than any limit's default."""


class SomethingLeft(AssertionError):
    """A connection pair's block has ended, and something of the connection has not."""


@attrs.define(eq=False)
class ConnectionPair:
    """Both ends of a connection: `client`, what both observers saw, and how the server's side of it ended."""

    client_events: list[Event] = attrs.field(factory=list)
    server_events: list[Event] = attrs.field(factory=list)
    server_error: BaseException | None = None
    """What `serve_stream` raised: the reason why nobody could log in."""
    server_scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    """Cancel it to stop the server."""
    server_done: trio.Event = attrs.field(factory=trio.Event)
    watch: Watch = attrs.field(factory=Watch)
    """The monitors of both ends."""
    _client: Client | None = None
    _news: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    @property
    def client(self) -> Client:
        """The library's client. Raises `LocalProtocolError` where the test brings its own."""
        if self._client is None:
            raise LocalProtocolError("this server's client is not one of the pair: `open_connection_pair` has both")
        return self._client

    def rekeys(self) -> list[RekeyCause]:
        """Why the client's side thinks that each exchange behind the first began."""
        return list(self.client.statistics().rekeys)

    def channels_left(self) -> tuple[int, int]:
        """Channels opened and not closed yet, as the client's and as the server's observer count them."""
        return _balance(self.client_events), _balance(self.server_events)

    @property
    def server_cause(self) -> Exception | None:
        """What the server's observer was told about the end."""
        return next((event.cause for event in self.server_events if isinstance(event, ConnectionEnded)), None)

    async def check_no_channel_is_left(self) -> None:
        """Once what is under way has arrived. Raises `SomethingLeft`, or `InvariantBroken` if an end owes the other an answer."""
        await wait_all_tasks_blocked()
        with trio.move_on_after(SETTLE_SECONDS):
            while self.channels_left() != (0, 0) or self.watch.is_owing:
                await self._news.park()
        if self.channels_left() != (0, 0) or self.client.statistics().channels:
            raise SomethingLeft(f"channels left: {self.channels_left()}, {self.client.statistics().channels}")
        self.watch.check_settled()

    def observe(self, events: list[Event], event: Event) -> None:
        """An observer, for `partial`."""
        events.append(event)
        self._news.unpark_all()


def _balance(events: list[Event]) -> int:
    opened = sum(isinstance(event, ChannelOpened) for event in events)
    return opened - sum(isinstance(event, ChannelClosed) for event in events)


@asynccontextmanager
async def open_server(
    handler: Handler | Services,
    stream: trio.abc.Stream,
    *,
    limits: Limits | None = None,
    algorithms: Algorithms | None = None,
    authenticate: Authenticator | Decide | RulesByLogin | None = None,
    seed: int = 0,
    hang_seconds: float = HANG_SECONDS,
) -> AsyncIterator[ConnectionPair]:
    """The library's server on `stream`, for a client of the test's own, such as a `RawPeer`. Its key is the stage's `HOST_KEY`.

    `authenticate` takes the stage's `USER_KEY` unless it is given; `algorithms` default to `QUICK`. Behind the block the server's tasks
    are gone, or `trio.TooSlowError` is raised; a breach of an invariant raises `InvariantBroken`. Failures carry the note ``seed=...``.
    """
    pair = ConnectionPair()
    policy = authenticate if authenticate is not None else AuthorizedKeys.of([USER_KEY.public_key])

    async def serve() -> None:
        try:
            with pair.server_scope, pair.watch.tapping():
                await serve_stream(
                    _noting(handler, pair.watch.handler_ran),
                    stream,
                    host_keys=[HOST_KEY],
                    authenticate=policy,
                    limits=limits,
                    algorithms=algorithms or QUICK,
                    observer=partial(pair.observe, pair.server_events),
                )
        except SSHError as error:
            pair.server_error = error
        finally:
            pair.server_done.set()

    with replayable(seed), single_cause(), trio.fail_after(hang_seconds):
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serve)
                yield pair
                with trio.fail_after(END_SECONDS):
                    await pair.server_done.wait()
        finally:
            pair.watch.check()


def _noting(handler: Handler | Services, note: Callable[[str], None]) -> Handler | Services:
    """The same, telling `note` of every call."""
    if isinstance(handler, Services):
        named = {name: _noting_one(one, f"the handler of subsystem {name}", note) for name, one in handler.subsystems.items()}
        return Services(session=handler.session and _noting_one(handler.session, "the session handler", note), subsystems=named)
    return _noting_one(handler, "the handler", note)


def _noting_one(handler: Handler, name: str, note: Callable[[str], None]) -> Handler:
    async def noting(session: ServerSession) -> int | None:
        note(name)
        return await handler(session)

    return noting


def of_each(value: T | tuple[T, T]) -> tuple[T, T]:
    """The client's and the server's."""
    return value if isinstance(value, tuple) else (value, value)


@asynccontextmanager
async def open_connection_pair(
    handler: Handler | Services,
    *,
    network: SimulatedNetwork | None = None,
    streams: Streams | None = None,
    limits: Limits | tuple[Limits | None, Limits | None] | None = None,
    algorithms: Algorithms | tuple[Algorithms, Algorithms] | None = None,
    authenticate: Authenticator | Decide | RulesByLogin | None = None,
    credentials: Sequence[Credential] | None = None,
    leaves_channels: bool = False,
    hang_seconds: float = HANG_SECONDS,
) -> AsyncIterator[ConnectionPair]:
    """A client that is logged in to a server which serves `handler`, over a connection of `network` or over `streams`.

    `limits` and `algorithms` (default: `QUICK`) are for both ends, or a pair: the client's, the server's. The client's `credentials`
    default to the stage's `USER_KEY`, which `authenticate` takes by default. Behind the block everything of the connection has ended: the
    server's tasks (else `trio.TooSlowError`), every channel unless `leaves_channels` (`SomethingLeft`), both simulated streams. Both ends
    are watched by a `ProtocolMonitor` (`InvariantBroken`). Failures carry the note ``seed=...`` of the network.
    """
    network = network or SimulatedNetwork()
    client_stream, server_stream = streams or network.stream_pair()
    client_limits, server_limits = of_each(limits)
    client_algorithms, server_algorithms = of_each(algorithms or QUICK)
    serving = open_server(
        handler,
        server_stream,
        limits=server_limits,
        algorithms=server_algorithms,
        authenticate=authenticate,
        seed=network.seed,
        hang_seconds=hang_seconds,
    )
    connecting = connect(
        "server.test",
        username=USERNAME,
        credentials=[PrivateKeyCredential(USER_KEY)] if credentials is None else credentials,
        host_keys=PinnedKeys([HOST_KEY.public_key]),
        algorithms=client_algorithms,
        limits=client_limits,
        stream=client_stream,
        observer=lambda event: pair.observe(pair.client_events, event),
    )
    async with serving as pair, AsyncExitStack() as stack:
        with pair.watch.tapping():
            pair._client = await stack.enter_async_context(connecting)
        yield pair
        if not leaves_channels:
            await pair.check_no_channel_is_left()
    for stream in (client_stream, server_stream):
        if isinstance(stream, SimulatedStream) and not stream.closed:
            raise SomethingLeft(f"a stream is open: {stream}")
