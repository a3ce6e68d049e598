"""SM-019 to SM-033: packets that no honest peer sends, before the first keys and under each kind of cipher, to both of our roles.

What the opener makes of them is tested alone in ``tests/protocol/test_bad_packets.py``; here it is what the peer gets and who is called.
"""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.connection.victims import BOTH_ROLES, Victim, attacked
from tests.raw_peer import RawPeer
from trio_ssh.connection.tap import TAP
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Debug, Ignore, Ping, Unimplemented

IN_CLEAR = ("none", "none")
MODES = [
    IN_CLEAR,
    ("aes128-gcm@openssh.com", "hmac-sha2-256"),
    ("chacha20-poly1305@openssh.com", "hmac-sha2-256"),
    ("aes128-ctr", "hmac-sha2-256-etm@openssh.com"),
    ("aes256-ctr", "hmac-sha2-512"),
]
EACH_MODE = pytest.mark.parametrize("mode", MODES, ids=["clear", "gcm", "chacha20", "ctr-etm", "ctr-mac"])
EACH_CIPHER = pytest.mark.parametrize("mode", MODES[1:], ids=["gcm", "chacha20", "ctr-etm", "ctr-mac"])


@asynccontextmanager
async def under(mode: tuple[str, str], role: Role, *, logged_in: bool = False) -> AsyncIterator[Victim]:
    """Our `role`, waiting for the next packet under `mode`: the very first, or the first behind NEWKEYS or behind the login."""
    algorithms = pairs.QUICK
    if mode != IN_CLEAR:
        algorithms = trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=mode[:1], macs=mode[1:])
    async with attacked(role, algorithms=algorithms, peer=algorithms) as victim:
        raw = victim.raw
        if mode == IN_CLEAR:
            await raw.identify()
            await raw.expect(M.KEXINIT)
        elif logged_in:
            await raw.log_in()
        else:
            await raw.handshake()
            await (raw.expect(M.EXT_INFO) if role is Role.SERVER else raw.expect(M.SERVICE_REQUEST, skip=[M.EXT_INFO]))
        yield victim


def forged(raw: RawPeer, length: int, body: bytes) -> bytes:
    """A packet with a good tag whose packet_length says `length`, whatever stands behind it."""
    key = raw.sealer._key
    wire = bytearray(struct.pack(">I", length) + body + bytes(key.tag_bytes))
    key.seal(memoryview(wire), 0, 4 + len(body), raw.sealer.sequence_number)
    raw.sealer.sequence_number += 1
    return bytes(wire)


def is_aligned(raw: RawPeer, length: int) -> bool:
    key = raw.sealer._key
    return (length + (4 if key.length_is_aligned else 0)) % key.alignment == 0


def aligned(raw: RawPeer, at_least: int) -> int:
    return next(length for length in range(at_least, at_least + 64) if is_aligned(raw, length))


def ignoring(length: int, padding_length: int) -> bytes:
    """The body of a packet: padding_length, then an IGNORE of nothing and zeros."""
    return (bytes([padding_length, M.IGNORE]) + bytes(length))[:length]


async def refused(victim: Victim, wire: bytes) -> None:
    """At once, with DISCONNECT 2, typed, and nobody called."""
    started = trio.current_time()
    called = list(victim.called)
    await victim.raw.send_bytes(wire)
    await victim.ends(2)
    assert trio.current_time() - started <= 1
    assert victim.called == called


@BOTH_ROLES
@EACH_MODE
@pytest.mark.parametrize("length", [0, 1, 4])
async def test_sm_019_shorter_than_any_packet(autojump_clock, role, mode, length):
    async with under(mode, role) as victim:
        await refused(victim, forged(victim.raw, length, ignoring(60, 4)))


@BOTH_ROLES
@EACH_MODE
async def test_sm_020_sm_026_no_payload(autojump_clock, role, mode):
    """Length 5 with padding 4, length 12 with padding 11, and the shortest that the block lets pass."""
    for length, padding_length in ((5, 4), (12, 11), (0, 0)):
        async with under(mode, role) as victim:
            length = length or aligned(victim.raw, 12)
            body = ignoring(length if is_aligned(victim.raw, length) else 60, padding_length or length - 1)
            await refused(victim, forged(victim.raw, length, body))


@BOTH_ROLES
@EACH_MODE
@pytest.mark.parametrize("length", [0x10001, 0x7FFFFFFC, 0x7FFFFFFF, 0xFFFFFFFF], ids=hex)
async def test_sm_021_a18_longer_than_taken_before_the_login(autojump_clock, role, mode, length):
    """Refused at its head; nothing is waited for, and nothing of the 96 MiB that are offered is kept."""
    async with under(mode, role) as victim:
        opener_bytes = []
        wire = forged(victim.raw, length, ignoring(60, 4))
        tracemalloc.start()
        try:
            await victim.raw.send_bytes(wire[:16])
            await wait_all_tasks_blocked()
            sent = 0
            while not victim.done.is_set() and sent < 96 << 20:
                await victim.raw.stream.send_all(bytes(65536))
                sent += 65536
                await wait_all_tasks_blocked()
            opener_bytes.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        await victim.ends(2)
    assert sent <= 65536
    assert opener_bytes[0] < 1 << 20


@BOTH_ROLES
@EACH_CIPHER
@pytest.mark.parametrize("length", [0x40001, 0x7FFFFFFF, 0xFFFFFFFF], ids=hex)
async def test_sm_021_longer_than_taken_behind_the_login(autojump_clock, role, mode, length):
    async with under(mode, role, logged_in=True) as victim:
        await wait_all_tasks_blocked()
        await refused(victim, forged(victim.raw, length, ignoring(60, 4))[:16])


@BOTH_ROLES
@EACH_MODE
async def test_sm_022_not_a_multiple_of_the_block(autojump_clock, role, mode):
    for more in (1, 2, 4, 7):
        async with under(mode, role) as victim:
            await refused(victim, forged(victim.raw, aligned(victim.raw, 16) + more, ignoring(60, 6)))


@BOTH_ROLES
@EACH_MODE
@pytest.mark.parametrize("padding_length", [0, 1, 2, 3])
async def test_sm_023_too_little_padding(autojump_clock, role, mode, padding_length):
    async with under(mode, role) as victim:
        length = aligned(victim.raw, 16)
        await refused(victim, forged(victim.raw, length, ignoring(length, padding_length)))


@BOTH_ROLES
@EACH_MODE
async def test_sm_024_more_padding_than_packet(autojump_clock, role, mode):
    for beyond in (0, 1, 2, 255):
        async with under(mode, role) as victim:
            length = aligned(victim.raw, 16)
            await refused(victim, forged(victim.raw, length, ignoring(length, min(255, length - 1 + beyond))))


@BOTH_ROLES
@EACH_CIPHER
async def test_sm_025_much_padding(autojump_clock, role, mode):
    """255 bytes of it, at random: taken, and what follows too."""
    async with under(mode, role, logged_in=True) as victim:
        ping = encode(Ping(b"with much padding"))
        length = aligned(victim.raw, 1 + len(ping) + 232)
        padding = pairs.pattern(length - 1 - len(ping))
        assert 232 <= len(padding) <= 255
        await victim.raw.send_bytes(forged(victim.raw, length, bytes([len(padding)]) + ping + padding))
        await victim.raw.wait_for(M.PONG)
        await victim.raw.stream.aclose()


@BOTH_ROLES
@EACH_MODE
async def test_sm_027_message_number_0(autojump_clock, role, mode):
    """Before the login and behind it."""
    for logged_in in (False, True)[: 1 if mode == IN_CLEAR else 2]:
        async with under(mode, role, logged_in=logged_in) as victim:
            await wait_all_tasks_blocked()
            called = list(victim.called)
            await victim.raw.send(bytes([0]) + b"whatever")
            await victim.ends(2)
            assert victim.called == called


def sealed(raw: RawPeer, *payloads: bytes) -> list[bytes]:
    """Each one's packet, not sent."""
    wires = []
    for payload in payloads:
        raw.sealer.seal(payload)
        wires.append(bytes(raw.sealer.take_batch()))
    return wires


PINGS = [encode(Ping(bytes([number]) * 20)) for number in range(4)]


@BOTH_ROLES
@EACH_CIPHER
async def test_sm_028_a22_a_bit_of_the_tag_or_of_the_packet(autojump_clock, role, mode):
    """What came before is answered, the damaged one is not, nor what follows; DISCONNECT 5, or 2 where the length is the damage."""
    for from_the_end, reason in ((1, 5), (8, 5), (16, 5), (30, 5)):
        async with under(mode, role, logged_in=True) as victim:
            await wait_all_tasks_blocked()
            wires = sealed(victim.raw, *PINGS[:3])
            damaged = bytearray(wires[1])
            damaged[-from_the_end] ^= 0x10
            await victim.raw.send_bytes(wires[0] + bytes(damaged) + wires[2])
            await victim.ends(reason, M.PONG, kind=trio_ssh.IntegrityError)


@BOTH_ROLES
@EACH_CIPHER
async def test_sm_028_the_last_packet_is_cut(autojump_clock, role, mode):
    """It is no clean end."""
    async with under(mode, role, logged_in=True) as victim:
        await wait_all_tasks_blocked()
        wires = sealed(victim.raw, *PINGS[:2])
        await victim.raw.send_bytes(wires[0] + wires[1][:-1])
        await victim.raw.expect(M.PONG)
        await victim.raw.stream.aclose()
    await victim.check_cause(trio_ssh.ConnectionLost, "in the middle of a packet")


TOUCHED = {"replayed": [0, 0, 1], "deleted": [0, 2], "swapped": [0, 2, 1], "the first deleted": [1, 2]}


@BOTH_ROLES
@EACH_CIPHER
@pytest.mark.parametrize("order", TOUCHED.values(), ids=list(TOUCHED))
async def test_sm_028_sm_029_packets_replayed_deleted_and_swapped(autojump_clock, role, mode, order):
    """The number that a packet has is part of what its tag covers: the first one out of place is the end."""
    async with under(mode, role, logged_in=True) as victim:
        await wait_all_tasks_blocked()
        wires = sealed(victim.raw, *PINGS[:3])
        await victim.raw.send_bytes(b"".join(wires[number] for number in order) + bytes(64))
        pongs = [payload[0] for payload in await victim.raw.drain()]
        assert pongs == [*[M.PONG] * (order[0] == 0), M.DISCONNECT]
    assert isinstance(victim.cause, trio_ssh.RemoteProtocolError)
    assert victim.cause.reason in (2, 5)


@BOTH_ROLES
@EACH_CIPHER
async def test_sm_030_segments_of_one_byte_and_of_ten_thousand_packets(autojump_clock, role, mode):
    async with under(mode, role, logged_in=True) as victim:
        raw = victim.raw
        await wait_all_tasks_blocked()
        for byte in b"".join(sealed(raw, *PINGS)):
            await raw.send_bytes(bytes([byte]))
        for _ in PINGS:
            await raw.wait_for(M.PONG)
        await raw.send(*[Ignore(bytes(60))] * 10_000, Ping(b"behind them"))
        await raw.expect(M.PONG)
        await raw.stream.aclose()


NOISE = {
    "IGNORE": encode(Ignore(bytes(100))),
    "DEBUG": encode(Debug(True, "\x1b[2J nothing of interest" * 4, "en")),
    "UNIMPLEMENTED": encode(Unimplemented(3)),
}


async def flood(victim: Victim, payload: bytes, count: int) -> None:
    """So many of it, with nothing kept on the test's side."""
    for _ in range(0, count, 1000):
        await victim.raw.send(*[payload] * 1000)
        victim.forget_wires()
        await wait_all_tasks_blocked()


@BOTH_ROLES
@pytest.mark.parametrize("noise", NOISE.values(), ids=list(NOISE))
async def test_sm_032_noise_without_end_behind_the_login(autojump_clock, role, noise):
    """Ten thousand, scaled down from a million: taken, nothing of it kept, and nothing said to it."""
    TAP.set(None)
    async with attacked(role) as victim:
        raw = victim.raw
        await raw.log_in()
        await flood(victim, noise, 1000)  # whatever grows once has grown
        tracemalloc.start()
        try:
            await flood(victim, noise, 9_000)
            assert tracemalloc.get_traced_memory()[0] < 1 << 19
        finally:
            tracemalloc.stop()
        await raw.send(Ping(b"still there?"))
        assert await raw.receive() is not None
        assert raw.numbers[-1] == M.PONG
        await raw.stream.aclose()


MALFORMED_NOISE = [
    pytest.param(b"\x02" + struct.pack(">I", 1), id="sm_033-IGNORE longer than its packet"),
    pytest.param(b"\x02" + struct.pack(">I", 2**32 - 1) + b"x", id="sm_033-IGNORE of 4 GiB"),
    pytest.param(b"\x02\0\0", id="sm_033-IGNORE cut in its length"),
    pytest.param(b"\x04", id="sm_033-DEBUG without anything"),
    pytest.param(b"\x04\1" + struct.pack(">I", 9) + b"cut", id="sm_033-DEBUG cut in its text"),
    pytest.param(b"\x04\1" + struct.pack(">I", 3) + b"cut", id="sm_033-DEBUG without a language"),
    pytest.param(b"\x03\0\0", id="sm_033-UNIMPLEMENTED cut"),
]


@BOTH_ROLES
@pytest.mark.parametrize("logged_in", [False, True], ids=["before the login", "behind the login"])
@pytest.mark.parametrize("payload", MALFORMED_NOISE)
async def test_malformed_noise(autojump_clock, role, payload, logged_in):
    async with under(MODES[1], role, logged_in=logged_in) as victim:
        await wait_all_tasks_blocked()
        await victim.raw.send(payload, Ping(b"never read"))
        await victim.ends(2)
