"""Each bound of `Limits` on channels, windows and replies, set small and met (hardening §6.1; SM-120 to SM-149, RES-09 to RES-21)."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.raw_peer import PASSWORDS, RawPeer, raw_client
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode
from trio_ssh.wire.connection import (
    ChannelClose,
    ChannelData,
    ChannelExtendedData,
    ChannelOpen,
    ChannelOpenFailureMessage,
    ChannelRequest,
    ChannelWindowAdjust,
    GlobalRequest,
)
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Ping


async def test_sm_122_sessions(autojump_clock):
    """SM-122: one too many is refused, and one that is closed makes room."""
    async with pairs.connected(server_limits=trio_ssh.Limits(sessions=2)) as ends:
        client = ends.client
        async with client.open_process("sleep"):
            async with client.open_process("sleep"):
                with pytest.raises(trio_ssh.ChannelOpenFailure) as caught:
                    await client.run_process("echo")
                assert caught.value.reason == 4
            await pairs.check_works(client)
        await pairs.check_works(client)


async def test_sm_122_sessions_that_ask_for_nothing_count(autojump_clock):
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(sessions=2)):
        await raw.log_in()
        for number in range(2):
            await raw.open_session(number=number)
        await raw.send(ChannelOpen("session", 2, 1000, 1000))
        assert decode(ChannelOpenFailureMessage, await raw.expect(M.CHANNEL_OPEN_FAILURE)).reason_code == 4
        await raw.stream.aclose()


async def test_sm_122_c09_channels(autojump_clock):
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(channels=3)):
        await raw.log_in()
        for number in range(3):
            await raw.open_session(number=number)
        await raw.send(ChannelOpen("session", 3, 1000, 1000))
        assert decode(ChannelOpenFailureMessage, await raw.expect(M.CHANNEL_OPEN_FAILURE)).reason_code == 4
        await raw.send(ChannelClose(1))
        await raw.expect(M.CHANNEL_CLOSE)
        assert await raw.open_session(number=1) == 1
        await raw.stream.aclose()


async def test_channels_of_a_client(autojump_clock):
    async with pairs.connected(client_limits=trio_ssh.Limits(channels=1)) as ends:
        async with ends.client.open_process("sleep"):
            with pytest.raises(trio_ssh.ChannelOpenFailure, match="our own limit"):
                await ends.client.run_process("echo")
        await pairs.check_works(ends.client)


async def test_res_10_a_thousand_channels_fit(autojump_clock):
    """ASR-06, RES-10: as many as `channels` says, and the windows granted stay within their total."""
    limits = trio_ssh.Limits(sessions=1024)
    async with pairs.muxes(server_limits=limits) as ends:
        for _ in range(1023):
            await ends.channel()
        ours, theirs = await ends.channel()
        for side in (ends.client, ends.server):
            assert sum(channel.receive_window for channel in side.statistics().channels) <= limits.window_total_bytes
        await ours.send_all(b"x" * 100_000 if ours.outlet.window.credit > 100_000 else b"x")
        assert await theirs.receive_some(1) == b"x"
        with pytest.raises(trio_ssh.ChannelOpenFailure):
            await ends.channel()


async def test_res_10_window_total_bytes(autojump_clock):
    """Granted windows never exceed the total, and what is given back can be granted again."""
    limits = trio_ssh.Limits(window_bytes=1000, window_total_bytes=3500, channel_packet_bytes=1000, channels=3)
    async with pairs.muxes(client_limits=limits) as ends:
        for _ in range(5):
            channels = [await ends.channel() for _ in range(3)]
            assert sum(channel.receive_window for channel in ends.client.statistics().channels) <= 3500
            for ours, _ in channels:
                await ours.aclose()


async def test_res_10_window_total_bytes_that_leave_no_room(autojump_clock):
    limits = trio_ssh.Limits(window_bytes=1000, window_total_bytes=1500, channel_packet_bytes=1000, channels=10)
    async with pairs.connected(client_limits=limits) as ends:
        async with ends.client.open_process("sleep"):
            with pytest.raises(trio_ssh.ChannelOpenFailure, match="windows"):
                await ends.client.run_process("echo")
        await pairs.check_works(ends.client)
    async with pairs.connected(server_limits=limits) as ends:
        async with ends.client.open_process("sleep"):
            with pytest.raises(trio_ssh.ChannelOpenFailure, match="windows"):
                await ends.client.run_process("echo")
        await pairs.check_works(ends.client)


@pytest.mark.parametrize("extended", [False, True])
async def test_sm_135_sm_140_res_09_window_bytes(autojump_clock, extended):
    """SM-135, SM-140: the window may be used to the last byte and not further; stderr shares it."""
    for over in (0, 1):
        raw, stream = raw_client()
        async with pairs.served(read_nothing, stream=stream, authenticate=PASSWORDS, limits=WINDOW) as ends:
            await raw.log_in()
            channel = await raw.open_session("x")
            await raw.send(ChannelData(channel, bytes(600)))
            rest = bytes(400 + over)
            if extended:
                # The server keeps no stderr: it gives that window back, but not before it was within it.
                await raw.send(ChannelExtendedData(channel, 1, rest))
            else:
                await raw.send(ChannelData(channel, rest))
            if over:
                await raw.expect_disconnect(2)
            else:
                await raw.send(Ping(b""))
                await raw.wait_for(M.PONG)
                await raw.stream.aclose()
        assert isinstance(ends.server_cause, trio_ssh.RemoteProtocolError if over else trio_ssh.ConnectionLost)


WINDOW = trio_ssh.Limits(window_bytes=1000, channel_packet_bytes=1000)


async def read_nothing(session):
    await trio.sleep_forever()


async def test_sm_136_channel_packet_bytes(autojump_clock):
    """SM-136."""
    for size, fits in ((500, True), (501, False)):
        raw, stream = raw_client()
        async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(channel_packet_bytes=500)):
            await raw.log_in()
            channel = await raw.open_session("echo")
            await raw.send(ChannelData(channel, bytes(size)))
            if fits:
                await raw.expect(M.CHANNEL_DATA)
                await raw.stream.aclose()
            else:
                await raw.expect_disconnect(2)


@pytest.mark.parametrize(("theirs", "ours", "expected"), [(100, 1000, 100), (1000, 100, 100), (1, 1000, 1)])
async def test_res_19_channel_packet_bytes_out(autojump_clock, theirs, ours, expected):
    """RES-19: neither what the peer takes nor what we want to send is exceeded."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(channel_packet_bytes_out=ours)):
        await raw.log_in()
        await raw.open_session("source 1000", packet=theirs)
        sizes, received = set(), 0
        while received < 1000:
            data = decode(ChannelData, await raw.expect(M.CHANNEL_DATA)).data
            sizes.add(len(data))
            received += len(data)
        assert max(sizes) == expected
        await raw.stream.aclose()


async def test_res_18_a_peer_that_grants_one_byte_at_a_time(autojump_clock):
    """RES-18."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS):
        await raw.log_in()
        channel = await raw.open_session("source 300", window=0)
        received = b""
        while len(received) < 300:
            await raw.send(ChannelWindowAdjust(channel, 1))
            received += decode(ChannelData, await raw.expect(M.CHANNEL_DATA)).data
        assert received == pairs.pattern(300)
        await raw.stream.aclose()


async def test_sm_141_c06_a_window_past_its_bound(autojump_clock):
    """SM-141."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS):
        await raw.log_in()
        channel = await raw.open_session("echo", window=2**32 - 1)
        await raw.send(ChannelWindowAdjust(channel, 0), Ping(b""))
        await raw.expect(M.PONG)
        await raw.send(ChannelWindowAdjust(channel, 1))
        await raw.expect_disconnect(2)


@pytest.mark.parametrize("question", [Ping(bytes(1000)), GlobalRequest("x" * 20, True), b"\xfa"], ids=["ping", "global request", "unknown"])
async def test_res_12_res_13_res_15_tri_13_reply_queue_bytes(autojump_clock, question):
    """RES-12, RES-13, TRI-13: a peer that asks and does not read is cut off, and nobody waits for it."""
    wire = pairs.Wire(stuck=True)
    server_stream, client_stream = pairs.misbehaving(wire)
    raw = RawPeer(client_stream, Role.CLIENT)
    async with pairs.served(stream=server_stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(reply_queue_bytes=10_000)) as ends:
        await raw.log_in()
        wire.stall_at = wire.count
        for _ in range(500):
            await raw.send(question)
        await ends.server_done.wait()
    assert isinstance(ends.server_cause, trio_ssh.RemoteProtocolError)
    assert "does not read them" in str(ends.server_cause)


async def test_reply_queue_bytes_of_a_peer_that_reads(autojump_clock):
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(reply_queue_bytes=10_000)):
        await raw.log_in()
        for _ in range(500):
            await raw.send(Ping(bytes(1000)))
            await raw.expect(M.PONG)
        await raw.stream.aclose()


async def test_res_12_opens_without_reading_the_answers(autojump_clock):
    """RES-12: opening is answered as well, and the answers count."""
    wire = pairs.Wire(stuck=True)
    server_stream, client_stream = pairs.misbehaving(wire)
    raw = RawPeer(client_stream, Role.CLIENT)
    limits = trio_ssh.Limits(reply_queue_bytes=2000, sessions=1000)
    async with pairs.served(stream=server_stream, authenticate=PASSWORDS, limits=limits) as ends:
        await raw.log_in()
        wire.stall_at = wire.count
        for number in range(1000):
            await raw.send(ChannelOpen("session", number, 1000, 1000))
        await ends.server_done.wait()
        assert sum(isinstance(event, trio_ssh.ChannelOpened) for event in ends.server_events) < 100
    assert isinstance(ends.server_cause, trio_ssh.RemoteProtocolError)


async def test_res_21_rekey_out_bytes(autojump_clock):
    """What we want to say during a rekey that the peer does not answer is bounded: whoever says it waits, or the peer is cut off."""
    raw, stream = raw_client()
    limits = trio_ssh.Limits(rekey_out_bytes=1000, reply_queue_bytes=2000, rekey_answer_seconds=50)
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=limits) as ends:
        await raw.log_in()
        channel = await raw.open_session("sleep")
        await raw.send(*[ChannelRequest(channel, "nonsense", True)] * 10)
        await raw.send_kexinit()
        # Behind our KEXINIT nothing but key exchange may come from us; what lies before it is answered only behind the exchange.
        await wait_all_tasks_blocked()
        assert raw.numbers.count(M.CHANNEL_FAILURE) == 0
        await raw.drain()
        assert trio.current_time() <= 54  # from when our KEXINIT has left, which is looked at 16 times in that while
    assert isinstance(ends.server_cause, trio_ssh.RemoteProtocolError)
