"""The two buffers, outbox and receive buffer: they grow, move and shrink, lose nothing, and stay within their bounds."""

from __future__ import annotations

import pytest

from tests.protocol.ends import (
    MODES,
    REPRESENTATIVE_MODES,
    buffer_bytes,
    open_all,
    payload_of,
    pieces,
    put,
    sealer_and_opener,
)
from trio_ssh.protocol.opener import Opener

each_kind_of_mode = pytest.mark.parametrize("mode", REPRESENTATIVE_MODES, ids="/".join)


def test_the_outbox_keeps_everything_while_it_grows():
    """Batches of every size around the powers of two; each buffer is used again for the batch after the next."""
    sealer, opener = sealer_and_opener(MODES[1])
    for power in range(8, 18):
        for size in range(2**power - 45, 2**power + 3, 3):
            sent = [payload_of(size % 40_000 + 1, size), payload_of(7, size), payload_of(size % 900 + 1, size + 1)]
            for payload in sent:
                sealer.seal(payload)
            batch = sealer.take_batch()
            sealer.seal(b"\x02while the writer sends")
            assert open_all(opener, bytes(batch)) == sent
            assert open_all(opener, bytes(sealer.take_batch())) == [b"\x02while the writer sends"]


def test_a_batch_stays_whole_until_the_next_is_taken():
    sealer, opener = sealer_and_opener(MODES[1])
    batch = sealer.take_batch()
    for number in range(200):
        sent = [payload_of(1 + number * 37 % 3000, number) for _ in range(1 + number % 5)]
        before = bytes(batch)
        for payload in sent:
            sealer.seal(payload)
        assert bytes(batch) == before
        batch = sealer.take_batch()
        assert open_all(opener, bytes(batch)) == sent


def test_the_outbox_is_small_again_when_the_traffic_was():
    sealer, _ = sealer_and_opener(MODES[0])
    for _ in range(2):
        sealer.seal(payload_of(39_000))
        sealer.take_batch()
    sizes = []
    for _ in range(60):
        sealer.seal(b"\x02")
        sizes.append(buffer_bytes(sealer.take_batch()))
    assert max(sizes[:5]) >= 39_000
    assert max(sizes[-2:]) <= 1024


def test_append_plain_stands_before_the_packets():
    for size in (0, 10, 1023, 1024, 1025, 5000):
        sealer, opener = sealer_and_opener(MODES[0])
        sealer.append_plain(b"x" * size)
        sealer.seal(b"\x02y")
        assert sealer.packets_sealed == 1
        batch = bytes(sealer.take_batch())
        assert batch[:size] == b"x" * size
        assert open_all(opener, batch[size:]) == [b"\x02y"]


@each_kind_of_mode
def test_the_receive_buffer_loses_nothing_at_any_size(mode):
    """Each read fills the space there is, or all but one byte of it, or a little: the buffer grows, moves and shrinks meanwhile."""
    sealer, opener = sealer_and_opener(mode)
    sent = [payload_of(1 + number * number * 7 % 3001, number) for number in range(400)] + [payload_of(39_000), payload_of(1)]
    for payload in sent:
        sealer.seal(payload)
    wire = bytes(sealer.take_batch())
    received: list[bytes] = []

    def sink(view: memoryview, start: int, end: int) -> bool:
        received.append(bytes(view[start:end]))
        return False

    turn = 0
    while wire:
        space = opener.space()
        assert len(space) > 0
        turn += 1
        size = min(len(wire), (len(space), max(1, len(space) - 1), 1 + turn * 31 % 700, len(space))[turn // 30 % 4], len(space))
        space[:size] = wire[:size]
        opener.received(size)
        wire = wire[size:]
        while opener.open_batch(sink):
            pass
    assert received == sent


@each_kind_of_mode
def test_cuts_around_the_smallest_buffer(mode):
    for size in [*range(940, 1040, 3), *range(2000, 2060, 7)]:
        sealer, opener = sealer_and_opener(mode)
        sent = [payload_of(size), payload_of(20, 1), payload_of(size, 2)]
        for payload in sent:
            sealer.seal(payload)
        assert open_all(opener, bytes(sealer.take_batch())) == sent


def test_an_idle_connection_has_small_buffers_again():
    sealer, opener = sealer_and_opener(MODES[1])
    for number in range(40):
        sealer.seal(payload_of(30_000, number))
    open_all(opener, bytes(sealer.take_batch()))
    assert buffer_bytes(opener.space()) > 4096
    for _ in range(40):
        sealer.seal(b"\x02")
        assert open_all(opener, bytes(sealer.take_batch())) == [b"\x02"]
    assert buffer_bytes(opener.space()) <= 1024


def largest_buffer(opener: Opener, wire: bytes) -> int:
    """The most the buffer of `opener` was while `wire` came in as fast as it could be put there."""
    largest = 0
    while wire:
        largest = max(largest, buffer_bytes(opener.space()))
        wire = put(opener, wire)
        while opener.open_batch(lambda view, start, end: False):
            pass
    return max(largest, buffer_bytes(opener.space()))


@each_kind_of_mode
def test_a18_the_receive_buffer_is_bounded_by_the_packets_that_are_taken(mode):
    """The largest packets that are legal, byte by byte the worst case being a packet that lacks its end."""
    for packet_bytes_max, bound in ((64 * 1024, 256 * 1024), (256 * 1024, 1024 * 1024)):
        sealer, opener = sealer_and_opener(mode, packet_bytes_max)
        for _ in range(3):
            sealer.seal(bytes([94]) * (packet_bytes_max - 300))
        largest = 0
        for piece in pieces(sealer.take_batch(), [1400] * 1000):
            open_all(opener, piece)
            largest = max(largest, buffer_bytes(opener.space()))
        assert packet_bytes_max <= largest <= bound


def test_asr_08_an_unauthenticated_peer_that_floods_gets_no_large_buffer():
    """At most 256 KiB for all of a connection that has not logged in."""
    sealer, opener = sealer_and_opener(MODES[1], 64 * 1024)
    for _ in range(80):
        sealer.seal(payload_of(30_000))
    assert largest_buffer(opener, bytes(sealer.take_batch())) <= 256 * 1024


def test_a_peer_that_has_logged_in_gets_large_reads_and_packets():
    sealer, opener = sealer_and_opener(MODES[1], 64 * 1024)
    opener.trust(256 * 1024)
    assert opener.packet_bytes_max == 256 * 1024
    for _ in range(80):
        sealer.seal(payload_of(30_000))
    sealer.seal(bytes([94]) * 200_000)
    assert 256 * 1024 <= largest_buffer(opener, bytes(sealer.take_batch())) <= 1024 * 1024
    assert opener.packets_opened == 81
