"""What our server does in these tests: a handler that knows a few commands, and data that both ends can make up by themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import attrs
import trio

import trio_ssh
from tests.interop.keyring import Keyring

E = TypeVar("E", bound=trio_ssh.Event)

KIB = 1024
MIB = 1024 * KIB
PACKET = 40 * KIB
"""More than any peer here takes in one packet: one may pass beyond a rekey limit."""

_BLOCK = b"".join(hashlib.sha256(number.to_bytes(2, "big")).digest() for number in range(2 * KIB))
"""64 KiB without a shorter period: a block that is lost, doubled or misplaced in part changes the whole."""


def pattern(size: int) -> bytes:
    """`size` bytes, always the same."""
    return (_BLOCK * (size // len(_BLOCK) + 1))[:size]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


async def services(session: trio_ssh.ServerSession) -> int:
    """The commands below; anything else is status 127."""
    name, *words = (session.command or "none").split()
    service = SERVICES.get(name)
    return await service(session, *words) if service is not None else 127


async def echo(session: trio_ssh.ServerSession) -> int:
    """The input, sent back as it comes."""
    async for chunk in session:
        await session.send_all(chunk)
    return 0


async def digest(session: trio_ssh.ServerSession) -> int:
    """The SHA-256 of the input, in hexadecimal."""
    state = hashlib.sha256()
    async for chunk in session:
        state.update(chunk)
    await session.send_all(state.hexdigest().encode())
    return 0


async def source(session: trio_ssh.ServerSession, size: str) -> int:
    """That many bytes of `pattern`."""
    await session.send_all(pattern(int(size)))
    return 0


async def exchange(session: trio_ssh.ServerSession, size: str) -> int:
    """Both ways at once: `source` on stdout, and the input's SHA-256 on stderr."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.send_all, pattern(int(size)))
        state = hashlib.sha256()
        async for chunk in session:
            state.update(chunk)
    await session.stderr.send_all(state.hexdigest().encode())
    return 0


async def leave(session: trio_ssh.ServerSession, status: str) -> int:
    """A line on each output, and that exit status."""
    await session.send_all(b"to stdout\n")
    await session.stderr.send_all(b"to stderr\n")
    return int(status)


async def die(session: trio_ssh.ServerSession, signal: str) -> None:
    """Ended by a signal."""
    await session.exit_by_signal(signal, text="as asked")


async def environ(session: trio_ssh.ServerSession) -> int:
    """The variables let in, NAME=value, sorted."""
    lines = sorted(f"{name}={value}\n" for name, value in session.environ.items())
    await session.send_all("".join(lines).encode())
    return 0


SERVICES: dict[str, Callable[..., Awaitable[int]]] = {
    "echo": echo,
    "sha256": digest,
    "source": source,
    "exchange": exchange,
    "exit": leave,
    "die": die,  # type: ignore[dict-item]
    "environ": environ,
}


@attrs.define(eq=False)
class OurServer:
    """A `trio_ssh.serve` in the test's nursery: its port, and what its observer has seen."""

    port: int = 0
    events: list[trio_ssh.Event] = attrs.field(factory=list)
    _seen: trio.Event = attrs.field(factory=trio.Event)

    def observe(self, event: trio_ssh.Event) -> None:
        self.events.append(event)
        self._seen.set()
        self._seen = trio.Event()

    def all_of(self, kind: type[E]) -> list[E]:
        """The events of that kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    async def first(self, kind: type[E]) -> E:
        """The first event of that kind; waits for it."""
        while not (found := self.all_of(kind)):
            await self._seen.wait()
        return found[0]

    def rekeys(self) -> list[trio_ssh.RekeyCause]:
        """Why each key exchange behind the first began, over all connections."""
        causes = [event.cause for event in self.all_of(trio_ssh.KeyExchangeDone)]
        return [cause for cause in causes if cause is not trio_ssh.RekeyCause.FIRST]


@attrs.frozen
class StartServer:
    """Starts our server on a port of its own: everybody with one of the keyring's keys may come, and whoever knows the password."""

    keyring: Keyring
    nursery: trio.Nursery

    async def __call__(
        self,
        handler: trio_ssh.Handler = services,
        *,
        algorithms: trio_ssh.Algorithms | None = None,
        limits: trio_ssh.Limits | None = None,
        authenticate: trio_ssh.Authenticator | None = None,
        host_keys: Sequence[trio_ssh.PrivateKey | trio_ssh.CertifiedKey] | None = None,
    ) -> OurServer:
        server = OurServer()
        run = partial(
            trio_ssh.serve,
            handler,
            0,
            host="127.0.0.1",
            host_keys=list(self.keyring.host_keys.values()) if host_keys is None else host_keys,
            authenticate=authenticate
            or trio_ssh.any_of(
                trio_ssh.AuthorizedKeys.from_file(self.keyring.authorized_keys), trio_ssh.Passwords(is_the_password)
            ),
            algorithms=algorithms or trio_ssh.Algorithms.everything(),
            limits=attrs.evolve(limits or trio_ssh.Limits(), handshakes_per_source_per_second=None),  # all of them are from here
            observer=server.observe,
        )
        listeners: list[trio.SocketListener] = await self.nursery.start(run)
        server.port = listeners[0].socket.getsockname()[1]
        return server


PASSWORD = "correct horse"


async def is_the_password(_username: str, password: str) -> bool:
    return password == PASSWORD
