"""`ServerSession`: what a handler can say and hear."""

from __future__ import annotations

import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

import trio_ssh
from tests import pairs


async def run(handler, *, command="x", limits=None, **options):
    """The result of one command with that handler."""
    async with pairs.connected(handler, limits=limits) as ends:
        return await ends.client.run_process(command, check=False, **options)


@pytest.mark.parametrize(
    ("sent", "lines"),
    [
        (b"", []),
        (b"one\ntwo\n", [b"one\n", b"two\n"]),
        (b"one\r\ntwo", [b"one\r\n", b"two"]),
        (b"\n\n", [b"\n", b"\n"]),
        (b"x" * 65536, [b"x" * 65536]),
        (b"x" * 65537 + b"\n", [b"x" * 65536, b"x\n"]),
        (b"x" * 65535 + b"\ny", [b"x" * 65535 + b"\n", b"y"]),
        (b"x" * 65536 + b"\ny", [b"x" * 65536, b"\n", b"y"]),
        (b"a\n" * 3 + b"x" * 200_000 + b"\n", [b"a\n"] * 3 + [b"x" * 65536] * 3 + [b"x" * 3392 + b"\n"]),
    ],
    ids=lambda value: f"{len(value)}",
)
@pytest.mark.parametrize("window_bytes", [7, 1000, 2**21])
async def test_lines(autojump_clock, sent, lines, window_bytes):
    """However the input is cut into packets, the lines are the same."""
    if window_bytes == 7 and len(sent) > 1000:
        window_bytes = 7000
    seen = []

    async def handler(session):
        async for line in session.lines():
            seen.append(line)

    await run(handler, input=sent, limits=trio_ssh.Limits(window_bytes=window_bytes))
    assert seen == lines


@pytest.mark.parametrize(
    ("returned", "status"), [(None, 0), (0, 0), (7, 7), (255, 255), (2**32 - 1, 2**32 - 1), (-1, 2**32 - 1), (True, 1)]
)
async def test_the_returned_value_is_the_exit_status(autojump_clock, returned, status):
    async def handler(session):
        return returned

    assert (await run(handler)).exit_status == status


async def test_the_first_word_about_the_end_counts(autojump_clock):
    async def status_first(session):
        await session.exit(3)
        await session.exit(4)
        await session.exit_by_signal("KILL")
        return 5

    async def signal_first(session):
        await session.exit_by_signal("TERM", text="ended")
        await session.exit(4)
        return 5

    assert (await run(status_first)).exit_status == 3
    result = await run(signal_first)
    assert (result.exit_status, result.exit_signal) == (None, "TERM")


async def test_output_arrives_before_the_exit_status(autojump_clock):
    async def handler(session):
        await session.send_all(bytes(50_000))
        await session.stderr.send_all(b"x" * 50_000)
        return 1

    result = await run(handler, limits=trio_ssh.Limits(window_bytes=1000))
    assert (len(result.stdout), len(result.stderr), result.exit_status) == (50_000, 50_000, 1)


async def test_half_closing_either_way(autojump_clock):
    """The client's end of file leaves our output open; ours leaves its input open."""

    async def handler(session):
        assert [chunk async for chunk in session] == [b"all of it"]
        await session.send_all(b"still here")
        await session.send_eof()
        with pytest.raises(trio.ClosedResourceError):
            await session.send_all(b"x")
        return 2

    assert (await run(handler, input=b"all of it")).stdout == b"still here"

    async def other_way(session):
        await session.send_eof()
        received = bytearray()
        async for chunk in session:
            received.extend(chunk)
        return len(received)

    async with pairs.connected(other_way) as ends, ends.client.open_process("x") as process:
        assert await process.stdout.receive_some() == b""
        await process.stdin.send_all(bytes(1234))
        await process.stdin.aclose()
        assert await process.wait() == 1234


async def test_closing_the_session_is_the_end_of_the_channel_not_of_the_handler(autojump_clock):
    went_on = []

    async def handler(session):
        await session.exit(4)
        await session.aclose()
        went_on.append(True)
        with pytest.raises(trio.ClosedResourceError):
            await session.send_all(b"x")
        with pytest.raises(trio.ClosedResourceError):
            await session.receive_some()
        return 9

    assert (await run(handler)).exit_status == 4
    assert went_on == [True]


async def test_tri_21_both_outputs_at_once_and_checkpoints(autojump_clock):
    """One task each for stdout, stderr and stdin; every call is a checkpoint (TRI-21)."""

    async def handler(session):
        with assert_checkpoints():
            await session.send_all(b"")
        with assert_checkpoints():
            await session.stderr.send_all(b"")
        with assert_checkpoints():
            await session.wait_send_all_might_not_block()
        with assert_checkpoints():
            await session.stderr.wait_send_all_might_not_block()
        with assert_checkpoints():
            assert await session.receive_some() == b"x"
        with assert_checkpoints():
            assert await session.receive_some() == b""
        with assert_checkpoints():
            await session.stderr.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await session.stderr.send_all(b"x")
        with assert_checkpoints():
            await session.send_eof()
        with assert_checkpoints():
            await session.exit(3)
        with assert_checkpoints():
            await session.aclose()

    assert (await run(handler, input=b"x")).exit_status == 3


async def test_a_handler_that_waits_for_a_client_that_reads_nothing(autojump_clock):
    """Back-pressure: no more than the window is ever taken from a handler (RES-25)."""
    sent = 0

    async def handler(session):
        nonlocal sent
        while True:
            await session.send_all(bytes(1000))
            sent += 1000

    async with pairs.connected(handler, limits=trio_ssh.Limits(window_bytes=50_000)) as ends, ends.client.open_process("x"):
        await wait_all_tasks_blocked()
        assert 49_000 <= sent <= 50_000


async def test_signals_and_sizes_end_with_the_client(autojump_clock):
    """A handler that only listens for signals comes to the end of them, or is cancelled; it never hangs."""
    ended = []

    async def handler(session):
        try:
            async for _ in session.signals:
                pass
            async for _ in session.resizes:
                pass
        finally:
            ended.append(True)

    async with pairs.connected(handler) as ends:
        async with ends.client.open_process("x"):
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        assert ended == [True]


async def test_sessions_of_one_connection_run_side_by_side(autojump_clock):
    running = 0
    most = 0

    async def handler(session):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await trio.sleep(10)
        running -= 1

    async with pairs.connected(handler) as ends, trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(ends.client.run_process, "x")
    assert most == 10
    assert trio.current_time() == pytest.approx(10, abs=1)


async def test_tri_20_ten_senders_share_the_wire_fairly(autojump_clock):
    """TRI-20: no channel is starved while others send all the time."""
    amounts = dict.fromkeys(range(10), 0)

    async def drain(number, process):
        async for chunk in process.stdout:
            amounts[number] += len(chunk)
            if max(amounts.values()) > 2_000_000:
                return

    async def one(client, number):
        async with client.open_process("source 20000000") as process:
            await drain(number, process)
        nursery.cancel_scope.cancel()

    async with pairs.connected(limits=trio_ssh.Limits(window_bytes=100_000)) as ends, trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(one, ends.client, number)
    total = sum(amounts.values())
    fairness = total**2 / (10 * sum(amount**2 for amount in amounts.values()))
    assert fairness >= 0.9
