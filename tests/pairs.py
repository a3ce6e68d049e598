"""Both ends of a connection over memory streams: a client and a server, or two bare `Connection`s, with whatever between them misbehaves.

The first two are `trio_ssh.testing`'s, with our options' names. Everything here runs on trio's mock clock. Each pair has a deadline far in
the virtual future, so that a hang is a failure at once; each proves at its end that the server's tasks are gone and, unless told otherwise,
that no channel was left on either side.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio
from trio.testing import memory_stream_pair

import trio_ssh
from tests.wires import MisbehavingStream as MisbehavingStream
from tests.wires import Streams
from tests.wires import Wire as Wire
from tests.wires import misbehaving as misbehaving
from trio_ssh import testing
from trio_ssh.connection.channel import Channel
from trio_ssh.connection.connection import Connection
from trio_ssh.connection.identity_prover import ClientPlan
from trio_ssh.connection.incoming import IncomingChannel
from trio_ssh.connection.mux import Mux
from trio_ssh.connection.sides import ClientSide, ServerSide
from trio_ssh.protocol.auth_attempt import AuthAttempt
from trio_ssh.server.authenticators import as_policy
from trio_ssh.testing import HOST_KEY as HOST_KEY
from trio_ssh.testing import QUICK as QUICK
from trio_ssh.testing import USER_KEY as USER_KEY
from trio_ssh.testing import ConnectionPair
from trio_ssh.testing.pair import HANG_SECONDS
from trio_ssh.testing.schedule import seed_schedule

Ends = ConnectionPair
NEVER = HANG_SECONDS

SMALLEST = trio_ssh.Limits(
    window_bytes=1,
    channel_packet_bytes=1,
    channel_packet_bytes_out=1,
    out_buffer_bytes=1,
    send_quantum_bytes=1,
    rekey_out_bytes=1,
    request_backlog=1,
)
"""Every queue of a connection as short as it can be: law 5."""


def pattern(size: int, seed: str = "") -> bytes:
    """`size` bytes that are the same in each run and repeat nowhere."""
    return hashlib.shake_128(seed.encode()).digest(size)


def sha256(data: bytes | bytearray) -> str:
    return hashlib.sha256(data).hexdigest()


# -- what the server does --------------------------------------------------------------------------------------------------------------


async def commands(session: trio_ssh.ServerSession) -> int:
    """A little shell: ``echo``, ``hash`` (of stdin), ``source N``, ``exit N``, ``stderr N``, ``both N``, ``sleep``, ``fail``."""
    verb, _, argument = (session.command or "").partition(" ")
    return await _VERBS[verb](session, argument)


async def _echo(session: trio_ssh.ServerSession, argument: str) -> int:
    async for chunk in session:
        await session.send_all(chunk)
    return 0


async def _hash(session: trio_ssh.ServerSession, argument: str) -> int:
    digest = hashlib.sha256()
    async for chunk in session:
        digest.update(chunk)
    await session.send_all(digest.hexdigest().encode())
    return 0


async def _source(session: trio_ssh.ServerSession, argument: str) -> int:
    await session.send_all(pattern(int(argument)))
    return 0


async def _stderr(session: trio_ssh.ServerSession, argument: str) -> int:
    await session.stderr.send_all(pattern(int(argument)))
    return 0


async def _both(session: trio_ssh.ServerSession, argument: str) -> int:
    size = int(argument)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.send_all, pattern(size, "out"))
        nursery.start_soon(session.stderr.send_all, pattern(size, "err"))
    return 0


async def _exit(session: trio_ssh.ServerSession, argument: str) -> int:
    return int(argument)


async def _sleep(session: trio_ssh.ServerSession, argument: str) -> int:
    await trio.sleep_forever()
    return 0


async def _fail(session: trio_ssh.ServerSession, argument: str) -> int:
    raise ValueError("a handler's own mistake")


_VERBS: dict[str, Callable[[trio_ssh.ServerSession, str], Awaitable[int]]] = {
    "echo": _echo,
    "hash": _hash,
    "source": _source,
    "stderr": _stderr,
    "both": _both,
    "exit": _exit,
    "sleep": _sleep,
    "fail": _fail,
}


async def check_works(client: trio_ssh.Client) -> None:
    """The connection is as good as new: a command gives the right answer."""
    result = await client.run_process("echo", input=b"is all well?")
    assert (result.stdout, result.stderr, result.exit_status) == (b"is all well?", b"", 0)


# -- a client and a server -------------------------------------------------------------------------------------------------------------


def same_schedule_each_time() -> None:
    """With the same seed a test takes the same way through the tasks that are ready in each run."""
    seed_schedule(0)


@asynccontextmanager
async def served(
    handler: trio_ssh.Handler = commands,
    *,
    stream: trio.abc.Stream,
    limits: trio_ssh.Limits | None = None,
    algorithms: trio_ssh.Algorithms = QUICK,
    authenticate: trio_ssh.Authenticator | trio_ssh.RulesByLogin | Callable[[AuthAttempt], Awaitable[trio_ssh.Verdict]] | None = None,
    never: float = NEVER,
) -> AsyncIterator[Ends]:
    """A server on `stream`; behind the block its tasks are gone, or the test fails."""
    server = testing.open_server(handler, stream, limits=limits, algorithms=algorithms, authenticate=authenticate, hang_seconds=never)
    async with server as ends:
        yield ends


def connecting(stream: trio.abc.Stream, **options: Any) -> trio_ssh.Connecting:
    """`connect` with the tests' usual keys and the cheapest key exchange, unless `options` say otherwise."""
    usual: dict[str, Any] = {
        "username": "ada",
        "credentials": [trio_ssh.PrivateKeyCredential(USER_KEY)],
        "host_keys": trio_ssh.PinnedKeys([HOST_KEY.public_key]),
        "algorithms": QUICK,
    }
    return trio_ssh.connect("server.test", stream=stream, **{**usual, **options})


@asynccontextmanager
async def connected(
    handler: trio_ssh.Handler = commands,
    *,
    limits: trio_ssh.Limits | None = None,
    client_limits: trio_ssh.Limits | None = None,
    server_limits: trio_ssh.Limits | None = None,
    client_algorithms: trio_ssh.Algorithms = QUICK,
    server_algorithms: trio_ssh.Algorithms = QUICK,
    streams: Streams | None = None,
    authenticate: trio_ssh.Authenticator | trio_ssh.RulesByLogin | Callable[[AuthAttempt], Awaitable[trio_ssh.Verdict]] | None = None,
    leaves_channels: bool = False,
    never: float = NEVER,
) -> AsyncIterator[Ends]:
    """A client logged in to a server, both ours. `limits` are for both sides unless a side has its own."""
    pair = testing.open_connection_pair(
        handler,
        streams=streams or memory_stream_pair(),
        limits=(client_limits or limits, server_limits or limits),
        algorithms=(client_algorithms, server_algorithms),
        authenticate=authenticate,
        leaves_channels=leaves_channels,
        hang_seconds=never,
    )
    async with pair as ends:
        yield ends


# -- two bare connections --------------------------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class MuxEnds:
    """Two connections below the public API: for what only the layers of `connection/` can show."""

    client: Connection
    server: Connection
    accepted: list[Channel]
    """The server's ends of the channels that the client has opened, in that order."""

    @property
    def client_mux(self) -> Mux:
        assert self.client.mux is not None
        return self.client.mux

    async def channel(self) -> tuple[Channel, Channel]:
        """A channel's two ends; the client has opened it."""
        ours = await self.client_mux.open_channel("session")
        return ours, self.accepted[-1]


async def _accept_anybody(attempt: AuthAttempt) -> trio_ssh.Verdict:
    return trio_ssh.ACCEPT


async def _user_key(session: trio_ssh.SessionBinding) -> Sequence[trio_ssh.PrivateKeyCredential]:
    return [trio_ssh.PrivateKeyCredential(USER_KEY)]


@asynccontextmanager
async def muxes(
    *, client_limits: trio_ssh.Limits | None = None, server_limits: trio_ssh.Limits | None = None, streams: Streams | None = None
) -> AsyncIterator[MuxEnds]:
    """Two connections, logged in."""
    same_schedule_each_time()
    client_stream, server_stream = streams or memory_stream_pair()
    accepted: list[Channel] = []

    async def trust(key: trio_ssh.PublicKey | trio_ssh.Certificate) -> None:
        assert key == HOST_KEY.public_key

    def on_open(incoming: IncomingChannel) -> None:
        accepted.append(incoming.accept())

    client_side = ClientSide(plan=ClientPlan("ada", _user_key), trust=trust)
    server_side = ServerSide(host_keys=(HOST_KEY,), policy=as_policy(_accept_anybody), on_open=on_open)
    client = Connection(client_stream, client_side, QUICK, client_limits or trio_ssh.Limits(), "client")
    server_algorithms = attrs.evolve(QUICK, host_keys=HOST_KEY.public_key.signature_algorithms)
    server = Connection(server_stream, server_side, server_algorithms, server_limits or trio_ssh.Limits(), "server")
    with trio.fail_after(NEVER):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.run)
            nursery.start_soon(server.run)
            await client.settled.wait()
            yield MuxEnds(client, server, accepted)
            client.end(None)
            with trio.fail_after(10):
                await client.ended.wait()
                await server.ended.wait()
