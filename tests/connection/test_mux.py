"""What a peer that breaks the rules of channels does to our callers: each of them gets one typed exception, none waits for ever."""

from __future__ import annotations

import contextlib

import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.raw_peer import PASSWORDS, RawPeer
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import (
    ChannelClose,
    ChannelData,
    ChannelEof,
    ChannelExtendedData,
    ChannelFailure,
    ChannelOpen,
    ChannelOpenConfirmation,
    ChannelOpenFailureMessage,
    ChannelRequest,
    ChannelSuccess,
    ChannelWindowAdjust,
    Exec,
    ExitStatus,
    GlobalRequest,
    RequestFailure,
    RequestSuccess,
)
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Disconnect, Ping


@contextlib.asynccontextmanager
async def raw_server(script):
    """A client of ours against `script(raw)`, which plays the server from the login on. A script may end early; the client may not hang."""
    client_stream, server_stream = memory_stream_pair()
    raw = RawPeer(server_stream, Role.SERVER)

    async def play():
        await raw.log_in()
        await script(raw)
        await raw.drain()
        await raw.stream.aclose()

    with trio.fail_after(1000):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(play)
            async with pairs.connecting(client_stream) as client:
                yield client


async def confirm(raw: RawPeer, theirs: int, **options) -> int:
    opened = decode(ChannelOpen, await raw.wait_for(M.CHANNEL_OPEN))
    values = {"initial_window_size": 1000, "maximum_packet_size": 1000, **options}
    await raw.send(ChannelOpenConfirmation(opened.sender_channel, theirs, **values))
    return opened.sender_channel


async def grant(raw: RawPeer, theirs: int) -> int:
    """A channel and the command on it."""
    ours = await confirm(raw, theirs)
    await raw.wait_for(M.CHANNEL_REQUEST)
    await raw.send(ChannelSuccess(ours))
    return ours


async def expect_error(errors: list, function, *arguments):
    try:
        await function(*arguments)
    except Exception as error:
        errors.append(error)
    else:
        pytest.fail(f"{function.__qualname__} raised nothing")


async def test_two_channels_confirmed_under_one_number(autojump_clock):
    """Both who opened, and whoever else waits, are told (RFC 4254 §5.1)."""

    async def script(raw):
        first = decode(ChannelOpen, await raw.wait_for(M.CHANNEL_OPEN))
        second = decode(ChannelOpen, await raw.wait_for(M.CHANNEL_OPEN))
        for number in (first.sender_channel, second.sender_channel):
            await raw.send(ChannelOpenConfirmation(number, 7, 1000, 1000))

    errors: list[BaseException] = []
    async with raw_server(script) as client:
        with trio.fail_after(100):
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(expect_error, errors, client.run_process, "x")
                nursery.start_soon(expect_error, errors, client.ping)
    assert [type(error) for error in errors] == [trio_ssh.ConnectionLost] * 3
    assert all("in use" in str(error) for error in errors)


async def test_c05_a_confirmation_that_lets_nothing_through(autojump_clock):
    async def script(raw):
        ours = await confirm(raw, 0, maximum_packet_size=0)
        await raw.expect(M.CHANNEL_CLOSE)
        await raw.send(ChannelClose(ours))

    async with raw_server(script) as client:
        with pytest.raises(trio_ssh.ChannelOpenFailure):
            await client.run_process("x")
        await wait_all_tasks_blocked()
        assert client.statistics().channels == ()


async def test_an_open_that_is_refused(autojump_clock):
    async def script(raw):
        opened = decode(ChannelOpen, await raw.wait_for(M.CHANNEL_OPEN))
        await raw.send(ChannelOpenFailureMessage(opened.sender_channel, 99, "go\x1b[31m away"))

    async with raw_server(script) as client:
        with pytest.raises(trio_ssh.ChannelOpenFailure) as caught:
            await client.run_process("x")
        assert caught.value.reason == 99
        assert caught.value.description == "go\\x1b[31m away"
        assert client.statistics().channels == ()


async def test_tri_15_pain_09_an_open_that_was_cancelled_and_is_granted_later_is_closed(autojump_clock):
    """TRI-15, pain 9."""
    go = trio.Event()

    async def script(raw):
        opened = decode(ChannelOpen, await raw.wait_for(M.CHANNEL_OPEN))
        await go.wait()
        await raw.send(ChannelOpenConfirmation(opened.sender_channel, 3, 1000, 1000), ChannelData(opened.sender_channel, b"too late"))
        assert decode(ChannelClose, await raw.expect(M.CHANNEL_CLOSE)).recipient_channel == 3
        await raw.send(ChannelClose(opened.sender_channel))

    async with raw_server(script) as client:
        with trio.move_on_after(1):
            await client.run_process("x")
        assert len(client.statistics().channels) == 1
        go.set()
        await wait_all_tasks_blocked()
        assert client.statistics().channels == ()


async def test_tri_15_c01_replies_go_to_whom_they_are_for_when_some_are_cancelled(autojump_clock):
    """C01: the question that was given up takes its own answer along."""

    async def script(raw):
        await raw.wait_for(M.GLOBAL_REQUEST)
        await raw.wait_for(M.GLOBAL_REQUEST)
        await trio.sleep(10)
        await raw.send(RequestFailure())
        await trio.sleep(10)
        await raw.send(RequestSuccess(b"whatever"))

    async with raw_server(script) as client:
        with trio.move_on_after(1):
            await client.ping()
        assert await client.ping() == pytest.approx(20)


async def test_sm_112_sm_130_res_14_c01_answers_that_nobody_asked_for(autojump_clock):
    """SM-112, SM-130, RES-14: dropped; what comes behind them is none the wiser."""

    async def script(raw):
        await raw.send(*[RequestSuccess(b"x"), RequestFailure()] * 1000)
        ours = await grant(raw, 0)
        await raw.send(*[ChannelSuccess(ours), ChannelFailure(ours), ChannelSuccess(77), ChannelWindowAdjust(77, 1)] * 1000)
        await raw.send(ChannelData(ours, b"fine"), ChannelRequest(ours, "exit-status", False, encode(ExitStatus(0))), ChannelClose(ours))

    async with raw_server(script) as client:
        assert (await client.run_process("x")).stdout == b"fine"


RULES_BROKEN = {
    "sm_142-data behind EOF": lambda ours: [ChannelEof(ours), ChannelData(ours, b"x")],
    "sm_143-stderr behind EOF": lambda ours: [ChannelEof(ours), ChannelExtendedData(ours, 1, b"x")],
    "sm_147-data behind CLOSE": lambda ours: [ChannelClose(ours), ChannelData(ours, b"x")],
    "sm_145-CLOSE twice": lambda ours: [ChannelClose(ours), ChannelClose(ours)],
    "sm_154-exit-status twice": lambda ours: [ChannelRequest(ours, "exit-status", False, bytes(4))] * 2,
    "sm_154-exit-status cut": lambda ours: [ChannelRequest(ours, "exit-status", False, bytes(3))],
    "sm_128-data for nobody": lambda ours: [ChannelData(77, b"x")],
    "sm_128-EOF for nobody": lambda ours: [ChannelEof(77)],
    "sm_128-CLOSE for nobody": lambda ours: [ChannelClose(77)],
    "sm_131-a request for nobody": lambda ours: [ChannelRequest(77, "x", False)],
    "sm_125-a confirmation for nobody": lambda ours: [ChannelOpenConfirmation(77, 0, 0, 1)],
    "sm_126-a second confirmation": lambda ours: [ChannelOpenConfirmation(ours, 9, 0, 1)],
    "sm_126-a refusal behind the confirmation": lambda ours: [ChannelOpenFailureMessage(ours, 1, "")],
    "sm_137-data longer than its message": lambda ours: [b"\x5e" + ours.to_bytes(4, "big") + (5).to_bytes(4, "big") + b"x"],
    "sm_137-data cut off": lambda ours: [b"\x5e" + ours.to_bytes(4, "big")],
    "sm_141-a window too large": lambda ours: [ChannelWindowAdjust(ours, 2**32 - 1)],
    "sm_135-too much data": lambda ours: [ChannelData(ours, bytes(30_000))] * 100,
    "sm_136-too large a packet": lambda ours: [ChannelData(ours, bytes(32 * 1024 + 1))],
    "a message without a number of its own": lambda ours: [b""],
    "a number out of place": lambda ours: [b"\x34"],
}


@pytest.mark.parametrize("messages", RULES_BROKEN.values(), ids=list(RULES_BROKEN))
async def test_a_rule_broken_ends_the_connection_and_every_wait_on_it(autojump_clock, messages):
    """SM-125 to SM-147: DISCONNECT 2, and one ConnectionLost that names the cause for everybody."""
    seen = []

    async def script(raw):
        ours = await grant(raw, 0)
        other = await grant(raw, 1)
        await wait_all_tasks_blocked()
        await raw.send(*[message for message in messages(ours) if message != b""])
        if b"" in messages(ours):
            raw.sealer.seal(b"\x02\0\0\0\0")
            await raw.send_bytes(b"\0\0\0\0" + bytes(raw.sealer.take_batch())[4:])
        assert other != ours
        payloads = await raw.drain()
        seen.append(decode(Disconnect, payloads[-1]).reason_code)

    errors: list[BaseException] = []
    async with raw_server(script) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_on, client, errors)
            await wait_all_tasks_blocked()
            nursery.start_soon(wait_on, client, errors)
            nursery.start_soon(expect_error, errors, client.wait_closed)
            nursery.start_soon(expect_error, errors, client.ping)
        with pytest.raises(trio_ssh.ConnectionLost):
            await client.run_process("x")
    assert len(errors) == 4
    assert {type(error) for error in errors} <= {trio_ssh.ConnectionLost}
    assert all(isinstance(error.__cause__, trio_ssh.RemoteProtocolError) for error in errors)
    assert len({str(error) for error in errors}) == 1
    assert len({id(error) for error in errors}) == 4
    assert seen in ([2], [5])


async def wait_on(client: trio_ssh.Client, errors: list) -> None:
    """A process that does not end by itself. (Data that is not read does not matter here.)"""
    try:
        async with client.open_process("x") as process:
            await process.wait()
            await client.wait_closed()
    except Exception as error:
        errors.append(error)
    else:
        pytest.fail("nothing was raised")


async def test_sm_148_data_under_way_when_we_close(autojump_clock):
    """SM-148: it is dropped, and the channel closes as if it had not come."""

    async def script(raw):
        ours = await grant(raw, 0)
        await raw.expect(M.CHANNEL_CLOSE)
        await raw.send(
            ChannelData(ours, b"x"),
            ChannelExtendedData(ours, 1, b"x"),
            ChannelWindowAdjust(ours, 5),
            ChannelRequest(ours, "exit-status", True, bytes(4)),
            ChannelRequest(ours, "nonsense", True, b""),
            ChannelEof(ours),
            ChannelClose(ours),
            GlobalRequest("x", True),
        )
        await raw.expect(M.REQUEST_FAILURE)

    async with raw_server(script) as client:
        async with client.open_process("x"):
            pass
        assert client.statistics().channels == ()


async def test_sm_146_unread_data_is_read_behind_the_peers_close(autojump_clock):
    """SM-146."""

    async def script(raw):
        ours = await grant(raw, 0)
        await raw.send(ChannelData(ours, b"one"), ChannelExtendedData(ours, 1, b"two"), ChannelClose(ours))

    async with raw_server(script) as client, client.open_process("x") as process:
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BrokenResourceError):
            await process.stdin.send_all(b"x")
        assert await process.stdout.receive_some() == b"one"
        assert await process.stdout.receive_some() == b""
        assert process.stderr is not None
        assert await process.stderr.receive_some() == b"two"
        assert await process.stderr.receive_some() == b""
        assert await process.wait() is None


async def test_flt_29_data_before_the_end_of_the_stream_is_read_before_the_error(autojump_clock):
    """FLT-29: no EOF was said, so the end is no clean one."""

    async def script(raw):
        ours = await grant(raw, 0)
        await raw.send(ChannelData(ours, b"the beginning"))
        await raw.stream.aclose()

    async with raw_server(script) as client, client.open_process("x") as process:
        await wait_all_tasks_blocked()
        assert await process.stdout.receive_some() == b"the beginning"
        with pytest.raises(trio.BrokenResourceError) as caught:
            await process.stdout.receive_some()
        assert isinstance(caught.value.__cause__, trio_ssh.ConnectionLost)
        with pytest.raises(trio_ssh.ConnectionLost):
            await process.wait()


async def test_tri_27_eof_in_the_middle_of_a_packet(autojump_clock):
    """TRI-27."""

    async def script(raw):
        await grant(raw, 0)
        raw.sealer.seal(encode(Ping(bytes(100))))
        await raw.send_bytes(bytes(raw.sealer.take_batch())[:50])
        await raw.stream.aclose()

    async with raw_server(script) as client, client.open_process("x") as process:
        with pytest.raises(trio_ssh.ConnectionLost, match="in the middle of a packet"):
            await process.wait()


@pytest.mark.parametrize(
    ("kind", "reason"), [("nonsense@test", 3), ("x11", 1), ("session", 1), ("forwarded-tcpip", 1), ("direct-tcpip", 1)]
)
async def test_sm_117_sm_123_c10_what_a_client_lets_a_server_open(autojump_clock, kind, reason):
    """SM-117, SM-123: nothing."""
    seen = []

    async def script(raw):
        await raw.send(ChannelOpen(kind, 5, 1000, 1000))
        message = decode(ChannelOpenFailureMessage, await raw.expect(M.CHANNEL_OPEN_FAILURE))
        seen.append((message.recipient_channel, message.reason_code))

    async with raw_server(script):
        await wait_all_tasks_blocked()
    assert seen == [(5, reason)]


@pytest.mark.parametrize(("kind", "reason"), [("nonsense@test", 3), ("x11", 1), ("forwarded-tcpip", 1)])
async def test_sm_117_sm_120_sm_121_what_a_server_refuses_to_open(autojump_clock, kind, reason):
    client_stream, server_stream = memory_stream_pair()
    raw = RawPeer(client_stream, Role.CLIENT)
    async with pairs.served(stream=server_stream, authenticate=PASSWORDS):
        await raw.log_in()
        await raw.send(ChannelOpen(kind, 5, 1000, 1000))
        assert decode(ChannelOpenFailureMessage, await raw.expect(M.CHANNEL_OPEN_FAILURE)).reason_code == reason
        await raw.send(ChannelOpen("session", 5, 1000, 0))
        assert decode(ChannelOpenFailureMessage, await raw.expect(M.CHANNEL_OPEN_FAILURE)).reason_code == 2
        await raw.open_session("echo", number=5)
        await raw.send(ChannelOpen("session", 5, 1000, 1000))
        await raw.expect_disconnect(2)


async def test_a_session_that_its_client_closes_before_asking_for_anything(autojump_clock):
    client_stream, server_stream = memory_stream_pair()
    raw = RawPeer(client_stream, Role.CLIENT)
    async with pairs.served(stream=server_stream, authenticate=PASSWORDS) as ends:
        await raw.log_in()
        for _ in range(30):
            await raw.send(ChannelClose(await raw.open_session()))
            await raw.expect(M.CHANNEL_CLOSE)
        await raw.send(ChannelOpen("session", 0, 1000, 1000), ChannelRequest(0, "exec", True, encode(Exec(b"echo"))), ChannelClose(0))
        assert [(await raw.receive() or b"?")[0] for _ in range(2)] == [M.CHANNEL_OPEN_CONFIRMATION, M.CHANNEL_SUCCESS]
        await raw.wait_for(M.CHANNEL_CLOSE)
        await wait_all_tasks_blocked()
        assert ends.channels_left()[1] == 0
        await raw.stream.aclose()
