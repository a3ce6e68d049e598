"""A whole `Connection` over memory streams whose other ends are in our hands: what the machines do, done by the tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, wait_all_tasks_blocked

import trio_ssh
from tests.fuzz.ours import connection_of
from tests.fuzz.states import Calls, State
from trio_ssh.connection import slow_maths
from trio_ssh.connection.connection import Connection
from trio_ssh.connection.events import RekeyCause
from trio_ssh.connection.mux import Mux
from trio_ssh.errors import ConnectionLost, SSHError
from trio_ssh.protocol.negotiation import Algorithms
from trio_ssh.protocol.role import Role


@attrs.define(eq=False)
class Whole:
    """The same verbs as `Machine`; `settle` gives the tasks their turn."""

    connection: Connection
    calls: Calls
    _nursery: trio.Nursery
    _sent: MemorySendStream
    _given: MemoryReceiveStream
    _closing: trio.Event = attrs.field(factory=trio.Event)
    crash: BaseException | None = None

    @property
    def ended(self) -> bool:
        return self.connection.ended.is_set()

    @property
    def cause(self) -> SSHError | None:
        return self.connection.cause

    def feed(self, data: bytes) -> None:
        if data and not self.ended:
            self._given.put_data(data)

    def take(self) -> bytes:
        try:
            return bytes(self._sent.get_data_nowait())
        except trio.WouldBlock:
            return b""

    def open_channel(self) -> None:
        assert self.connection.mux is not None
        self._nursery.start_soon(self._opening, self.connection.mux)

    async def _opening(self, mux: Mux) -> None:
        try:
            await mux.open_channel("session")
        except ConnectionLost:
            pass

    def begin_rekey(self) -> None:
        supervisor = self.connection.parts.supervisor
        supervisor.ask(RekeyCause.USER, supervisor.state.generation)

    def close(self) -> None:
        """From here on what it sends is stuck in the network: it stays in CLOSING until `let_go`."""
        self._sent.send_all_hook = self._closing.wait
        self.connection.end(None)

    def let_go(self) -> None:
        self._closing.set()

    async def settle(self) -> None:
        """Until every task waits for the peer. Arithmetic in threads is waited for as well."""
        await wait_all_tasks_blocked()
        while _threads_at_work():
            await trio.to_thread.run_sync(int)
            await wait_all_tasks_blocked()

    async def run(self) -> None:
        try:
            await self.connection.run()
        except BaseException as error:
            if not isinstance(error, trio.Cancelled):
                self.crash = error
            raise


def _threads_at_work() -> int:
    try:
        return int(slow_maths._turns.get().borrowed_tokens)
    except LookupError:
        return 0


@asynccontextmanager
async def whole(role: Role, state: State, algorithms: Algorithms, limits: trio_ssh.Limits | None = None) -> AsyncIterator[Whole]:
    ours_out, ours_in = MemorySendStream(), MemoryReceiveStream()
    calls = Calls()
    stream = trio.StapledStream(ours_out, ours_in)
    connection = connection_of(role, state, stream, algorithms, limits or trio_ssh.Limits(), calls)
    async with trio.open_nursery() as nursery:
        end = Whole(connection, calls, nursery, ours_out, ours_in)
        nursery.start_soon(end.run)
        yield end
        end.let_go()
        nursery.cancel_scope.cancel()
