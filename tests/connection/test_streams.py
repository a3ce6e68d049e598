"""Channels, and what the public API makes of them, are trio streams in every respect that trio itself checks (hardening TRI-22)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from trio.testing import check_half_closeable_stream, check_one_way_stream, check_two_way_stream

import trio_ssh
from tests import pairs

MANY = trio_ssh.Limits(sessions=1000)
WINDOW = 4096
"""Of the clogged pairs: that much is sent before they are handed out."""
CLOGGED = trio_ssh.Limits(sessions=1000, window_bytes=WINDOW)


async def test_tri_22_channels_are_half_closeable_streams(autojump_clock):
    async with pairs.muxes(server_limits=MANY) as ends, pairs.muxes(client_limits=CLOGGED, server_limits=CLOGGED) as small_ends:

        async def clogged():
            ours, theirs = await small_ends.channel()
            await ours.send_all(bytes(WINDOW))
            await theirs.send_all(bytes(WINDOW))
            return ours, theirs

        await check_half_closeable_stream(ends.channel, clogged)


@pytest.mark.parametrize("rekey_bytes", [16, 4096])
async def test_tri_22_channels_are_half_closeable_streams_while_keys_change(autojump_clock, rekey_bytes):
    limits = trio_ssh.Limits(sessions=1000, rekey_bytes=rekey_bytes)
    async with pairs.muxes(client_limits=limits, server_limits=limits) as ends:
        await check_half_closeable_stream(ends.channel, None)


async def test_tri_22_channels_are_half_closeable_streams_without_any_buffer(autojump_clock):
    streams = trio.testing.lockstep_stream_pair()
    async with pairs.muxes(server_limits=MANY, streams=streams) as ends:
        await check_half_closeable_stream(ends.channel, None)


@attrs.define(eq=False)
class ProcessStream(trio.abc.Stream):
    """A process's stdin and stdout as one stream."""

    process: trio_ssh.Process

    async def send_all(self, data):
        await self.process.stdin.send_all(data)

    async def wait_send_all_might_not_block(self):
        await self.process.stdin.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes=None):
        return await self.process.stdout.receive_some(max_bytes)

    async def aclose(self):
        await self.process.aclose()


@asynccontextmanager
async def process_pairs(limits: trio_ssh.Limits) -> AsyncIterator:
    """Gives an async function that makes (ProcessStream, ServerSession) pairs."""
    sessions_in, sessions = trio.open_memory_channel[trio_ssh.ServerSession](0)
    over = trio.Event()

    async def hand_over(session: trio_ssh.ServerSession) -> None:
        # A handler is cancelled when its client goes; what the session can do must be seen even then.
        with trio.CancelScope(shield=True):
            await sessions_in.send(session)
            await over.wait()

    async with pairs.connected(hand_over, limits=limits) as ends, trio.open_nursery() as nursery:

        async def keep_open(*, task_status):
            async with ends.client.open_process("stream") as process:
                task_status.started(process)
                await over.wait()

        async def make():
            process = await nursery.start(keep_open)
            return ProcessStream(process), await sessions.receive()

        try:
            yield make
        finally:
            over.set()


async def test_tri_22_processes_and_sessions_are_two_way_streams(autojump_clock):
    async with process_pairs(MANY) as make, process_pairs(CLOGGED) as make_small:

        async def clogged():
            process, session = await make_small()
            await process.send_all(bytes(WINDOW))
            await session.send_all(bytes(WINDOW))
            return process, session

        await check_two_way_stream(make, clogged)


async def test_stdin_is_a_send_stream(autojump_clock):
    async with process_pairs(MANY) as make, process_pairs(CLOGGED) as make_small:

        async def one_way():
            stream, session = await make()
            return stream.process.stdin, session

        async def clogged():
            stream, session = await make_small()
            await stream.send_all(bytes(WINDOW))
            return stream.process.stdin, session

        await check_one_way_stream(one_way, clogged)
