"""Generator G3, sampled: EOF, reset, stall and flip at byte k of a connection's life, each direction (hardening FLT-12 to FLT-14).

All bytes of the identification lines and of the key exchange, those around the beginning of every packet, and some at random from a fixed
seed. ``make soak`` goes on with the others. What each point is, and what must hold of it, is in tests/faults/points.py.
"""

from __future__ import annotations

from collections import Counter

import pytest
import trio

import trio_ssh
from tests import pairs
from tests.faults.points import DEADLINES, LIMITS, PACKET_SECONDS, TYPED, Fault, Point, Recording, meet, record, sampled
from trio_ssh.testing import Link, SimulatedNetwork

DIRECTIONS = pytest.mark.parametrize("direction", ["up", "down"])


async def meet_sample(direction: str, fault: Fault, *, others: int) -> tuple[Recording, Counter[str]]:
    recording = await record()
    outcomes: Counter[str] = Counter()
    for at in sampled(recording, direction, fault, dense=300, around=4, others=others):
        outcomes[await meet(Point(direction, fault, at), recording)] += 1
    return recording, outcomes


async def test_g3_the_recording_is_the_same_each_time(autojump_clock):
    """Else byte k would be another byte in each run, and a failure could not be seen again."""
    first = await record()
    assert await record() == first
    assert min(first.sizes.values()) > 65536
    assert all(len(packets) >= 15 for packets in first.packets.values())
    assert all(20 < len(padding) < 40 for padding in first.padding.values())
    assert all(login.start > 500 and len(login) > 200 for login in first.login.values())


@DIRECTIONS
async def test_g3_flt_12_the_stream_ends_behind_byte_k(autojump_clock, direction):
    """TRI-27: never taken for an end of file that the peer has said."""
    _, outcomes = await meet_sample(direction, Fault.EOF, others=250)
    assert outcomes["the caller's deadline"] == 0


@DIRECTIONS
async def test_g3_flt_12_flt_11_flt_10_the_connection_breaks_behind_byte_k(autojump_clock, direction):
    _, outcomes = await meet_sample(direction, Fault.RST, others=250)
    assert outcomes["the caller's deadline"] == 0


@DIRECTIONS
async def test_g3_flt_13_nothing_comes_behind_byte_k(autojump_clock, direction):
    """The phase's deadline fires: identification, key exchange, login (the server's; a client's is its caller's), keepalive."""
    _, outcomes = await meet_sample(direction, Fault.STALL, others=250)
    assert (outcomes["the caller's deadline"] > 0) == (direction == "down")


@DIRECTIONS
async def test_g3_flt_14_a_bit_of_byte_k_is_flipped(autojump_clock, direction):
    """Before the first keys a flipped bit of padding is nobody's loss; behind them everything counts."""
    recording, outcomes = await meet_sample(direction, Fault.FLIP, others=250)
    assert outcomes["complete"] < len(recording.padding[direction]) + 20


@DIRECTIONS
@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr"])
async def test_g3_flt_14_sm_028_a22_flips_under_every_kind_of_cipher(autojump_clock, direction, cipher):
    """Behind the login, so that each bit is a sealed one: the length's, the payload's and the tag's."""
    algorithms = trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=(cipher,), macs=("hmac-sha2-256",))
    for offset in range(60):
        streams = SimulatedNetwork().stream_pair()
        async with pairs.connected(
            streams=streams, limits=LIMITS, client_algorithms=algorithms, server_algorithms=algorithms, leaves_channels=True
        ) as ends:
            bad = streams[direction == "down"]
            bad.set_link(Link(flip_at=bad.bytes_sent + offset, flip_mask=1 << offset % 8))
            with pytest.raises(TYPED), trio.fail_after(DEADLINES + PACKET_SECONDS):
                await ends.client.run_process("echo", input=b"x" * 100)
            with pytest.raises(trio_ssh.SSHError), trio.fail_after(DEADLINES + PACKET_SECONDS):
                await ends.client.wait_closed()
