"""Cancelling anything anywhere: the connection goes on or is closed, never hung, never garbled, and nothing is left on either side
(hardening FLT-15, FLT-16, TRI-01 to TRI-05, TRI-14, TRI-15; generator G4)."""

from __future__ import annotations

import functools

import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.faults.cancelling import STEPS_MAX, cancel_at, cancel_everywhere, schedule
from trio_ssh.testing import ConnectionPair

CALM = trio_ssh.Limits()
RESTLESS = trio_ssh.Limits(rekey_packets=3, window_bytes=700, channel_packet_bytes=300, out_buffer_bytes=500)
"""Keys change all the time, and every wait there is is waited."""

LIMITS = pytest.mark.parametrize("limits", [CALM, RESTLESS], ids=["calm", "restless"])

DATA = pairs.pattern(1800)


def checking(ends: ConnectionPair):
    async def check():
        with trio.fail_after(20):
            await pairs.check_works(ends.client)
            await ends.check_no_channel_is_left()
        await trio.sleep(1)  # more than five rekeys a second with nothing between them are too many

    return check


async def run_a_command(client):
    result = await client.run_process("echo", input=DATA)
    assert result.stdout == DATA


async def run_a_command_with_everything(client):
    result = await client.run_process("both 1000", environ={"LC_ALL": "C"}, terminal=trio_ssh.Terminal())
    assert result.stdout == pairs.pattern(1000, "out")


async def run_a_command_that_fails(client):
    with pytest.raises(trio_ssh.ProcessFailed):
        await client.run_process("fail")


async def open_and_leave(client):
    async with client.open_process("sleep"):
        pass


async def open_a_shell(client):
    async with client.open_shell(trio_ssh.Terminal()) as process:
        await process.wait()


async def talk(client):
    async with client.open_process("echo") as process:
        for _ in range(3):
            await process.stdin.send_all(b"x")
            assert await process.stdout.receive_some(1) == b"x"
        process.send_signal("INT")
        process.resize(100, 50)
        await process.stdin.aclose()
        assert await process.wait() == 0


async def change_keys(client):
    await client.rekey()


async def ping(client):
    await client.ping()


async def ping_and_change_keys_and_run(client):
    async with trio.open_nursery() as nursery:
        for operation in (ping, change_keys, run_a_command, ping):
            nursery.start_soon(operation, client)


async def refused(client):
    with pytest.raises(trio_ssh.RequestDenied):
        async with client.open_process("x" * 100_000):
            pytest.fail("granted")


OPERATIONS = [
    run_a_command,
    run_a_command_with_everything,
    run_a_command_that_fails,
    open_and_leave,
    open_a_shell,
    talk,
    change_keys,
    ping,
    ping_and_change_keys_and_run,
    refused,
]


@LIMITS
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
async def test_g4_flt_15_every_call_of_a_client(autojump_clock, caplog, operation, limits):
    """On one connection, one after another: what a cancelled call leaves behind would trip those that follow."""
    caplog.set_level("CRITICAL")
    async with pairs.connected(limits=limits) as ends:
        await cancel_everywhere(lambda: operation(ends.client), checking(ends))


@LIMITS
async def test_g4_flt_15_closing_a_process(autojump_clock, limits):
    async with pairs.connected(limits=limits) as ends:
        for step in range(1, STEPS_MAX):
            schedule(step)
            async with ends.client.open_process("source 100000") as process:
                await process.stdout.receive_some(100)
                hit = await cancel_at(step, process.aclose)
                with pytest.raises(trio.ClosedResourceError):
                    await process.stdin.send_all(b"x")
                with pytest.raises(trio.ClosedResourceError):
                    await process.stdout.receive_some()
            await checking(ends)()
            if not hit:
                return


@LIMITS
async def test_g4_flt_15_tri_23_closing_the_client(autojump_clock, limits):
    """Whatever step it is cancelled at: the connection is closed on both sides."""
    for step in range(1, STEPS_MAX):
        schedule(step)
        streams = pairs.misbehaving()
        async with pairs.connected(limits=limits, streams=streams, leaves_channels=True) as ends, trio.open_nursery() as nursery:
            nursery.start_soon(expect_lost, ends.client.run_process, "sleep")
            nursery.start_soon(expect_lost, ends.client.run_process, "sleep 2")
            await wait_all_tasks_blocked()
            hit = await cancel_at(step, ends.client.aclose)
            with trio.fail_after(10):
                await ends.client.wait_closed()
        assert [stream.closed for stream in streams] == [True, True]
        if not hit:
            return


async def expect_lost(function, *arguments):
    with pytest.raises(trio_ssh.ConnectionLost):
        await function(*arguments)


@LIMITS
async def test_g4_flt_15_flt_16_tri_23_the_whole_life_of_a_connection(autojump_clock, limits):
    """Dialling, key exchange, login, a command, leaving: cancelled anywhere, both ends are closed and nobody hangs."""
    entered = 0
    for step in range(1, STEPS_MAX):
        streams = pairs.misbehaving()
        async with pairs.served(stream=streams[1], limits=limits):
            schedule(step)

            async def live(stream=streams[0]):
                nonlocal entered
                async with pairs.connecting(stream, limits=limits) as client:
                    entered += 1
                    await run_a_command(client)

            hit = await cancel_at(step, live)
            with trio.fail_after(5):
                await wait_all_tasks_blocked()
                assert streams[0].closed, f"step {step}: the client's stream was left open"
        assert streams[1].closed
        if not hit:
            break
    assert entered > step // 3


@LIMITS
async def test_g4_flt_15_the_server(autojump_clock, limits):
    """`serve_stream` cancelled at each step of a connection's life: the client gets one typed error, or all it wanted."""
    for step in range(1, STEPS_MAX):
        client_stream, server_stream = pairs.misbehaving()
        errors: list[Exception] = []

        async def live(stream=client_stream, errors=errors):
            try:
                async with pairs.connecting(stream, limits=limits) as client:
                    await run_a_command(client)
            except (trio_ssh.ConnectionLost, trio_ssh.ProcessFailed, trio_ssh.RequestDenied, trio.BrokenResourceError) as error:
                errors.append(error)

        async def serve(stream=server_stream):
            await trio_ssh.serve_stream(
                pairs.commands,
                stream,
                host_keys=[pairs.HOST_KEY],
                authenticate=trio_ssh.AuthorizedKeys.of([pairs.USER_KEY.public_key]),
                limits=limits,
                algorithms=pairs.QUICK,
            )

        with trio.fail_after(100):
            async with trio.open_nursery() as nursery:
                schedule(step)
                nursery.start_soon(live)
                hit = await cancel_at(step, serve)
                assert server_stream.closed
        assert client_stream.closed
        if not hit:
            assert errors == []
            return


@LIMITS
async def test_g4_flt_15_a_handler_that_gives_up_in_mid_send(autojump_clock, limits):
    """Server side: a handler's own send cancelled at each step, then it says so and goes on. What arrived is a prefix."""
    step = 0
    hits = []

    async def handler(session):
        if session.command != "cancel":
            return await pairs.commands(session)
        hits.append(await cancel_at(step, lambda: session.send_all(DATA)))
        await session.send_all(b"END")
        hits.append(await cancel_at(step, lambda: session.stderr.send_all(DATA)))
        await session.stderr.send_all(b"END")
        return 0

    async with pairs.connected(handler, limits=limits) as ends:
        for step in range(1, STEPS_MAX):
            schedule(step)
            hits.clear()
            result = await ends.client.run_process("cancel")
            for received in (result.stdout, result.stderr):
                assert received.endswith(b"END")
                assert DATA.startswith(received[:-3])
            if not any(hits):
                return
            await checking(ends)()


# -- below the public API: exact accounts ----------------------------------------------------------------------------------------------


async def collect(channel, into: bytearray):
    async for chunk in channel:
        into += chunk


@pytest.mark.parametrize("limits", [CALM, RESTLESS], ids=["calm", "restless"])
async def test_g4_tri_04_a_cancelled_send_sends_a_prefix_and_the_windows_agree(autojump_clock, limits):
    """TRI-01, TRI-04: nothing of another channel suffers, and both ends count the same credit."""
    async with pairs.muxes(client_limits=limits, server_limits=limits) as ends:
        other, other_theirs = await ends.channel()
        for step in range(1, STEPS_MAX):
            schedule(step)
            ours, theirs = await ends.channel()
            received = bytearray()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(collect, theirs, received)
                hit = await cancel_at(step, functools.partial(ours.send_all, DATA))
                await ours.send_all(b"END")
                await wait_all_tasks_blocked()
                assert ours.outlet.window.credit == theirs.receive_window.credit
                await ours.send_eof()
            assert received.endswith(b"END")
            assert DATA.startswith(received[:-3])
            await ours.aclose()
            await other.send_all(b"fine")
            assert await other_theirs.receive_some() == b"fine"
            if not hit:
                return


@pytest.mark.parametrize("limits", [CALM, RESTLESS], ids=["calm", "restless"])
async def test_g4_tri_05_a_cancelled_receive_loses_nothing(autojump_clock, limits):
    """TRI-05."""
    async with pairs.muxes(client_limits=limits, server_limits=limits) as ends:
        ours, theirs = await ends.channel()
        received = bytearray()
        ended = False

        async def send():
            for start in range(0, len(DATA), 100):
                await ours.send_all(DATA[start : start + 100])
            await ours.send_eof()

        async def receive():
            nonlocal ended
            while chunk := await theirs.receive_some(33):
                received.extend(chunk)
            ended = True

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            for attempt in range(STEPS_MAX):
                await cancel_at(1 + attempt % 23, receive)
                if ended:
                    break
        assert received == DATA


async def test_tri_15_a_thousand_opens_cancelled_at_random(autojump_clock):
    """TRI-15: ids are not confused, and whatever the peer opened is closed."""
    async with pairs.connected(limits=trio_ssh.Limits(sessions=1000)) as ends:

        async def try_to_open(number):
            async def operation():
                assert (await ends.client.run_process("echo", input=str(number).encode())).stdout == str(number).encode()

            await cancel_at(1 + number * 7919 % 400, operation)

        for batch in range(10):
            async with trio.open_nursery() as nursery:
                for number in range(100):
                    nursery.start_soon(try_to_open, 100 * batch + number)
        await checking(ends)()


@pytest.mark.parametrize("accepted", [0, 1, 3, 4, 5, 20, 100, 5000])
async def test_tri_01_a_sender_cancelled_while_the_stream_has_taken_part_of_a_packet(autojump_clock, accepted):
    """TRI-01: the writer, not the user, owns what is sealed. Another channel's packets verify afterwards."""
    unblocked = trio.Event()
    client_stream, server_stream = memory_stream_pair()
    hook_armed = False

    class Part(pairs.MisbehavingStream):
        async def send_all(self, data):
            nonlocal hook_armed
            data = bytes(data)
            if hook_armed and len(data) > 1000:
                hook_armed = False
                await super().send_all(data[:accepted])
                await unblocked.wait()
                data = data[accepted:]
            await super().send_all(data)

    stream = Part(client_stream, pairs.Wire(), pairs.Wire(), trio.Event())
    async with pairs.muxes(streams=(stream, server_stream)) as ends:
        one, one_theirs = await ends.channel()
        two, two_theirs = await ends.channel()
        hook_armed = True
        with trio.move_on_after(1) as scope:
            await one.send_all(bytes(2_000_000))
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(two.send_all, DATA)
            await wait_all_tasks_blocked()
            unblocked.set()
        received = bytearray()
        while len(received) < len(DATA):
            received += await two_theirs.receive_some()
        assert received == DATA
        assert await one_theirs.receive_some(1) == b"\0"
        await one.send_all(b"x")
