"""Generator G4, the calls that test_cancel.py does not make: subsystems, waits, ends of file, a session's own calls, listeners, and
policies that take their time (hardening FLT-15, FLT-16, TRI-05, TRI-16; each at every step, calm and restless)."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.faults.cancelling import STEPS_MAX, cancel_at, cancel_everywhere, schedule
from trio_ssh.testing import ConnectionPair, SimulatedNetwork

CALM = trio_ssh.Limits()
RESTLESS = trio_ssh.Limits(rekey_packets=3, window_bytes=700, channel_packet_bytes=300, out_buffer_bytes=500)
"""Keys change all the time, and every wait there is is waited."""
LIMITS = pytest.mark.parametrize("limits", [CALM, RESTLESS], ids=["calm", "restless"])
DATA = pairs.pattern(1500)


def checking(ends: ConnectionPair):
    async def check():
        with trio.fail_after(20):
            await pairs.check_works(ends.client)
            await ends.check_no_channel_is_left()
        await trio.sleep(1)  # more than five rekeys a second with nothing between them are too many

    return check


async def both_kinds(session: trio_ssh.ServerSession) -> int:
    """A subsystem that gives back what it gets, beside the tests' usual commands."""
    if session.subsystem != "mirror":
        return await pairs.commands(session)
    async for chunk in session:
        await session.send_all(chunk)
    return 3


@LIMITS
async def test_g4_flt_15_a_subsystem(autojump_clock, limits):
    async def use_it():
        async with ends.client.open_subsystem("mirror") as process:
            await process.stdin.send_all(b"there")
            assert await process.stdout.receive_some() == b"there"
            await process.stdin.aclose()
            assert await process.wait() == 3

    async with pairs.connected(both_kinds, limits=limits) as ends:
        await cancel_everywhere(use_it, checking(ends))


@LIMITS
@pytest.mark.parametrize("command", ["exit 7", "source 3000"])
async def test_g4_flt_15_waiting_for_a_process(autojump_clock, limits, command):
    """A wait that was cancelled tells nothing and takes nothing away: the next one gives the status."""
    async with pairs.connected(limits=limits) as ends:
        for step in range(1, STEPS_MAX):
            schedule(step)
            async with ends.client.open_process(command) as process, trio.open_nursery() as nursery:
                nursery.start_soon(read_to_the_end, process.stdout)
                hit = await cancel_at(step, process.wait)
                assert await process.wait() == (7 if command == "exit 7" else 0)
            await checking(ends)()
            if not hit:
                return


async def read_to_the_end(stream: trio.abc.ReceiveStream) -> bytes:
    received = bytearray()
    async for chunk in stream:
        received += chunk
    return bytes(received)


@LIMITS
async def test_g4_flt_15_an_end_of_file(autojump_clock, limits):
    """Cancelled, `send_eof` has said it or has not; said again it is heard once, behind all data, and the other direction goes on."""
    async with pairs.muxes(client_limits=limits, server_limits=limits) as ends:
        for step in range(1, STEPS_MAX):
            schedule(step)
            ours, theirs = await ends.channel()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(check_reads, theirs, DATA)
                await ours.send_all(DATA)
                hit = await cancel_at(step, ours.send_eof)
                await ours.send_eof()
            with pytest.raises(trio.ClosedResourceError):
                await ours.send_all(b"x")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(check_reads, ours, DATA)
                await theirs.send_all(DATA)
                await theirs.send_eof()
            await ours.aclose()
            await theirs.aclose()
            if not hit:
                return


async def check_reads(stream: trio.abc.ReceiveStream, expected: bytes) -> None:
    assert await read_to_the_end(stream) == expected


@LIMITS
async def test_g4_flt_16_a_rekey(autojump_clock, limits):
    """Whoever asked is cancelled; the exchange goes on."""
    async with pairs.connected(limits=limits) as ends:
        for step in range(1, STEPS_MAX):
            schedule(step)
            before = len(ends.rekeys())
            hit = await cancel_at(step, ends.client.rekey)
            await wait_all_tasks_blocked()
            assert len(ends.rekeys()) > before or step == 1  # cancelled at the first step it has not asked
            await checking(ends)()
            if not hit:
                return


@LIMITS
@pytest.mark.parametrize("call", ["receive", "send", "stderr", "eof"])
async def test_g4_tri_05_a_sessions_own_calls(autojump_clock, limits, call):
    """Server side: cancelled and made again, nothing that came is lost and nothing that was sent comes twice."""
    step = 0
    hits: list[bool] = []

    async def handler(session: trio_ssh.ServerSession) -> int:
        if session.command != "cancel":
            return await pairs.commands(session)
        received = bytearray()

        async def receive() -> None:
            while chunk := await session.receive_some(77):
                received.extend(chunk)

        operations = {
            "receive": receive,
            "send": lambda: session.send_all(DATA),
            "stderr": lambda: session.stderr.send_all(DATA),
            "eof": session.send_eof,
        }
        hits.append(await cancel_at(step, operations[call]))
        await receive()
        assert received == DATA
        if call != "eof":
            await session.send_all(b"END")
        return 0

    async with pairs.connected(handler, limits=limits) as ends:
        for step in range(1, STEPS_MAX):
            schedule(step)
            result = await ends.client.run_process("cancel", input=DATA)
            output = result.stdout if call != "stderr" else result.stderr + b"END"
            if call != "eof":
                assert output.endswith(b"END")
                assert DATA.startswith(output[:-3])
            if not hits[-1]:
                return


class Thoughtful:
    """A host key policy that asks around before it says yes."""

    async def check(self, host: str, port: int, key: trio_ssh.PublicKey) -> None:
        for _ in range(3):
            await trio.sleep(0.01)

    async def key_types(self, host: str, port: int) -> tuple[str, ...]:
        await trio.sleep(0.01)
        return ()


async def decide_slowly(attempt: trio_ssh.AuthAttempt) -> trio_ssh.Verdict:
    for _ in range(3):
        await trio.sleep(0.01)
    return trio_ssh.ACCEPT


@LIMITS
async def test_g4_flt_16_tri_16_connecting_with_policies_that_take_their_time(autojump_clock, limits):
    """Cancelled while a callback of ours or of the server's runs as well: both ends are closed."""
    for step in range(1, STEPS_MAX):
        client_stream, server_stream = SimulatedNetwork().stream_pair()
        async with pairs.served(stream=server_stream, limits=limits, authenticate=decide_slowly):
            schedule(step)

            async def live(stream=client_stream):
                async with pairs.connecting(stream, limits=limits, host_keys=Thoughtful()):
                    pass

            hit = await cancel_at(step, live)
            assert client_stream.closed
        assert server_stream.closed
        if not hit:
            return


@LIMITS
async def test_g4_flt_15_a_listener_with_connections_in_every_state(autojump_clock, limits):
    """`serve_listeners` cancelled at each step of three connections' lives: all of them are closed, and every client is told."""
    for step in range(1, STEPS_MAX, 7):  # three connections have many steps, and the other tests take each
        network = SimulatedNetwork(step)
        listener = network.listen("server", 22)
        errors: list[Exception] = []

        async def live(network=network, errors=errors):
            try:
                stream = await network.connect("server", 22)
                async with pairs.connecting(stream, limits=limits) as client:
                    assert (await client.run_process("echo", input=DATA)).stdout == DATA
            except (trio_ssh.SSHError, OSError, trio.BrokenResourceError) as error:
                errors.append(error)

        async def serve(listener=listener):
            await trio_ssh.serve_listeners(
                pairs.commands,
                [listener],
                host_keys=[pairs.HOST_KEY],
                authenticate=trio_ssh.AuthorizedKeys.of([pairs.USER_KEY.public_key]),
                limits=limits,
                algorithms=pairs.QUICK,
            )

        async def serve_until_done(serve=serve, live=live):
            async with trio.open_nursery() as inner:
                inner.start_soon(serve)
                async with trio.open_nursery() as clients:
                    for _ in range(3):
                        clients.start_soon(live)
                inner.cancel_scope.cancel()

        with trio.fail_after(200):
            schedule(step)
            hit = await cancel_at(step, serve_until_done)
            await listener.aclose()
        if not hit:
            assert errors == []
            return
