"""Fresh keys under every circumstance: asked for by bytes, packets, time, the application and the peer, alone and at once, idle and loaded
(RFC 4253 §9). What a rekey must not do to a tunnel is in test_stall_invariants.py."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.connection.stalling import KEX_ONLY
from tests.raw_peer import PASSWORDS, RawPeer, raw_client
from trio_ssh import RekeyCause
from trio_ssh.protocol.key_exchange import Transcript, start_server
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import ChannelData, ChannelOpen, ChannelRequest, ChannelWindowAdjust, Exec, GlobalRequest
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Disconnect


async def load_both_ways(ends: pairs.Ends, size: int) -> None:
    """`size` bytes up and down at once, and back: whatever happens between, the same bytes arrive."""
    data = pairs.pattern(size)

    async def up():
        result = await ends.client.run_process("hash", input=data)
        assert result.stdout.decode() == pairs.sha256(data)

    async def down():
        assert (await ends.client.run_process(f"source {size}")).stdout == pairs.pattern(size)

    async def round_trip():
        assert (await ends.client.run_process("echo", input=data)).stdout == data

    async with trio.open_nursery() as nursery:
        for work in (up, down, round_trip):
            nursery.start_soon(work)


def sides(limits: trio_ssh.Limits, who: str) -> dict[str, Any]:
    return {name: limits for name in ("client_limits", "server_limits") if who in (name, "both")}


WHO = ["client_limits", "server_limits", "both"]


@pytest.mark.parametrize("who", WHO)
async def test_pol_06_by_packets(autojump_clock, who):
    limits = trio_ssh.Limits(rekey_packets=10, channel_packet_bytes=1000, out_buffer_bytes=4000)
    async with pairs.connected(limits=trio_ssh.Limits(channel_packet_bytes=1000), **sides(limits, who)) as ends:
        await load_both_ways(ends, 100_000)
        assert len(ends.rekeys()) > 5


CIPHERS = [
    trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=(cipher,), macs=(mac,))
    for cipher, mac in [
        ("aes128-gcm@openssh.com", "hmac-sha2-256"),
        ("chacha20-poly1305@openssh.com", "hmac-sha2-256"),
        ("aes256-ctr", "hmac-sha2-256"),
        ("aes128-ctr", "hmac-sha2-512-etm@openssh.com"),
    ]
]


@pytest.mark.parametrize("algorithms", CIPHERS, ids=lambda algorithms: f"{algorithms.ciphers[0]} {algorithms.macs[0]}")
async def test_flt_05_under_every_kind_of_cipher(autojump_clock, algorithms):
    limits = trio_ssh.Limits(rekey_bytes=8192, out_buffer_bytes=8192)
    async with pairs.connected(limits=limits, client_algorithms=algorithms, server_algorithms=algorithms) as ends:
        await load_both_ways(ends, 200_000)
        assert len(ends.rekeys()) > 5


@pytest.mark.parametrize("make_streams", [memory_stream_pair, lockstep_stream_pair], ids=["memory", "lockstep"])
async def test_with_every_queue_at_its_minimum(autojump_clock, make_streams):
    limits = attrs.evolve(pairs.SMALLEST, rekey_bytes=64)
    async with pairs.connected(limits=limits, streams=make_streams()) as ends:
        data = pairs.pattern(500)
        assert (await ends.client.run_process("echo", input=data)).stdout == data
        assert len(ends.rekeys()) > 5


async def test_by_hand(autojump_clock):
    async with pairs.connected() as ends:
        await ends.client.rekey()
        assert ends.rekeys() == [RekeyCause.USER]
        await pairs.check_works(ends.client)
        for _ in range(20):
            await trio.sleep(1)  # more than five a second with nothing between them are too many
            await ends.client.rekey()
        assert ends.rekeys() == [RekeyCause.USER] * 21
        await pairs.check_works(ends.client)


async def test_by_hand_from_many_tasks_at_once_is_one_exchange(autojump_clock):
    async with pairs.connected() as ends:
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(ends.client.rekey)
        assert ends.rekeys() == [RekeyCause.USER]


async def test_by_hand_while_one_runs_gives_fresh_keys_all_the_same(autojump_clock):
    async with pairs.connected() as ends:
        for steps in range(12):
            await trio.sleep(1)
            before = len(ends.rekeys())
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ends.client.rekey)
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                await ends.client.rekey()
                assert len(ends.rekeys()) > before
        await pairs.check_works(ends.client)


async def test_pol_02_never_before_somebody_is_logged_in(autojump_clock):
    """POL-02: budgets of one packet, and a slow decision; the first rekey begins behind SUCCESS."""
    entered = trio.Event()

    async def slow(attempt):
        entered.set()
        await trio.sleep(5)
        return trio_ssh.ACCEPT

    limits = trio_ssh.Limits(rekey_packets=1, rekey_bytes=16, rekey_seconds=1)
    async with pairs.connected(limits=limits, authenticate=slow) as ends:
        granted = [i for i, event in enumerate(ends.server_events) if getattr(event, "outcome", "") == "granted"]
        exchanges = [i for i, event in enumerate(ends.server_events) if isinstance(event, trio_ssh.KeyExchangeDone)]
        assert entered.is_set()
        assert exchanges[0] < granted[0]
        assert all(i > granted[0] for i in exchanges[1:])
        await pairs.check_works(ends.client)


# -- against a peer without rules ------------------------------------------------------------------------------------------------------


async def test_one_packet_passes_under_each_key_of_the_smallest_budget(autojump_clock):
    """A soft limit of 16 bytes is past with the first packet: the next one is under fresh keys, however much waits."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS, limits=trio_ssh.Limits(rekey_bytes=16)):
        await raw.log_in()
        await raw.exchange_keys()
        await raw.send(ChannelOpen("session", 0, 2**31, 1000), ChannelRequest(0, "exec", True, encode(Exec(b"source 20000"))))
        raw.numbers.clear()
        while M.CHANNEL_CLOSE not in raw.numbers:
            payload = await raw.receive()
            assert payload is not None
            if payload[0] == M.KEXINIT:
                await raw.exchange_keys(theirs=payload)
        await raw.stream.aclose()
    under_one_key: list[int] = [0]
    for number in raw.numbers:
        if number == M.NEWKEYS:
            under_one_key.append(0)
        under_one_key[-1] += number == M.CHANNEL_DATA
    assert sum(under_one_key) == 20
    assert max(under_one_key) == 1


async def test_stall_05_flt_08_what_waited_leaves_in_its_order(autojump_clock):
    """Replies, EOF, exit status and CLOSE that fell due during the exchange (FLT-08)."""
    raw, stream = raw_client()
    release = trio.Event()

    async def handler(session):
        await release.wait()
        return 5

    async with pairs.served(handler, stream=stream, authenticate=PASSWORDS):
        await raw.log_in()
        await raw.open_session("x")
        await raw.send(GlobalRequest("one", True))
        ours = await raw.send_kexinit()
        await wait_all_tasks_blocked()
        release.set()
        await wait_all_tasks_blocked()
        raw.numbers.clear()
        await raw.exchange_keys(ours=ours)
        numbers = [payload[0] for payload in [await raw.receive() for _ in range(3)] if payload is not None]
        assert numbers == [M.CHANNEL_REQUEST, M.CHANNEL_EOF, M.CHANNEL_CLOSE]
        assert set(raw.numbers[: raw.numbers.index(M.NEWKEYS)]) <= KEX_ONLY | {M.REQUEST_FAILURE}
        await raw.stream.aclose()


@pytest.mark.parametrize(
    "message", [ChannelData(0, b"x"), ChannelWindowAdjust(0, 1), GlobalRequest("x", False)], ids=lambda m: type(m).__name__
)
async def test_sm_066_a28_a_peer_that_goes_on_behind_its_own_kexinit_is_cut_off(autojump_clock, message):
    """SM-066, from the other side."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS) as ends:
        await raw.log_in()
        await raw.open_session("echo")
        await raw.send_kexinit()
        await raw.send(message)
        await raw.expect_disconnect(2)
    assert isinstance(ends.server_cause, trio_ssh.RemoteProtocolError)


async def test_sm_075_a_second_kexinit_in_one_exchange(autojump_clock):
    """SM-075."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS):
        await raw.log_in()
        await raw.send_kexinit()
        await raw.send_kexinit()
        await raw.expect_disconnect(2)


@pytest.mark.parametrize("number", [21, 30, 31, 32, 33, 34])
async def test_sm_072_sm_073_key_exchange_messages_without_an_exchange(autojump_clock, number):
    """SM-072, SM-073."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS):
        await raw.log_in()
        await raw.send(bytes([number]))
        await raw.expect_disconnect(2)


async def test_sm_076_pol_02_a_rekey_before_authentication_is_refused(autojump_clock):
    """POL-02, SM-076."""
    raw, stream = raw_client()
    async with pairs.served(stream=stream, authenticate=PASSWORDS) as ends:
        await raw.handshake()
        await raw.send_kexinit()
        await raw.expect_disconnect(2)
    assert isinstance(ends.server_error, trio_ssh.RemoteProtocolError)


async def test_sm_070_another_host_key_in_a_rekey_is_checked_again(autojump_clock):
    """SM-070: with the right key at first and another one later, the policy refuses and nothing more leaves but DISCONNECT 9."""
    client_stream, server_stream = memory_stream_pair()
    raw = RawPeer(server_stream, Role.SERVER)
    other = trio_ssh.PrivateKey.generate()

    async def impostor():
        await raw.log_in()
        ours = await raw.send_kexinit()
        theirs = await raw.wait_for(M.KEXINIT)
        negotiated = raw.negotiator.receive(theirs).negotiated
        transcript = Transcript(client_line=raw.peer_line, server_line=raw.line, client_kexinit=theirs, server_kexinit=ours)
        reply, _ = start_server(transcript, negotiated, other).receive(await raw.expect(30))
        await raw.send(reply)
        payload = await raw.receive()
        assert payload is not None
        assert payload[0] == M.DISCONNECT
        assert decode(Disconnect, payload).reason_code == 9

    async with trio.open_nursery() as nursery:
        nursery.start_soon(impostor)
        async with pairs.connecting(client_stream) as client:
            with pytest.raises(trio_ssh.ConnectionLost, match="none of the pinned ones"):
                await client.wait_closed()
