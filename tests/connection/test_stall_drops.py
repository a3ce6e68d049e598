"""Stall invariant 8: the connection drops at any read, write or byte of a rekey, and every waiter wakes.

The essay is in test_stall_invariants.py.
"""

from __future__ import annotations

import pytest
import trio

import trio_ssh
from tests import pairs
from tests.connection.stalling import TYPED
from trio_ssh.testing import ConnectionPair, Link, SimulatedNetwork

RESTLESS = trio_ssh.Limits(rekey_packets=2, window_bytes=5000)


class Failing(trio.abc.Stream):
    """`inner`, until so many reads or writes more have been made; `coupled`, what fails once fails both ways."""

    def __init__(self, inner: trio.abc.Stream, coupled: bool) -> None:
        self._inner = inner
        self._coupled = coupled
        self.left = {"reads": 10**9, "writes": 10**9}

    async def _count(self, what: str) -> None:
        self.left[what] -= 1
        if self.left[what] < 0:
            if self._coupled:
                self.left = {"reads": 0, "writes": 0}
            await trio.lowlevel.checkpoint()
            raise trio.BrokenResourceError("broken on purpose")

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._count("writes")
        await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        await self._count("reads")
        return await self._inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._inner.aclose()


COUPLED = pytest.mark.parametrize("coupled", [False, True], ids=["alone", "coupled"])
WHO = pytest.mark.parametrize("who", ["client", "server"])
WHAT = pytest.mark.parametrize("what", ["reads", "writes"])


def failing_pair(who: str, coupled: bool) -> tuple[Failing, trio.abc.Stream, trio.abc.Stream]:
    """The stream that fails; the client's and the server's."""
    one, other = SimulatedNetwork().stream_pair()
    failing = Failing(one if who == "client" else other, coupled)
    return (failing, failing, other) if who == "client" else (failing, one, failing)


@COUPLED
@WHAT
@WHO
@pytest.mark.parametrize("n", range(20))
async def test_stall_08_flt_10_the_nth_call_of_a_stream_fails(autojump_clock, n, who, what, coupled):
    """Counted from the first byte on: in the handshake, in the login and in the rekeys behind it."""
    failing, client_stream, server_stream = failing_pair(who, coupled)
    failing.left[what] = n
    async with pairs.served(stream=server_stream, limits=RESTLESS):
        with trio.fail_after(100), pytest.raises(trio_ssh.SSHError):
            async with pairs.connecting(client_stream, limits=RESTLESS) as client:
                for _ in range(20):
                    await client.run_process("echo", input=bytes(3000))


async def everybody_wakes(ends: ConnectionPair, break_it) -> None:
    """Two rekeys, a question, a command and three streams wait; each gets one exception of its own."""
    errors: list[BaseException] = []

    async def expect_error(function, *arguments):
        with pytest.raises(TYPED) as caught:
            while True:
                await function(*arguments)
        errors.append(caught.value)

    client = ends.client
    async with client.open_process("echo") as process:
        assert process.stderr is not None
        break_it()
        with trio.fail_after(100):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(expect_error, client.rekey)
                nursery.start_soon(expect_error, client.rekey)
                nursery.start_soon(expect_error, client.ping)
                nursery.start_soon(expect_error, client.run_process, "echo")
                nursery.start_soon(expect_error, process.stdin.send_all, bytes(1000))
                nursery.start_soon(expect_error, process.stderr.receive_some)
                nursery.start_soon(expect_error, process.wait)
                nursery.start_soon(expect_error, client.wait_closed)
    assert len({id(error) for error in errors}) == 8
    await ends.server_done.wait()
    assert isinstance(ends.server_cause, trio_ssh.SSHError)


@COUPLED
@WHAT
@WHO
async def test_stall_08_flt_10_the_nth_call_from_the_beginning_of_a_rekey_fails(autojump_clock, who, what, coupled):
    for n in range(20):
        failing, client_stream, server_stream = failing_pair(who, coupled)
        async with pairs.connected(
            streams=(client_stream, server_stream), limits=trio_ssh.Limits(window_bytes=5000), leaves_channels=True
        ) as ends:

            def break_it(failing=failing, n=n):
                failing.left[what] = n

            await everybody_wakes(ends, break_it)


@pytest.mark.parametrize("cleanly", [False, True], ids=["reset", "closed"])
@WHO
async def test_stall_08_flt_10_flt_11_cut_at_any_byte_of_a_rekey(autojump_clock, who, cleanly):
    """While everything waits; the bytes of an exchange are about a thousand, those behind them are under the fresh keys."""
    for k in range(0, 1500, 31):
        client_stream, server_stream = SimulatedNetwork().stream_pair()
        async with pairs.connected(
            streams=(client_stream, server_stream), limits=trio_ssh.Limits(window_bytes=5000), leaves_channels=True
        ) as ends:
            stream = client_stream if who == "client" else server_stream

            def break_it(stream=stream, k=k):
                stream.set_link(Link(cut_at=stream.bytes_sent + k, cut_cleanly=cleanly))

            await everybody_wakes(ends, break_it)
