"""A session without a connection: what a handler sees at one end, what its client would see at the other."""

from __future__ import annotations

import os
import pwd
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import trio
import trio.testing

from trio_ssh.connection.terminal import Terminal
from trio_ssh.keys.permissions import Permissions
from trio_ssh.server.login_shell import Handler
from trio_ssh.server.session import ServerSession

MY_NAME = pwd.getpwuid(os.geteuid()).pw_name


class Collected:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.data = bytearray()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.data += data
        await trio.lowlevel.checkpoint()


class FakeSession:
    """`client` is the client's end, `stderr.data` what it got on stderr, `ending` what it was told about the end."""

    def __init__(
        self,
        command: str | None = None,
        *,
        terminal: Terminal | None = None,
        subsystem: str | None = None,
        username: str = MY_NAME,
        environ: dict[str, str] | None = None,
        tight: bool = False,
        peer: str = "",
        permissions: Permissions | None = None,
    ) -> None:
        self.original_command = command if subsystem is None else subsystem
        self.permissions = permissions or Permissions()
        self.command = command
        self.terminal = terminal
        self.subsystem = subsystem
        self.username = username
        self.environ = environ or {}
        self.peer = peer
        self.local = "127.0.0.1 port 2222"
        self._stream: trio.abc.HalfCloseableStream
        self.client: trio.abc.HalfCloseableStream
        self._stream, self.client = trio.testing.lockstep_stream_pair() if tight else trio.testing.memory_stream_pair()
        self.stderr = Collected()
        self.signals_in, self.signals = trio.open_memory_channel[str](16)
        self.resizes_in, self.resizes = trio.open_memory_channel[Terminal](1)
        self.ending: int | str | None = None
        self.ended = trio.Event()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def exit(self, status: int) -> None:
        self._end(status)
        await trio.lowlevel.checkpoint()

    async def exit_by_signal(self, name: str, core_dumped: bool = False, text: str = "") -> None:
        self._end(name)
        await trio.lowlevel.checkpoint()

    def _end(self, how: int | str) -> None:
        assert self.ending is None
        self.ending = how
        self.ended.set()

    async def aclose(self) -> None:
        await self._stream.aclose()

    @property
    def as_session(self) -> ServerSession:
        return cast(ServerSession, self)

    def close(self) -> None:
        """What the real one's channel does at the end."""
        for end in (self.signals_in, self.signals, self.resizes_in, self.resizes):
            end.close()

    # -- the client's part -------------------------------------------------------------------------------------------------------

    async def read_until(self, wanted: bytes) -> bytes:
        """Output up to and with `wanted`."""
        seen = bytearray()
        while wanted not in seen:
            chunk = await self.client.receive_some()
            assert chunk, f"the output ended before {wanted!r}: {bytes(seen)!r}"
            seen += chunk
        return bytes(seen)

    async def read_all(self) -> bytes:
        return b"".join([bytes(chunk) async for chunk in self.client])


@asynccontextmanager
async def serving(session: FakeSession, handler: Handler) -> AsyncIterator[trio.CancelScope]:
    """The handler runs beside the block and is over at its end; the scope stands for the client: cancelled, it has gone."""
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()

            async def serve() -> None:
                with scope:
                    status = await handler(session.as_session)
                    if session.ending is None:
                        await session.exit(status)
                session.close()

            nursery.start_soon(serve)
            yield scope


async def run(session: FakeSession, handler: Handler, stdin: bytes = b"") -> bytes:
    """All output of the session, `stdin` given and ended first."""
    async with serving(session, handler):
        if stdin:
            await session.client.send_all(stdin)
        await session.client.send_eof()
        await session.ended.wait()
    await session.aclose()
    return await session.read_all()
