"""IGNORE, DEBUG, UNIMPLEMENTED and PING between all packets, one-byte segments, fresh keys in mid-stream: the same bytes arrive.

RFC 4253 §11.
"""

from __future__ import annotations

import random
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair

import trio_ssh
from tests import pairs
from tests.raw_peer import PASSWORDS, RawPeer
from trio_ssh.connection.channel import Channel
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import encode
from trio_ssh.wire.connection import ChannelData, ChannelEof, ChannelRequest, Exec, GlobalRequest
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Debug, Ignore, Ping, Pong, ServiceRequest, Unimplemented

NOISE = [
    encode(Ignore(b"")),
    encode(Ignore(bytes(100))),
    encode(Debug(False, "nothing of interest")),
    encode(Debug(True, "\x1b[2J\r\n\u202e", "en")),
    encode(Unimplemented(17)),
    encode(Pong(b"unasked")),
    encode(GlobalRequest("nobody-knows@test", False)),
]


@asynccontextmanager
async def noisy(ends: pairs.MuxEnds, steps: int):
    """Both sides send noise in every step there is, while keys change at random."""
    chance = random.Random(0)

    async def make_noise(connection):
        transport = connection.parts.transport
        for _ in range(steps):  # not for ever: a test that hangs must come to a standstill, so that its deadline is met
            if transport.cause is None and transport.bytes_waiting < 1000:
                for _ in range(chance.randint(0, 4)):
                    transport.send_nowait(chance.choice(NOISE))
            await trio.lowlevel.checkpoint()

    async def change_keys(connection):
        for _ in range(steps // 10):
            for _ in range(chance.randint(1, 20)):
                await trio.lowlevel.checkpoint()
            await connection.parts.supervisor.rekey()

    async with trio.open_nursery() as nursery:
        for connection in (ends.client, ends.server):
            nursery.start_soon(make_noise, connection)
            nursery.start_soon(change_keys, connection)
        yield
        nursery.cancel_scope.cancel()


async def send(channel: Channel, data: bytes, chance: random.Random) -> None:
    view = memoryview(data)
    while view:
        size = chance.randint(1, 5000)
        await channel.send_all(view[:size])
        view = view[size:]
    await channel.send_eof()


async def check_receive(channel: Channel, data: bytes) -> None:
    received = bytearray()
    async for chunk in channel:
        received += chunk
    assert received == data


@pytest.mark.parametrize(("segment", "size", "steps"), [(1, 1000, 100), (7, 5000, 300), (None, 200_000, 1000)])
async def test_flt_28_several_channels_both_ways(autojump_clock, segment, size, steps):
    chance = random.Random(1)
    streams = pairs.misbehaving(pairs.Wire(segment=segment), pairs.Wire(segment=segment))
    limits = trio_ssh.Limits(window_bytes=10_000)
    async with pairs.muxes(streams=streams, client_limits=limits, server_limits=limits) as ends, noisy(ends, steps):
        async with trio.open_nursery() as nursery:
            for number in range(3):
                ours, theirs = await ends.channel()
                up, down = pairs.pattern(size, f"up {number}"), pairs.pattern(size, f"down {number}")
                nursery.start_soon(send, ours, up, chance)
                nursery.start_soon(send, theirs, down, chance)
                nursery.start_soon(check_receive, ours, down)
                nursery.start_soon(check_receive, theirs, up)
        assert len(ends.client.statistics().rekeys) > 3


@pytest.mark.parametrize("rekey_bytes", [None, 2000])
async def test_sm_030_flt_28_one_byte_segments_from_the_first_byte_on(autojump_clock, rekey_bytes):
    streams = pairs.misbehaving(pairs.Wire(segment=1), pairs.Wire(segment=1), inner=lockstep_stream_pair())
    limits = trio_ssh.Limits(rekey_bytes=rekey_bytes)
    async with pairs.connected(streams=streams, limits=limits) as ends:
        data = pairs.pattern(5000)
        assert (await ends.client.run_process("echo", input=data)).stdout == data


async def test_sm_014_sm_030_everything_in_one_segment(autojump_clock):
    """SM-014, SM-030: a login and ten thousand packets sent without waiting for anything that need not be waited for."""
    client_stream, server_stream = memory_stream_pair()
    raw = RawPeer(client_stream, Role.CLIENT)
    received = bytearray()

    async def handler(session):
        async for chunk in session:
            received.extend(chunk)
        return 0

    async with pairs.served(handler, stream=server_stream, authenticate=PASSWORDS):
        await raw.log_in()
        channel = await raw.open_session()
        await raw.send(
            ChannelRequest(channel, "exec", True, encode(Exec(b"x"))),
            *(ChannelData(channel, number.to_bytes(2, "big")) for number in range(10_000)),
            ChannelEof(channel),
        )
        await raw.wait_for(M.CHANNEL_CLOSE)
        await raw.stream.aclose()
    assert received == b"".join(number.to_bytes(2, "big") for number in range(10_000))


async def test_sm_161_noise_before_and_during_authentication(autojump_clock):
    """From the first NEWKEYS on all of it is legal, and a PING is answered only behind the login (SM-161)."""
    client_stream, server_stream = memory_stream_pair()
    raw = RawPeer(client_stream, Role.CLIENT)
    noise = [*NOISE[:5], encode(Ping(b"early"))]
    async with pairs.served(stream=server_stream, authenticate=PASSWORDS):
        await raw.handshake()
        await raw.send(*noise, ServiceRequest("ssh-userauth"), *noise)
        await raw.expect(M.SERVICE_ACCEPT, skip=[M.EXT_INFO])
        await raw.send(*noise, password("wrong"), *noise, password("canary"))
        await raw.expect(M.USERAUTH_FAILURE)
        await raw.expect(M.USERAUTH_SUCCESS)
        await raw.send(*noise, Ping(b"late"))
        assert await raw.expect(M.PONG) == encode(Pong(b"early"))
        assert await raw.expect(M.PONG) == encode(Pong(b"late"))
        await raw.stream.aclose()


def password(text: str) -> bytes:
    from tests.raw_peer import password_request

    return encode(password_request(text))


@pytest.mark.parametrize("message", [Ignore(b"x"), Debug(False, "x"), Unimplemented(0), Ping(b"x")], ids=lambda m: type(m).__name__)
async def test_sm_034_sm_059_noise_in_a_strict_first_exchange_is_illegal(autojump_clock, message):
    """SM-059, SM-034: the marker was in both KEXINITs."""
    for before in (True, False):
        client_stream, server_stream = memory_stream_pair()
        raw = RawPeer(client_stream, Role.CLIENT)
        async with pairs.served(stream=server_stream, authenticate=PASSWORDS) as ends:
            await raw.identify()
            if before:
                await raw.send(message)
            ours = await raw.send_kexinit()
            if not before:
                await raw.send(message)
            theirs = await raw.expect(M.KEXINIT)
            assert theirs != ours
            await raw.expect_disconnect(2)
        assert isinstance(ends.server_error, trio_ssh.RemoteProtocolError)


async def test_sm_158_unknown_messages_are_answered_with_their_sequence_number(autojump_clock):
    """SM-158; in the middle of everything, and across a rekey that starts the numbers anew."""
    client_stream, server_stream = memory_stream_pair()
    raw = RawPeer(client_stream, Role.CLIENT)
    async with pairs.served(stream=server_stream, authenticate=PASSWORDS):
        await raw.log_in()
        for _ in range(2):
            for number in (8, 19, 54, 83, 101, 127, 128, 191, 194, 255):
                sequence_number = raw.sealer.sequence_number
                await raw.send(bytes([number]) + b"whatever")
                assert await raw.expect(M.UNIMPLEMENTED) == encode(Unimplemented(sequence_number))
            await raw.exchange_keys()
        await raw.stream.aclose()


async def test_sm_161_sm_162_noise_in_a_rekey(autojump_clock):
    """Legal between KEXINIT and NEWKEYS of a rekey, both ways, and answered by nothing (SM-161)."""
    client_stream, server_stream = memory_stream_pair()
    raw = RawPeer(client_stream, Role.CLIENT)
    async with pairs.served(stream=server_stream, authenticate=PASSWORDS):
        await raw.log_in()
        noise = [*NOISE[:6], encode(Ping(b"?"))]
        ours = await raw.send_kexinit()
        await raw.send(*noise)
        theirs = await raw.expect(M.KEXINIT)
        await raw.send(*noise)
        new = await raw.method(ours, theirs)
        await raw.send(*noise)
        await raw.change_keys(new)
        await raw.send(*noise)
        assert await raw.receive() == encode(Pong(b"?"))
        await raw.stream.aclose()


async def test_sm_138_res_17_a_million_empty_or_tiny_packets_are_no_million_objects(autojump_clock):
    """SM-032, SM-138, RES-17, scaled down: what lies unread is one buffer."""
    client_stream, server_stream = memory_stream_pair()
    raw = RawPeer(client_stream, Role.CLIENT)
    go, sizes = trio.Event(), []

    async def handler(session):
        await go.wait()
        async for chunk in session:
            sizes.append(len(chunk))

    async with pairs.served(handler, stream=server_stream, authenticate=PASSWORDS):
        await raw.log_in()
        channel = await raw.open_session("x")
        for _ in range(20):
            await raw.send(*([ChannelData(channel, b""), ChannelData(channel, b"x")] * 500))
        await raw.send(Ping(b"all taken?"))
        await raw.wait_for(M.PONG)
        go.set()
        await raw.send(ChannelEof(channel))
        await raw.wait_for(M.CHANNEL_CLOSE)
        await raw.stream.aclose()
    assert sizes == [10_000]


async def test_smallest_limits_everywhere(autojump_clock):
    """Law 5: every queue at its minimum, one-byte windows and packets, and everything still works."""
    limits = attrs.evolve(pairs.SMALLEST, rekey_packets=7)
    async with pairs.connected(limits=limits) as ends:
        data = pairs.pattern(100)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(check_echo, ends.client, data)
        await ends.client.ping()
        await ends.client.rekey()
        await pairs.check_works(ends.client)


async def check_echo(client: trio_ssh.Client, data: bytes) -> None:
    assert (await client.run_process("echo", input=data)).stdout == data
