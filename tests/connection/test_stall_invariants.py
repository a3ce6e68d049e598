"""Thirteen ways in which a long-lived tunnel comes to a standstill, each of them ruled out.

A tunnel lives for weeks, and what stops it is nearly always a change of keys that meets something else: a packet that is half on the wire,
an outbox that is full, a peer that does the same at the same moment, one that has gone. Whatever implementations of SSH are known to have
stumbled over is one of these invariants; the tests carry their numbers, and the ids of faults, traps and pains that they stand for.

 1. Both ends begin a rekey at once: one exchange, a thousand times.                                                    this file
 2. A rekey begins while a packet is half written: the packet is finished first, and the reader goes on meanwhile.      this file
 3. Keys change under full load both ways over streams that hold next to nothing: the same bytes arrive.                this file
 4. What the peer sent before its KEXINIT is taken; between our KEXINIT and our NEWKEYS only key exchange leaves.       test_stall_exchange
 5. What falls due during a rekey, opens, closes, ends, credit, answers, leaves behind it: in order, none lost.         this file
 6. Answers and credit get out while bulk data waits for credit, or for room.                                           this file
 7. A peer that never finishes its rekey meets a deadline or a cap, and every waiter is told.                           test_stall_exchange
 8. The peer drops at any read or write of a rekey: every waiter wakes.                                                 test_stall_drops
 9. However the bytes around NEWKEYS are cut, it is not taken too soon, and there is one first exchange.                test_stall_newkeys
10. IGNORE, DEBUG, PING and UNIMPLEMENTED in a rekey are no error; EXT_INFO there is one.                               test_stall_newkeys
11. An idle connection lives through days of hourly rekeys, and says nothing else.                                      test_stall_tunnels
12. Bulk data goes on past any limit of a key, in each direction, whoever asks for the next one.                        test_stall_tunnels
13. A channel that nobody reads stops no other channel, no keepalive and no rekey; a tunnel in a tunnel is noticed.     test_stall_tunnels

All of it runs on simulated networks and a clock that jumps, so that a hang is a failure at once; each of both ends has a monitor that
checks every message it sends (`trio_ssh.testing.watched`).
"""

from __future__ import annotations

import socket

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.connection.stalling import all_of, send_all_of
from tests.raw_peer import PASSWORDS, RawPeer, raw_client
from trio_ssh.connection.channel import Channel
from trio_ssh.testing import Link, SimulatedNetwork, watched
from trio_ssh.wire.connection import ChannelData, ChannelRequest, ChannelWindowAdjust, GlobalRequest
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Ping

ENOUGH = trio_ssh.Limits(sessions=1000, window_bytes=4000)


def counts(ends: pairs.MuxEnds) -> tuple[int, int]:
    """Rekeys so far, as either side has counted them."""
    return len(ends.client.statistics().rekeys), len(ends.server.statistics().rekeys)


async def check_round_trip(ours: Channel, theirs: Channel, data: bytes) -> None:
    await ours.send_all(data)
    assert await theirs.receive_some() == data
    await theirs.send_all(data)
    assert await ours.receive_some() == data


# -- 1 ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("buffer_bytes", [0, 256 * 1024], ids=["lockstep", "buffered"])
async def test_stall_01_flt_07_sm_074_both_ends_begin_in_the_same_instant(autojump_clock, buffer_bytes):
    streams = SimulatedNetwork(link=Link(buffer_bytes=buffer_bytes)).stream_pair()
    with watched():
        async with pairs.muxes(streams=streams) as ends:
            ours, theirs = await ends.channel()
            for number in range(1000):
                for connection in (ends.client, ends.server):
                    supervisor = connection.parts.supervisor
                    supervisor.ask(trio_ssh.RekeyCause.USER, supervisor.state.generation)
                await wait_all_tasks_blocked()
                assert counts(ends) == (number + 1, number + 1)
                await check_round_trip(ours, theirs, b"x")


async def test_stall_01_flt_07_sm_074_the_two_kexinits_cross_on_the_wire(autojump_clock):
    """A thousand times, the one behind the other by any time that the wire takes, with data under way."""
    network = SimulatedNetwork(7, link=Link(latency_seconds=0.1))
    with watched():
        async with pairs.muxes(streams=network.stream_pair()) as ends:
            ours, theirs = await ends.channel()
            for number in range(1000):
                askers = [connection.parts.supervisor.rekey for connection in (ends.client, ends.server)]
                network.random.shuffle(askers)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(check_round_trip, ours, theirs, b"x")
                    nursery.start_soon(askers[0])
                    await trio.sleep(network.random.uniform(0, 0.099))
                    nursery.start_soon(askers[1])
                assert counts(ends) == (number + 1, number + 1)


async def test_stall_01_flt_07_sm_074_with_any_number_of_steps_between_the_two(autojump_clock):
    """Without time on the way the second one may come too late and begin another exchange: one or two, and the same for both."""
    with watched():
        async with pairs.muxes() as ends:
            ours, theirs = await ends.channel()
            for number in range(150):
                before = counts(ends)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ends.client.parts.supervisor.rekey)
                    for _ in range(number % 15):
                        await trio.lowlevel.checkpoint()
                    nursery.start_soon(ends.server.parts.supervisor.rekey)
                await wait_all_tasks_blocked()
                after = counts(ends)
                assert after[0] - before[0] == after[1] - before[1] in (1, 2)
                await check_round_trip(ours, theirs, b"x")


# -- 2 ---------------------------------------------------------------------------------------------------------------------------------


DATA_PACKET = 4 + 128 + 16
"""Bytes on the wire of 100 bytes of channel data under AES-GCM: packet_length, padded packet, tag."""


@pytest.mark.parametrize("who", ["ours", "peer", "both"])
async def test_stall_02_flt_09_pain_02_a_rekey_begins_while_a_packet_is_half_written(autojump_clock, who):
    """Behind each byte of a data packet the stream takes no more; what comes in is read all the same, the peer's KEXINIT too."""
    client_stream, server_stream = SimulatedNetwork().stream_pair()
    with watched():
        async with pairs.muxes(streams=(client_stream, server_stream)) as ends:
            ours, theirs = await ends.channel()
            for taken in range(DATA_PACKET + 30):  # the last ones are in the midst of the KEXINIT
                before = counts(ends)[0]
                data = pairs.pattern(100, str(taken))
                client_stream.set_link(Link(stall_at=client_stream.bytes_sent + taken, stuck=True))
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ours.send_all, data)
                    await wait_all_tasks_blocked()
                    assert ends.server.parts.opener.pending == (taken if taken < DATA_PACKET else 0)
                    await theirs.send_all(b"while you write")
                    if who != "peer":
                        nursery.start_soon(ends.client.parts.supervisor.rekey)
                    if who != "ours":
                        nursery.start_soon(ends.server.parts.supervisor.rekey)
                    await wait_all_tasks_blocked()
                    assert await ours.receive_some() == b"while you write"
                    assert counts(ends) == (before, before)
                    client_stream.set_link(Link())
                    assert await theirs.receive_some() == data
                await wait_all_tasks_blocked()
                assert counts(ends) == (before + 1, before + 1)
                await check_round_trip(ours, theirs, b"x")


async def test_stall_02_flt_09_one_byte_a_call_from_the_first_to_the_last(autojump_clock):
    """Each write and each read moves one byte, and other tasks run between any two of them."""
    streams = SimulatedNetwork(link=Link(write_bytes=1, segment_bytes=1)).stream_pair()
    limits = trio_ssh.Limits(rekey_bytes=500)
    up, down = pairs.pattern(4000, "up"), pairs.pattern(4000, "down")
    with watched():
        async with pairs.muxes(streams=streams, client_limits=limits, server_limits=limits) as ends:
            ours, theirs = await ends.channel()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send_all_of, ours, up, 100)
                nursery.start_soon(send_all_of, theirs, down, 100)
                nursery.start_soon(all_of, ours, down)
                nursery.start_soon(all_of, theirs, up)
            assert counts(ends)[0] > 5


# -- 3 ---------------------------------------------------------------------------------------------------------------------------------


async def saturate(ends: pairs.MuxEnds, size: int) -> None:
    """Two channels, `size` bytes each way on each, all at once."""
    up, down = pairs.pattern(size, "up"), pairs.pattern(size, "down")
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            ours, theirs = await ends.channel()
            nursery.start_soon(send_all_of, ours, up)
            nursery.start_soon(send_all_of, theirs, down)
            nursery.start_soon(all_of, ours, down)
            nursery.start_soon(all_of, theirs, up)


REKEY_64K = trio_ssh.Limits(rekey_bytes=65536, out_buffer_bytes=65536)


@pytest.mark.parametrize("buffer_bytes", [0, 4096], ids=["lockstep", "4096"])
async def test_stall_03_tri_12_flt_05_saturated_both_ways_over_streams_that_hold_nothing(autojump_clock, buffer_bytes):
    streams = SimulatedNetwork(link=Link(buffer_bytes=buffer_bytes)).stream_pair()
    with watched():
        async with pairs.muxes(streams=streams, client_limits=REKEY_64K, server_limits=REKEY_64K) as ends:
            await saturate(ends, 2 << 20)
            assert counts(ends)[0] > 50


async def test_stall_03_tri_12_flt_05_saturated_both_ways_over_small_sockets():
    """The kernel's own streams, with the smallest buffers that it gives; 60 s are for a machine that does much else."""
    sockets = socket.socketpair()
    for sock in sockets:
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, 4096)
    one, other = (trio.SocketStream(trio.socket.from_stdlib_socket(sock)) for sock in sockets)
    with trio.fail_after(60):
        async with pairs.muxes(streams=(one, other), client_limits=REKEY_64K, server_limits=REKEY_64K) as ends:
            await saturate(ends, 4 << 20)
            assert counts(ends)[0] > 50


# -- 5 ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asks", ["client", "server"])
@pytest.mark.parametrize("held_up", ["client", "server"])
async def test_stall_05_flt_08_what_falls_due_in_a_rekey_leaves_behind_it(autojump_clock, asks, held_up):
    """A hundred channels opened, a hundred closed, an empty window filled, an end of file, questions, an exit status: both ways."""
    streams = SimulatedNetwork().stream_pair()
    with watched() as watch:
        async with pairs.muxes(streams=streams, client_limits=ENOUGH, server_limits=ENOUGH) as ends:
            old = [await ends.channel() for _ in range(100)]
            full, ended, asked, finished = [await ends.channel() for _ in range(4)]
            statuses: list[tuple[str, bytes]] = []

            def note(request_type: str, request_fields: bytes) -> bool:
                assert not finished[0].ended.is_set()
                statuses.append((request_type, request_fields))
                return True

            finished[0].on_request = note
            async with trio.open_nursery() as nursery:
                for channel in full:
                    nursery.start_soon(send_all_of, channel, bytes(10_000))
                await ended[0].send_all(b"before")
                nursery.start_soon(ends.client_mux.probe)
                await wait_all_tasks_blocked()
                nursery.start_soon(getattr(ends, asks).parts.supervisor.rekey)
                (streams[0] if held_up == "client" else streams[1]).stall()
                await wait_all_tasks_blocked()
                sent = [connection.parts.transport.packets_sent for connection in (ends.client, ends.server)]
                # From here to the resume both ends are between their KEXINIT and their NEWKEYS, or before their KEXINIT.
                for channel in full:
                    nursery.start_soon(all_of, channel, bytes(10_000))
                for ours, _ in old:
                    ours.close_nowait()
                for _ in range(100):
                    nursery.start_soon(ends.client_mux.open_channel, "session")
                nursery.start_soon(send_all_of, ended[0], b" and behind")
                nursery.start_soon(ends.client_mux.probe)
                nursery.start_soon(expect_denied, asked[0])
                finished[1].request_nowait("exit-status", bytes(4))
                finished[1].close_nowait()
                await wait_all_tasks_blocked()
                held = [connection.parts.transport.packets_sent for connection in (ends.client, ends.server)]
                assert [now - then for now, then in zip(held, sent, strict=True)].count(0) >= 1
                streams[0].resume()
                streams[1].resume()
                await all_of(ended[1], b"before and behind")
            await wait_all_tasks_blocked()
            assert counts(ends) == (1, 1)
            assert statuses == [("exit-status", bytes(4))]
            assert finished[0].ended.is_set()
            assert len(ends.client_mux.channels) == 103
            assert all(theirs.ended.is_set() for _, theirs in old)
            watch.check_settled()


async def expect_denied(channel: Channel) -> None:
    with pytest.raises(trio_ssh.RequestDenied):
        await channel.request("nobody-knows@test")


# -- 6 ---------------------------------------------------------------------------------------------------------------------------------

OUTBOX = trio_ssh.Limits(out_buffer_bytes=100_000, window_bytes=2000)
ANSWERS = {M.REQUEST_FAILURE, M.PONG, M.CHANNEL_FAILURE, M.CHANNEL_WINDOW_ADJUST}


async def bulk(session: trio_ssh.ServerSession) -> None:
    """Sends without end and takes what comes."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.send_all, bytes(50_000_000))
        async for _ in session:
            pass


async def ask_everything(raw: RawPeer, channel: int) -> None:
    await raw.send(
        ChannelData(channel, bytes(1900)),
        GlobalRequest("keepalive@openssh.com", True),
        Ping(b"?"),
        ChannelRequest(channel, "nonsense", True),
    )


async def test_stall_06_answers_get_out_while_bulk_data_waits_for_credit(autojump_clock):
    raw, server_stream = raw_client()
    async with pairs.served(bulk, stream=server_stream, authenticate=PASSWORDS, limits=OUTBOX):
        await raw.log_in()
        channel = await raw.open_session("x", window=0)
        for number in range(50):
            raw.numbers.clear()
            await ask_everything(raw, channel)
            for _ in range(4):
                await raw.receive()
            assert set(raw.numbers) == ANSWERS
            if number % 10 == 0:
                await raw.exchange_keys()
        await raw.send(ChannelWindowAdjust(channel, 10))
        await raw.expect(M.CHANNEL_DATA)
        await raw.stream.aclose()


async def test_stall_06_answers_get_out_of_a_full_outbox_behind_what_is_in_it_and_no_more(autojump_clock):
    """The peer has read nothing for a while: the answers come behind one outbox and the batch before it, whatever else is to be sent."""
    raw, server_stream = raw_client(SimulatedNetwork(link=Link(buffer_bytes=4096)).stream_pair())
    async with pairs.served(bulk, stream=server_stream, authenticate=PASSWORDS, limits=OUTBOX):
        await raw.log_in()
        channel = await raw.open_session("x", window=50_000_000)
        await wait_all_tasks_blocked()
        for _ in range(20):
            raw.numbers.clear()
            await ask_everything(raw, channel)
            await wait_all_tasks_blocked()
            while not set(raw.numbers) >= ANSWERS:
                await raw.receive()
            assert raw.numbers.count(M.CHANNEL_DATA) <= 2 * OUTBOX.out_buffer_bytes / 32768 + 4
        await raw.stream.aclose()

